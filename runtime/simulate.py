"""The front door of the runtime: a trace over a placement, and what came of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

import numpy as np

from placement.problem.cluster import Cluster, FloatArray
from placement.problem.degrees import of_plan
from placement.problem.names import Mode, Scheduler
from placement.problem.plan import Plan, Shares, WorkflowRouting
from placement.problem.solution import Placement
from placement.problem.trace import Trace, measure_demand
from placement.problem.variants import as_run
from placement.problem.workload import Workload
from runtime.arrays import NOWHERE, Problem, build_problem
from runtime.engines.events import ProgressCallback
from runtime.engines.reference import run_reference
from runtime.outages import Outage, check_outages
from runtime.policies import BUILT_IN, RoutingPolicy
from runtime.result import Course
from runtime.run import Run
from runtime.shares import assign_targets

Engine = Literal["auto", "compiled", "reference"]

COMPILED_FROM = 300_000
"""Executions times replicas from which loading the compiled engine is worth its half second.

The plain engine looks at the replicas of a model, and at those that share its GPUs, one by one.
"""


@dataclass(frozen=True)
class Dispatch:
    """When requests come, and where their calls go.

    Parameters
    ----------
    mode, policy, outages
        As `simulate` takes them.
    spill_patience : float
        A node leaves its home server when it would start there later than elsewhere by more
        than this many times the mean service time of its whole request and its wait elsewhere
        (`locality` only).
    """

    mode: Mode = "online"
    policy: str | RoutingPolicy = "locality"
    spill_patience: float = 1.0
    outages: tuple[Outage, ...] = ()


Routings = tuple[WorkflowRouting | None, ...]


def simulate_placement(
    workload: Workload,
    trace: Trace,
    cluster: Cluster,
    placement: Placement,
    routing: Routings | None = None,
    *,
    dispatch: Dispatch | None = None,
    engine: Engine = "auto",
    progress: ProgressCallback | None = None,
) -> Run:
    """Run every request of a trace over a static placement.

    Parameters
    ----------
    workload : Workload
        Models and workflows.
    trace : Trace
        The requests.
    cluster : Cluster
        Where the placement stands.
    placement : Placement
        Models by their index in `workload`.
    routing : tuple, length W, or None
        Home and spill shares per workflow (``Plan.routing``); where missing, nodes spread over
        the servers that hold their models in proportion to capacity.
    dispatch : Dispatch, optional
        When requests come, and where their calls go; by default online, by locality.
    engine : {"auto", "compiled", "reference"}
        Both give the same run to the last bit; ``auto`` compiles where the trace is long enough.
        Policies in plain Python and outages run on the reference engine.
    progress : callable, optional
        Called now and then with executions committed, their total and the simulated time.

    Returns
    -------
    Run
        Requests of workflows that call a model without a replica have not run.

    Raises
    ------
    ValueError
        Where the policy is unknown or chooses a wrong replica, or the cluster has no such part as
        an outage names.
    """
    outages = () if dispatch is None else dispatch.outages
    check_outages(outages, cluster)
    problem, policy = prepare_run(workload, trace, cluster, placement, routing, dispatch=dispatch)
    built_in = BUILT_IN.get(policy.name) is policy
    if engine == "compiled" and not (built_in and not outages):
        what = "outages are" if outages else f"the policy {policy.name!r} is"
        raise ValueError(f"{what} plain Python and runs on the reference engine only")
    compiled = engine == "compiled" or (
        engine == "auto"
        and built_in
        and not outages
        and _worth_compiling(trace.n_executions * problem.n_replicas)
    )
    if compiled:
        from runtime.engines.compiled import run_compiled  # numba takes half a second to import

        course = run_compiled(problem, policy.name, progress)
    else:
        try:
            course = run_reference(problem, policy, progress, outages)
        except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
            if built_in:
                raise
            raise ValueError(
                f"the routing policy {policy.name!r} has changed what its view holds "
                f"({type(error).__name__}: {error}); let it read the view only"
            ) from error
    return finished_run(problem, course, "static", policy.name)


def prepare_run(
    workload: Workload,
    trace: Trace,
    cluster: Cluster,
    placement: Placement,
    routing: Routings | None = None,
    *,
    dispatch: Dispatch | None = None,
) -> tuple[Problem, RoutingPolicy]:
    """Lay out what a run needs, simulated or live.

    Parameters
    ----------
    workload : Workload
        Models and workflows.
    trace : Trace
        The requests.
    cluster, placement, routing, dispatch
        Where replicas stand, which shares servers have, and where calls go, as in
        `simulate_placement`.

    Returns
    -------
    problem : Problem
        With the targets that the plan's shares give.
    policy : RoutingPolicy

    Raises
    ------
    ValueError
        Where the policy is unknown.
    """
    dispatch = dispatch or Dispatch()
    mode, policy = dispatch.mode, dispatch.policy
    if isinstance(policy, str):
        if policy not in BUILT_IN:
            raise ValueError(f"no routing policy {policy!r}; there are {', '.join(BUILT_IN)}")
        policy = BUILT_IN[policy]
    built_in = BUILT_IN.get(policy.name) is policy
    if policy.name in ("earliest", "least-loaded") and built_in:
        target = np.full(trace.n_executions, NOWHERE, dtype=np.int32)
    else:
        shares = routing or (None,) * len(workload.workflows)
        target = assign_targets(workload, trace, placement, cluster, shares)
    patience_s = dispatch.spill_patience * mean_request_s(workload, trace)
    problem = build_problem(workload, trace, cluster, placement, mode, target, patience_s)
    return problem, policy


def simulate(
    workload: Workload,
    trace: Trace,
    plan: Plan,
    *,
    mode: Mode = "online",
    policy: str | RoutingPolicy = "locality",
    outages: Sequence[Outage] = (),
    engine: Engine = "auto",
    progress: ProgressCallback | None = None,
) -> Run:
    """Run a trace over a plan, event by event.

    Plan and workload are matched by the ids of models, workflows and nodes; replicas keep the
    numbers they have in the plan.

    Parameters
    ----------
    workload : Workload
        Models and workflows, as `placement.read_config` gives them.
    trace : Trace
        The requests, as `placement.read_requests` gives them.
    plan : Plan
        Replicas and routing, as `placement.solve` or `placement.read_plan` gives them.
    mode : {"online", "offline"}
        Requests at their timestamps, or all at time 0.
    policy : str or RoutingPolicy
        ``locality``, ``plan``, ``earliest``, ``least-loaded``, ``sticky``, or an object with
        `name` and `choose` (see `runtime.policies`), which runs on the reference engine.
    outages : sequence of Outage
        Servers and GPUs that are lost on the way, as `runtime.outages.read_outage` reads them.
        They run on the reference engine.
    engine : {"auto", "compiled", "reference"}
        Both give the same run to the last bit; ``auto`` compiles where the trace is long enough.
    progress : callable, optional
        Called now and then with executions committed, their total and the simulated time.

    Returns
    -------
    Run
        When and where every execution ran, its metrics and its tables.

    Raises
    ------
    ValueError
        Where plan and workload do not belong together, the policy is unknown or chooses a wrong
        replica, or the cluster has no such part as an outage names.
    """
    workload = of_plan(as_run(workload, trace), plan)
    placement, routing = match_plan(plan, workload)
    return simulate_placement(
        workload,
        trace,
        plan.cluster,
        placement,
        routing,
        dispatch=Dispatch(mode, policy, outages=tuple(outages)),
        engine=engine,
        progress=progress,
    )


def match_plan(plan: Plan, workload: Workload) -> tuple[Placement, Routings]:
    """Translate a plan's indices into those of a workload.

    Raises
    ------
    ValueError
        Where a model of the plan is missing in the workload or has grown out of its block, or a
        workflow has other nodes.
    """
    model = np.full(len(plan.model_ids), NOWHERE, dtype=np.int64)
    for i, name in enumerate(plan.model_ids):
        model[i] = workload.model_index.get(name, NOWHERE)
    for i in np.unique(plan.placement.model):
        if model[i] == NOWHERE:
            raise ValueError(
                f"the plan places model {plan.model_ids[i]!r}, which the config does not have; "
                "solve again with this config"
            )
    placement = Placement(model[plan.placement.model], plan.placement.server, plan.placement.start)
    length = np.array([m.gpus_required for m in workload.models], dtype=np.int64)[placement.model]
    room = plan.cluster.server_gpus[placement.server]
    for p in np.flatnonzero(placement.start + length > room)[:1]:
        raise ValueError(
            f"replica {p} of model {workload.models[placement.model[p]].id!r} needs {length[p]} "
            f"GPUs from GPU {placement.start[p]} of server {placement.server[p]}, which has "
            f"{room[p]}; solve again with this config"
        )
    index = {name: i for i, name in enumerate(plan.workflow_ids)}
    routing: list[WorkflowRouting | None] = []
    for w, workflow in enumerate(workload.workflows):
        known = index.get(workflow.id, NOWHERE)
        shares = plan.routing[known] if known != NOWHERE else None
        if shares is None:
            routing.append(None)
            continue
        place = {node: v for v, node in enumerate(plan.node_ids[known])}
        if place.keys() != {workflow.nodes[v].id for v in workload.on_gpus(w)}:
            raise ValueError(
                f"workflow {workflow.id!r} has other nodes in the config than in the plan; "
                "solve again with this config"
            )
        none = Shares(np.zeros(0, dtype=np.int64), np.zeros(0))
        spill = [shares.spill[place[n.id]] if n.id in place else none for n in workflow.nodes]
        routing.append(WorkflowRouting(home=shares.home, spill=tuple(spill)))
    return placement, tuple(routing)


def finished_run(problem: Problem, course: Course, scheduler: Scheduler, name: str) -> Run:
    """Turn the course of all executions into a result, once every request is accounted for.

    Parameters
    ----------
    problem : Problem
        What was run.
    course : Course
        When and where each execution ran.
    scheduler : {"static", "baseline", "offline"}
        Who decided.
    name : str
        Of the routing policy.

    Raises
    ------
    RuntimeError
        Where a request that could be served neither completed nor failed, or did both: the run is
        wrong.
    """
    run = Run(
        replica=course.replica,
        ready_s=course.ready_s,
        start_s=course.start_s,
        end_s=course.end_s,
        switch_s=course.switch_s,
        interruptions=course.interruptions,
        problem=problem,
        scheduler=scheduler,
        routing=name,
    )
    served = problem.servable[problem.workflow]
    if course.interruptions is not None:
        served = served & ~course.interruptions.failed
    lost = int((served != run.completed).sum())
    if lost:
        raise RuntimeError(f"{lost} requests are not accounted for; this is a fault of the engine")
    return run


def mean_request_s(workload: Workload, trace: Trace) -> FloatArray:
    """Mean service seconds of a whole request, repeated for each of its nodes, shape (V,)."""
    demand = measure_demand(workload, trace)
    return np.concatenate(
        [np.full(len(t), float(t.sum())) for t in demand.service_s] or [np.zeros(0)]
    )


def _worth_compiling(work: int) -> bool:
    if find_spec("runtime.engines.compiled") is None:
        return False
    return work >= COMPILED_FROM or "runtime.engines.compiled" in sys.modules
