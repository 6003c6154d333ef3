"""A plan under other numbers is the plan, and under those that are found most of it stays."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from placement.migration import Block, blocks, migration
from placement.problem.cluster import Cluster
from placement.problem.plan import Plan
from placement.problem.solution import Placement, evaluate
from placement.problem.violations import violations
from placement.renumbering import renumbered
from tests.placement.running import memory_gb, plan


def shuffled(plan: Plan, seed: int) -> Plan:
    """The plan with the servers of each type in another order."""
    rng = np.random.default_rng(seed)
    number = np.arange(plan.cluster.n_servers)
    for t in range(len(plan.cluster.server_types)):
        mine = np.flatnonzero(plan.cluster.server_type == t)
        number[mine] = rng.permutation(mine)
    p = plan.placement
    placement, order = Placement.in_order(p.model, number[p.server], p.start)
    return replace(plan, placement=placement, load=plan.load[order])


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("mixed", [True, False])
def test_a_plan_with_other_numbers_is_the_plan(exclusive: bool, mixed: bool) -> None:
    """Whatever the order of its servers, nothing moves; the order is what was lost."""
    old = plan(0, 6, exclusive=exclusive, mixed=mixed)
    for seed in range(3):
        new = shuffled(old, seed)
        assert migration(old, new).loaded or new.placement == old.placement
        assert renumbered(new, old).placement == old.placement
        assert not migration(old, renumbered(new, old)).steps
    assert renumbered(old, old) == old


@pytest.mark.parametrize("seed", range(1, 5))
@pytest.mark.parametrize("exclusive", [True, False])
def test_no_numbering_keeps_more(seed: int, exclusive: bool) -> None:
    """Against every permutation of four servers; laying out anew can only add."""
    old, new = plan(0, exclusive=exclusive), plan(seed, exclusive=exclusive)

    def kept_gb(numbers: tuple[int, ...]) -> float:
        moved = Counter(replace_server(b, numbers[b.server]) for b in blocks(new))
        stay = moved & Counter(blocks(old))
        return sum(memory_gb(new, b) for b in stay.elements())

    best = max(kept_gb(numbers) for numbers in permutations(range(4)))
    found = migration(old, renumbered(new, old))
    kept = sum(memory_gb(new, b) for b in found.kept)
    assert kept >= best - 1e-9
    if not exclusive:
        assert kept == pytest.approx(best)


def replace_server(block: Block, server: int) -> Block:
    return replace(block, server=server)


@pytest.mark.parametrize("seed", range(1, 5))
@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("mixed", [True, False])
def test_a_renumbered_plan_serves_as_well(seed: int, exclusive: bool, mixed: bool) -> None:
    """Its rates, loads and localities are those of the plan, and no rule is broken."""
    old = plan(0, 6, exclusive=exclusive, mixed=mixed)
    new = plan(seed, 6, exclusive=exclusive, mixed=mixed)
    moved = renumbered(new, old)
    assert violations(moved.instance, moved.solution()) == []
    before, after = (evaluate(p.instance, p.solution()) for p in (new, moved))
    assert after.objective == pytest.approx(before.objective, abs=1e-12)
    np.testing.assert_allclose(np.sort(after.gpu_load), np.sort(before.gpu_load), atol=1e-12)


def test_other_servers_are_refused() -> None:
    """Though there are as many."""
    other = replace(plan(0).instance, cluster=Cluster.homogeneous(32, 8, 40.0))
    with pytest.raises(ValueError, match="same servers"):
        renumbered(plan(0), replace(plan(0), instance=other))
