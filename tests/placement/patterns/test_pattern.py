"""Patterns: what a placement is made of, put together again, and laid out by the rules of space."""

from __future__ import annotations

import numpy as np
import pytest

from placement.patterns.pattern import Pattern, canonical, expand, fill, lay_out, patterns_of
from placement.patterns.pattern import proportional as in_proportion
from placement.problem.violations import placement_violations
from tests.placement import oracle
from tests.placement.cases import drawn_placement


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_placement_is_its_patterns(exclusive: bool) -> None:
    """Expanded, they hold the same on as many servers of each type, by the same rules."""
    for seed in range(30):
        rng = np.random.default_rng([seed, exclusive])
        instance = oracle.random_instance(rng, exclusive=exclusive, load_cap=1.0)
        placement, contents = drawn_placement(instance, rng)
        found = patterns_of(instance, placement)
        assert sum(found.values()) == instance.cluster.n_servers
        again = expand(instance, found)
        assert placement_violations(instance, again) == []
        assert patterns_of(instance, again) == found
        held = sorted(sorted(m for m, _ in content) for content in contents)
        counted = sorted(
            sorted(m for m, n in p.counts().items() for _ in range(n))
            for p, servers in found.items()
            for _ in range(servers)
        )
        assert counted == held


def test_more_servers_than_there_are_are_refused() -> None:
    """A type has so many servers and no more."""
    instance = oracle.random_instance(np.random.default_rng(0), exclusive=True, load_cap=1.0)
    count = instance.cluster.server_types[0].count
    pattern = Pattern(0, ((instance.used_models[0], 0),))
    with pytest.raises(ValueError, match="more servers"):
        expand(instance, {pattern: count + 1})


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_layout_keeps_the_rules_and_leaves_no_room_for_what_is_left(exclusive: bool) -> None:
    """Of the replicas wanted one is missing only where the server has no block for it."""
    missing = 0
    for seed in range(60):
        rng = np.random.default_rng([seed, exclusive])
        instance = oracle.random_instance(rng, exclusive=exclusive, load_cap=1.0)
        wanted = {m: int(rng.integers(0, 4)) for m in instance.used_models}
        pattern = lay_out(instance, 0, wanted)
        broken = placement_violations(instance, expand(instance, {pattern: 1}))
        assert [b for b in broken if "without a replica" not in b] == []
        counts = pattern.counts()
        assert all(counts.get(m, 0) <= n for m, n in wanted.items())
        short = [m for m, n in wanted.items() if counts.get(m, 0) < n]
        missing += bool(short)
        assert fill(instance, 0, short, counts).counts() == counts
    assert missing > 5


def test_exclusive_contents_of_equal_counts_are_one_pattern() -> None:
    """Wherever the blocks stood; shared ones keep their places."""
    for exclusive in (True, False):
        instance = oracle.random_instance(
            np.random.default_rng(11), exclusive=exclusive, load_cap=1.0
        )
        m = next(m for m in instance.used_models)
        moved = [canonical(instance, 0, [(m, i)]) for i in (0, 1)]
        assert (moved[0] == moved[1]) == exclusive


def test_replicas_follow_the_work() -> None:
    """No model has a replica more than another whose replicas would each do more."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        instance = oracle.random_instance(rng, exclusive=True, load_cap=1.0)
        work = {m: float(rng.uniform(0.1, 3.0)) for m in instance.used_models}
        pattern = in_proportion(instance, 0, work)
        if pattern is None:
            need = sum(int(instance.gpus_required[m]) for m in work)
            assert need > instance.cluster.server_types[0].gpus
            continue
        count = pattern.counts()
        assert set(count) == set(work)
        free = instance.cluster.server_types[0].gpus - sum(
            n * int(instance.gpus_required[m]) for m, n in count.items()
        )
        # A free block would have gone to any model of its size.
        assert all(instance.gpus_required[m] > free for m in work)
