"""A plan that bears the loss of any one server: every model elsewhere too, and room for the work.

What must hold is said by rules first: each used model on two servers or more, and as many replicas
as it needs where one server, with its part of them, is away. All surviving plans keep these rules,
so a bound under them is one on surviving plans. Where the plan that they give does not bear every
loss, more replicas are asked for of the models that fall short, and small clusters are placed by
the compact program with a row for each loss (`placement.programs.after_loss`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from placement.packing import unpacked
from placement.problem.instance import Instance
from placement.problem.model_rules import ModelRules
from placement.problem.outcome import (
    Infeasible,
    Progress,
    ProgressCallback,
    SolveOptions,
    SolveResult,
)
from placement.problem.placement_rules import PlacementRules
from placement.problem.solution import Solution, evaluate
from placement.problem.space import models_that_fit
from placement.problem.violations import violations
from placement.programs.after_loss import (
    BEARABLE,
    Loss,
    bear_losses,
    losses,
    overloaded_models,
)
from placement.programs.compact import CompactProgram
from placement.programs.routing import best_routing
from placement.restatement import restated
from placement.solve import solve_instance
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings, Stop, linear, solve_program


@dataclass(frozen=True)
class Surviving:
    """A plan that bears the loss of any one server, and its price.

    Parameters
    ----------
    result : SolveResult
        Its bound is one on all surviving plans.
    worst : Loss
        The loss after which some GPU is the busiest.
    plain : SolveResult
        Without the demand for survival.
    """

    result: SolveResult
    worst: Loss
    plain: SolveResult


def solve_surviving(
    instance: Instance,
    options: SolveOptions,
    *,
    progress: ProgressCallback | None = None,
    budget: Budget | None = None,
) -> Surviving:
    """Solve for a plan that bears the loss of any one server.

    Parameters
    ----------
    instance : Instance
        Its rules are kept as well, but for ``pack`` and ``spares: none``: what has to be spare is
        nothing to save.
    options : SolveOptions
        How to solve.
    progress : callable, optional
        Told every new incumbent and bound.
    budget : Budget, optional
        Of all solves together; by default as long as the options say.

    Raises
    ------
    Infeasible
        No plan survives, or none was found.
    """
    instance = unpacked(instance)
    if instance.placement_rules.spares == "none":
        rules = replace(instance.placement_rules, spares="few")
        instance = replace(instance, placement_rules=rules)
    budget = budget or Budget(options.time_limit_s)
    settings, params = SolverSettings.of(options), options.params.survival

    def note(event: Progress) -> None:
        if progress is not None:
            progress(replace(event, phase=f"{event.phase} (survival)"))

    plain = solve_instance(
        instance, options, progress=progress, budget=budget.part(params.plain_share)
    )
    ruled = replace(instance, placement_rules=_with_rules(instance, _needed(instance)))
    try:
        best = solve_instance(ruled, options, progress=note, budget=budget.part(params.ruled_share))
    except Infeasible as error:
        raise Infeasible(f"no plan survives the loss of a server: {error}") from None
    worst = losses(best.instance, best.solution.placement, settings)[0]
    if worst.borne:
        return Surviving(best, worst, plain)
    found = [_more_replicas(ruled, best, worst, options, settings, budget)]
    few = instance.cluster.n_servers <= settings.params.patterns.compact_servers
    if few:
        found.append(_placed(best, settings, budget, options.gap))
    known = [restated(best, f.instance, f.solution) for f in found if f is not None]
    if not known:
        raise Infeasible(
            f"no plan was found that survives: without server {worst.server} some GPU is busy "
            f"{worst.load:.0%} of the time in the best one; add servers, or give it more time"
        )
    # Under a higher cap there is more locality, and less of what is asked for first.
    result = min(known, key=lambda r: (r.instance.load_cap, -r.evaluation.objective))
    return Surviving(result, losses(result.instance, result.solution.placement, settings)[0], plain)


def _needed(instance: Instance) -> dict[int, tuple[int, int]]:
    """Least replicas and servers of each used model that any surviving plan has.

    Of n replicas on S servers some server has n / S, rounded up; the others must bear the work,
    each at most `BEARABLE` of it a unit of speed.
    """
    cluster = instance.cluster
    needed = {}
    for m in instance.used_models:
        fits = [t for t in cluster.server_types if m in models_that_fit(instance, t)]
        fastest = [float(instance.speeds_of(t)[m]) for t in fits]
        servers = sum(t.count for t in fits)
        speed = max(fastest, default=1.0)
        left = max(1, ceil(float(instance.model_work[m]) / (BEARABLE * speed) - 1e-9))
        n = left + 1
        while servers > 1 and n - ceil(n / servers) < left:
            n += 1
        needed[m] = n, 2
    return needed


def _with_rules(instance: Instance, needed: Mapping[int, tuple[int, int]]) -> PlacementRules:
    """The rules of an instance, and at least so many replicas and servers of each model."""
    models = dict(instance.placement_rules.models)
    for m, (count, servers) in needed.items():
        name = instance.model_ids[m]
        rules = models.get(name, ModelRules())
        models[name] = replace(
            rules,
            min_replicas=max(rules.min_replicas or 1, count),
            spread=max(rules.spread or 1, servers),
        )
    return replace(instance.placement_rules, models=models)


def _more_replicas(
    ruled: Instance,
    best: SolveResult,
    worst: Loss,
    options: SolveOptions,
    settings: SolverSettings,
    budget: Budget,
) -> SolveResult | None:
    """Ask for more replicas of the models that fall short, until every loss is borne."""
    asked: dict[int, tuple[int, int]] = {}
    attempts = options.params.survival.attempts
    for attempt in range(attempts):
        if budget.expired:
            return None
        placement = best.solution.placement
        count = placement.replicas_per_model(len(ruled.model_ids))
        for m, more in overloaded_models(ruled, worst).items():
            servers = len(np.unique(placement.server[placement.model == m]))
            asked[m] = int(count[m]) + more, min(servers + 1, ruled.cluster.n_servers)
        tighter = replace(ruled, placement_rules=_with_rules(ruled, asked))
        part = budget.part(1.0 / (attempts + 1 - attempt))
        try:
            best = solve_instance(tighter, options, budget=part)
        except Infeasible:
            return None
        worst = losses(best.instance, best.solution.placement, settings)[0]
        if worst.borne:
            return best
    return None


def _placed(
    known: SolveResult, settings: SolverSettings, budget: Budget, gap: float
) -> SolveResult | None:
    """Place a small cluster by the program with a row for each loss; None without a better plan."""
    instance = known.instance
    solution: Solution | None = None
    with budget.bounded():
        program = CompactProgram(instance, params=settings.params, cautious=True)
        bear_losses(program)
        program.round_up()
        program.route()
        constant = program.scale * instance.locality_constant
        program.problem += linear(program.locality()) + constant
        program.order_identical_servers()
        outcome = solve_program(
            program.problem,
            settings,
            stop=Stop(gap=gap, node_limit=settings.params.compact.nodes),
            budget=budget,
        )
        if outcome.found:
            solution = best_routing(instance, program.placement(), settings, budget=budget.outer)
    if solution is None or violations(instance, solution):
        return None
    if not losses(instance, solution.placement, settings)[0].borne:
        return None
    return replace(known, solution=solution, evaluation=evaluate(instance, solution))
