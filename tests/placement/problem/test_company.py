"""Which models may stand together: the judge, the heuristics' room, and what they leave out."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest

from placement.heuristics.free_space import Room
from placement.heuristics.mending import mend
from placement.problem.cluster import Cluster
from placement.problem.company import Company
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.model_rules import ModelRules
from placement.problem.placement_rules import PlacementRules
from placement.problem.solution import Placement
from placement.problem.space import ServerSpace
from placement.problem.violations import placement_violations, rule_violations

RULES = PlacementRules(
    models={"a": ModelRules(apart_from=("b",)), "c": ModelRules(together_with=("a",))}
)


def instance(rules: PlacementRules = RULES, base_of: tuple[int, ...] = ()) -> Instance:
    """Models a, b, c of one GPU and 30 GB on two servers of two GPUs."""
    flow = WorkflowDemand("w", 1.0, np.arange(3), np.full(3, 0.1), np.zeros((0, 2), dtype=np.int64))
    return Instance(
        ("a", "b", "c"), np.ones(3, dtype=np.int64), np.full(3, 30.0), (flow,),
        Cluster.homogeneous(4, 2), placement_rules=rules, base_of=base_of,
    )  # fmt: skip


def test_the_judge_names_every_server_in_wrong_company() -> None:
    """All placements of a replica of each: as the definition says, server by server."""
    problem = instance()
    for a, b, c in product(range(2), repeat=3):
        found = rule_violations(problem, Placement.of([(0, a, 0), (1, b, 1), (2, c, 1)]))
        assert any("apart_from" in f for f in found) == (a == b)
        assert any("together_with" in f for f in found) == (c != a)


@pytest.mark.parametrize("base_of", [(), (-1, -1, 0)])
def test_mending_keeps_the_rules_wherever_it_begins(base_of: tuple[int, ...]) -> None:
    """From every placement of up to three replicas; c is also an adapter on a."""
    problem = instance(base_of=base_of)
    blocks = list(product(range(3), range(2), range(2)))
    for size in range(4):
        for held in combinations(blocks, size):
            mended = mend(problem, Placement.of(held))
            assert mended is not None
            assert placement_violations(problem, mended) == []


def test_a_base_stands_once_in_whatever_order_it_and_its_adapter_are_told() -> None:
    """Its memory is taken once, and what is left holds what it would hold."""
    problem = instance(PlacementRules(), (-1, -1, 0))
    kind = problem.cluster.server_types[0]
    one, other = (ServerSpace(problem, kind, held) for held in ([(0, 1), (2, 1)], [(2, 1), (0, 1)]))
    assert sorted(one.content) == sorted(other.content) == [(0, 1), (2, 1)]
    for m in range(3):
        assert one.fits(m).tolist() == other.fits(m).tolist()
    assert one.fits(1).tolist() == [True, False]


def test_an_adapter_without_its_base_gets_it_where_there_is_room() -> None:
    """c of 10 GB may have stood beside b of 60 on GPUs of 80: with its base of 30 it may not."""
    problem = replace(
        instance(PlacementRules(), (-1, -1, 0)), memory_per_gpu_gb=np.array([30.0, 60.0, 10.0])
    )
    blocks = list(product((1, 2), range(2), range(2)))
    moved = 0
    for size in range(2, 6):
        for held in combinations(blocks, size):
            mended = mend(problem, Placement.of(held))
            if mended is not None and {m for m, _, _ in held} == {1, 2}:
                assert placement_violations(problem, mended) == []
                moved += not set(held) <= set(mended.replicas())
    assert moved > 0


def test_an_adapter_brings_its_base_and_fits_by_both() -> None:
    """One GPU of 80 GB holds a base of 30 and an adapter of 30 beside it, and no third model."""
    problem = replace(instance(PlacementRules(), (-1, -1, 0)), cluster=Cluster.homogeneous(1, 1))
    space = ServerSpace(problem, problem.cluster.server_types[0])
    assert space.fits(2).tolist() == [True]
    space.put(2, 0)
    assert sorted(space.content) == [(0, 0), (2, 0)]
    assert space.fits(1).tolist() == [False]
    room = Room(problem)
    assert room.fits(2).tolist() == [[True]]
    room.put(2, 0, 0)
    assert room.placement().replicas() == [(0, 0, 0), (2, 0, 0)]
    assert room.fits(1).tolist() == [[False]]
    tight = replace(problem, memory_per_gpu_gb=np.array([60.0, 30.0, 30.0]))
    assert not ServerSpace(tight, tight.cluster.server_types[0]).fits(2).any()
    bare = placement_violations(problem, Placement.of([(2, 0, 0), (1, 0, 0)]))
    assert any("without its base a" in fault for fault in bare)


def test_what_breaks_a_rule_is_left_out() -> None:
    """Later ones beside their foes; who lacks company; an adapter without a base."""
    company = Company(apart=((0, 1),), together=((2, 3),), bases=((3, 4),))
    assert company.kept([(0, 0), (1, 1), (2, 0)]) == [(0, 0)]
    assert company.kept([(2, 0), (3, 1), (4, 0)]) == [(4, 0)]
    assert company.kept([(2, 0), (3, 1), (4, 1)]) == [(2, 0), (3, 1), (4, 1)]
