"""How far a simulation is off, by loops over requests and calls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from placement.problem.cluster import GpuSharing
from placement.problem.names import Mode
from runtime.calibration.errors import MetricError, compare
from runtime.simulate import Dispatch, simulate_placement
from tests.runtime.calibration.cases import as_log, real_run, trace, two_gpus, workload


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_every_figure_is_that_of_plain_loops(mode: Mode) -> None:
    """Of the requests that both have completed, and of the calls that the log has."""
    of = workload()
    cluster, placement = two_gpus(GpuSharing())
    asked = trace(of, seed=1, requests=60)
    real = simulate_placement(of, asked, cluster, placement, dispatch=Dispatch(mode=mode))
    log = as_log(real, asked, of)
    # The log lacks some calls, and the simulation takes other times.
    rng = np.random.default_rng(0)
    keep = rng.random(len(log.execution)) > 0.1
    log = replace(
        log,
        **{
            name: getattr(log, name)[keep]
            for name in ("execution", "replica", "start_s", "end_s", "alone_s", "prefill_s")
        },
    )
    other = replace(asked, service_s=asked.service_s * rng.uniform(0.7, 1.4, asked.n_executions))
    run = simulate_placement(of, other, cluster, placement, dispatch=Dispatch(mode=mode))
    ends = dict(zip(log.execution.tolist(), log.end_s.tolist(), strict=True))
    starts = dict(zip(log.execution.tolist(), log.start_s.tolist(), strict=True))
    latency, last = [], []
    for r in range(asked.n_requests):
        mine = range(int(asked.offset[r]), int(asked.offset[r + 1]))
        if any(e not in ends for e in mine):
            continue
        arrival = 0.0 if mode == "offline" else float(asked.arrival_s[r])
        pair = max(ends[e] for e in mine), max(float(run.end_s[e]) for e in mine)
        last.append(pair[0])
        latency.append((pair[0] - arrival, pair[1] - arrival))
    found = compare(log, asked, run)
    assert 5 < len(latency) < asked.n_requests
    np.testing.assert_allclose(found.real_s, [a for a, _ in latency])
    np.testing.assert_allclose(found.simulated_s, [b for _, b in latency])
    assert found.per_request == pytest.approx(np.mean([abs(b / a - 1) for a, b in latency]))
    lasted = [
        ((run.end_s[e] - run.start_s[e]) / (ends[e] - starts[e])) for e in log.execution.tolist()
    ]
    assert found.per_call == pytest.approx(np.mean([abs(x - 1) for x in lasted]))
    real_s, simulated_s = np.array(latency).T
    spans = max(last), float(run.end_s.max())
    wanted = {
        "mean latency": (real_s.mean(), simulated_s.mean()),
        "median latency": (np.median(real_s), np.median(simulated_s)),
        "P99 latency": (np.quantile(real_s, 0.99), np.quantile(simulated_s, 0.99)),
        "longest latency": (real_s.max(), simulated_s.max()),
        "makespan": spans,
        "throughput": (len(latency) / spans[0], len(latency) / spans[1]),
    }
    assert [m.name for m in found.metrics] == list(wanted)
    for metric in found.metrics:
        assert (metric.real, metric.simulated) == pytest.approx(wanted[metric.name])


def test_a_run_against_itself_is_right() -> None:
    """Nothing is off, and nothing is left out."""
    of = workload()
    run, asked = real_run(of, GpuSharing(), seed=2, requests=40)
    found = compare(as_log(run, asked, of), asked, run)
    assert found.per_request == found.per_call == 0
    assert all(m.error == 0 for m in found.metrics)
    assert len(found.real_s) == asked.n_requests


def test_without_a_request_in_both_there_is_nothing_to_compare() -> None:
    """Calls of requests that did not end do not count."""
    of = workload()
    run, asked = real_run(of, GpuSharing(), seed=2, requests=10)
    log = as_log(run, asked, of)
    first = {
        name: getattr(log, name)[:1]
        for name in ("execution", "replica", "start_s", "end_s", "alone_s", "prefill_s")
    }
    with pytest.raises(ValueError, match="no request is complete in both"):
        compare(replace(log, **first), asked, run)


@pytest.mark.parametrize(
    ("real", "simulated", "error"),
    [(2.0, 3.0, 0.5), (2.0, 1.0, -0.5), (0.0, 0.0, 0.0), (0.0, 1.0, float("inf"))],
)
def test_errors_are_relative_to_what_was_measured(
    real: float, simulated: float, error: float
) -> None:
    """Of nothing, only nothing is right."""
    assert MetricError("x", "s", real, simulated).error == error
