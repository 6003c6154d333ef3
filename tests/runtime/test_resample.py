"""Resampled traces and their intervals, against closed forms and what a bootstrap must keep."""

from __future__ import annotations

import math

import numpy as np
import pytest

from placement.problem.trace import Trace
from placement.problem.workload import Node, Workflow, Workload
from runtime.intervals import (
    replicate,
)
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


def by_the_book(series: np.ndarray) -> float:
    """Politis and White's rule, lag by lag, as their papers state it."""
    n = len(series)
    away = series - series.mean()

    def covariance(k: int) -> float:
        return sum(float(a * b) for a, b in zip(away, away[k:], strict=False)) / n

    run = max(5, math.ceil(math.sqrt(math.log10(n))))
    most = math.ceil(math.sqrt(n)) + run
    limit = 2 * math.sqrt(math.log10(n) / n)
    there = [abs(covariance(k) / covariance(0)) > limit for k in range(1, most + 1)]
    memory = next(
        (m for m in range(most - run + 1) if not any(there[m : m + run])),
        max((k for k in range(1, most + 1) if there[k - 1]), default=0),
    )
    width = min(2 * max(memory, 1), most)

    def weight(k: int) -> float:
        return 1.0 if 2 * k <= width else 2 * (1 - k / width)

    level = covariance(0) + 2 * sum(weight(k) * covariance(k) for k in range(1, width + 1))
    slope = 2 * sum(weight(k) * k * covariance(k) for k in range(1, width + 1))
    block = (2 * slope**2 / (2 * level**2)) ** (1 / 3) * n ** (1 / 3)
    return min(max(block, 1.0), 3 * math.sqrt(n), n / 3)


@pytest.mark.parametrize("n", [9, 30, 200])
def test_block_lengths_are_those_of_the_rule(n: int) -> None:
    """Of noise, of memory, of waves that never end, of a trend; whatever the unit and the mean."""
    rng, lengths = np.random.default_rng(n), []
    at = np.arange(n)
    for _ in range(6):
        noise = rng.normal(size=n)
        memory = np.convolve(noise, 0.8 ** np.arange(20))[:n]
        for series in (noise, memory, np.sin(at / rng.uniform(0.5, 5.0)) + noise / 4, at + noise):
            expected = by_the_book(series)
            assert optimal_block(series) == pytest.approx(expected)
            assert optimal_block(3.0 - series * 1e-3) == pytest.approx(expected)
            lengths.append(expected)
    assert min(lengths) == 1.0
    assert n < 100 or max(lengths) > 3 * min(lengths)
    # No memory can be told of a few, nor of what never changes.
    assert optimal_block(rng.normal(size=8)) == optimal_block(np.full(n, 0.3)) == 1.0


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

    few = list(replicate(run, case.trace, 3, seed=7))
    many = list(replicate(run, case.trace, 5, seed=7))
    assert few == many[:3]
    assert few != list(replicate(run, case.trace, 3, seed=8))
