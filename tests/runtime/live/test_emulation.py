"""Emulated replicas keep the simulator's law of service, in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from placement.problem.cluster import Cluster, GpuSharing, ServerType
from placement.problem.solution import Placement
from placement.problem.workload import Workload
from runtime.arrays import Problem, build_problem
from runtime.engines.reference import run_reference
from runtime.live.emulation import Emulator
from tests.runtime.cases import chain, model, random_case, trace_of, without_ties
from tests.runtime.live.virtual import problem_of, run_virtually


def ends(
    emulator_of: Any, calls: list[tuple[float, int, float]], prefill_s: float = 0.0
) -> list[float]:
    """When each call (arrival, replica, seconds) has been answered."""
    found = [0.0] * len(calls)

    async def one(emulator: Emulator, i: int) -> None:
        arrival, replica, seconds = calls[i]
        await asyncio.sleep(arrival)
        await emulator.serve(replica, seconds, prefill_s)
        found[i] = asyncio.get_running_loop().time()

    async def main() -> None:
        emulator = emulator_of()
        await asyncio.gather(*(one(emulator, i) for i in range(len(calls))))

    run_virtually(main())
    return found


def replicas(
    *blocks: tuple[int, int],
    slowdown: tuple[float, ...] = (1.0,),
    speed: float = 1.0,
    sharing: GpuSharing | None = None,
    prefill_s: float = 0.0,
) -> Problem:
    """A replica for each block (first GPU, GPUs) on one server of two GPUs, without requests."""
    models = tuple(
        replace(model(f"m{p}", k, slowdown), prefill_time_s=prefill_s)
        for p, (_, k) in enumerate(blocks)
    )
    cluster = Cluster((ServerType("t", 1, 2, 80.0, speed),), sharing=sharing or GpuSharing())
    first = np.array([g for g, _ in blocks])
    workload = Workload(models, (chain(1),))
    count = len(blocks)
    placement = Placement.sorted(np.arange(count), np.zeros(count, dtype=int), first)
    nothing = np.zeros(0)
    trace = trace_of(workload, nothing, nothing.astype(int), nothing)
    return build_problem(
        workload, trace, cluster, placement, "online", nothing.astype(np.int32), np.zeros(1)
    )


SERIAL = GpuSharing("serial")
FREE = GpuSharing("time-sliced", (1.0,))


@pytest.mark.parametrize(
    ("problem", "scale", "calls", "expected"),
    [
        # First come first served.
        (replicas((0, 1)), 1.0, [(0, 0, 2), (1, 0, 1)], [2, 3]),
        # A faster server.
        (replicas((0, 1), speed=2.0), 1.0, [(0, 0, 2)], [1]),
        # Time is stretched.
        (replicas((0, 1)), 0.5, [(0, 0, 2)], [1]),
        # Two at once, each slowed down while the other is there: half of the work is done by 1,
        # from 1 to 2.5 both proceed at 2/3, the second has 1 left at 2.5 and is alone.
        (replicas((0, 1), slowdown=(1.0, 1.5)), 1.0, [(0, 0, 2), (1, 0, 2)], [2.5, 3.5]),
        # Two replicas share a GPU evenly, at a price.
        (
            replicas((0, 1), (0, 1), sharing=GpuSharing("time-sliced", (0.8,))),
            1.0,
            [(0, 0, 2), (1, 1, 1)],
            [3.5, 3.5],
        ),
        # A block proceeds at the least of its GPUs' shares.
        (replicas((0, 2), (1, 1), sharing=FREE), 1.0, [(0, 0, 2), (0, 1, 1)], [3, 2]),
        # One execution on a GPU at a time, and nobody overtakes who waits for a block.
        (
            replicas((0, 1), (0, 2), (1, 1), sharing=SERIAL),
            1.0,
            [(0, 0, 3), (1, 1, 1), (2, 2, 1)],
            [3, 4, 5],
        ),
        # While the second has its prefill, the first stands still.
        (
            replicas((0, 1), slowdown=(1.0, 1.0), prefill_s=0.5),
            1.0,
            [(0, 0, 2), (1, 0, 1)],
            [2.5, 2.0],
        ),
    ],
)
def test_calls_take_the_time_that_can_be_reckoned_by_hand(
    problem: Problem, scale: float, calls: Any, expected: list[float]
) -> None:
    """Queues, batches, prefill, blocks and both ways of sharing a GPU."""
    prefill_s = max(m.prefill_time_s for m in problem.workload.models)
    found = ends(partial(Emulator, problem, time_scale=scale), calls, prefill_s)
    assert found == pytest.approx(expected)


def test_shared_gpus_in_turn_as_in_the_simulator() -> None:
    """Single calls in their order of arrival end when the reference engine says."""
    compared = shared = 0
    for seed in range(80):
        case = without_ties(random_case(seed, network=False, sharing="serial"), seed)
        problem, rule = problem_of(case, "plan")
        if problem.batches:
            continue
        course = run_reference(problem, rule)
        ran = np.flatnonzero(course.replica >= 0)
        # Of those released at one instant the lower number goes first.
        calls = [
            (float(course.ready_s[e]) + 1e-9 * e, int(course.replica[e]), float(service))
            for e, service in zip(ran.tolist(), problem.service_s[ran], strict=True)
        ]
        found = ends(partial(Emulator, problem), calls)
        np.testing.assert_allclose(found, course.end_s[ran], atol=1e-6)
        compared += len(calls)
        shared += problem.shares_gpus
    assert compared > 300
    assert shared > 5
