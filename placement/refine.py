"""Correct a plan by a score that the integer program does not know, such as a simulated tail.

The score is a function, so nothing here knows the simulator. Candidates are the plain plan's
placement under other routings, plans for lower caps on the load, and placements a move away from
the best; each is feasible for the same program, so the bound on the locality holds for all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from placement.heuristics.local_search import local_search
from placement.improve.moves import random_neighbour
from placement.problem.cluster import FloatArray
from placement.problem.instance import Instance
from placement.problem.names import Mode
from placement.problem.outcome import (
    Infeasible,
    Progress,
    ProgressCallback,
    SolveOptions,
    SolveResult,
    earned_status,
    relative_gap,
)
from placement.problem.score import ScoreFunction, SolutionScore
from placement.problem.solution import Placement, Solution, evaluate
from placement.problem.spare_claims import spare_faults
from placement.problem.violations import violations
from placement.programs.routing import balance_routing, best_routing
from placement.solve import solve_instance
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from placement.support.equality import ByContent

LOSS = 0.02
"""Default of `refine`'s `loss`: ties in locality are many, and what is given up rarely pays."""


@dataclass(frozen=True)
class Step:
    """An improvement.

    Parameters
    ----------
    evaluation : int
        How many candidates were scored by then.
    proposal : str
        What was tried.
    value : float
        Its score.
    """

    evaluation: int
    proposal: str
    value: float


@dataclass(frozen=True)
class Refinement:
    """The best solution found, and how it was found.

    Parameters
    ----------
    solution : Solution
        The start itself where nothing was better.
    value, start_value : float
        Scores of the solution and of the start.
    evaluations : int
        Candidates scored.
    steps : tuple of Step
        The improvements, in order.
    deterministic : bool
        False where the clock decided when to stop.
    """

    solution: Solution
    value: float
    start_value: float
    evaluations: int
    steps: tuple[Step, ...]
    deterministic: bool


@dataclass(frozen=True, eq=False)
class _Style(ByContent):
    """How a placement is routed: locality given up, and factors on the work of each model."""

    tolerance: float
    inflation: FloatArray


@dataclass
class _Search:
    instance: Instance
    settings: SolverSettings
    score: ScoreFunction
    evaluations: int
    budget: Budget
    best: Solution
    found: SolutionScore
    style: _Style
    steps: list[Step]
    progress: ProgressCallback | None
    bound: float
    floor: float
    tolerances: tuple[float, ...]
    mode: Mode
    tried: int = 0

    @property
    def over(self) -> bool:
        return self.tried >= self.evaluations or self.budget.expired

    def offer(self, proposal: str, candidate: Solution | None, style: _Style) -> bool:
        """Score a candidate that keeps the rules; keep it where it is better."""
        if candidate is None or self.over or violations(self.instance, candidate):
            return False
        if spare_faults(self.instance, candidate, self.mode):
            return False
        if evaluate(self.instance, candidate).objective < self.floor:
            return False
        self.tried += 1
        found = self.score(candidate)
        better = found.value < self.found.value
        if better:
            self.best, self.found, self.style = candidate, found, style
            self.steps.append(Step(self.tried, proposal, found.value))
        if self.progress is not None:
            worth = evaluate(self.instance, self.best).objective
            detail = f"{self.tried} of {self.evaluations} simulated, best {self.found.value:.4g}"
            self.progress(Progress("refine", self.budget.elapsed_s, worth, self.bound, detail))
        return better


def refine(
    plain: SolveResult,
    score: ScoreFunction,
    options: SolveOptions,
    *,
    evaluations: int,
    loss: float = LOSS,
    caps: Sequence[float] | None = None,
    budget: Budget | None = None,
    progress: ProgressCallback | None = None,
) -> Refinement:
    """Search for a solution with a lower score, from the plain plan's.

    Parameters
    ----------
    plain : SolveResult
        Its solution is scored first, so the result is never worse.
    score : callable
        Of a solution; deterministic.
    options : SolveOptions
        Of the plain solve; for the plans proposed anew.
    evaluations : int
        Most candidates scored; the same on every machine.
    loss : float
        Most locality given up, as a fraction of the plain plan's.
    caps : sequence of float, optional
        Caps of the plans that are proposed anew, as fractions of the plain plan's; those of the
        parameters by default.
    budget : Budget, optional
        Ends the search before that, and makes the result depend on the clock.
    progress : callable, optional
        Called with a `Progress` now and then.
    """
    instance, params = plain.instance, options.params.refine
    budget, least = budget or Budget(), params.tolerances[0]
    caps = params.caps if caps is None else caps
    first = score(plain.solution)
    search = _Search(
        instance=instance,
        settings=SolverSettings.of(options),
        score=score,
        evaluations=evaluations,
        budget=budget,
        best=plain.solution,
        found=first,
        style=_Style(least, np.ones(len(instance.model_ids))),
        steps=[],
        progress=progress,
        bound=plain.certificate.best_bound,
        floor=plain.evaluation.objective * (1 - loss) - 1e-9,
        tolerances=tuple(t for t in params.tolerances if t <= max(loss, least)),
        mode=options.mode,
    )
    for proposal, placement in _placements(plain, options, caps, budget):
        for tolerance in search.tolerances:
            if search.over:
                break
            style = replace(search.style, tolerance=tolerance)
            routed = _route(search, placement, style)
            search.offer(f"{proposal}, routed within {tolerance:g}", routed, style)
        if search.over:  # before the next placement is made
            break
    _climb(search, np.random.default_rng(options.seed))
    return Refinement(
        solution=search.best,
        value=search.found.value,
        start_value=first.value,
        evaluations=search.tried,
        steps=tuple(search.steps),
        deterministic=not budget.cut_short,
    )


def refined_result(plain: SolveResult, refinement: Refinement, seconds: float) -> SolveResult:
    """Put a refined solution in place of the plain one: same bound, its own objective and gap.

    Parameters
    ----------
    plain : SolveResult
        What was refined.
    refinement : Refinement
        What came of it.
    seconds : float
        Of both together.
    """
    evaluation = evaluate(plain.instance, refinement.solution)
    bound = plain.certificate.best_bound
    gap = relative_gap(evaluation.objective, bound)
    certificate = replace(
        plain.certificate,
        status=earned_status(plain.options.method, gap, plain.options.gap, "refined"),
        objective=evaluation.objective,
        best_bound=max(bound, evaluation.objective),
        gap=gap,
        seconds=seconds,
        deterministic=plain.certificate.deterministic and refinement.deterministic,
    )
    return replace(
        plain, solution=refinement.solution, evaluation=evaluation, certificate=certificate
    )


def _placements(
    plain: SolveResult, options: SolveOptions, caps: Sequence[float], budget: Budget
) -> Iterator[tuple[str, Placement]]:
    """The plain placement, then placements for lower caps.

    A plan for a lower cap leaves every queue more room; it keeps the plain plan's cap as well.
    """
    yield "the plain placement", plain.solution.placement
    instance = plain.instance
    for share in caps:
        cap = share * instance.load_cap
        lower = replace(instance, load_cap=cap)
        params = options.params
        part = budget.part(params.refine.search_share)
        moves = params.local_search.start_moves
        found = local_search(lower, seed=options.seed, budget=part, moves=moves, params=params)
        yield f"local search under a cap of {cap:.2f}", found
        if cap <= plain.certificate.bottleneck_upper or options.mode == "offline":
            continue
        # In turn each gets a part of what is left, so that simulations have most of it.
        part = budget.part(params.refine.solve_share, options.time_limit_s or math.inf)
        try:
            result = solve_instance(lower, replace(options, max_utilization=cap), budget=part)
        except Infeasible:
            continue
        yield f"{options.method} under a cap of {cap:.2f}", result.solution.placement


def _climb(search: _Search, rng: np.random.Generator) -> None:
    """Try routing corrections and moves of replicas from the best, keeping each improvement."""
    stuck, params = 0, search.settings.params.refine
    while not search.over and stuck < params.attempts:
        before = search.tried
        if rng.random() < params.inflation_odds:
            style = _inflated(search, rng)
            routed = _route(search, search.best.placement, style)
            search.offer("rates spread for a model in need", routed, style)
        else:
            placement = None
            for _ in range(params.attempts):
                placement = random_neighbour(
                    search.instance, search.best, search.found.pressure, rng, params
                )
                if placement is not None:
                    break
            if placement is not None:
                routed = _route(search, placement, search.style)
                search.offer("a replica added, moved or replaced", routed, search.style)
        stuck = stuck + 1 if search.tried == before else 0


def _inflated(search: _Search, rng: np.random.Generator) -> _Style:
    params, used = search.settings.params.refine, np.array(search.instance.used_models)
    weight = search.found.pressure[used] + 1e-12
    m = int(rng.choice(used, p=weight / weight.sum()))
    factor = search.style.inflation.copy()
    raised = rng.random() < params.raising_odds
    factor[m] *= params.inflation if raised else 1 / params.inflation
    anew = rng.random() < params.tolerance_odds
    tolerance = float(rng.choice(search.tolerances)) if anew else search.style.tolerance
    return _Style(tolerance, factor)


def _route(search: _Search, placement: Placement, style: _Style) -> Solution | None:
    """Route by the style: the most locality under inflated work, then even loads nearby."""
    instance = search.instance
    factor = style.inflation / style.inflation[list(instance.used_models)].min()
    inflated = replace(
        instance,
        workflows=tuple(
            replace(w, work_s=w.work_s * factor[w.node_model]) for w in instance.workflows
        ),
        # Inflated loads may pass the cap; the true ones are checked before a simulation.
        load_cap=instance.load_cap * float(factor.max()),
    )
    best = best_routing(inflated, placement, search.settings, budget=search.budget)
    if best is None:
        return None
    floor = evaluate(inflated, best).objective * (1 - style.tolerance)
    even = balance_routing(
        inflated, placement, search.settings, least_locality=floor - 1e-9, budget=search.budget
    )
    routed = even or best
    return replace(routed, load=routed.load / factor[routed.placement.model])
