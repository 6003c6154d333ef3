"""How many servers a goal needs: against every size tried, and against brute force."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from placement.problem.cluster import Cluster, ServerType
from placement.problem.outcome import SolveOptions
from placement.size import Goal, Size, Tail, fewest_servers, resized, servers_for_work, size_of
from tests.placement.oracle import best_locality, least_bottleneck, random_instance


@pytest.mark.parametrize("seed", range(40))
def test_the_search_finds_the_fewest(seed: int) -> None:
    """Against trying every size: the same answer, proof and curve, with few sizes tried."""
    rng = np.random.default_rng(seed)
    floor, most = int(rng.integers(1, 5)), int(rng.integers(5, 60))
    first_possible = int(rng.integers(1, most + 8))
    first_found = first_possible + int(rng.integers(0, 4))
    asked: list[int] = []

    def at(n: int) -> Size:
        asked.append(n)
        if n < first_possible:
            return Size(n, n, impossible="by a bound")
        return Size(n, n, missed=() if n >= first_found else ("not found",))

    sizing = fewest_servers(at, floor, most, beyond=2)
    assert [s.servers for s in sizing.sizes] == sorted(set(asked))
    assert len(asked) == len(set(asked))
    best = next((n for n in range(floor, most + 1) if at(n).meets), None)
    assert (None if sizing.fewest is None else sizing.fewest.servers) == best
    if best is not None:
        assert sizing.proven == (best in (floor, first_possible))
        assert {best + i for i in (1, 2) if best + i <= most} <= {s.servers for s in sizing.sizes}
        assert sizing.least_possible <= best


def test_sizes_are_tried_several_at_once_where_they_can() -> None:
    """What maps over several sizes is used for growing sizes and for the curve."""
    batches = []

    def mapped(at: object, sizes: Iterable[int]) -> Iterator[Size]:
        tried = list(sizes)
        batches.append(tried)
        return (Size(n, n, missed=() if n >= 5 else ("short",)) for n in tried)

    found = fewest_servers(lambda n: Size(n, n, missed=("short",)), 1, 20, beyond=1, mapped=mapped)
    assert batches == [[1, 2, 4, 8, 16, 20], [9]]
    assert found.fewest is not None
    assert found.fewest.servers == 8


def test_a_size_is_judged_as_brute_force_does() -> None:
    """Least load and best efficiency of every placement decide what is possible, and proven."""
    words = set()
    for seed in (0, 1, 2, 3, 8):
        rng = np.random.default_rng([7, seed])
        load = 0.4 if seed % 4 == 0 else 0.8
        instance = replace(random_instance(rng, exclusive=True, load_cap=load), alpha=1.0)
        goal = Goal(load=load, server_efficiency=float(rng.choice([0.3, 0.6, 0.9, 1.0])))
        size = size_of(instance, SolveOptions(time_limit_s=20.0), goal)
        wanted = goal.server_efficiency or 0.0
        if least_bottleneck(instance) > load * (1 + 1e-6):
            assert size.impossible is not None
            assert "busy" in size.impossible
            words.add("load")
            continue
        best = best_locality(instance)
        assert size.meets == (best >= wanted - 1e-6)
        assert size.most_efficiency is not None
        assert size.most_efficiency >= best - 1e-6
        words.add("met" if size.meets else "efficiency")
        assert size.meets or size.impossible is not None
    assert words == {"load", "met", "efficiency"}


def test_the_work_alone_needs_so_many() -> None:
    """By hand: 6.5 GPUs of work at 80 % on servers of two, beside one of another type."""
    instance = random_instance(np.random.default_rng(0), exclusive=True, load_cap=0.8)
    load = float(instance.offered_load.sum())
    flows = tuple(replace(w, rate=w.rate * 6.5 / load) for w in instance.workflows)
    types = (ServerType("old", 1, 1, 80.0, 0.5), ServerType("new", 1, 2, 80.0))
    instance = replace(instance, workflows=flows, cluster=Cluster(types))
    # 6.5 / 0.8 = 8.125 GPUs; half of one is there; four servers of two are too few.
    assert servers_for_work(instance, 1, 0.8) == 4
    assert servers_for_work(instance, 1, 0.65) == 5
    assert servers_for_work(instance, 0, 0.8) == 13
    assert resized(instance.cluster, 1, 4).n_gpus == 9


def test_a_tail_that_is_too_long_is_missed_and_proves_nothing() -> None:
    """The larger of the trace's P99 and the mean of others counts."""
    instance = random_instance(np.random.default_rng(1), exclusive=True, load_cap=1.0)
    flows = tuple(replace(w, rate=w.rate / 100) for w in instance.workflows)
    instance = replace(instance, workflows=flows)
    goal = Goal(load=1.0, p99_s=5.0)
    options = SolveOptions(time_limit_s=10.0)
    short = size_of(instance, options, goal, lambda _: Tail(4.0, 4.9, 3.0, 6.8))
    long = size_of(instance, options, goal, lambda _: Tail(4.0, 5.1, 3.0, 6.8))
    assert short.meets
    assert (long.missed, long.impossible) == (("P99 of 5.1 s",), None)
    with pytest.raises(ValueError, match="P99"):
        size_of(instance, options, goal)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"load": x} for x in (0.0, 1.0 + 1e-9)),
        *({"server_efficiency": x} for x in (0.0, 1.0 + 1e-9, 60.0)),
        *({"p99_s": x} for x in (-1.0, 0.0, float("inf"), float("nan"))),
    ],
)
def test_goals_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    """In a sentence that gives the range; what is at its edge is not."""
    assert Goal(load=1.0, server_efficiency=1.0, p99_s=1e-9).text.count("100.0%") == 2
    with pytest.raises(ValueError, match="give a"):
        Goal(**wrong)
