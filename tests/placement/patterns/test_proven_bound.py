"""A bound stays with what proves it, and an incumbent with its worth, whenever time ends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from placement.heuristics.greedy import greedy
from placement.patterns import proposing, solve_patterns
from placement.patterns.column_generation import Pool, Until, generate
from placement.patterns.columns.generation import Point
from placement.patterns.duals import Duals
from placement.patterns.incumbent import Findings, Search, incumbent_of
from placement.patterns.initial_patterns import first_patterns
from placement.patterns.master_rows import CountRow, rounding_rows
from placement.patterns.proven_bound import Node, ProvenBound
from placement.patterns.rounding_cuts import kept_rows
from placement.problem.instance import Instance
from placement.problem.normalization import normalize
from placement.problem.outcome import Progress, relative_gap
from placement.problem.solution import Solution, evaluate
from placement.programs.least_load import least_bottleneck
from placement.programs.routing import best_routing
from placement.solver.budget import Budget, OutOfTime
from placement.solver.milp import SolverSettings
from placement.verify.proof import proven_bound
from tests.placement.heuristics.cases import random_instance

SETTINGS = SolverSettings()


def priced(instance: Instance) -> Pool:
    """A pool whose bound column generation has proven."""
    pool = Pool(ProvenBound(rounding_rows(instance))).having(first_patterns(instance))
    return generate(instance, SETTINGS, Budget(), pool, Until(1e-6))


@pytest.mark.parametrize("seed", range(3))
def test_rows_come_and_go_without_the_bound(seed: int) -> None:
    """New rows have multipliers of 0, so that bound and proof stay what they are."""
    given = random_instance(seed, servers=3, load=0.4)
    instance = normalize(given)
    before = priced(instance).proven
    cuts = tuple(kept_rows(instance))[:4]
    assert before.duals is not None and cuts
    more = before.with_rows(cuts)
    assert more.duals is not None
    assert more.value == before.value
    assert more.rows == (*before.rows, *cuts)
    assert more.duals.rows == (*before.duals.rows, *(0.0,) * len(cuts))
    assert more.without_cuts() == before
    for proof in (before, more):
        assert proven_bound(given, proof.as_json(instance)) == pytest.approx(before.value, abs=1e-6)


def test_a_tree_keeps_the_multipliers_that_it_began_with() -> None:
    """What is found of the whole afterwards is no part of the leaves' proof."""
    given = random_instance(1, servers=3, load=0.4)
    instance = normalize(given)
    pool = priced(instance)
    weight = (1.0,) * len(instance.cluster.server_types)
    model = instance.used_models[:1]
    rows = CountRow(model, 0, weight, most=1.0), CountRow(model, 0, weight, least=2.0)
    parts = [Node(pool.proven.with_rows((row,))) for row in rows]
    tree = Node(pool.proven, split=rows, parts=(parts[0], parts[1]))
    proven = replace(pool.proven, tree=tree)
    stored = proven.as_json(instance)
    assert proven_bound(given, stored) == pytest.approx(pool.best_bound, abs=1e-6)
    later = proven.with_rows(tuple(kept_rows(instance))[:2])
    assert later.as_json(instance) == stored


def test_an_incumbent_is_kept_where_time_ends_in_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a search has reported is the incumbent at once, with its own worth."""
    instance = random_instance(4, servers=3, load=0.4)
    placement = greedy(instance)
    better = best_routing(instance, placement, SETTINGS)
    assert better is not None
    worse = replace_rates(better)
    assert evaluate(instance, worse).objective < evaluate(instance, better).objective

    def cut_off(*_: object, report: object, **__: object) -> Solution:
        report(better)  # type: ignore[operator]
        raise OutOfTime

    monkeypatch.setattr(proposing, "search_servers", cut_off)
    search = Search(
        instance=instance,
        normal=normalize(instance),
        settings=SETTINGS,
        budget=Budget(),
        gap=0.0,
        progress=None,
        findings=Findings(Pool(), incumbent_of(instance, worse)),
    )
    with pytest.raises(OutOfTime):
        proposing.place_anew(search, 0.5)
    assert search.best is better
    assert search.worth == evaluate(instance, better).objective


def replace_rates(solution: Solution) -> Solution:
    """Half of each rate only: worth half as much."""
    return replace(solution, flows=replace(solution.flows, rate=solution.flows.rate / 2))


def test_progress_tells_a_bound_without_taking_it_for_proven() -> None:
    """The bound of a tree that is still growing is shown, and is not the pool's."""
    instance = random_instance(4, servers=3, load=0.4)
    seen: list[float | None] = []
    search = Search(
        instance=instance,
        normal=normalize(instance),
        settings=SETTINGS,
        budget=Budget(),
        gap=0.0,
        progress=lambda event: seen.append(event.best_bound),
        findings=Findings(Pool(), incumbent_of(instance, None)),
    )
    search.report("branching", 0.7)
    search.report("branching")
    assert seen == [0.7, 1.0]
    assert search.pool.best_bound == 1.0


class Ticks:
    """A clock that goes on by one whenever it is looked at."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Tell the time."""
        self.now += 1.0
        return self.now


@pytest.mark.parametrize(("seed", "load"), [(100, 0.7), (104, 0.8)])
def test_nothing_is_lost_that_was_told_before_time_ended(seed: int, load: float) -> None:
    """Ended after any number of looks at the clock: no plan or bound is worse than any told."""
    drawn = random_instance(seed, servers=2, workflows=4, load=load, mixed_types=seed > 100)
    placement = greedy(drawn)
    least, _ = least_bottleneck(drawn, placement, SETTINGS)
    instance = replace(drawn, load_cap=max(0.9, 1.02 * least))
    start = best_routing(instance, placement, SETTINGS)
    assert start is not None
    whole = solve_patterns(instance, SETTINGS, Budget(), start=start, gap=1e-4)
    best = evaluate(instance, whole.solution).objective
    for looks in (100 * 1.6**n for n in range(9)):
        told: list[Progress] = []
        budget = Budget(looks, clock=Ticks(), pace=1e-9)
        got = solve_patterns(
            instance, SETTINGS, budget, start=start, gap=1e-4, progress=told.append
        )
        worth = evaluate(instance, got.solution).objective
        plans = [e.incumbent for e in told if e.incumbent is not None]
        bounds = [e.best_bound for e in told if e.best_bound is not None and e.phase != "branching"]
        assert worth >= max([*plans, evaluate(instance, start).objective]) - 1e-9
        assert best - 1e-6 <= got.best_bound <= min([*bounds, 1.0]) + 1e-9
        if got.duals is not None:
            assert proven_bound(instance, got.duals) == pytest.approx(got.best_bound, abs=1e-6)
        left = relative_gap(worth, got.best_bound)
        ended = "time limit" if left > 1e-4 else "optimal" if left <= 1e-6 else "gap"
        assert got.status == ended
        assert budget.cut_short or left <= 1e-4


@pytest.mark.parametrize("gap", [0.5, 1e-4])
def test_the_status_says_how_a_search_ended(gap: float) -> None:
    """Within the gap, or at the optimum; interrupted before that, it says so."""
    instance = random_instance(100, servers=2, workflows=4, load=0.7)
    least, start = least_bottleneck(instance, greedy(instance), SETTINGS)
    instance = replace(instance, load_cap=max(0.9, 1.02 * least))
    got = solve_patterns(instance, SETTINGS, Budget(), start=start, gap=gap)
    left = relative_gap(evaluate(instance, got.solution).objective, got.best_bound)
    assert left <= gap
    assert got.status == ("optimal" if left <= 1e-6 else "gap")
    stopped = Budget()
    stopped.interrupt()
    got = solve_patterns(instance, SETTINGS, stopped, start=start, gap=gap)
    assert got.status == "interrupted"
    with pytest.raises(RuntimeError, match="without a plan"):
        solve_patterns(instance, SETTINGS, stopped, start=None, gap=gap)


def test_multipliers_are_mixed_part_by_part() -> None:
    """All of one, all of the other, and every part of the way between."""
    one, two = (
        Duals({(0, 0): a, (1, 2): b}, (c, d))
        for a, b, c, d in ((1.0, -2.0, 0.0, 4.0), (3.0, 0.5, -1.0, 8.0))
    )
    assert one.mix(two, 1.0) == one
    assert one.mix(two, 0.0) == two
    assert one.mix(two, 0.75) == Duals({(0, 0): 1.5, (1, 2): -1.375}, (-0.25, 5.0))
    first, second = (
        Point(np.array([a]), np.array([b, 2 * b])) for a, b in ((1.0, 4.0), (3.0, 0.0))
    )
    assert first.mix(second, 1.0) == first
    assert first.mix(second, 0.75) == Point(np.array([1.5]), np.array([3.0, 6.0]))
