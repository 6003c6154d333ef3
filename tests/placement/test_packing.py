"""The rules ``pack`` and ``spares``, against every placement of tiny clusters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from placement.packing import first_gpus_only
from placement.problem.cluster import Cluster
from placement.problem.instance import Instance
from placement.problem.outcome import SolveOptions, SolveResult
from placement.problem.placement_rules import PlacementRules
from placement.problem.solution import Placement, evaluate
from placement.problem.space import ServerSpace
from placement.problem.violations import placement_violations, violations
from placement.programs.routing import best_routing
from placement.solve import solve_instance
from placement.solver.milp import SolverSettings
from tests.placement.oracle import least_bottleneck, placements, random_instance

TARGET = 0.8


def ruled(seed: int, rules: PlacementRules, *, exclusive: bool) -> Instance:
    """A tiny instance that keeps the target, and a rule."""
    rng = np.random.default_rng(seed)
    while True:
        instance = random_instance(rng, exclusive=exclusive, load_cap=TARGET)
        if least_bottleneck(instance) <= TARGET * (1 - 1e-6):
            return replace(instance, placement_rules=rules)


def solved(instance: Instance) -> SolveResult:
    return solve_instance(instance, SolveOptions(max_utilization=TARGET))


def first_gpus(instance: Instance, gpus: int) -> Instance:
    """The instance with servers cut to the first GPUs of the cluster."""
    types = []
    for kind in (t for t in instance.cluster.server_types for _ in range(t.count)):
        here = min(kind.gpus, gpus)
        gpus -= here
        if here:
            types.append(replace(kind, count=1, gpus=here))
    return replace(instance, cluster=replace(instance.cluster, server_types=tuple(types)))


@pytest.mark.parametrize("seed", range(4))
def test_the_fewest_gpus_are_used(seed: int) -> None:
    """No fewer of the first GPUs hold a placement that keeps the target; and the plan does."""
    instance = ruled(seed, PlacementRules(pack=True), exclusive=bool(seed % 2))
    result = solved(instance)
    assert violations(result.instance, result.solution) == []
    assert result.certificate.load_cap == pytest.approx(TARGET)
    left = int(result.instance.cluster.usable_gpus.sum())
    for gpus in range(1, left):
        fewer = first_gpus(instance, gpus)
        held = next(placements(fewer), None) is not None
        assert not held or least_bottleneck(fewer) > TARGET * (1 + 1e-9), gpus
    assert least_bottleneck(first_gpus(instance, left)) <= TARGET * (1 + 1e-9)


def test_gpus_beyond_the_first_are_excluded() -> None:
    """Servers keep their numbers."""
    instance = replace(
        ruled(0, PlacementRules(), exclusive=True), cluster=Cluster.homogeneous(8, 3)
    )
    cluster = first_gpus_only(instance, 4).cluster
    assert cluster.usable_gpus.tolist() == [3, 1, 0]
    assert cluster.server_gpus.tolist() == [3, 3, 2]


@pytest.mark.parametrize("seed", range(4))
def test_not_one_replica_is_spare(seed: int) -> None:
    """Without any single one, the cap or the locality cannot be kept."""
    result = solved(ruled(seed, PlacementRules(spares="none"), exclusive=False))
    instance, worth = result.instance, result.evaluation.objective
    assert violations(instance, result.solution) == []
    for row in result.solution.placement.replicas():
        fewer = Placement.of(r for r in result.solution.placement.replicas() if r != row)
        if placement_violations(instance, fewer):
            continue
        routed = best_routing(instance, fewer, SolverSettings())
        assert routed is None or evaluate(instance, routed).objective < worth - 1e-6


@pytest.mark.parametrize("seed", range(4))
def test_spares_fill_the_memory(seed: int) -> None:
    """No replica of any model fits beside them, and locality is what it was."""
    rules = PlacementRules(spares="fill")
    instance = ruled(seed, rules, exclusive=bool(seed % 2))
    result = solved(instance)
    assert violations(result.instance, result.solution) == []
    plain = solved(replace(instance, placement_rules=PlacementRules()))
    assert result.evaluation.objective >= plain.evaluation.objective - 1e-3
    placement, cluster = result.solution.placement, instance.cluster
    for s in range(cluster.n_servers):
        held = [(m, i) for m, at, i in placement.replicas() if at == s]
        space = ServerSpace(instance, cluster.server_types[cluster.server_type[s]], held)
        assert not any(space.fits(m).any() for m in instance.used_models)
