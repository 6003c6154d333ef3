"""Water-filling as a routing: it keeps the rules, and is worth what its score says."""

import numpy as np
import pytest

from placement.heuristics import HEURISTICS
from placement.heuristics.water_filling import filled_routing, water_fill
from placement.problem.cluster import Cluster, ServerType
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.normalization import normalize
from placement.problem.outcome import Infeasible
from placement.problem.solution import Placement, evaluate
from placement.problem.violations import violations
from placement.programs.routing import best_routing
from placement.solver.milp import SolverSettings
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


def rare_and_tight(nodes: int) -> Instance:
    """A long workflow without work, and a rare one whose model lacks a 2,000th of its room."""
    chain = np.arange(nodes)
    return Instance(
        model_ids=("a", "b"),
        gpus_required=np.array([1, 1]),
        memory_per_gpu_gb=np.array([80.0, 80.0]),
        workflows=(
            WorkflowDemand(
                id="long",
                rate=1.0,
                node_model=np.zeros(nodes, dtype=np.int64),
                work_s=np.zeros(nodes),
                links=np.stack([chain[:-1], chain[1:]], axis=1),
            ),
            WorkflowDemand(
                id="rare",
                rate=1e-4,
                node_model=np.array([1]),
                work_s=np.array([8000.0 * (1 + 5e-4)]),
                links=np.zeros((0, 2), dtype=np.int64),
            ),
        ),
        cluster=Cluster((ServerType("s", 1, 2, 80.0),)),
        load_cap=0.8,
    )


@pytest.mark.parametrize("nodes", [2, 2_000])
def test_a_rare_workflow_that_is_short_of_room_is_not_routed(nodes: int) -> None:
    """However little it is worth beside all others, its GPU would exceed the cap."""
    instance = normalize(rare_and_tight(nodes))
    placement = Placement.sorted(np.array([0, 1]), np.array([0, 0]), np.array([0, 1]))
    assert best_routing(instance, placement, SolverSettings()) is None
    assert filled_routing(instance, placement) is None
