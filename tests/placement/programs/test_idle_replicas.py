"""Replicas without load: left out where they would count, kept where a model has no other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from placement.problem.cluster import Cluster, GpuSharing, ServerType
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.names import Form
from placement.problem.outcome import SolveOptions
from placement.problem.solution import Flows, Placement, Solution, evaluate
from placement.problem.violations import violations
from placement.programs.idle_replicas import (
    busy_replicas,
    carries,
    loaded_placement,
    may_carry,
)
from placement.programs.routing import balance_routing, best_routing
from placement.solve import solve_instance
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


@pytest.mark.parametrize("cap", [0.5, 1.0, 8.0])
def test_of_replicas_without_load_one_of_a_model_stays_where_it_has_no_other(cap: float) -> None:
    """Whatever solvers leave on them, which is of the size of the cap where that is above 1."""
    instance = replace(two_gpus(0.5, 0.4), load_cap=cap)
    where = [(0, 0), (0, 1), (1, 0), (1, 1)]
    none, little = 0.0, 1e-3 * cap
    for load, stays in [
        ([little, none, none, little], [0, 3]),
        ([none, none, little, little], [0, 2, 3]),
        ([none, none, none, none], [0, 2]),
        ([3e-7 * cap, little, 3e-7 * cap, 3e-7 * cap], [1, 2]),
    ]:
        kept = busy_replicas(instance, placed(instance, where, load))
        assert kept.placement.replicas() == [(where[r][0], 0, where[r][1]) for r in stays]
        assert kept.load.tolist() == [load[r] for r in stays]


def test_a_model_keeps_its_replicas_where_none_has_load() -> None:
    """Where it has no work to speak of, it stands all the same; else the idle ones go."""
    instance = two_gpus(0.5, 1e-9)
    solution = placed(instance, [(0, 0), (1, 0), (0, 1)], [0.5, 1e-9, 0.0])
    carrying = carries(instance, solution.placement, solution.load)
    assert carrying.tolist() == [True, True, False]
    kept, busy = loaded_placement(instance, solution)
    assert (kept.model.tolist(), busy.tolist()) == ([0, 1], [True, True])
    serial = replace(instance, cluster=replace(instance.cluster, sharing=GpuSharing("serial")))
    assert loaded_placement(serial, solution)[0] is solution.placement


def test_no_bound_forbids_an_idle_replica_that_serves_calls_without_time() -> None:
    """It costs the GPU nothing, and keeps on one server what would cross: that plan is attained.

    Two servers of a GPU that two loaded replicas keep half of. `a` works 0.7 alone; beside `b`,
    which works 0.7 too, it only answers calls that take no time.
    """
    flows = (
        WorkflowDemand("w", 1.0, np.array([0]), np.array([0.7]), np.zeros((0, 2), np.int64)),
        WorkflowDemand("v", 1.0, np.array([1, 0]), np.array([0.7, 0.0]), np.array([[0, 1]])),
    )
    cluster = Cluster((ServerType("s", 2, 1, 80.0),), sharing=GpuSharing(efficiency=(0.5,)))
    ones = np.ones(2, dtype=np.int64)
    instance = Instance(("a", "b"), ones, np.full(2, 30.0), flows, cluster)
    where = Placement.sorted([0, 1, 0], [0, 1, 1], [0, 0, 0])
    workflow, node, server = np.array([[0, 0, 0], [1, 0, 1], [1, 1, 1]]).T
    rates = Flows(workflow, node, server, np.ones(3))
    load = np.where(where.server == 0, 0.7, np.where(where.model == 1, 0.7, 0.0))
    plan = Solution(where, rates, load)
    assert violations(instance, plan) == []
    worth = evaluate(instance, plan).objective
    assert worth == pytest.approx(1.0)
    for form in ("compact", "patterns"):
        found = solve_instance(instance, SolveOptions(form=form, threads=1, time_limit_s=None))  # type: ignore[arg-type]
        assert found.certificate.best_bound >= worth - 1e-9, form
        assert found.evaluation.objective == pytest.approx(worth), form
        assert violations(found.instance, found.solution) == [], form


def pinned_beside(limit: float) -> Instance:
    """By hand: a is pinned to the one GPU on which b may stand, and has a second to itself.

    Two that share a GPU keep `limit` of it; each has 0.7 to do.
    """
    first = ServerType("first", 1, 1, 80.0, pinned=(("a", 0),))
    second = ServerType("second", 1, 1, 80.0, closed_gpus=(("b", (0,)),))
    flows = tuple(
        WorkflowDemand(f"w{m}", 1.0, np.array([m]), np.array([0.7]), np.zeros((0, 2), np.int64))
        for m in range(2)
    )
    cluster = Cluster((first, second), sharing=GpuSharing(efficiency=(limit,)))
    return Instance(("a", "b"), np.ones(2, np.int64), np.full(2, 30.0), flows, cluster)


@pytest.mark.parametrize("form", ["auto", "compact", "patterns"])
def test_what_is_pinned_may_be_idle(form: Form) -> None:
    """And takes nothing off its GPU then: each model has one, in plan, bound and load."""
    instance = pinned_beside(0.5)
    assert not instance.idle_are_spare
    result = solve_instance(instance, SolveOptions(form=form))
    assert result.certificate.bottleneck_upper == pytest.approx(0.7)
    assert result.certificate.bottleneck_lower <= 0.7 + 1e-9
    assert result.certificate.status == "optimal"
    assert result.evaluation.objective == pytest.approx(1.0)
    assert violations(result.instance, result.solution) == []
    assert (0, 0, 0) in result.solution.placement.replicas()
