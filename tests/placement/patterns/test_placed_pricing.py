"""Pricing over counts and the positions of what they hold: real patterns under a valid bound."""

import numpy as np
import pytest

from placement.outcome import Budget
from placement.patterns.duals import Duals, zero_duals
from placement.patterns.pattern import expand, normalize
from placement.patterns.position_pricing import PlacedPricing, PositionPricing
from placement.solution import placement_violations
from placement.solvers import SolverSettings
from tests.placement.heuristics.cases import random_instance

HIGHS = SolverSettings(threads=1)


@pytest.mark.parametrize("seed", range(8))
def test_placed_patterns_fit_and_lie_between_nothing_and_the_bound(seed: int) -> None:
    """At random duals: value <= exact optimum <= bound, and a server can hold the pattern."""
    instance, _ = normalize(random_instance(seed, servers=2, gpus=4, load=0.6, exclusive=False))
    rng = np.random.default_rng(seed)
    zero = zero_duals(instance)
    at = Duals({key: float(rng.uniform(0.0, 0.3)) for key in zero.demand})
    placed = PlacedPricing(instance, 0).solve(at, HIGHS, Budget())
    exact = PositionPricing(instance, 0)
    exact.gap = 0.0
    truth = exact.solve(at, HIGHS, Budget())
    assert placed is not None
    assert truth is not None
    assert placed.value <= truth.value + 1e-6
    assert truth.value <= placed.best_bound + 1e-6
    assert placed.value > 0
    for pattern in (placed.pattern, *placed.others):
        faults = placement_violations(instance, expand(instance, {pattern: 1}))
        assert all("without a replica" in fault for fault in faults)
