"""The compiled engine against closed forms of queueing theory."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.queueing import EVEN, System, chain, constant, exponential, lognormal, model, run
from benchmarks.validation import LAWS, Law, compare
from runtime.metrics import measure
from runtime.result import RunResult
from tests.runtime.cases import run_case

REQUESTS, REPLICATIONS, CONFIDENCE = 12_000, 6, 0.999
PRECISION = 0.7
"""Widest interval, as a part of the closed form, that still says something."""


@pytest.mark.parametrize("law", LAWS, ids=lambda law: f"{law.name}, {law.load}, {law.quantity}")
def test_the_closed_form_lies_in_the_interval(law: Law) -> None:
    """Theory lies in the confidence interval of independent replications, and that is narrow."""
    found = compare(law, REQUESTS, REPLICATIONS, CONFIDENCE, seed=1)
    assert found.holds, f"{found.mean} ± {found.half_width} against {law.theory}"
    assert found.half_width < PRECISION * law.theory


def _single(service: object, seed: int, **more: object) -> RunResult:
    return run(
        np.random.default_rng(seed),
        3_000,
        System(
            workflows=(chain(0),),
            rates=(2.4,),
            service=((service,),),  # type: ignore[arg-type]
            **more,  # type: ignore[arg-type]
        ),
    )


@pytest.mark.parametrize("service", [exponential(1.0), constant(1.0), lognormal(1.0, 1.5)])
def test_a_batching_replica_is_as_many_servers(service: object) -> None:
    """Three slots without a slowdown serve exactly as three replicas under central queueing."""
    apart = _single(service, 5, models=(model("m"),), replicas=((0, 0), (0, 1), (0, 2)), gpus=3)
    batch = _single(service, 5, models=(model("m", 1, 3),), replicas=((0, 0),), gpus=1)
    np.testing.assert_array_equal(apart.start_s, batch.start_s)
    np.testing.assert_array_equal(apart.end_s, batch.end_s)
    live = _single(service, 5, models=(model("m", 1, 3),), replicas=((0, 0),), gpus=1, sharing=EVEN)
    assert live.problem.sliced
    np.testing.assert_allclose(live.end_s, batch.end_s, rtol=1e-9)


@pytest.mark.parametrize("seed", range(40))
def test_littles_law_holds_for_the_reported_latency(seed: int) -> None:
    """Requests in the system, counted event by event, average throughput times mean latency."""
    case = run_case(seed, "earliest", "compiled")
    metrics = measure(case)
    events: list[tuple[float, int]] = []
    for r in np.flatnonzero(case.completed):
        own = slice(case.problem.offset[r], case.problem.offset[r + 1])
        events += [(case.problem.arrival_s[r], 1), (case.end_s[own].max(), -1)]
    area, inside, last = 0.0, 0, 0.0
    for at, change in sorted(events):
        area += inside * (at - last)
        inside, last = inside + change, at
    assert inside == 0
    # L = lambda W, both sides times the makespan.
    sojourns = metrics.throughput * metrics.makespan_s * metrics.request_latency.mean
    assert area == pytest.approx(sojourns)


def test_a_saturated_replica_never_rests() -> None:
    """At fifty times its capacity, a replica ends after the sum of its service times."""
    rng = np.random.default_rng(0)
    service = ((exponential(1.0),),)
    one = run(rng, 500, System((model("m"),), (chain(0),), (50.0,), service, ((0, 0),), gpus=1))
    busy = one.problem.service_s.sum()
    assert one.end_s.max() == pytest.approx(busy)
