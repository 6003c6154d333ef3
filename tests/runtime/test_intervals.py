"""Intervals from independent runs cover the theory, ranges over traffic another trace."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from placement.problem.cluster import Cluster
from placement.problem.solution import Placement
from placement.problem.trace import Trace
from placement.problem.workload import Workload
from runtime.intervals import (
    Interval,
    TrafficRange,
    interval,
    intervals,
    traffic_range,
)
from runtime.metrics import request_latency
from runtime.resample import resample
from runtime.result import RunResult
from runtime.simulate import Dispatch, simulate_placement
from tests.runtime.cases import chain, model, trace_of


@pytest.mark.parametrize(("n", "t"), [(2, 12.706), (10, 2.262), (30, 2.045)])
def test_intervals_use_student_t(n: int, t: float) -> None:
    """Half width over standard error is the tabulated quantile of n - 1 degrees of freedom."""
    sample = np.random.default_rng(n).normal(5.0, 2.0, n)
    found = interval(sample.tolist())
    assert found.half_width is not None
    error = float(sample.std(ddof=1)) / np.sqrt(n)
    assert found.half_width / error == pytest.approx(t, abs=5e-4)
    over_traffic = traffic_range(sample.tolist())
    assert over_traffic.low is not None and over_traffic.high is not None
    reach = found.half_width * np.sqrt(2 * n + 1)
    assert over_traffic.mean - over_traffic.low == pytest.approx(reach)
    assert over_traffic.high - over_traffic.mean == pytest.approx(reach)


def test_one_replication_has_a_mean_and_no_interval() -> None:
    """With a single run nothing is known of its spread, and nothing is claimed."""
    assert interval([3.0]) == Interval(3.0, None, None)
    assert traffic_range([3.0]) == TrafficRange(3.0, None, None, None)


def test_intervals_keep_the_shape_of_the_summary_and_what_a_metric_can_be() -> None:
    """Nested metrics stay nested, settings are left out, percentages stay within 0 and 100."""
    summaries = [
        {
            "gpus": [0, 1],
            "gpus_per_server": 2,
            "server_efficiency": se,
            "request_latency": {"p99": 1.0 + se},
        }
        for se in (100.0, 100.0, 40.0)
    ]
    found = intervals(summaries)
    assert set(found) == {"server_efficiency", "request_latency"}
    efficiency = found["server_efficiency"]
    assert isinstance(efficiency, dict) and efficiency["high"] == 100.0
    assert isinstance(found["request_latency"], dict) and set(found["request_latency"]) == {"p99"}


ARRIVAL, SERVICE = 0.3, 1.0
SOJOURN = 1.0 / (SERVICE - ARRIVAL)


def mm1(requests: int, rng: np.random.Generator, variation: float = 1.0) -> tuple[Workload, Trace]:
    """Draw a trace for one server: Poisson arrivals, or bursty ones, and exponential service."""
    workload = Workload((model("a"),), (chain(1),))
    shape = 1 / variation**2
    arrival = np.cumsum(rng.gamma(shape, 1 / (shape * ARRIVAL), requests))
    return workload, trace_of(
        workload,
        arrival - arrival[0],
        np.zeros(requests, dtype=np.int64),
        rng.exponential(1 / SERVICE, requests),
    )


def served(workload: Workload, trace: Trace) -> RunResult:
    return simulate_placement(
        workload,
        trace,
        Cluster.homogeneous(1, 1, 80.0),
        Placement.sorted(np.zeros(1), np.zeros(1), np.zeros(1)),
        dispatch=Dispatch(policy="earliest"),
        engine="compiled",
    )


def mean_sojourn(workload: Workload, trace: Trace) -> float:
    return float(request_latency(served(workload, trace)).mean())


def test_what_only_some_runs_have_is_told_from_these() -> None:
    """A rare workflow may be drawn into the second trace only, or into one trace alone."""
    runs = [
        {"workflows": {"a": {"mean": 1.0}}},
        {"workflows": {"a": {"mean": 3.0}, "b": {"mean": 5.0}}},
    ]
    for summaries in (runs, runs[::-1]):
        found = intervals(summaries)["workflows"]
        assert isinstance(found, dict)
        assert found["a"]["mean"]["mean"] == 2.0
        assert found["b"]["mean"] == {"mean": 5.0, "sd": None, "low": None, "high": None}


def test_intervals_of_independent_runs_cover_the_theory_of_mm1() -> None:
    """Of 120 intervals over 4 runs, about 95% hold the mean sojourn time 1/(mu - lambda)."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(120):
        found = interval([mean_sojourn(*mm1(600, rng)) for _ in range(4)])
        assert found.half_width is not None
        covered += abs(found.mean - SOJOURN) <= found.half_width
    assert stats.binom.ppf(1e-3, 120, 0.95) <= covered <= stats.binom.ppf(0.999, 120, 0.95)


def figures(workload: Workload, trace: Trace) -> np.ndarray:
    """Mean, P99 and greatest sojourn time."""
    latency = request_latency(served(workload, trace))
    return np.array([latency.mean(), np.percentile(latency, 99), latency.max()])


@pytest.mark.parametrize("variation", [1.0, 3.0])
def test_ranges_over_traffic_hold_the_figures_of_another_trace(variation: float) -> None:
    """The experiment repeated: of 100 pairs of traces of one law, one foretells the other.

    What is within the bootstrap's own error of its mean is counted beside it: that is no range
    of the traffic, and the count shows it.
    """
    rng = np.random.default_rng(1)
    held, near = np.zeros(3), np.zeros(3)
    for repetition in range(100):
        workload, trace = mm1(600, rng, variation)
        other = figures(*mm1(600, rng, variation))
        runs = [figures(workload, resample(trace, repetition, i)) for i in range(8)]
        for m, values in enumerate(zip(*runs, strict=True)):
            found, mean = traffic_range(values), interval(values)
            assert found.low is not None and found.high is not None
            assert mean.half_width is not None
            held[m] += found.low <= other[m] <= found.high
            near[m] += abs(mean.mean - other[m]) <= mean.half_width
    assert (stats.binom.ppf(1e-3, 100, 0.95) <= held).all(), held
    assert (near < 75).all(), near
