"""Spare replicas relieve the busiest GPUs and never cost what the plan already had."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from placement.heuristics.greedy import greedy
from placement.problem.cluster import Cluster, GpuSharing
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.solution import Placement, Solution, evaluate, gpu_loads
from placement.problem.violations import violations
from placement.programs import spares
from placement.programs.idle_replicas import busy_replicas, may_carry
from placement.programs.least_load import least_bottleneck
from placement.programs.routing import balance_routing, best_routing
from placement.programs.spares import fill, refill, relieve_bottleneck, spread
from placement.solver.budget import Budget, OutOfTime
from placement.solver.milp import SolverSettings
from tests.placement import oracle
from tests.placement.oracle import placements, random_instance

SETTINGS = SolverSettings()


def evened(instance: Instance, floor: float) -> Callable[[Placement, Solution], Solution | None]:
    return lambda p, known: balance_routing(
        instance,
        p,
        SETTINGS,
        least_locality=floor,
        carrying=may_carry(instance, p, known),
    )


def one_busy_model(*, most: int | None = None) -> tuple[Instance, Solution]:
    """Two GPUs: the busy model on one of them, an idle twin of the other model in its way."""
    flow = WorkflowDemand(
        "w", 1.0, np.array([0, 1]), np.array([0.6, 0.2]), np.array([[0, 1]], dtype=np.int64)
    )
    instance = Instance(
        ("busy", "quiet"),
        np.array([1, 1]),
        np.array([40.0, 40.0]),
        (flow,),
        replace(Cluster.homogeneous(2, 2, 80.0), sharing=oracle.EVEN),
        max_models_per_gpu=most,
    )
    placement = Placement.sorted(np.array([0, 1, 1]), np.zeros(3), np.array([0, 0, 1]))
    routed = best_routing(instance, placement, SETTINGS)
    assert routed is not None
    return instance, routed


def test_an_idle_replica_makes_room_for_a_busy_one() -> None:
    """Loads 0.6 and 0.2 become 0.4 and 0.4: the least spread there is for this work."""
    instance, plain = one_busy_model()
    even = evened(instance, evaluate(instance, plain).objective)
    start = even(plain.placement, plain)
    assert start is not None
    assert gpu_loads(instance, start.placement, start.load).max() == pytest.approx(0.6)
    found = refill(instance, start, even)
    assert gpu_loads(instance, found.placement, found.load) == pytest.approx([0.4, 0.4], abs=0.03)
    assert violations(instance, found) == []


def test_the_rules_of_sharing_bind_spares_too() -> None:
    """Where a GPU may hold one model only, nothing can be added."""
    instance, plain = one_busy_model(most=1)
    assert fill(instance, plain).n_replicas == plain.placement.n_replicas


def test_models_keep_a_replica_even_without_load() -> None:
    """A model whose requests carry no work stays placed; spares of the same model go."""
    instance, plain = one_busy_model()
    idle = Solution(plain.placement, plain.flows, np.zeros(3))
    assert busy_replicas(instance, idle).placement.replicas_per_model(2).tolist() == [1, 1]


@pytest.mark.parametrize("exclusive", [False, True])
def test_refilling_costs_nothing(exclusive: bool) -> None:
    """On random plans: the rules hold, locality stays, the squared loads never rise."""
    rng = np.random.default_rng(7)
    lower = 0
    for _ in range(25):
        sharing = GpuSharing(efficiency=(float(rng.choice([0.7, 1.0])),))
        instance = random_instance(rng, exclusive=exclusive, load_cap=2.0, sharing=sharing)
        choices = list(placements(instance))
        chosen = choices[int(rng.integers(len(choices)))]
        rows = [(m, s, i) for s, content in enumerate(chosen) for m, i in content]
        placement = Placement.sorted(*np.array(rows).T)
        routed = best_routing(instance, placement, SETTINGS)
        if routed is None:
            continue
        worth = evaluate(instance, routed).objective
        found = refill(instance, routed, evened(instance, worth * (1 - 1e-7)))
        assert violations(instance, found) == []
        assert evaluate(instance, found).objective >= worth * (1 - 1e-6)
        assert spread(instance, found) <= spread(instance, routed) + 1e-9
        lower += spread(instance, found) < spread(instance, routed) - 1e-6
    assert lower > 0


def test_relief_reaches_the_least_bottleneck_of_a_case_done_by_hand() -> None:
    """Work of 0.6 and 0.2 on two GPUs that both models fit on: 0.4 is the least there is."""
    instance, _ = one_busy_model()
    placement = Placement.sorted(np.array([0, 1, 1]), np.zeros(3), np.array([0, 0, 1]))
    load, start = least_bottleneck(instance, placement, SETTINGS)
    found, solution = relieve_bottleneck(instance, load, start, SETTINGS, Budget(), enough=0.0)
    assert load == pytest.approx(0.6)
    assert found == pytest.approx(0.4)
    assert gpu_loads(instance, solution.placement, solution.load) == pytest.approx([0.4, 0.4])


@pytest.mark.parametrize("seed", range(8))
def test_relief_keeps_every_rule_and_never_goes_below_what_brute_force_finds(seed: int) -> None:
    """Between the load given and the least of any placement, by a placement that is allowed."""
    rng = np.random.default_rng([7, seed])
    instance = random_instance(rng, exclusive=bool(seed % 2), load_cap=0.8)
    load, start = least_bottleneck(instance, greedy(instance), SETTINGS)
    found, solution = relieve_bottleneck(instance, load, start, SETTINGS, Budget(), enough=0.0)
    assert oracle.least_bottleneck(instance) * (1 - 1e-6) <= found <= load * (1 + 1e-9)
    assert violations(replace(instance, load_cap=found), solution) == []


def test_time_that_ends_within_a_round_keeps_the_earlier_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second round of relief is interrupted by a tick, and the first has reached 0.4."""
    instance, _ = one_busy_model()
    placement = Placement.sorted(np.array([0, 1, 1]), np.zeros(3), np.array([0, 0, 1]))
    load, start = least_bottleneck(instance, placement, SETTINGS)
    budget, rounds = Budget(1e9), []

    def filled(*given: Any) -> Placement:
        rounds.append(given)
        if len(rounds) > 1:
            raise OutOfTime
        return fill(*given)

    monkeypatch.setattr(spares, "fill", filled)
    with budget.bounded():
        found, _ = relieve_bottleneck(instance, load, start, SETTINGS, budget, enough=0.0)
        assert found == pytest.approx(0.4)
    assert len(rounds) == 2


def test_relief_stops_where_the_load_is_low_enough() -> None:
    """What was given comes back where it will do."""
    instance, _ = one_busy_model()
    load, start = least_bottleneck(instance, greedy(instance), SETTINGS)
    found = relieve_bottleneck(instance, load, start, SETTINGS, Budget(), enough=load)
    assert found == (load, start)
