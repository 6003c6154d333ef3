"""The headroom that a simulation bears out: how much faster the trace may come.

The headroom by rates is the inverse of the busiest GPU's mean load. What the rates do not know
comes off it: a router that does not keep the plan's shares, blocks that wait for their slowest GPU,
batches that are not full. So the trace is run again and again, one copy behind the other
and faster every time, until the work that is left at the end is more than a stable system leaves.

Over a long time T a queue that is stable keeps calls waiting for a time that does not depend on T;
one whose load is 1 + x keeps them for x T. A run counts as unstable where a call that waits at the
last arrival begins later than `drift` of T after it, and than the longest request takes alone. What
is in service by then says nothing: in full batches, on slow servers and among others on a GPU calls
last many times as long as alone. So the factor is up to `drift` above the true one, as much below
where a stable queue is long by itself, and above it by the part of T in which GPUs that begin
empty fill: a call's time in service, of which T is `served_calls` or more.
What is in quotes is a field of `HeadroomParams`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from placement.params.simulation_params import HEADROOM, HeadroomParams
from placement.problem.cluster import Cluster, FloatArray
from placement.problem.plan import Plan
from placement.problem.solution import Placement
from placement.problem.trace import Trace
from placement.problem.variants import as_run
from placement.problem.workload import Workload
from runtime.policies import RoutingPolicy
from runtime.resample import take
from runtime.result import RunResult
from runtime.simulate import Dispatch, Routings, match_plan, simulate_placement


def always() -> bool:
    """There is time for one more run, and for another."""
    return True


@dataclass(frozen=True)
class Bisection:
    """How a factor is looked for.

    Parameters
    ----------
    in_time : callable
        Asked before every run; where it says no, the search ends without an answer.
    params : HeadroomParams
        How long runs are, and how close the factor.
    """

    in_time: Callable[[], bool] = always
    params: HeadroomParams = HEADROOM


@dataclass(frozen=True)
class SimulatedHeadroom:
    """What was found.

    Parameters
    ----------
    factor : float
        Largest factor on the trace's rate that was borne out.
    unstable : float
        Smallest that was not; inf where all were borne out.
    policy : str
        The router that it holds for.
    executions : int
        Of each run.
    """

    factor: float
    unstable: float
    policy: str
    executions: int


def simulated_headroom(
    workload: Workload,
    trace: Trace,
    cluster: Cluster,
    placement: Placement,
    routing: Routings | None = None,
    *,
    by_rates: float,
    policy: str | RoutingPolicy = "locality",
    how: Bisection = Bisection(),
) -> SimulatedHeadroom | None:
    """Find the factor by bisection, from the headroom by rates.

    Parameters
    ----------
    routing : sequence of WorkflowRouting or None
        The plan's shares by workflow.
    by_rates : float
        Where the search begins; above 0.
    policy : str or RoutingPolicy
        How calls are routed.
    how : Bisection
        When to give up, and how close to come.

    Returns
    -------
    SimulatedHeadroom or None
        None where nothing is ever busy, all requests come at once, the cluster serves so many at
        once that a run lasts no time, or the time was over.
    """
    if not np.isfinite(by_rates) or by_rates <= 0 or trace.n_requests < 2 or trace.span_s <= 0:
        return None
    params = how.params
    long = repeated(trace, params)
    request_s = _request_s(long)
    if long.span_s / by_rates < params.long_requests * float(request_s.mean()):
        return None

    lasted = np.inf

    def bears(factor: float) -> bool:
        nonlocal lasted
        faster = replace(long, arrival_s=long.arrival_s / factor)
        run = simulate_placement(
            workload, faster, cluster, placement, routing, dispatch=Dispatch(policy=policy)
        )
        if outlasts(run, params):
            return False
        span = float(faster.arrival_s[-1])
        served = float((run.end_s[run.ran] - run.start_s[run.ran]).mean()) if run.ran.any() else 0.0
        lasted = span / served if served > 0 else np.inf
        return True

    name = policy if isinstance(policy, str) else policy.name
    low, high, factor = 0.0, float("inf"), by_rates
    while high > params.close * low:
        if not how.in_time():
            return None
        if bears(factor):
            low = factor
        else:
            high = factor
        if low >= params.most_factor * by_rates or high <= by_rates / params.least_factor:
            break
        if high == float("inf"):
            factor = params.raised * low
        elif low == 0.0:
            factor = high / params.lowered
        else:
            factor = float(np.sqrt(low * high))
    if lasted < params.served_calls:
        return None
    return SimulatedHeadroom(low, high, name, long.n_executions)


def outlasts(run: RunResult, params: HeadroomParams = HEADROOM) -> bool:
    """Whether work outlasts the last arrival by more than a stable system leaves.

    Said of a run of any length; one that lasts less than `long_requests` may be judged either way.
    """
    problem = run.problem
    span = float(problem.arrival_s[-1])
    waiting = run.ran & (run.ready_s <= span) & (run.start_s > span)
    left = float(run.start_s[waiting].max(initial=span)) - span
    return left > max(params.drift * span, float(_request_s(problem.trace).max()))


def headroom_of_plan(
    plan: Plan,
    workload: Workload,
    trace: Trace,
    *,
    policy: str | RoutingPolicy = "locality",
    how: Bisection = Bisection(),
) -> SimulatedHeadroom | None:
    """Find the factor for a plan, from the headroom that it states; see `simulated_headroom`.

    Parameters
    ----------
    plan : Plan
        With its headroom by rates.
    workload : Workload
        That the plan was made for.
    trace : Trace
        Whose rates are scaled.
    policy : str or RoutingPolicy
        How calls are routed.
    how : Bisection
        When to give up, and how close to come.

    Returns
    -------
    SimulatedHeadroom or None
        None where the time ended before anything was known.

    Raises
    ------
    ValueError
        Where plan and workload do not belong together.
    """
    workload = as_run(workload, trace)
    placement, routing = match_plan(plan, workload)
    return simulated_headroom(
        workload,
        trace,
        plan.cluster,
        placement,
        routing,
        by_rates=plan.expected["headroom"],
        policy=policy,
        how=how,
    )


def what_rates_do_not_know(plan: Plan, workload: Workload) -> list[str]:
    """What of a plan makes its GPUs bear less than their mean loads say, in words."""
    placement, cluster = plan.placement, plan.cluster
    length = plan.instance.gpus_required[placement.model]
    gpu = cluster.first_gpu[placement.server] + placement.start
    busy = plan.load > 0
    sharers = np.zeros(cluster.n_gpus, dtype=np.int64)
    for first, k in zip(gpu[busy].tolist(), length[busy].tolist(), strict=True):
        sharers[first : first + k] += 1
    shared = np.array(
        [bool((sharers[g : g + k] > 1).any()) for g, k in zip(gpu, length, strict=True)],
        dtype=bool,
    )
    shared &= busy
    models = {m.id: m for m in workload.models}
    batching = np.array([models[plan.model_ids[m]].max_concurrency > 1 for m in placement.model])
    said = []
    if (shared & (length > 1)).any():
        said.append("blocks wait for the slowest of their GPUs where others have work on one")
    if (batching & busy).any():
        said.append("batches are full only while their queue is not empty")
    said.append("the router may send requests elsewhere than the plan's shares say")
    return said


def repeated(trace: Trace, params: HeadroomParams = HEADROOM) -> Trace:
    """The trace one copy behind the other, or its beginning, so that runs are alike in length."""
    n, executions = trace.n_requests, trace.n_executions
    if executions > params.most_executions:
        keep = int(np.searchsorted(trace.offset, params.most_executions, side="right")) - 1
        first = np.arange(max(2, keep))
        return take(trace, first, trace.arrival_s[: len(first)])
    copies = ceil(params.least_executions / executions)
    # The mean gap lies between one copy and the next.
    period = trace.span_s * n / (n - 1)
    later = np.repeat(np.arange(copies) * period, n)
    return take(trace, np.tile(np.arange(n), copies), np.tile(trace.arrival_s, copies) + later)


def _request_s(trace: Trace) -> FloatArray:
    """Service time of every request, its nodes one after the other, shape (R,)."""
    return np.asarray(np.add.reduceat(trace.service_s, trace.offset[:-1]))
