"""The study of live runs compares what it says it compares."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.live import FIGURES, Case, cases, compare, node_differences, page, placed
from benchmarks.live import poisson_trace as trace_of
from runtime.simulate import simulate_placement


def small() -> Case:
    return cases()[0]


def test_a_case_is_run_live_and_simulated_twice() -> None:
    """Every request completes in all three, and every figure stands on the page."""
    found = compare(small(), 12, 0.004, seed=1)
    for metrics in (found.live, found.predicted, found.recorded):
        assert metrics.completed_requests == 12
        assert metrics.failed_requests == 0
    # Servers take no less than they are told.
    assert found.live.node_response.mean >= 0.9 * found.recorded.node_response.min
    text = page([found], 12, 0.004)
    assert all(f"| {name} |" in text for name in FIGURES)


def test_requests_come_at_the_rate_of_the_load() -> None:
    """The busiest model's replicas are offered it in the mean, alone or on one GPU with others."""
    for shared in (False, True):
        case = replace(small(), shared=shared)
        trace = trace_of(case, 20_000, seed=0)
        work = np.zeros(3)
        models = [n.model for w in trace.workflow for n in case.workload.workflows[w].nodes]
        np.add.at(work, models, trace.service_s)
        offered = (work.sum() if shared else work.max()) / trace.span_s
        assert abs(offered / (case.load * 2) - 1) < 0.03


def test_what_takes_longer_is_found_for_each_node() -> None:
    """A run of a trace whose nodes take more than was expected gives the difference back."""
    case = small()
    expected = trace_of(case, 200, seed=0)
    cluster, placement = placed(case)
    slower = replace(expected, service_s=expected.service_s + 0.25)
    run = simulate_placement(case.workload, slower, cluster, placement)
    run = replace(run, problem=replace(run.problem, service_s=expected.service_s))
    np.testing.assert_allclose(node_differences(run), 0.25, rtol=1e-6)
