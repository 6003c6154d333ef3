"""Water-filling as a routing: it keeps the rules, and is worth what its score says."""

import pytest

from placement.heuristics import HEURISTICS
from placement.heuristics.filling import filled_routing, water_fill
from placement.instance import Instance
from placement.normalization import normalize
from placement.outcome import Infeasible
from placement.routing_lp import best_routing
from placement.solution import evaluate, violations
from placement.solvers import SolverSettings
from tests.placement.heuristics.cases import random_instance


def varied(seed: int) -> Instance:
    """Exclusive or shared, of one server type or two, with room or close to the cap."""
    return normalize(
        random_instance(
            seed, load=0.3 + 0.1 * (seed % 4), exclusive=seed % 2 == 0, mixed_types=seed % 3 == 0
        )
    )


@pytest.mark.parametrize("seed", range(40))
def test_the_rates_are_feasible_and_worth_the_score(seed: int) -> None:
    """No rule is broken, the locality is the score's, and the best routing is worth no less."""
    instance = varied(seed)
    try:
        placement = HEURISTICS["greedy"](instance, seed, None)
    except Infeasible:
        pytest.skip("the models do not fit")
    filling = water_fill(instance, placement)
    found = filled_routing(instance, placement)
    assert (found is None) == (filling.unserved > 1e-9)
    best = best_routing(instance, placement, SolverSettings())
    if found is None:
        return
    assert violations(instance, found) == []
    worth = evaluate(instance, found).objective
    assert worth >= filling.score - 1e-7
    assert best is not None
    assert worth <= evaluate(instance, best).objective + 1e-7


def test_most_of_the_cases_can_be_routed() -> None:
    """Else the test above would judge nothing."""
    routed = 0
    for seed in range(40):
        instance = varied(seed)
        try:
            placement = HEURISTICS["greedy"](instance, seed, None)
        except Infeasible:
            continue
        routed += filled_routing(instance, placement) is not None
    assert routed >= 10
