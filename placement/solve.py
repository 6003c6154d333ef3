"""The front door of the package: an instance and options in, a certified solution out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version

from placement.balance import balance
from placement.bottleneck import compact_bottleneck
from placement.capacity import Coverage, ensure_coverage
from placement.compact import solve_compact
from placement.heuristics import HEURISTICS, SEES_CAP
from placement.heuristics.filling import UNSERVED_PENALTY
from placement.heuristics.local_search import Judge, compile_search, filled_worth, local_search
from placement.heuristics.partition import partition
from placement.heuristics.scaling import repeated_greedy
from placement.heuristics.selective import Score, selective_replication
from placement.instance import Instance
from placement.normalization import load_floor, normalize, restore
from placement.oscillation import oscillates
from placement.outcome import (
    Bottleneck,
    Budget,
    Certificate,
    FormOutcome,
    Infeasible,
    Progress,
    ProgressCallback,
    SolveOptions,
    SolveResult,
    Status,
    cap_for,
    earned_status,
    relative_gap,
)
from placement.patterns import pattern_bottleneck, solve_patterns
from placement.routing_lp import balance_routing, best_routing, least_bottleneck
from placement.solution import Placement, Solution, evaluate
from placement.solvers import SolverSettings, solver_name

COMPACT_SERVERS = 2
"""Largest cluster whose bottleneck the compact form bounds before the patterns do."""

HEADROOM_SEARCH = 1.1
"""A heuristic that seeks headroom is shown this much more than the least load imaginable."""

MOST_SEARCHED_SERVERS = 64
"""Largest cluster whose program starts from local search; beyond it, patterns alone gain more."""

SEARCHED_CAPS = (1.0, 1.1, 1.2)
"""Caps on GPU loads under which local search is tried, over the instance's."""

METHODS = ("ilp", *HEURISTICS, "partition", "selective-replication")

LEAST_BALANCE_S = 1.0
BALANCE_SHARE = 0.25

NO_BOUND = "no bound was sought; no locality exceeds 1"

Sink = Callable[[Progress], None]


@dataclass(frozen=True)
class _Start:
    """The best heuristic start under the cap, what is known of U*, and whether no clock chose."""

    instance: Instance
    bottleneck: Bottleneck
    solution: Solution
    deterministic: bool


def solve(
    instance: Instance,
    options: SolveOptions | None = None,
    *,
    progress: ProgressCallback | None = None,
    budget: Budget | None = None,
    score: Score | None = None,
) -> SolveResult:
    """Place the used models, route their requests, and prove how good that is.

    In order: every used model gets a replica and the least bottleneck load U* fixes the cap on
    GPU loads (coverage and headroom); the locality is maximised under that cap; the loads are
    balanced without giving locality up.

    Parameters
    ----------
    instance : Instance
        Its `load_cap` is replaced by the cap that the options and U* give.
    options : SolveOptions
    progress : callable, optional
        Called with every new incumbent and bound.
    budget : Budget, optional
        Made from `options.time_limit_s` by default; its `interrupt` ends the solve early with
        the best plan so far.
    score : callable, optional
        What a simulator says of a placement; ``selective-replication`` needs it.

    Raises
    ------
    Infeasible
        The used models do not fit together (unless `options.allow_partial`).
    SolverUnavailable
        The solver asked for is not there.
    ValueError
        The method is unknown.
    """
    options = options or SolveOptions()
    budget = budget or Budget(options.time_limit_s)
    settings = SolverSettings(options.solver, options.threads, options.seed)
    solver_name(options.solver)
    if options.method not in METHODS:
        raise ValueError(f"method {options.method!r} is unknown; take one of: {', '.join(METHODS)}")
    if options.method == "selective-replication" and score is None:
        raise ValueError("selective-replication needs a simulator's score of placements")
    history: list[Progress] = []

    def note(event: Progress) -> None:
        history.append(event)
        if progress is not None:
            progress(event)

    coverage = ensure_coverage(instance, settings, allow_partial=options.allow_partial)
    if not coverage.instance.active_workflows:
        raise Infeasible("no request can be served: no workflow fits the cluster")
    given = coverage.instance
    normal = normalize(given, 0.0 if options.mode == "offline" else options.max_utilization)
    unit = normal.load_unit or 1.0
    coverage = replace(coverage, instance=normal)
    scaled = replace(options, max_utilization=options.max_utilization / unit)
    if options.method == "ilp":
        result = _solve_ilp(coverage, scaled, settings, budget, note, history)
    else:
        result = _solve_heuristic(coverage, scaled, settings, budget, note, history, score)
    return _restored(given, options, result)


def _restored(given: Instance, options: SolveOptions, result: SolveResult) -> SolveResult:
    """Give the result of a normalized instance the rates and loads of the instance as given."""
    unit = result.instance.load_unit or 1.0
    certificate = result.certificate
    cap = result.instance.load_cap * unit
    if math.isclose(cap, options.max_utilization, rel_tol=1e-12):
        cap = options.max_utilization
    instance = replace(given, load_cap=cap)
    solution = restore(instance, result.instance, result.solution)
    return replace(
        result,
        instance=instance,
        solution=solution,
        evaluation=evaluate(instance, solution),
        certificate=replace(
            certificate,
            load_cap=instance.load_cap,
            bottleneck_lower=certificate.bottleneck_lower * unit,
            bottleneck_upper=certificate.bottleneck_upper * unit,
        ),
        options=options,
    )


def versions() -> dict[str, str]:
    """Versions of what made a plan."""
    return {name: version(name) for name in ("gswarm-place", "pulp", "highspy")}


def load_cap(options: SolveOptions, bottleneck: float) -> float:
    """Cap on GPU loads: the target rho, or (1 + eps) U* in overload and offline (DESIGN 5)."""
    target = 0.0 if options.mode == "offline" else options.max_utilization
    return cap_for(bottleneck, target, options.headroom_slack)


def _solve_heuristic(
    coverage: Coverage,
    options: SolveOptions,
    settings: SolverSettings,
    budget: Budget,
    note: Sink,
    history: list[Progress],
    score: Score | None,
) -> SolveResult:
    note(Progress(options.method, budget.elapsed_s, None, None))
    instance = replace(coverage.instance, load_cap=options.max_utilization)

    def placed(cap: float) -> Placement:
        seen = replace(instance, load_cap=cap)
        if options.method == "partition":
            return partition(seen, settings, seed=options.seed, budget=budget.part(0.8))
        if options.method == "selective-replication" and score is not None:
            return selective_replication(seen, score, budget=budget.part(0.8))
        if options.method == "local-search":
            judge = _judge(settings, budget)
            return local_search(seen, seed=options.seed, budget=budget, judge=judge)
        return HEURISTICS[options.method](seen, options.seed, budget)

    placements = [placed(options.max_utilization)]
    upper, solution = least_bottleneck(instance, placements[0], settings)
    if options.method in SEES_CAP and load_cap(options, upper) != options.max_utilization:
        # The least bottleneck fixes the cap, so it is sought first, and then locality under it.
        placements.append(placed(HEADROOM_SEARCH * load_floor(instance)))
        other = least_bottleneck(instance, placements[1], settings)
        upper, solution = min((upper, solution), other, key=lambda pair: pair[0])
        if not budget.expired:
            placements.append(placed(load_cap(options, upper)))
    instance = replace(instance, load_cap=load_cap(options, upper))
    candidates = [solution, *_routed(instance, placements, settings)]
    solution = max(candidates, key=lambda s: evaluate(instance, s).objective)
    objective = evaluate(instance, solution).objective
    if options.balance:
        # The router is no part of the method: its rates are evened as those of the program are.
        floor = objective * (1 - options.balance_tolerance)
        even = balance_routing(
            instance, solution.placement, settings, least_locality=floor, budget=budget
        )
        solution = even or solution
    note(Progress(options.method, budget.elapsed_s, objective, 1.0))
    found = FormOutcome(solution, 1.0, "heuristic", NO_BOUND)
    bottleneck = Bottleneck(0.0, upper, solution)
    return _result(coverage, instance, found, bottleneck, "routing", options, budget, history)


def _solve_ilp(
    coverage: Coverage,
    options: SolveOptions,
    settings: SolverSettings,
    budget: Budget,
    note: Sink,
    history: list[Progress],
) -> SolveResult:
    start = _prepare(coverage.instance, options, settings, budget, note)
    instance = start.instance
    worth = evaluate(instance, start.solution).objective
    note(Progress("start", budget.elapsed_s, worth, 1.0))
    found, form = _locality(start, options, settings, budget, note)
    found = replace(found, deterministic=found.deterministic and start.deterministic)
    if options.balance:
        worth = evaluate(instance, found.solution).objective
        note(Progress("balance", budget.elapsed_s, worth, found.best_bound))
        clock = _balance_budget(options, budget)
        even = balance(
            instance, found.solution, settings, clock, tolerance=options.balance_tolerance
        )
        settled = found.deterministic and not clock.expired
        found = replace(found, solution=even, deterministic=settled)
    worth = evaluate(instance, found.solution).objective
    note(Progress("done", budget.elapsed_s, worth, found.best_bound))
    return _result(coverage, instance, found, start.bottleneck, form, options, budget, history)


def _balance_budget(options: SolveOptions, budget: Budget) -> Budget:
    if budget.expired:
        # A solve cut short still owes a plan with sensible rates.
        return Budget(LEAST_BALANCE_S)
    left = budget.remaining_s
    if left == float("inf"):
        return budget.part(1.0)
    limit = left if options.time_limit_s is None else options.time_limit_s
    wanted = min(BALANCE_SHARE * limit, max(LEAST_BALANCE_S, left))
    return budget.part(min(1.0, wanted / left))


def _prepare(
    instance: Instance,
    options: SolveOptions,
    settings: SolverSettings,
    budget: Budget,
    note: Sink,
) -> _Start:
    """Heuristic placements, U* and the cap it gives, and the best start under that cap."""
    note(Progress("start", budget.elapsed_s, None, None))
    target = 0.0 if options.mode == "offline" else options.max_utilization
    instance = replace(instance, load_cap=options.max_utilization)
    placements = [repeated_greedy(instance)]
    upper, solution = least_bottleneck(instance, placements[0], settings)
    busiest = f"bottleneck load {upper * (instance.load_unit or 1.0):.3f}"
    note(Progress("headroom", budget.elapsed_s, None, None, busiest))
    phase = budget.part(0.2)
    bottleneck = _bottleneck(instance, settings, phase, target, solution)
    in_time = not phase.expired
    instance = replace(instance, load_cap=load_cap(options, bottleneck.upper))
    if instance.cluster.n_servers <= MOST_SEARCHED_SERVERS:
        # The search sees the cap that counts, and starts where the greedy left it.
        compile_search(instance, placements[0])
        phase = budget.part(0.3)
        placements.append(_searched(instance, options, settings, phase))
        in_time &= not phase.expired
    placements.append(bottleneck.solution.placement)
    candidates = [bottleneck.solution, *_routed(instance, placements, settings)]
    best = max(candidates, key=lambda s: evaluate(instance, s).objective)
    return _Start(instance, bottleneck, best, in_time)


def _searched(
    instance: Instance, options: SolveOptions, settings: SolverSettings, budget: Budget
) -> Placement:
    """Search locally; where the search finds nothing under the cap, once more under wider ones.

    The search routes by filling servers in turn, which may fail close to the cap where the
    routing program does not: what it finds under a wider cap is routed under the real one.
    Small shared clusters leave the wider caps to `search_beyond`; where GPUs are exclusive, the
    first integer program over patterns is there sooner.
    """
    found = []
    once = instance.models_per_gpu == 1 or oscillates(instance)
    for slack in SEARCHED_CAPS[:1] if once else SEARCHED_CAPS:
        seen = replace(instance, load_cap=instance.load_cap * slack)
        judge = _judge(settings, budget)
        found.append(local_search(seen, seed=options.seed, budget=budget, judge=judge))
        if budget.expired or best_routing(instance, found[-1], settings) is not None:
            return found[-1]
    return found[0]


def _judge(settings: SolverSettings, budget: Budget) -> Judge:
    """Locality under the best routing; what cannot be routed, or not in time, comes after that."""

    def worth(instance: Instance, placement: Placement) -> float:
        routed = None if budget.expired else best_routing(instance, placement, settings)
        if routed is None:
            return filled_worth(instance, placement) - UNSERVED_PENALTY
        return evaluate(instance, routed).objective

    return worth


def _routed(
    instance: Instance, placements: list[Placement], settings: SolverSettings
) -> list[Solution]:
    routed = (best_routing(instance, placement, settings) for placement in placements)
    return [solution for solution in routed if solution is not None]


def _bottleneck(
    instance: Instance,
    settings: SolverSettings,
    budget: Budget,
    target: float,
    start: Solution,
) -> Bottleneck:
    if instance.cluster.n_servers <= COMPACT_SERVERS:
        return compact_bottleneck(instance, settings, budget, target=target, start=start)
    return pattern_bottleneck(instance, settings, budget, target=target, start=start.placement)


def _locality(
    start: _Start,
    options: SolveOptions,
    settings: SolverSettings,
    budget: Budget,
    note: Sink,
) -> tuple[FormOutcome, str]:
    form = options.form
    if form == "auto":
        form = "compact" if start.instance.cluster.n_servers <= COMPACT_SERVERS else "patterns"
    run = solve_compact if form == "compact" else solve_patterns
    found = run(
        start.instance,
        settings,
        # Balance comes after and is part of what was promised within the limit.
        budget.part(0.85),
        start=start.solution,
        gap=options.gap,
        progress=note,
    )
    return found, form


def _result(
    coverage: Coverage,
    instance: Instance,
    found: FormOutcome,
    bottleneck: Bottleneck,
    form: str,
    options: SolveOptions,
    budget: Budget,
    history: list[Progress],
) -> SolveResult:
    evaluation = evaluate(instance, found.solution)
    gap = relative_gap(evaluation.objective, found.best_bound)
    stopped: Status = "interrupted" if budget.interrupted else found.status
    return SolveResult(
        instance=instance,
        solution=found.solution,
        evaluation=evaluation,
        certificate=Certificate(
            status=earned_status(options.method, gap, options.gap, stopped),
            method=options.method,
            form=form,
            solver=options.solver,
            objective=evaluation.objective,
            best_bound=max(found.best_bound, evaluation.objective),
            gap=gap,
            proof=found.proof,
            load_cap=instance.load_cap,
            bottleneck_lower=bottleneck.lower,
            bottleneck_upper=bottleneck.upper,
            headroom_slack=options.headroom_slack,
            seconds=budget.elapsed_s,
            seed=options.seed,
            deterministic=found.deterministic and not budget.interrupted,
            duals=found.duals,
            versions=versions(),
        ),
        options=options,
        dropped_models=coverage.dropped_models,
        dropped_workflows=coverage.dropped_workflows,
        history=tuple(history),
    )
