"""Emulated replicas keep the simulator's law of service, in virtual time."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import numpy as np
import pytest

from runtime.engines.reference import run_reference
from runtime.live.emulation import EmulatedReplica, Emulator
from runtime.live.local import emulated_replicas
from tests.runtime.cases import random_case
from tests.runtime.live.test_executor import problem_of, without_ties
from tests.runtime.live.virtual import run_virtually


def ends(emulator_of: Any, calls: list[tuple[float, int, float]]) -> list[float]:
    """When each call (arrival, replica, seconds) has been answered."""
    found = [0.0] * len(calls)

    async def one(emulator: Emulator, i: int) -> None:
        arrival, replica, seconds = calls[i]
        await asyncio.sleep(arrival)
        await emulator.serve(replica, seconds)
        found[i] = asyncio.get_running_loop().time()

    async def main() -> None:
        emulator = emulator_of()
        await asyncio.gather(*(one(emulator, i) for i in range(len(calls))))

    run_virtually(main())
    return found


ONE = (0,)


@pytest.mark.parametrize(
    ("replicas", "options", "calls", "expected"),
    [
        # First come first served.
        ([EmulatedReplica(ONE)], {}, [(0, 0, 2), (1, 0, 1)], [2, 3]),
        # A faster server.
        ([EmulatedReplica(ONE, speed=2.0)], {}, [(0, 0, 2)], [1]),
        # Time is stretched.
        ([EmulatedReplica(ONE)], {"time_scale": 0.5}, [(0, 0, 2)], [1]),
        # Two at once, each slowed down while the other is there: half of the work is done by 1,
        # from 1 to 2.5 both proceed at 2/3, the second has 1 left at 2.5 and is alone.
        (
            [EmulatedReplica(ONE, slots=2, slowdown=(1.0, 1.5))],
            {},
            [(0, 0, 2), (1, 0, 2)],
            [2.5, 3.5],
        ),
        # Two replicas share a GPU evenly, at a price.
        (
            [EmulatedReplica(ONE), EmulatedReplica(ONE)],
            {"sharing": "time-sliced", "efficiency": 0.8},
            [(0, 0, 2), (1, 1, 1)],
            [3.5, 3.5],
        ),
        # A block proceeds at the least of its GPUs' shares.
        (
            [EmulatedReplica((0, 1)), EmulatedReplica((1,))],
            {"sharing": "time-sliced"},
            [(0, 0, 2), (0, 1, 1)],
            [3, 2],
        ),
        # One execution on a GPU at a time, and nobody overtakes who waits for a block.
        (
            [EmulatedReplica((0, 1)), EmulatedReplica((0,)), EmulatedReplica((1,))],
            {"sharing": "serial"},
            [(0, 1, 3), (1, 0, 1), (2, 2, 1)],
            [3, 4, 5],
        ),
    ],
)
def test_calls_take_the_time_that_can_be_reckoned_by_hand(
    replicas: list[EmulatedReplica], options: Any, calls: Any, expected: list[float]
) -> None:
    """Queues, batches, blocks and both ways of sharing a GPU."""
    assert ends(lambda: Emulator(replicas, **options), calls) == pytest.approx(expected)


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
        replicas = emulated_replicas(problem)
        found = ends(partial(Emulator, replicas, sharing="serial"), calls)
        np.testing.assert_allclose(found, course.end_s[ran], atol=1e-6)
        compared += len(calls)
        shared += problem.shares_gpus
    assert compared > 300
    assert shared > 5


def test_a_call_that_is_broken_off_frees_its_place() -> None:
    """In service or in the queue."""

    async def main() -> float:
        emulator = Emulator([EmulatedReplica(ONE)])
        first = asyncio.ensure_future(emulator.serve(0, 10.0))
        second = asyncio.ensure_future(emulator.serve(0, 10.0))
        third = asyncio.ensure_future(emulator.serve(0, 1.0))
        await asyncio.sleep(2.0)
        second.cancel()
        first.cancel()
        await third
        return asyncio.get_running_loop().time()

    assert run_virtually(main()) == pytest.approx(3.0)
