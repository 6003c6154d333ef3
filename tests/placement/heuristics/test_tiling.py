"""Large clusters placed as repetitions of small ones."""

from __future__ import annotations

import numpy as np
import pytest

from placement.heuristics.greedy import greedy
from placement.heuristics.tiling import repeat, repeated_greedy, shrink
from placement.problem.solution import Placement
from placement.problem.violations import placement_violations
from tests.placement.heuristics.cases import random_instance


def content(placement: Placement, server: int) -> list[tuple[int, int]]:
    mine = placement.server == server
    return sorted(zip(placement.model[mine].tolist(), placement.start[mine].tolist(), strict=True))


@pytest.mark.parametrize("factor", [2, 3, 7])
def test_the_fraction_has_as_much_to_do_for_each_gpu(factor: int) -> None:
    """Every type keeps a server; the load of a GPU stays."""
    instance = random_instance(1, servers=13, mixed_types=True)
    small = shrink(instance, factor)
    assert [t.count for t in small.cluster.server_types] == [13 // factor, 1]
    per_gpu = [i.offered_load.sum() / i.cluster.n_gpus for i in (instance, small)]
    assert per_gpu[0] == pytest.approx(per_gpu[1])


def test_servers_of_a_type_hold_the_small_contents_in_turn() -> None:
    """Each as often as the others, give or take one, and nothing else."""
    instance = random_instance(2, servers=13, mixed_types=True)
    small = shrink(instance, 4)
    found = greedy(small)
    large = repeat(instance, small, found)
    assert placement_violations(instance, large) == []
    for s in range(13):
        assert content(large, s) == content(found, s % 3)
    assert content(large, 13) == content(found, 3)


def test_a_large_cluster_repeats_itself_and_a_small_one_does_not() -> None:
    """Above the limit there are few contents; below it the placement is the greedy one."""
    instance = random_instance(4, servers=150, gpus=2, load=0.3)
    found = repeated_greedy(instance)
    assert placement_violations(instance, found) == []
    kinds = {tuple(content(found, s)) for s in range(150)}
    assert len(kinds) <= 75
    assert len(found.model) >= 150
    few = random_instance(4, servers=20, gpus=2, load=0.3)
    np.testing.assert_array_equal(repeated_greedy(few).model, greedy(few).model)
