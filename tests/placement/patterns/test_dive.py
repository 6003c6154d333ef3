"""Dives against brute force: plans that are there, mostly the best, the same once more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from placement.heuristics import HEURISTICS
from placement.improve import large_neighbourhood
from placement.params.search_params import DEFAULTS
from placement.patterns import dive as dives
from placement.patterns import schedule
from placement.patterns.bounding import add_patterns
from placement.patterns.column_generation import Pool
from placement.patterns.columns.annealed_contents import AnnealedContents
from placement.patterns.dive import dive
from placement.patterns.incumbent import Findings, Incumbent, Search, incumbent_of
from placement.patterns.initial_patterns import first_patterns
from placement.patterns.master_rows import standing_rows
from placement.patterns.pattern import patterns_of
from placement.patterns.proposing import mend_end, start_beyond
from placement.patterns.proven_bound import ProvenBound
from placement.problem.instance import Instance
from placement.problem.normalization import normalize
from placement.problem.solution import Placement, Solution, evaluate
from placement.problem.violations import violations
from placement.programs.routing import best_routing, elastic_routing, shortfall
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from tests.placement import oracle
from tests.placement.cases import case

HIGHS = SolverSettings(threads=1)


def search_of(instance: Instance, *, seconds: float | None = None, priced: bool = True) -> Search:
    """A search with the patterns that annealing finds, and the greedy plan if it is one."""
    normal, placed = normalize(instance), HEURISTICS["greedy"](instance, 0, None)
    pool = Pool(ProvenBound(standing_rows(normal))).having(first_patterns(normal))
    kinds = range(len(normal.cluster.server_types))
    search = Search(
        instance=instance,
        normal=normal,
        settings=HIGHS,
        budget=Budget(),
        gap=0.0,
        progress=None,
        findings=Findings(pool, incumbent_of(instance, best_routing(instance, placed, HIGHS))),
        knapsacks=[AnnealedContents(normal, t, DEFAULTS.columns, 0) for t in kinds],
    )
    if priced:
        add_patterns(search, ())
    return search if seconds is None else replace(search, budget=Budget(seconds))


def test_a_dive_ends_at_plans_that_are_there_and_mostly_the_best() -> None:
    """On tiny clusters: no better than brute force, and what is unserved is told."""
    whole = best = 0
    for seed in range(24):
        instance = case(seed, exclusive=False)
        found = dive(search_of(instance))
        assert found is not None, seed
        missing, worth = shortfall(instance, found), evaluate(instance, found).objective
        broken = violations(instance, found)
        if missing > 0:
            assert broken, seed  # of the demand
            continue
        most = oracle.best_locality(instance)
        assert broken == [], seed
        assert worth <= most + 1e-6, seed
        whole += 1
        best += worth >= most - 1e-4
    assert whole >= 16, whole
    assert best >= 0.7 * whole, (best, whole)


@pytest.mark.parametrize("seed", [1, 8])
def test_a_dive_fixes_no_more_servers_than_there_are_and_the_same_ones_again(seed: int) -> None:
    """Of every type; the patterns go to the pool."""
    instance = case(seed, exclusive=False)
    first, second = search_of(instance), search_of(instance)
    found, again = dive(first), dive(second)
    assert found is not None
    assert again is not None
    held = patterns_of(instance, found.placement)
    for t, kind in enumerate(instance.cluster.server_types):
        assert sum(n for p, n in held.items() if p.kind == t) <= kind.count
    assert held == patterns_of(instance, again.placement)
    assert first.pool.patterns.keys() == second.pool.patterns.keys()


def test_there_is_no_dive_without_time() -> None:
    """A part of the servers is no plan."""
    assert dive(search_of(case(1, exclusive=False), seconds=0.0)) is None


def all_torn(seeds: int) -> Iterator[tuple[int, Search, Solution]]:
    """Searches with a plan, and that plan without one of its servers, where demand misses it."""
    for seed in range(seeds):
        search = search_of(case(seed, exclusive=False))
        if search.best is None:
            continue
        instance, placed = search.instance, search.best.placement
        stays = placed.server != seed % instance.cluster.n_servers
        less = Placement(placed.model[stays], placed.server[stays], placed.start[stays])
        end = elastic_routing(instance, less, HIGHS)
        if end is not None and shortfall(instance, end) > 0:
            yield seed, search, end


def test_of_the_ends_of_a_dive_a_plan_comes_before_what_is_worth_more_but_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However cheap it is to leave demand unserved; and what is found is kept at once."""
    monkeypatch.setattr(large_neighbourhood, "SHORTFALL_PRICE", -100.0)
    seen = 0
    for seed, search, end in all_torn(12):
        instance = search.instance
        assert search.best is not None
        ends = [patterns_of(instance, x.placement) for x in (end, search.best, end)]
        monkeypatch.setattr(dives, "_ends", lambda _, ends=ends: ends)
        search = replace(search, findings=Findings(search.pool, Incumbent()))
        found = dive(search)
        assert found is not None
        assert shortfall(instance, found) == 0, seed
        assert violations(instance, found) == [], seed
        assert search.worth == evaluate(instance, found).objective
        seen += 1
    assert seen


def test_an_end_is_mended_where_it_is_no_plan_and_only_plans_are_kept() -> None:
    """From a server emptied: what leaves demand unserved is a start, and never an incumbent."""
    mended = 0
    for seed, search, end in all_torn(12):
        instance = search.instance
        assert search.best is not None
        worthless = Incumbent(search.best, -100.0)
        search = replace(search, findings=Findings(search.pool, worthless))
        mend_end(search, end)
        assert search.best is not None
        assert violations(instance, search.best) == [], seed
        assert search.worth <= oracle.best_locality(instance) + 1e-6, seed
        mended += search.worth > worthless.worth
    assert mended


def test_ends_that_are_plans_and_dives_without_an_end_leave_nothing_to_mend() -> None:
    """They are the incumbent already."""
    search = search_of(case(1, exclusive=False))
    known = search.incumbent
    for end in (search.best, None):
        mend_end(search, end)
        assert search.incumbent is known


def test_plans_of_quickly_priced_patterns_are_mostly_the_best_before_all_others() -> None:
    """On tiny clusters: from no plan at all, and no better than brute force."""
    crowded = [p for p in schedule.PHASES if p.suits(frozenset({"crowded", "quick"}))]
    names = [p.run.__name__ for p in crowded]
    first = crowded[names.index("_generate_quickly") : names.index("_start_beyond")]
    found = best = 0
    for seed in range(12):
        instance = case(seed, exclusive=False)
        search = search_of(instance, priced=False)
        search = replace(search, findings=Findings(search.pool, Incumbent()))
        for phase in first:
            assert phase.run(search) is search
        if search.best is None:
            continue
        most = oracle.best_locality(instance)
        assert violations(instance, search.best) == [], seed
        assert search.worth <= most + 1e-6, seed
        found += 1
        best += search.worth >= most - 1e-4
    assert found >= 10, found
    assert best >= 0.7 * found, (best, found)


PLANS = ("_start_beyond", "_dive")


@pytest.mark.parametrize("lost", [False, True])
def test_where_a_dive_has_no_plan_the_search_has_what_starts_beyond_the_cap_lead_to(
    monkeypatch: pytest.MonkeyPatch, *, lost: bool
) -> None:
    """Whether its end lacks a server or there is none; and no better than brute force."""
    params = DEFAULTS.changed(
        {
            "patterns": {"beyond_gap": 0.0},
            "neighbourhood": {"rounds": 1},
            "beyond_cap": {"slacks": (1.02,)},
            "local_search": {"moves": 200, "chunk_moves": 100},
        }
    )
    seen = 0
    for seed, search, end in all_torn(3):
        instance = search.instance
        settings = replace(HIGHS, params=params)
        worthless = Incumbent(search.best, -100.0)
        one, other = (
            replace(search, settings=settings, findings=Findings(search.pool, worthless))
            for _ in range(2)
        )
        start_beyond(one)
        monkeypatch.setattr(schedule, "dive", lambda _, end=end: None if lost else end)
        for phase in schedule.PHASES:
            if phase.suits(frozenset({"crowded", "quick"})) and phase.run.__name__ in PLANS:
                assert phase.run(other) is other
        assert other.best is not None
        assert violations(instance, other.best) == [], seed
        assert one.worth - 1e-9 <= other.worth <= oracle.best_locality(instance) + 1e-6, seed
        seen += one.worth > worthless.worth
    assert seen
