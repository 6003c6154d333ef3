"""Mending: what comes of it keeps every rule, and what keeps them already stays as it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from placement.heuristics.greedy import greedy
from placement.heuristics.mending import mend
from placement.problem.instance import Instance
from placement.problem.model_rules import ModelRules
from placement.problem.placement_rules import PlacementRules
from placement.problem.violations import placement_violations
from tests.placement import oracle


def ruled(seed: int) -> Instance:
    """A tiny instance, and rules that the seed draws."""
    rng = np.random.default_rng(seed)
    instance = oracle.random_instance(rng, exclusive=bool(seed % 2), load_cap=0.9)
    models = {
        name: ModelRules(
            min_replicas=int(rng.integers(1, 4)),
            max_replicas=int(rng.integers(3, 5)),
            spread=int(rng.integers(1, instance.cluster.n_servers + 1)),
        )
        for name in instance.model_ids
        if rng.random() < 0.6
    }
    return replace(instance, placement_rules=PlacementRules(models=models))


def test_a_mended_placement_keeps_every_rule() -> None:
    """Of drawn rules most can be kept; where none is found, nothing is given."""
    found = 0
    for seed in range(60):
        instance = ruled(seed)
        placement = greedy(replace(instance, placement_rules=PlacementRules()))
        mended = mend(instance, placement)
        if mended is None:
            continue
        found += 1
        assert placement_violations(instance, mended) == [], seed
        assert mend(instance, mended) is mended
    assert found > 20


@pytest.mark.parametrize("seed", range(4))
def test_nothing_changes_without_rules(seed: int) -> None:
    instance = replace(ruled(seed), placement_rules=PlacementRules())
    placement = greedy(instance)
    assert mend(instance, placement) is placement
