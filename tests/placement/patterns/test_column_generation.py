"""Column generation: it ends where its parameters say, with a bound that holds all the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from placement.params.search_params import DEFAULTS
from placement.patterns.column_generation import Pool, Pricers, Relaxation, Until, generate
from placement.patterns.initial_patterns import first_patterns
from placement.patterns.master_rows import rounding_rows
from placement.patterns.pattern import Pattern
from placement.patterns.pricing.content_list import listed_contents
from placement.patterns.pricing.contents import ContentDraft
from placement.patterns.pricing.knapsack import knapsacks
from placement.patterns.pricing.problems import counted
from placement.patterns.proven_bound import ProvenBound
from placement.problem.instance import Instance
from placement.problem.normalization import normalize
from placement.problem.outcome import relative_gap
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from tests.placement.heuristics.cases import random_instance


@pytest.mark.parametrize("seed", [1, 2])
def test_rounds_and_patterns_are_no_more_than_the_parameters_allow(seed: int) -> None:
    """One round proves a bound, if a looser one than all; a full pool takes no pattern more."""
    instance = normalize(random_instance(seed, servers=3, load=0.4))
    pools = []
    for rounds in (DEFAULTS.column_generation.rounds, 1):
        params = DEFAULTS.changed({"column_generation": {"rounds": rounds, "patterns": 30}})
        pool = Pool(ProvenBound(rounding_rows(instance)), params=params.column_generation)
        pool = pool.having(first_patterns(instance))
        settings = SolverSettings(params=params)
        pools.append(generate(instance, settings, Budget(), pool, Until(1e-9)))
    whole, one = pools
    assert one.rounds == 1 < whole.rounds
    assert whole.best_bound <= one.best_bound < float("inf")
    assert len(one.patterns) <= len(whole.patterns) <= 30


def drawn(*numbers: int) -> dict[Pattern, None]:
    """Patterns by number, none of them empty."""
    return {Pattern(0, ((n, 0),)): None for n in numbers}


def test_a_pool_takes_what_is_new_in_order_until_it_is_full() -> None:
    """What is known, or holds nothing, is no pattern more; a pool without a new one is the same."""
    params = replace(DEFAULTS.column_generation, patterns=3)
    pool = Pool(params=params).having(drawn(2, 0))
    assert pool.having([*drawn(0), Pattern(0, ())]) is pool
    more = pool.having([Pattern(0, ()), *drawn(2, 5, 7, 1)])
    assert list(more.patterns) == list(drawn(2, 0, 5))
    assert list(pool.patterns) == list(drawn(2, 0))
    assert more.having(drawn(9)) is more


def test_patterns_of_no_use_are_set_aside_where_there_are_many() -> None:
    """Those of fewer servers than a part of the most used one's; few are all kept."""
    a, b, c, d = drawn(0, 1, 2, 3)
    used = Relaxation(0.5, {a: 4.0, b: 0.4, c: 0.41})
    for few, kept, aside in ((3, [a, c], [b, d]), (4, [a, b, c, d], [])):
        params = replace(DEFAULTS.column_generation, few_patterns=few, unused=0.1)
        pool = replace(Pool(params=params), relaxed=used).having([a, b, c, d]).set_aside()
        assert list(pool.patterns) == kept
        assert list(pool.reserve) == aside


class Recorded:
    """A pricing problem, or a knapsack, that notes when it is solved and how closely."""

    placed = False
    central = False

    def __init__(self, name: str, pricing: Any, log: list[tuple[str, float]]) -> None:
        self.name, self.pricing, self.log = name, pricing, log
        self.rows = getattr(pricing, "rows", ())

    def solve(self, *given: Any, gap: float = 0.0) -> Any:
        """Solve it, and note that."""
        self.log.append((self.name, gap))
        return (
            self.pricing.solve(*given)
            if self.name == "quick"
            else self.pricing.solve(*given, gap=gap)
        )


def begun(seed: int, **changed: Any) -> tuple[Instance, Pool]:
    """An instance of one server type, and patterns of one model each: there is much to find."""
    instance = normalize(random_instance(seed, servers=4, workflows=4, load=0.6))
    params = replace(DEFAULTS.column_generation, **changed)
    pool = Pool(ProvenBound(rounding_rows(instance)), params=params)
    alone = [p for p in first_patterns(instance) if len(p.models) == 1]
    return instance, pool.having(alone)


def rounds_of(
    seed: int, kinds: Sequence[str], until: Until, **changed: Any
) -> tuple[Pool, list[list[tuple[str, float]]], list[Pool]]:
    """The last pool, what was priced in each round, and the pool after it."""
    instance, pool = begun(seed, **changed)
    log: list[tuple[str, float]] = []
    made = {
        "quick": knapsacks(instance),
        "draft": [ContentDraft(c, pool.rows) for c in listed_contents(instance)],
        "exact": counted(instance, pool.rows, DEFAULTS),
    }
    quick, drafts, exact = (
        [Recorded(name, p, log) for p in made[name]] if name in kinds else () for name in made
    )
    rounds: list[list[tuple[str, float]]] = []
    pools: list[Pool] = []

    def report(now: Pool) -> None:
        rounds.append(list(log))
        pools.append(now)
        log.clear()

    params = DEFAULTS.changed({"column_generation": changed})
    last = generate(
        instance,
        SolverSettings(params=params),
        Budget(),
        pool,
        until,
        Pricers(exact, quick, drafts),
        report=report,
    )
    return last, rounds, pools


@pytest.mark.parametrize("seed", [1, 4])
def test_what_is_quick_is_priced_first_and_proofs_last(seed: int) -> None:
    """Knapsacks alone until they find nothing; then drafts before proofs, the coarse one first."""
    last, rounds, pools = rounds_of(seed, ["quick", "draft", "exact"], Until(1e-6))
    names = [[name for name, _ in round_] for round_ in rounds]
    first = next(i for i, each in enumerate(names) if "exact" in each)
    assert all(set(each) == {"quick"} for each in names[:first])
    assert all("quick" not in each for each in names[first + 1 :])
    for each in names[first:]:
        ranks = [["quick", "draft", "exact"].index(name) for name in each]
        assert ranks == sorted(ranks)
    for each in rounds:
        gaps = [gap for name, gap in each if name == "exact"]
        assert gaps == sorted(gaps, reverse=True)
    assert relative_gap(last.relaxation, last.best_bound) <= 1e-6
    assert [p.rounds for p in pools] == list(range(1, len(pools) + 1))
    for before, after in pairwise([*pools, last]):
        assert after.best_bound <= before.best_bound
        assert len(after.patterns) >= len(before.patterns)


def test_quick_rounds_are_proven_now_and_then() -> None:
    """With a proof after every round of knapsacks, each round has one."""
    _, rounds, _ = rounds_of(1, ["quick", "exact"], Until(1e-6), quick_rounds=1)
    assert all("exact" in [name for name, _ in each] for each in rounds)


@pytest.mark.parametrize("seed", [1, 4])
def test_generation_ends_where_it_is_told(seed: int) -> None:
    """After so many proofs, at a bound that is enough, or at the gap; not before."""
    whole, rounds, pools = rounds_of(seed, ["exact"], Until(1e-6))
    assert len(rounds) > 2
    for proofs in (1, 2):
        one, few, _ = rounds_of(seed, ["exact"], Until(1e-6, proofs=proofs))
        assert len(few) == proofs
        assert one.best_bound == pools[proofs - 1].best_bound
    loose = Until(relative_gap(pools[-2].relaxation, pools[-2].best_bound) + 1e-9)
    assert len(rounds_of(seed, ["exact"], loose)[1]) < len(rounds)
    enough = Until(1e-6, enough=max(p.best_bound for p in pools))
    assert len(rounds_of(seed, ["exact"], enough)[1]) == 1
    assert whole.best_bound < pools[0].best_bound


def test_a_bound_that_hardly_can_fall_is_not_waited_for() -> None:
    """Within a part of the way from the relaxation to what is enough, generation ends."""
    _, rounds, pools = rounds_of(1, ["exact"], Until(1e-9))
    low = pools[-1].relaxation - 0.2
    for leeway in (0.0, 1.0):
        until = Until(1e-9, enough=low)
        _, few, after = rounds_of(1, ["exact"], until, leeway=leeway)
        assert (len(few) < len(rounds)) == bool(leeway)
        close = [p.best_bound - p.relaxation <= leeway * (p.relaxation - low) for p in after]
        assert not any(close[:-1])


def test_no_pattern_is_worth_more_than_those_in_use() -> None:
    """At the corner that a relaxation ends with, no reduced cost is positive, and theirs is 0."""
    instance, pool = begun(1)
    settings = SolverSettings()
    free = generate(instance, settings, Budget(), pool, Until(1e-9))
    assert max(free.reduced.values()) <= 1e-6
    assert all(abs(free.reduced[p]) <= 1e-6 for p in free.fractions)
