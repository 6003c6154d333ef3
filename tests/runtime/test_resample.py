"""Resampled traces and their intervals, against closed forms and what a bootstrap must keep."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from placement.problem.cluster import Cluster
from placement.problem.solution import Placement
from placement.problem.trace import Trace
from placement.problem.workload import Node, Workflow, Workload
from runtime.intervals import (
    Interval,
    TrafficRange,
    interval,
    intervals,
    replicate,
    traffic_range,
)
from runtime.metrics import request_latency
from runtime.resample import block_length, draw_positions, gaps_before, optimal_block, resample
from runtime.result import RunResult
from runtime.simulate import simulate_placement
from tests.runtime.cases import chain, model, random_case, trace_of

LONG, SHORT = 0, 1


def bursty(requests: int = 400, seed: int = 0) -> tuple[Workload, Trace]:
    """Make a trace of two workflows whose gaps and kinds come in runs."""
    rng = np.random.default_rng(seed)
    workload = Workload(
        (model("a"), model("b")), (chain(2), Workflow("one", "one", (Node("n", 1),)))
    )
    state = np.cumsum(rng.random(requests) < 0.1) % 2
    gaps = rng.exponential(np.where(state == 0, 0.2, 3.0))
    gaps[0] = 0.0
    kind = np.where(rng.random(requests) < np.where(state == 0, 0.9, 0.2), LONG, SHORT)
    service = rng.random(int((2 - kind).sum()))
    return workload, trace_of(workload, np.cumsum(gaps), kind, service)


def test_a_request_travels_whole() -> None:
    """Every resampled request is one of the trace: its workflow, its times, the gap before it."""
    _, trace = bursty()
    gap = gaps_before(trace)

    def whole(t: Trace, r: int) -> tuple[object, ...]:
        return (int(t.workflow[r]), *t.service_s[t.offset[r] : t.offset[r + 1]].tolist())

    original = {whole(trace, r): gap[r] for r in range(trace.n_requests)}
    drawn = resample(trace, 3, 0)
    assert drawn.n_requests == trace.n_requests
    for r in range(1, drawn.n_requests):
        step = drawn.arrival_s[r] - drawn.arrival_s[r - 1]
        assert original[whole(drawn, r)] == pytest.approx(step, abs=1e-9)


def test_rate_mix_and_work_stay_as_they_are_in_expectation() -> None:
    """Span, requests of a workflow and total work are the trace's within four standard errors."""
    _, trace = bursty(requests=150)
    drawn = [resample(trace, 1, i) for i in range(400)]
    for measured, truth in (
        ([t.span_s for t in drawn], trace.span_s),
        ([(t.workflow == LONG).sum() for t in drawn], (trace.workflow == LONG).sum()),
        ([t.service_s.sum() for t in drawn], trace.service_s.sum()),
    ):
        error = np.std(measured) / np.sqrt(len(drawn))
        assert abs(np.mean(measured) - truth) < 4 * error


@pytest.mark.parametrize("block", [1.0, 4.0, 20.0])
def test_memory_decays_as_theory_says(block: float) -> None:
    """The bootstrap's covariance at lag k is (1 - 1/b)^k times the series' circular one."""
    _, trace = bursty()
    gap = gaps_before(trace) - gaps_before(trace).mean()
    rng = np.random.default_rng(5)
    drawn = np.array([gap[draw_positions(len(gap), block, rng)] for _ in range(600)])
    for lag in (1, 3):
        found = (drawn[:, lag:] * drawn[:, :-lag]).mean(axis=1)
        truth = (1 - 1 / block) ** lag * float((gap * np.roll(gap, -lag)).mean())
        assert abs(found.mean() - truth) < 4 * found.std() / np.sqrt(len(found))


@pytest.mark.parametrize("memory", [0.4, 0.8])
def test_block_length_of_an_autoregression(memory: float) -> None:
    """For an AR(1) with coefficient r the best block is (2 r / (1 - r^2))^(2/3) n^(1/3)."""
    n = 4_000
    found = []
    for seed in range(30):
        noise = np.random.default_rng(seed).normal(size=n)
        series = np.zeros(n)
        for i in range(1, n):
            series[i] = memory * series[i - 1] + noise[i]
        found.append(optimal_block(series))
    best = (2 * memory / (1 - memory**2)) ** (2 / 3) * n ** (1 / 3)
    assert np.median(found) == pytest.approx(best, rel=0.2)


def test_a_trace_without_memory_gets_short_blocks_and_one_with_memory_long_ones() -> None:
    """Independent gaps need no blocks; runs of bursts need blocks of several requests."""
    series = [np.random.default_rng(s).exponential(size=500) for s in range(20)]
    assert np.median([optimal_block(s) for s in series]) < 3
    assert block_length(bursty(2_000)[1]) > 8


@pytest.mark.parametrize("requests", [1, 2, 5])
def test_tiny_traces_are_resampled(requests: int) -> None:
    """A handful of requests, or all at one instant, give traces of as many requests."""
    workload = Workload((model("a"),), (chain(1),))
    trace = trace_of(
        workload, np.zeros(requests), np.zeros(requests, dtype=np.int64), np.ones(requests)
    )
    drawn = resample(trace, 0, 0)
    assert drawn.arrival_s.tolist() == [0.0] * requests
    assert drawn.n_executions == requests


def test_a_replication_depends_on_seed_and_number_alone() -> None:
    """Replication 2 is the same whether 3 or 5 are drawn, and differs from its neighbours."""
    case = random_case(11, requests=30)

    def run(trace: Trace) -> RunResult:
        return simulate_placement(case.workload, trace, case.cluster, case.placement, case.routing)

    few = replicate(run, case.trace, 3, seed=7)
    many = replicate(run, case.trace, 5, seed=7)
    assert few == many[:3]
    assert few != replicate(run, case.trace, 3, seed=8)


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
        policy="earliest",
        engine="compiled",
    )


def mean_sojourn(workload: Workload, trace: Trace) -> float:
    return float(request_latency(served(workload, trace)).mean())


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
