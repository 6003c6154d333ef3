"""The least bottleneck load: what a bound on theta says of it, and what it does not."""

from dataclasses import replace

import numpy as np
import pytest

from placement.heuristics.greedy import greedy
from placement.patterns import pattern_bottleneck
from placement.problem.cluster import GpuSharing
from placement.programs.bottleneck import PROVEN, compact_bottleneck, proven_lower
from placement.programs.least_load import least_bottleneck
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from tests.placement import oracle

SETTINGS = SolverSettings(threads=1)


@pytest.mark.parametrize(
    ("bound", "lower"),
    [
        (1.25, 0.5),  # the ceiling itself: nothing is proven
        (1.25 * (1 - 1e-9), 0.5),  # the ceiling as a solver rounds it
        (1.0, 1.0 - PROVEN),
        (float("inf"), 0.5),
        (0.0, 0.5),
        (-1.0, 0.5),
    ],
)
def test_only_a_bound_below_the_ceiling_proves_more_than_the_floor(
    bound: float, lower: float
) -> None:
    """With loads of 0.8 as target theta ends at 1.25: a program there says nothing of U*."""
    assert proven_lower(bound, ceiling=1.25, floor=0.5) == pytest.approx(lower, abs=1e-12)


@pytest.mark.parametrize("sharing", ["exclusive", "even", "sliced"])
@pytest.mark.parametrize("seed", range(6))
def test_the_interval_holds_the_least_load_even_where_no_time_is_left(
    seed: int, sharing: str
) -> None:
    """Whether solved to the end or stopped at once, no lower end is above what is attainable."""
    exclusive = sharing == "exclusive"
    rng = np.random.default_rng([seed, exclusive])
    slices = GpuSharing(efficiency=(0.8, 0.7) if sharing == "sliced" else (1.0,))
    instance = oracle.random_instance(rng, exclusive=exclusive, load_cap=0.8, sharing=slices)
    least = oracle.least_bottleneck(instance)
    _, start = least_bottleneck(instance, greedy(instance), SETTINGS)
    for target in (0.0, least * 0.7, least * 1.1):
        for seconds in (0.0, None):
            for found in (
                compact_bottleneck(instance, SETTINGS, Budget(seconds), target=target, start=start),
                pattern_bottleneck(
                    instance, SETTINGS, Budget(seconds), target=target, start=start.placement
                ),
            ):
                assert found.lower <= least * (1 + 1e-6)
                assert least * (1 - 1e-6) <= found.upper


def test_a_target_that_is_missed_is_no_lower_end() -> None:
    """Stopped before anything is known, the lower end is that of the work, not the target."""
    rng = np.random.default_rng(3)
    instance = oracle.random_instance(rng, exclusive=False, load_cap=0.8)
    upper, start = least_bottleneck(instance, greedy(instance), SETTINGS)
    target = 0.5 * (upper + instance.load_floor)
    found = compact_bottleneck(replace(instance), SETTINGS, Budget(0.0), target=target, start=start)
    assert instance.load_floor < target < upper
    assert found.lower == pytest.approx(instance.load_floor)
