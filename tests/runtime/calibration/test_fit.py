"""A calibration finds the laws by which a log was made, and says what it cannot find."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from placement.params.simulation_params import CalibrationParams
from placement.problem.cluster import GpuSharing
from runtime.calibration.errors import compare
from runtime.calibration.fit import (
    Calibration,
    Estimate,
    calibrate,
    calibrated,
    gpu_fraction_of_two,
    stated_laws,
)
from runtime.calibration.parameters import seen_parameters
from runtime.calibration.service import courses
from runtime.simulate import simulate_placement
from tests.runtime.calibration.cases import as_log, real_run, two_gpus, workload

BATCH = {"max_concurrency": 4, "slowdown": (1.0, 1.3, 1.6, 1.9)}
STATED = {"max_concurrency": 4, "slowdown": (1.0, 1.0, 1.0, 1.0)}


def estimate(found: Calibration, name: str, model: str | None = None) -> Estimate:
    (one,) = (e for e in found.estimates if (e.name, e.model) == (name, model))
    return one


def test_sharing_batching_prefill_and_scale_are_found_together() -> None:
    """From a config that knows none of them, to the figures that made the log."""
    truth = workload(**BATCH, prefill_time_s=0.1)
    run, asked = real_run(truth, GpuSharing(efficiency=(0.8,)), seed=4, rate=0.7)
    stated = workload(**STATED)
    longer = np.where(run.problem.node_model[_nodes(run)] == 1, 1.25, 1.0)
    expected = replace(asked, service_s=asked.service_s / longer)
    seen = as_log(run, expected, stated)
    cluster, placement = two_gpus(GpuSharing())
    found = calibrate(seen, stated, cluster)
    assert estimate(found, "sharing_efficiency").after == pytest.approx((0.8,), rel=0.02)
    assert estimate(found, "service_time", "paint").after == pytest.approx((1.25,), rel=0.02)
    assert estimate(found, "slowdown", "chat").after == pytest.approx((1.3, 1.9), rel=0.04)
    assert estimate(found, "prefill_time_seconds", "chat").after == pytest.approx((0.1,), rel=0.1)
    assert found.spread_after < 0.05 < found.spread_before
    better, there = calibrated(stated, cluster, found)
    before = compare(seen, expected, simulate_placement(stated, expected, cluster, placement))
    after = compare(seen, expected, simulate_placement(better, expected, there, placement))
    assert after.per_request < 0.5 * before.per_request


def _nodes(run):  # type: ignore[no-untyped-def]
    problem = run.problem
    request = np.repeat(np.arange(problem.trace.n_requests), np.diff(problem.offset))
    return (
        problem.first_node[problem.workflow[request]]
        + np.arange(len(request))
        - problem.offset[request]
    )


@pytest.mark.parametrize("fraction", [0.4, 0.7])
def test_gaps_of_the_host_are_found_where_they_are_asked_for(fraction: float) -> None:
    """`gpu_fraction` of one model, the others occupying the GPU all the time."""
    truth = workload(gpu_fraction=fraction)
    run, asked = real_run(truth, GpuSharing(efficiency=(1.0,)), seed=5)
    seen = as_log(run, asked, truth)
    found = calibrate(
        seen, workload(), two_gpus(GpuSharing(efficiency=(1.0,)))[0], gpu_fraction=True
    )
    assert estimate(found, "gpu_fraction", "chat").after == pytest.approx((fraction,), abs=0.03)
    assert estimate(found, "gpu_fraction", "paint").after == pytest.approx((1.0,), abs=0.03)


def test_true_figures_stay() -> None:
    """Where config and cluster are right already, nothing moves and nothing is left to explain."""
    truth, sharing = workload(**BATCH), GpuSharing(efficiency=(0.9,))
    run, asked = real_run(truth, sharing, seed=6)
    found = calibrate(as_log(run, asked, truth), truth, two_gpus(sharing)[0])
    assert found.spread_before < 1e-6
    for one in found.estimates:
        assert one.after == pytest.approx(one.before, rel=1e-3, abs=1e-6)
    # A law that is not seen as often as is asked is not fitted, and of calls alone it is said so.
    calls = {e.name: e.calls for e in found.estimates if e.model in (None, "chat")}
    strict = CalibrationParams(least_calls=max(calls.values()))
    few = calibrate(as_log(run, asked, truth), truth, two_gpus(sharing)[0], params=strict)
    kept = {e.name for e in few.estimates if e.model in (None, "chat") and not e.note}
    assert kept == {name for name, n in calls.items() if n >= strict.least_calls} != set(calls)
    note = estimate(few, "service_time", "chat").note
    assert note.startswith(f"fewer than {strict.least_calls:} calls ran alone")


def test_calls_that_tell_of_a_law_are_counted_anew() -> None:
    """Piece by piece of each call: who else is in service on its replica and on its GPUs."""
    truth, sharing = workload(**BATCH), GpuSharing(efficiency=(0.9,))
    run, asked = real_run(truth, sharing, seed=10, rate=0.7)
    seen, params = as_log(run, asked, truth), CalibrationParams(least_calls=1)
    found = seen_parameters(
        seen, courses(seen), truth, stated_laws(truth, two_gpus(sharing)[0]),
        gpu_fraction=False, params=params,
    )  # fmt: skip
    first, last = seen.first_gpu, seen.first_gpu + seen.gpus
    counts = {name: np.zeros(4) for name in ("sharing_efficiency", "service_time", "slowdown")}
    moments = np.unique([seen.start_s, seen.end_s])
    for p, start, end in zip(seen.replica, seen.start_s, seen.end_s, strict=True):
        edges = moments[(start <= moments) & (moments <= end)]
        shared = alone = batched = 0.0
        for a, b in pairwise(edges):
            now = (seen.start_s < (a + b) / 2) & ((a + b) / 2 < seen.end_s)
            busy = set(seen.replica[now].tolist())
            crowd = max(
                sum(bool(first[q] <= g < last[q]) for q in busy) for g in range(first[p], last[p])
            )
            own = (seen.replica[now] == p).sum()
            shared += (b - a) * (crowd > 1)
            alone += (b - a) * (crowd == 1 and own == 1)
            batched += (b - a) * (own > 1)
        m, took = seen.model[p], end - start
        counts["sharing_efficiency"][m] += shared > params.seen * took
        counts["service_time"][m] += alone > params.alone * took
        counts["slowdown"][m] += batched > params.seen * took
    kept = [p for p in found if p.name in counts]
    assert {(p.name, p.model) for p in kept} == {
        ("sharing_efficiency", None), ("slowdown", 0), *(("service_time", m) for m in range(4)),
    }  # fmt: skip
    for p in kept:
        count = counts[p.name]
        assert p.calls == (count.sum() if p.model is None else count[p.model]) > 0
    assert counts["service_time"].sum() < len(seen.replica) > counts["sharing_efficiency"].sum()


def test_what_was_never_seen_stays_as_it_is() -> None:
    """A chain, ten times an hour, shares nothing: no efficiency, no slowdown is claimed."""
    truth = workload(**BATCH)
    run, asked = real_run(truth, GpuSharing(efficiency=(0.5,)), seed=7, rate=0.003, workflows=1)
    found = calibrate(as_log(run, asked, truth), workload(**STATED), two_gpus(GpuSharing())[0])
    assert {e.name for e in found.estimates} == {"service_time"}
    assert found.laws.efficiency == GpuSharing().efficiency
    assert found.laws.slowdown[0] == (1.0, 1.0, 1.0, 1.0)


def test_batches_larger_than_any_seen_stay_as_slow_as_stated() -> None:
    """A log of little traffic says nothing of full batches, by which `solve` counts the work."""
    slowdown = tuple(np.linspace(1.0, 20.0, 64).tolist())
    truth, sharing = workload(max_concurrency=64, slowdown=slowdown), GpuSharing()
    run, asked = real_run(truth, sharing, seed=9, rate=0.6)
    seen = as_log(run, asked, truth)
    cluster, _ = two_gpus(sharing)
    found = calibrate(seen, truth, cluster)
    assert estimate(found, "slowdown", "chat").calls >= 20
    better, _ = calibrated(truth, cluster, found)
    assert better.models[0].slowdown[32:] == slowdown[32:]
    assert better.models[0].slowdown[:3] == pytest.approx(slowdown[:3], rel=1e-3)
    assert better.models[0].busy_factor == truth.models[0].busy_factor


def test_a_few_calls_that_hung_change_little() -> None:
    """One call in fifty that took three times as long as anything explains."""
    truth, sharing = workload(), GpuSharing(efficiency=(0.8,))
    run, asked = real_run(truth, sharing, seed=8)
    held = np.zeros(asked.n_executions, dtype=bool)
    held[::50] = True
    expected = replace(asked, service_s=np.where(held, asked.service_s / 3, asked.service_s))
    found = calibrate(as_log(run, expected, truth), truth, two_gpus(GpuSharing())[0])
    assert estimate(found, "sharing_efficiency").after == pytest.approx((0.8,), rel=0.04)


def test_the_unit_of_time_does_not_matter() -> None:
    """A log in milliseconds tells the same of the laws, calls that hung among the others."""
    truth, sharing = workload(**BATCH), GpuSharing(efficiency=(0.8,))
    run, asked = real_run(truth, sharing, seed=8, rate=0.7)
    held = np.ones(len(asked.service_s))
    held[::9] = 3.0
    seen = as_log(run, replace(asked, service_s=asked.service_s / held), truth)
    cluster, stated = two_gpus(GpuSharing())[0], workload(**STATED)
    found = [calibrate(seen, stated, cluster)]
    for unit in (1000.0, 0.01):
        times = {n: getattr(seen, n) * unit for n in ("start_s", "end_s", "alone_s", "prefill_s")}
        found.append(calibrate(replace(seen, **times), stated, cluster))
    for other in found[1:]:
        for a, b in zip(found[0].estimates, other.estimates, strict=True):
            assert (a.name, a.model, a.calls) == (b.name, b.model, b.calls)
            if a.name != "prefill_time_seconds":
                assert b.after == pytest.approx(a.after, rel=1e-3)
        assert other.spread_after == pytest.approx(found[0].spread_after, rel=1e-3)
    assert found[0].spread_after > 0.05


@pytest.mark.parametrize(("throughput", "fraction"), [(1.0, 1.0), (2.0, 0.0), (1.47, 0.6005)])
def test_two_side_by_side_give_the_gpu_fraction(throughput: float, fraction: float) -> None:
    """u = sqrt(2 / X - 1), and the machine repairman of two gives the throughput back."""
    u = gpu_fraction_of_two(throughput)
    assert u == pytest.approx(fraction, abs=1e-4)
    assert 2 / (1 + u * u) == pytest.approx(throughput)


@pytest.mark.parametrize("throughput", [0.9, 2.1, float("nan")])
def test_what_two_cannot_do_is_refused(throughput: float) -> None:
    """Less than one, or more than two."""
    with pytest.raises(ValueError, match="from 1 to 2 times"):
        gpu_fraction_of_two(throughput)
