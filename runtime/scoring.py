"""A placement's score by simulation, for methods that are given the simulator as a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from placement.problem.cluster import Cluster
from placement.problem.names import Mode
from placement.problem.solution import Placement
from placement.problem.trace import Trace
from placement.problem.workload import Workload
from runtime.metrics import request_latency
from runtime.simulate import Dispatch, simulate_placement

SCORED_REQUESTS = 1_000
"""Requests at the head of the trace that a score simulates."""


def latency_score(
    workload: Workload,
    trace: Trace,
    cluster: Cluster,
    *,
    mode: Mode = "online",
    requests: int = SCORED_REQUESTS,
) -> Callable[[Placement], float]:
    """Score placements by minus the mean latency of the first requests, routed by `earliest`.

    Parameters
    ----------
    workload : Workload
        Models and workflows.
    trace : Trace
        The requests.
    cluster : Cluster
        Where placements stand.
    mode : {"online", "offline"}
        Requests at their timestamps, or all at time 0.
    requests : int
        How many of the trace are simulated.

    Returns
    -------
    callable
        Of a placement; the more, the better.
    """
    n = min(requests, trace.n_requests)
    head = replace(
        trace,
        request_ids=trace.request_ids[:n],
        arrival_s=trace.arrival_s[:n],
        workflow=trace.workflow[:n],
        service_s=trace.service_s[: trace.offset[n]],
        offset=trace.offset[: n + 1],
    )

    def score(placement: Placement) -> float:
        run = simulate_placement(
            workload, head, cluster, placement, dispatch=Dispatch(mode=mode, policy="earliest")
        )
        return -float(request_latency(run).mean())

    return score
