"""Servers placed anew: never worse, always feasible, repeatable, and up to the optimum."""

from dataclasses import replace

import pytest

from placement.heuristics import HEURISTICS
from placement.improve.large_neighbourhood import Goal, search_servers
from placement.params.improvement_params import NeighbourhoodParams
from placement.params.search_params import DEFAULTS
from placement.problem.instance import Instance
from placement.problem.solution import Solution, evaluate
from placement.problem.violations import violations
from placement.programs.compact_search import solve_compact
from placement.programs.least_load import least_bottleneck
from placement.programs.routing import best_routing, elastic_routing, shortfall
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from tests.placement.heuristics.cases import random_instance

HIGHS = SolverSettings(threads=1)
FEW_ROUNDS = replace(DEFAULTS, neighbourhood=NeighbourhoodParams(rounds=12))


def search(instance: Instance, start: Solution) -> Solution:
    return search_servers(
        instance,
        replace(HIGHS, params=FEW_ROUNDS),
        Budget(),
        start,
        Goal(best_bound=1.0, gap=0.0),
        report=lambda _: None,
    )


@pytest.mark.parametrize("exclusive", [True, False])
def test_freeing_servers_improves_towards_the_optimum(exclusive: bool) -> None:
    """From a greedy start on three servers: start <= found <= optimum, and better on some."""
    better = 0
    for seed in (2, 7, 12):
        instance = random_instance(seed, servers=3, gpus=3, load=0.5, exclusive=exclusive)
        placement = HEURISTICS["greedy"](instance, 0, None)
        start = best_routing(instance, placement, HIGHS)
        if start is None:
            continue
        found = search(instance, start)
        assert violations(instance, found) == []
        before, after = (evaluate(instance, s).objective for s in (start, found))
        optimum = solve_compact(instance, HIGHS, Budget(), start=found, gap=1e-3)
        assert before - 1e-9 <= after <= optimum.best_bound + 1e-6
        better += after > before + 1e-3
        again = search(instance, start)
        assert (again.placement.model == found.placement.model).all()
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
