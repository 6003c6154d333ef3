"""The front door of the package: a problem and options in, a certified plan out."""

from __future__ import annotations

import math
from dataclasses import replace
from importlib.metadata import version

from placement.heuristics.selective_replication import Score
from placement.packing import packed, without_empty_gpus
from placement.portfolio.maximum import maximise_locality
from placement.portfolio.starts import (
    LOCALITY_ROUNDING,
    Placer,
    Proposal,
    best_of,
    load_cap,
    propose_alone,
    propose_in_any_time,
    route_all,
)
from placement.problem.cluster import Cluster
from placement.problem.degrees import choices, solve_choices
from placement.problem.instance import Instance
from placement.problem.instance_building import build_instance
from placement.problem.names import SCORED
from placement.problem.normalization import normalize, restore
from placement.problem.outcome import (
    NO_BOUND,
    Bottleneck,
    Certificate,
    FormOutcome,
    Infeasible,
    Progress,
    ProgressCallback,
    SolveOptions,
    SolveResult,
    earned_status,
    relative_gap,
)
from placement.problem.plan import Plan
from placement.problem.plan_building import build_plan
from placement.problem.rules import Rules
from placement.problem.solution import Solution, evaluate
from placement.problem.trace import Demand, Trace
from placement.problem.variants import as_run
from placement.problem.workload import Workload
from placement.programs.balance import balance
from placement.programs.capacity import Coverage, ensure_coverage
from placement.programs.idle_servers import place_back, trim
from placement.programs.routing import balance_routing
from placement.programs.spare_rule import with_spares
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from placement.solver.solver_names import solver_name


def solve(
    workload: Workload,
    demand: Trace | Demand,
    cluster: Cluster,
    options: SolveOptions | None = None,
    *,
    rules: Rules | None = None,
    progress: ProgressCallback | None = None,
    score: Score | None = None,
) -> Plan:
    """Place a workload on a cluster, and prove how good the plan is.

    Parameters
    ----------
    workload : Workload
        Models and workflows (`read_config`).
    demand : Trace or Demand
        What is asked for: a trace (`read_requests`), or rates and service times.
    cluster : Cluster
        Servers and network (`read_cluster`, or `Cluster.homogeneous`).
    options : SolveOptions, optional
        How to solve: method, time limit, gap, seed.
    rules : Rules, optional
        What to maximise, and how GPUs may be shared.
    progress : callable, optional
        Called with a `Progress` for every new incumbent and bound.
    score : callable, optional
        What a simulator says of a placement; ``selective-replication`` needs it
        (`runtime.scoring.latency_score`).

    Returns
    -------
    Plan
        Replicas, routing, expected metrics and the certificate.

    Raises
    ------
    Infeasible
        The used models do not fit together (unless `options.allow_partial`).
    SolverUnavailable
        The solver asked for is not there.
    ValueError
        The target for the busiest GPU is above 1, or a score is missing.
    """
    options = options or SolveOptions()
    if options.max_utilization > 1:
        raise ValueError(
            f"SolveOptions: max_utilization is {options.max_utilization:g}, and no GPU can be busy "
            "more than all the time; give it a number above 0 and at most 1"
        )
    if isinstance(demand, Trace):
        workload = as_run(workload, demand)
    instance = build_instance(workload, demand, cluster, rules)
    each = choices(workload, instance.used_models)
    chosen, result = solve_choices(
        [build_instance(w, demand, cluster, rules) for w in each],
        lambda i: solve_instance(i, options, progress=progress, score=score),
    )
    return build_plan(result, each[chosen])


def solve_instance(
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
    options : SolveOptions, optional
        How to solve it.
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
        The method needs a score and there is none.
    """
    options = options or SolveOptions()
    budget = budget or Budget(options.time_limit_s)
    settings = SolverSettings.of(options)
    solver_name(options.solver)
    if options.method == SCORED and score is None:
        raise ValueError(f"{SCORED} needs a simulator's score of placements; give it one as score")
    history: list[Progress] = []

    def note(event: Progress) -> None:
        history.append(event)
        if progress is not None:
            progress(event)

    packs = instance.placement_rules.pack and options.mode == "online"
    if packs:
        instance = packed(instance, options, budget, lambda i, o, b: solve_instance(i, o, budget=b))
    coverage = ensure_coverage(instance, settings, budget, allow_partial=options.allow_partial)
    if not coverage.instance.active_workflows:
        raise Infeasible("no request can be served: no workflow fits the cluster")
    given = coverage.instance
    used = trim(given, settings.params)
    normal = normalize(used, 0.0 if options.mode == "offline" else options.max_utilization)
    unit = normal.load_unit or 1.0
    coverage = replace(coverage, instance=normal)
    scaled = replace(options, max_utilization=options.max_utilization / unit)
    if options.method == "ilp":
        result = _solve_ilp(coverage, scaled, settings, budget, note, history)
    else:
        result = _solve_heuristic(coverage, scaled, settings, budget, note, history, score)
    result = _restored(given, used, options, result)
    if packs and (fewer := without_empty_gpus(given, result.solution.placement)) is not None:
        # The plan does with fewer GPUs than local search did.
        return solve_instance(fewer, options, progress=progress, budget=budget, score=score)
    return result


def _restored(
    given: Instance, used: Instance, options: SolveOptions, result: SolveResult
) -> SolveResult:
    """Give the result of a normalized instance the rates and loads of the instance as given."""
    unit = result.instance.load_unit or 1.0
    certificate = result.certificate
    cap = result.instance.load_cap * unit
    if math.isclose(cap, options.max_utilization, rel_tol=1e-12):
        cap = options.max_utilization
    instance = replace(given, load_cap=cap)
    solution = restore(replace(used, load_cap=cap), result.instance, result.solution)
    if used is not given:
        solution = place_back(given, used, solution)
        certificate = _of_whole(given, options, certificate, unit)
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


def _of_whole(
    given: Instance, options: SolveOptions, part: Certificate, unit: float
) -> Certificate:
    """The certificate of a plan that leaves servers empty: what it proves holds for the rest."""
    gap = relative_gap(part.objective, 1.0)
    return replace(
        part,
        status=earned_status(options.method, gap, options.gap, part.status),
        best_bound=1.0,
        gap=gap,
        proof=NO_BOUND,
        duals=None,
        bottleneck_lower=min(part.bottleneck_lower, given.load_floor / unit),
    )


def versions() -> dict[str, str]:
    """Versions of what made a plan."""
    return {name: version(name) for name in ("gswarm-place", "pulp", "highspy")}


def _solve_heuristic(
    coverage: Coverage,
    options: SolveOptions,
    settings: SolverSettings,
    budget: Budget,
    note: ProgressCallback,
    history: list[Progress],
    score: Score | None,
) -> SolveResult:
    note(Progress(options.method, budget.elapsed_s, None, None))
    placer = Placer(
        replace(coverage.instance, load_cap=options.max_utilization), options, settings, score
    )
    found: Proposal | None = None
    part = budget.part(settings.params.portfolio.method_share)
    with part.bounded():
        found = propose_alone(placer, options.method, part)
    found = found or propose_in_any_time(placer, budget)
    instance = replace(placer.instance, load_cap=load_cap(options, found.upper))
    routed = route_all(instance, found.placements, settings, budget).solutions
    solution = best_of(instance, [found.solution, *routed])
    objective = evaluate(instance, solution).objective
    if options.balance:
        # The router is no part of the method: its rates are evened as those of the program are.
        floor = objective * (1 - options.balance_tolerance)
        even = balance_routing(
            instance,
            solution.placement,
            settings,
            least_locality=floor,
            budget=budget,
            known=solution,
        )
        solution = with_spares(
            instance,
            _not_worse(instance, even, solution, LOCALITY_ROUNDING),
            settings,
            budget,
            tolerance=options.balance_tolerance,
        )
    note(Progress(options.method, budget.elapsed_s, objective, 1.0))
    outcome = FormOutcome(solution, 1.0, "heuristic", NO_BOUND)
    bottleneck = Bottleneck(min(instance.load_floor, found.upper), found.upper, solution)
    return _result(coverage, instance, outcome, bottleneck, "none", options, budget, history)


def _solve_ilp(
    coverage: Coverage,
    options: SolveOptions,
    settings: SolverSettings,
    budget: Budget,
    note: ProgressCallback,
    history: list[Progress],
) -> SolveResult:
    target = replace(coverage.instance, load_cap=options.max_utilization)
    start, found, form = maximise_locality(Placer(target, options, settings), budget, note)
    instance = start.instance
    if options.balance:
        worth = evaluate(instance, found.solution).objective
        bound = found.best_bound

        def tell(step: str) -> None:
            note(Progress("balance", budget.elapsed_s, worth, bound, step))

        tell("")
        even = balance(
            instance,
            found.solution,
            settings,
            budget.closing(),
            tolerance=options.balance_tolerance,
            tell=tell,
        )
        lost = options.balance_tolerance + LOCALITY_ROUNDING
        found = replace(found, solution=_not_worse(instance, even, found.solution, lost))
        spared = with_spares(
            instance,
            found.solution,
            settings,
            budget.closing(),
            tolerance=options.balance_tolerance,
        )
        found = replace(found, solution=spared)
    worth = evaluate(instance, found.solution).objective
    note(Progress("done", budget.elapsed_s, worth, found.best_bound))
    return _result(coverage, instance, found, start.bottleneck, form, options, budget, history)


def _not_worse(
    instance: Instance, even: Solution | None, solution: Solution, lost: float
) -> Solution:
    """The balanced solution, unless that lost locality beyond what is allowed, and floats round."""
    if even is None:
        return solution
    worth = evaluate(instance, solution).objective
    return even if evaluate(instance, even).objective >= worth - lost else solution


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
    for over in budget.overruns:
        late = f"{over.seconds:.1f} s over its time"
        history.append(Progress(over.phase, budget.elapsed_s, None, None, late))
    evaluation = evaluate(instance, found.solution)
    gap = relative_gap(evaluation.objective, found.best_bound)
    stopped = found.status
    if budget.cut_short:
        stopped = "interrupted" if budget.interrupted else "time limit"
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
            deterministic=not budget.cut_short,
            duals=found.duals,
            versions=versions(),
        ),
        options=options,
        dropped_models=coverage.dropped_models,
        dropped_workflows=coverage.dropped_workflows,
        history=tuple(history),
    )
