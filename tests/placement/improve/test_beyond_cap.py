"""Starts from beyond the cap: always brought back under it, never worse, repeatable."""

from dataclasses import replace

import numpy as np
import pytest

from placement.heuristics import HEURISTICS
from placement.improve.beyond_cap import search_beyond
from placement.improve.large_neighbourhood import Goal
from placement.problem.cluster import Cluster
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.solution import Placement, Solution, evaluate, violations
from placement.programs.least_load import least_bottleneck
from placement.programs.routing import best_routing, elastic_routing, shortfall
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from tests.placement.heuristics.cases import random_instance
from tests.placement.improve.test_large_neighbourhood import search

HIGHS = SolverSettings(threads=1)


def beyond(instance: Instance, start: Solution) -> Solution:
    return search_beyond(
        instance, HIGHS, Budget(), start, Goal(best_bound=1.0, gap=0.0), report=lambda _: None
    )


def test_starts_beyond_the_cap_end_under_it() -> None:
    """Feasible, no worse than the solution at hand, better on some, and the same once more."""
    better = 0
    for seed in (1, 5):
        instance = random_instance(seed, servers=2, gpus=2, load=0.6, exclusive=False)
        start = best_routing(instance, HEURISTICS["greedy"](instance, 0, None), HIGHS)
        if start is None:
            continue
        found = beyond(instance, start)
        assert violations(instance, found) == []
        before, after = (evaluate(instance, s).objective for s in (start, found))
        assert after >= before - 1e-9
        better += after > before + 1e-3
        again = beyond(instance, start)
        assert (again.placement.start == found.placement.start).all()
        assert (again.flows.rate == found.flows.rate).all()
    assert better


def test_servers_placed_anew_bring_an_overloaded_placement_under_the_cap() -> None:
    """From a placement that cannot keep the cap to one that does, where there is room for it."""
    mended = 0
    for seed in range(3):
        instance = random_instance(seed, servers=3, gpus=3, load=0.55, exclusive=False)
        placement = HEURISTICS["greedy"](instance, 0, None)
        least, _ = least_bottleneck(instance, placement, HIGHS)
        # A little below what the placement can do at best.
        instance = replace(instance, load_cap=0.97 * least)
        start = elastic_routing(instance, placement, HIGHS)
        assert start is not None
        assert shortfall(instance, start) > 0
        found = search(instance, start)
        assert shortfall(instance, found) <= shortfall(instance, start) + 1e-9
        if shortfall(instance, found) == 0:
            assert violations(instance, found) == []
            mended += 1
    assert mended


@pytest.mark.parametrize("load", [0.4, 0.8, 1.0, 1.6])
def test_shortfall_is_the_work_beyond_the_cap(load: float) -> None:
    """One model on one GPU serves 0.8 of its time, whatever is asked of it."""
    flow = WorkflowDemand("w", load, np.array([0]), np.ones(1), np.zeros((0, 2), dtype=np.int64))
    instance = Instance(
        ("m",), np.array([1]), np.array([10.0]), (flow,), Cluster.homogeneous(1, 1, 80.0)
    )
    zero = np.zeros(1, dtype=np.int64)
    routed = elastic_routing(instance, Placement(zero, zero, zero), HIGHS)
    assert routed is not None
    assert shortfall(instance, routed) == pytest.approx(max(0.0, 1 - 0.8 / load))
