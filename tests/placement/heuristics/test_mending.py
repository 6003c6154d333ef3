"""Mending: what comes of it keeps every rule, and what keeps them already stays as it is."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from placement.heuristics.greedy import greedy
from placement.heuristics.mending import _Mending, mend
from placement.problem.cluster import Cluster, ServerType
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.model_rules import ModelRules
from placement.problem.placement_rules import PlacementRules
from placement.problem.solution import Placement
from placement.problem.violations import placement_violations, rule_violations
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


def in_company(seed: int) -> tuple[Instance, Placement]:
    """Models that want each other or do not, some pinned, one an adapter; and any placement."""
    rng = np.random.default_rng([seed, 2])
    instance = oracle.random_instance(rng, exclusive=False, load_cap=0.9)
    names, kind = instance.model_ids, instance.cluster.server_types[0]
    a, b = (names[m] for m in rng.permutation(len(names))[:2])
    wish = ({"apart_from": (b,)}, {"together_with": (b,)}, {})[seed % 3]
    models = {
        a: ModelRules(**wish, spread=int(rng.integers(1, 3))),
        b: ModelRules(max_replicas=int(rng.integers(2, 4)), min_replicas=int(rng.integers(1, 3))),
    }
    if seed % 4 == 0:
        instance = replace(
            instance,
            base_of=tuple(names.index(b) if name == a else -1 for name in names),
            gpus_required=np.ones(len(names), dtype=np.int64),
        )
        models = {b: models[b]}
    pinned = ((b, 0),) if seed % 5 < 2 else ()
    kinds = (replace(kind, pinned=pinned), *instance.cluster.server_types[1:])
    instance = replace(
        instance,
        cluster=replace(instance.cluster, server_types=kinds),
        placement_rules=PlacementRules(models=models),
    )
    rows = {
        (m, s, int(rng.integers(instance.cluster.server_gpus[s])))
        for s in range(instance.cluster.n_servers)
        for m in rng.permutation(instance.used_models)[: rng.integers(1, 4)].tolist()
    }
    room = {
        (m, s, i)
        for m, s, i in rows
        if i + instance.gpus_required[m] <= instance.cluster.server_gpus[s]
    }
    return instance, Placement.of(sorted(room))


def test_company_and_pins_are_kept_from_wherever_it_begins() -> None:
    """What comes of it breaks no rule, and mended again it stays; of 120, most can be mended."""
    found = 0
    for seed in range(120):
        instance, placement = in_company(seed)
        mended = mend(instance, placement)
        if mended is None:
            continue
        found += 1
        assert rule_violations(instance, mended) == [], seed
        assert mend(instance, mended) is mended
    assert found >= 72


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("ring", [False, True])
def test_who_needs_company_that_needs_company_finds_all_of_it(
    order: tuple[int, int, int], ring: bool
) -> None:
    """From nothing: the one server with room for three holds one of each in the end."""
    a, b, c = (f"m{m}" for m in order)
    wishes = {a: (b,), b: (c,), **({c: (a,)} if ring else {})}
    kinds = (ServerType("few", 1, 2, 80.0), ServerType("enough", 1, 3, 80.0))
    flows = tuple(
        WorkflowDemand(f"w{m}", 1.0, np.array([m]), np.array([0.1]), np.zeros((0, 2), np.int64))
        for m in range(3)
    )
    instance = Instance(
        ("m0", "m1", "m2"), np.ones(3, dtype=np.int64), np.full(3, 20.0), flows, Cluster(kinds),
        max_models_per_gpu=1,
        placement_rules=PlacementRules(
            models={m: ModelRules(together_with=others) for m, others in wishes.items()}
        ),
    )  # fmt: skip
    mended = mend(instance, Placement.of([]))
    assert mended is not None
    assert placement_violations(instance, mended) == []
    assert sorted(m for m, s, _ in mended.replicas() if s == 1) == [0, 1, 2]


def test_a_replica_is_spare_where_no_rule_misses_it() -> None:
    """Of placements that keep the rules: those without it keep them, too, and none else is."""
    spare = 0
    for seed in range(120):
        for instance, placement in (in_company(seed), (ruled(seed), greedy(ruled(seed)))):
            mended = mend(instance, placement)
            if mended is None or placement_violations(instance, mended):
                continue
            mending = _Mending(instance, mended)
            rows = mended.replicas()
            for row in rows:
                rest = Placement.of([other for other in rows if other != row])
                kept = placement_violations(instance, rest) == []
                assert mending.spare(row) == kept, (seed, row)
                spare += kept
    assert spare > 50
