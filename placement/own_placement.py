"""A placement that people bring, as a plan: routed as well as can be, to be simulated."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version

from placement.problem.cluster import Cluster
from placement.problem.instance_building import build_instance
from placement.problem.outcome import (
    HEADROOM_SLACK,
    Certificate,
    SolveOptions,
    SolveResult,
    cap_for,
    relative_gap,
)
from placement.problem.plan import Plan
from placement.problem.plan_building import build_plan
from placement.problem.rules import Rules
from placement.problem.solution import Placement, evaluate
from placement.problem.trace import Trace
from placement.problem.variants import as_run
from placement.problem.workload import Workload
from placement.programs.least_load import least_bottleneck
from placement.programs.routing import best_routing
from placement.solver.milp import SolverSettings


def missing_models(placement: Placement, workload: Workload, trace: Trace) -> list[str]:
    """Ids of the models that a trace calls and a placement does not hold.

    Parameters
    ----------
    placement : Placement
    workload : Workload
    trace : Trace
    """
    used = build_instance(workload, trace, Cluster.homogeneous(1)).used_models
    return [workload.models[m].id for m in used if m not in set(placement.model.tolist())]


def plan_of(
    placement: Placement,
    workload: Workload,
    trace: Trace,
    cluster: Cluster,
    rules: Rules | None = None,
) -> Plan:
    """Give the plan that routes the requests of a trace over a placement as well as can be.

    Parameters
    ----------
    placement : Placement
        Holds every model that the trace calls, models by their index in `workload`.
    workload : Workload
    trace : Trace
    cluster : Cluster
    rules : Rules, optional
        What counts as local.

    Returns
    -------
    Plan
        Of the status ``heuristic``: no bound is sought.
    """
    workload = as_run(workload, trace)
    instance = build_instance(workload, trace, cluster, rules)
    settings, options = SolverSettings(), SolveOptions()
    upper, evenest = least_bottleneck(instance, placement, settings)
    cap = cap_for(upper, options.max_utilization, HEADROOM_SLACK)
    instance = replace(instance, load_cap=cap)
    solution = best_routing(instance, placement, settings) or evenest
    evaluation = evaluate(instance, solution)
    certificate = Certificate(
        status="heuristic",
        method="own placement",
        form="none",
        solver="none",
        objective=evaluation.objective,
        best_bound=1.0,
        gap=relative_gap(evaluation.objective, 1.0),
        proof="No bound was sought; no locality exceeds 1.",
        load_cap=cap,
        bottleneck_lower=0.0,
        bottleneck_upper=upper,
        seed=0,
        versions={"gswarm-place": version("gswarm-place")},
    )
    result = SolveResult(
        instance=instance,
        solution=solution,
        evaluation=evaluation,
        certificate=certificate,
        options=options,
    )
    return build_plan(result, workload)
