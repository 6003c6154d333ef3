"""Rules that cannot hold together: the error names a smallest set of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from placement.problem.cluster import Cluster, ServerType
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.model_rules import ModelRules
from placement.problem.outcome import Infeasible
from placement.problem.placement_rules import PlacementRules
from placement.problem.solution import Placement
from placement.problem.violations import rule_violations
from placement.programs.keeping import ensure_rules, keep_rules, smallest_conflict
from placement.solver.milp import SolverSettings

SETTINGS = SolverSettings()


def four_gpus(**models: ModelRules) -> Instance:
    """Models a, b and c, one GPU each, on two exclusive servers of two GPUs."""
    return Instance(
        model_ids=("a", "b", "c"),
        gpus_required=np.ones(3, dtype=np.int64),
        memory_per_gpu_gb=np.full(3, 50.0),
        workflows=(
            WorkflowDemand("w", 1.0, np.arange(3), np.full(3, 0.1), np.array([(0, 1), (1, 2)])),
        ),
        cluster=Cluster((ServerType("s", 2, 2, 80.0),)),
        exclusive=True,
        placement_rules=PlacementRules(models=models),
    )


@pytest.mark.parametrize(
    ("models", "conflict"),
    [
        ({"a": ModelRules(min_replicas=3)}, {("a", "min_replicas")}),
        ({"a": ModelRules(spread=3)}, {("a", "spread")}),
        (
            {"a": ModelRules(min_replicas=2), "b": ModelRules(min_replicas=2, max_replicas=3)},
            {("a", "min_replicas"), ("b", "min_replicas")},
        ),
        (
            {"a": ModelRules(spread=2), "b": ModelRules(spread=2), "c": ModelRules(max_replicas=2)},
            {("a", "spread"), ("b", "spread")},
        ),
    ],
)
def test_the_conflict_is_a_smallest_one(
    models: dict[str, ModelRules], conflict: set[tuple[str, str]]
) -> None:
    instance = four_gpus(**models)
    found = smallest_conflict(instance, SETTINGS)
    assert set(found) == {f"{k} {getattr(models[n], k)} of model {n}" for n, k in conflict}
    with pytest.raises(Infeasible) as caught:
        ensure_rules(instance, SETTINGS)
    for name, key in conflict:
        assert f"{key} {getattr(models[name], key)} of model {name}" in str(caught.value)
    for name, key in conflict:
        rules = instance.placement_rules.without(name, key)
        ensure_rules(replace(instance, placement_rules=rules), SETTINGS)


def test_what_mending_cannot_do_the_program_does() -> None:
    """a on both servers: b and c fill one of them, and one of the two has to move."""
    instance = four_gpus(
        a=ModelRules(spread=2, max_replicas=2), b=ModelRules(max_replicas=1), c=ModelRules(spread=1)
    )
    placement = Placement.sorted(np.array([0, 1, 2]), np.array([1, 0, 0]), np.array([0, 0, 1]))
    kept = keep_rules(instance, placement, SETTINGS)
    assert rule_violations(instance, kept) == []
    assert kept.replicas_per_model(3).tolist() == [2, 1, 1]


@pytest.mark.parametrize("exclusive", [True, False])
def test_pins_that_do_not_fit_beside_each_other_conflict(*, exclusive: bool) -> None:
    """Replicas of 50 GB are pinned to one GPU of 80 GB: both stand at first, and neither can go."""
    kind = ServerType("s", 2, 2, 80.0, pinned=(("a", 0), ("b", 0)))
    instance = replace(four_gpus(), cluster=Cluster((kind,)), exclusive=exclusive)
    with pytest.raises(Infeasible, match="pinned of model a; pinned of model b"):
        ensure_rules(instance, SETTINGS)
    roomy = replace(instance, memory_per_gpu_gb=np.full(3, 25.0))
    if not exclusive:
        ensure_rules(roomy, SETTINGS)
