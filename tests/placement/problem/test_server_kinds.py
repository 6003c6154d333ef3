"""Servers that rules tell apart: types of their own, with the numbers that they had."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from placement.problem.cluster import Cluster, ServerType
from placement.problem.model_rules import ModelRules, Sites
from placement.problem.placement_rules import PlacementRules
from placement.problem.server_kinds import apply_rules

TWO = Cluster((ServerType("a", 4, 2, 80.0), ServerType("b", 2, 3, 40.0, 2.0)))


@pytest.mark.parametrize(
    ("excluded", "names"),
    [
        ((), ["a", "b"]),
        (((0, (1,)),), ["a[0]", "a[1-3]", "b"]),
        (((2, (1,)),), ["a[0-1]", "a[2]", "a[3]", "b"]),
        (((1, (0,)), (2, (0,))), ["a[0]", "a[1-2]", "a[3]", "b"]),
        (((4, (2,)), (5, (2,))), ["a", "b"]),
        (((3, (0,)), (4, (0,))), ["a[0-2]", "a[3]", "b[4]", "b[5]"]),
    ],
)
def test_runs_of_equal_servers_are_types(
    excluded: tuple[tuple[int, tuple[int, ...]], ...], names: list[str]
) -> None:
    """What is alike stays together; where all of a type are alike, it keeps its name."""
    cluster = apply_rules(TWO, PlacementRules(excluded))
    assert [t.name for t in cluster.server_types] == names
    assert [t.type_name for t in cluster.server_types] == [n[0] for n in names]


def test_servers_keep_their_numbers_and_all_else() -> None:
    """Only what the rules say of a server changes."""
    cluster = apply_rules(TWO, PlacementRules(((5, (0, 2)), (1, (1,)), (5, (1,)))))
    kinds = [cluster.server_types[t] for t in cluster.server_type]
    before = [TWO.server_types[t] for t in TWO.server_type]
    assert [k.excluded_gpus for k in kinds] == [(), (1,), (), (), (), (0, 1, 2)]
    for now, then in zip(kinds, before, strict=True):
        assert replace(now, name=then.name, count=then.count, excluded_gpus=(), family="") == then
    assert np.array_equal(cluster.first_gpu, TWO.first_gpu)
    assert cluster.usable_gpus.tolist() == [2, 1, 2, 2, 3, 0]


def test_what_a_model_may_stand_on() -> None:
    """Allowed and forbidden hold together; servers that they name differ from the rest."""
    rules = PlacementRules(
        models={
            "m": ModelRules(allowed=Sites(("a",), (5,)), forbidden=Sites(gpus=(0,))),
            "n": ModelRules(forbidden=Sites(("b",)), pinned=((0, (0, 1)),)),
        },
        domains=(("a", ((0, 1),)),),
    )
    cluster = apply_rules(TWO, rules)
    kinds = [cluster.server_types[t] for t in cluster.server_type]
    assert [k.closed_to("m") for k in kinds] == [(0,)] * 4 + [(0, 1, 2), (0,)]
    assert [k.closed_to("n") for k in kinds] == [()] * 4 + [(0, 1, 2)] * 2
    assert [k.pinned for k in kinds] == [(("n", 0),)] + [()] * 5
    assert [k.domains for k in kinds] == [((0, 1),)] * 4 + [()] * 2
    assert apply_rules(cluster, rules) == cluster


def test_rules_are_applied_once() -> None:
    """A cluster that a plan holds already is as the rules leave it."""
    rules = PlacementRules(((2, (1,)), (4, (0,))))
    once = apply_rules(TWO, rules)
    assert apply_rules(once, rules) == once
