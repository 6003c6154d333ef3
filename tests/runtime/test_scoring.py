"""A placement's score is minus the mean latency of the first requests, and of no others."""

from __future__ import annotations

import numpy as np
import pytest

from placement.problem.cluster import Cluster
from placement.problem.names import Mode
from placement.problem.solution import Placement
from placement.problem.workload import Workload
from runtime.metrics import request_latency
from runtime.scoring import latency_score
from runtime.simulate import Dispatch, simulate_placement
from tests.runtime.cases import chain, model, random_case, trace_of


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_the_score_is_that_of_a_trace_cut_off(mode: Mode) -> None:
    """Whatever comes behind the head of the trace changes nothing."""
    scored = 0
    for seed in range(40):
        case = random_case(seed)
        trace = case.trace
        n = max(1, trace.n_requests // 2)
        nodes = int(trace.offset[n])
        head = trace_of(
            case.workload, trace.arrival_s[:n], trace.workflow[:n], trace.service_s[:nodes]
        )
        run = simulate_placement(
            case.workload,
            head,
            case.cluster,
            case.placement,
            dispatch=Dispatch(mode=mode, policy="earliest"),
        )
        latency = request_latency(run)
        if trace.stated_prefill_s is not None or not len(latency):
            continue
        score = latency_score(case.workload, trace, case.cluster, mode=mode, requests=n)
        assert score(case.placement) == pytest.approx(-latency.mean())
        scored += trace.n_requests > n
        # More than there are is all of them.
        every = latency_score(case.workload, head, case.cluster, mode=mode, requests=10**9)
        assert every(case.placement) == pytest.approx(-latency.mean())
    assert scored > 8


def test_a_placement_with_one_replica_more_waits_less() -> None:
    """Two replicas serve a burst in half the time."""
    workload = Workload((model("m"),), (chain(1),))
    trace = trace_of(workload, np.zeros(20), np.zeros(20, dtype=int), np.ones(20))
    score = latency_score(workload, trace, Cluster.homogeneous(2, 1))
    zero = np.zeros(1, dtype=np.int64)
    assert score(Placement(zero, zero, zero)) == pytest.approx(-10.5)
    two = Placement.sorted(np.array([0, 0]), np.array([0, 1]), np.array([0, 0]))
    assert score(two) == pytest.approx(-5.5)
