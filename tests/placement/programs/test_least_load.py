"""The least bottleneck of a placement that is given, against a linear program of the tests' own."""

from __future__ import annotations

import numpy as np
import pytest

from placement.problem.solution import Placement, gpu_loads
from placement.problem.violations import violations
from placement.programs.least_load import in_proportion, least_bottleneck
from placement.solver.milp import SolverSettings
from tests.placement import oracle
from tests.placement.cases import drawn_placement

HIGHS = SolverSettings(threads=1)


@pytest.mark.parametrize("exclusive", [True, False])
def test_the_least_bottleneck_is_that_of_an_independent_program(exclusive: bool) -> None:
    """And the routing attains it on its busiest GPU."""
    for seed in range(30):
        rng = np.random.default_rng([seed, exclusive])
        instance = oracle.random_instance(rng, exclusive=exclusive, load_cap=100.0)
        placement, contents = drawn_placement(instance, rng)
        load, solution = least_bottleneck(instance, placement, HIGHS)
        assert load == pytest.approx(oracle.route(instance, contents, bottleneck=True), rel=1e-6)
        assert violations(instance, solution) == []
        busiest = gpu_loads(instance, solution.placement, solution.load).max()
        assert busiest == pytest.approx(load, rel=1e-6)


def test_loads_in_proportion_do_all_the_work() -> None:
    """Whatever the relative loads: the flows are those that keep every rule but the cap."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        instance = oracle.random_instance(rng, exclusive=False, load_cap=1e6)
        placement, _ = drawn_placement(instance, rng)
        relative = rng.uniform(0.1, 1.0, placement.n_replicas)
        solution = in_proportion(instance, placement, relative)
        assert violations(instance, solution) == []
        for m in instance.used_models:
            mine = placement.model == m
            share = solution.load[mine] / relative[mine]
            assert share == pytest.approx(np.full(len(share), share[0]))


def test_a_model_without_a_replica_is_refused() -> None:
    """There is no load at which it could be served."""
    rng = np.random.default_rng(3)
    instance = oracle.random_instance(rng, exclusive=True, load_cap=1.0)
    none = np.zeros(0, dtype=np.int64)
    with pytest.raises(ValueError, match="replica"):
        least_bottleneck(instance, Placement(none, none, none), HIGHS)
