"""Starts from beyond the cap: always brought back under it, never worse, repeatable."""

from placement.heuristics import HEURISTICS
from placement.improve.beyond_cap import search_beyond
from placement.improve.large_neighbourhood import Goal
from placement.problem.instance import Instance
from placement.problem.solution import Solution, evaluate
from placement.problem.violations import violations
from placement.programs.routing import best_routing
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from tests.placement.heuristics.cases import random_instance

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
