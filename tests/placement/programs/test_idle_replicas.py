"""Replicas without load: left out where they would count, kept where a model has no other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from placement.problem.cluster import Cluster, GpuSharing, ServerType
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.solution import Flows, Placement, Solution
from placement.problem.violations import violations
from placement.programs.idle_replicas import carries, loaded_placement, may_carry
from placement.programs.routing import balance_routing, best_routing
from placement.solver.milp import SolverSettings
from tests.placement.oracle import EVEN

SETTINGS = SolverSettings(threads=1)
NOTHING = Flows(*(np.zeros(0, dtype=np.int64) for _ in range(3)), np.zeros(0))


def two_gpus(busy: float, quiet: float) -> Instance:
    """Two models of one GPU each on two GPUs that keep 0.9 where both share them."""
    flows = tuple(
        WorkflowDemand(f"w{m}", 1.0, np.array([m]), np.array([t]), np.zeros((0, 2), np.int64))
        for m, t in enumerate((busy, quiet))
    )
    cluster = Cluster((ServerType("s", 1, 2, 80.0),), sharing=GpuSharing(efficiency=(0.9,)))
    ones = np.ones(2, dtype=np.int64)
    return Instance(("busy", "quiet"), ones, np.full(2, 30.0), flows, cluster)


def placed(instance: Instance, rows: list[tuple[int, int]], load: list[float]) -> Solution:
    model, start = np.array(rows).T
    return Solution(Placement(model, np.zeros_like(model), start), NOTHING, np.array(load))


def test_spares_of_a_full_gpu_stay_idle_and_others_may_carry() -> None:
    """0.78 alone is within 0.8, and not beside a loaded spare; 0.4 is."""
    instance = two_gpus(0.78, 0.4)
    plain = placed(instance, [(0, 0), (1, 1)], [0.78, 0.4])
    filled = Placement.sorted([0, 1, 0, 1], np.zeros(4, int), [0, 0, 1, 1])
    carrying = may_carry(instance, filled, plain)
    assert carrying is not None
    assert (filled.model[~carrying].tolist(), filled.start[~carrying].tolist()) == ([1], [0])
    even = balance_routing(instance, filled, SETTINGS, least_locality=0.0, carrying=carrying)
    assert even is not None
    assert violations(instance, even) == []
    free = replace(instance, cluster=replace(instance.cluster, sharing=EVEN))
    assert may_carry(free, filled, plain) is None


def test_what_is_known_to_hold_is_routed_again_where_all_could_not() -> None:
    """Each model alone on a GPU keeps the cap; with spares that count as loaded nothing does."""
    instance = two_gpus(0.79, 0.79)
    plain = placed(instance, [(0, 0), (1, 1)], [0.79, 0.79])
    filled = Placement.sorted([0, 1, 0, 1], np.zeros(4, int), [0, 0, 1, 1])
    assert best_routing(instance, filled, SETTINGS) is None
    carrying = may_carry(instance, filled, plain)
    routed = best_routing(instance, filled, SETTINGS, carrying=carrying)
    assert routed is not None
    assert violations(instance, routed) == []


def test_a_model_keeps_its_replicas_where_none_has_load() -> None:
    """Where it has no work to speak of, it stands all the same; else the idle ones go."""
    instance = two_gpus(0.5, 1e-9)
    solution = placed(instance, [(0, 0), (1, 0), (0, 1)], [0.5, 1e-9, 0.0])
    carrying = carries(instance, solution.placement, solution.load)
    assert carrying.tolist() == [True, True, False]
    kept = loaded_placement(instance, solution)
    assert kept.model.tolist() == [0, 1]
    serial = replace(instance, cluster=replace(instance.cluster, sharing=GpuSharing("serial")))
    assert loaded_placement(serial, solution) is solution.placement
