"""Integer programs of a search: when they are solved, over what, and from where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pulp
import pytest

from placement.params.search_params import DEFAULTS
from placement.patterns import bounding, incumbent, proposing
from placement.patterns.column_generation import Pool
from placement.patterns.exchanges import neighbours
from placement.patterns.incumbent import Findings, Incumbent, Search
from placement.patterns.pattern import Pattern, lay_out, patterns_of
from placement.patterns.pricing.problems import counted
from placement.solver.milp import ProgramOutcome, SolverSettings
from placement.solver.solver_names import SolverUnavailable
from tests.placement.patterns.searches import NO_SOLVER, search_at

Step = Callable[[Search], object]

STEPS: dict[str, Step] = {
    "cut": bounding.cut,
    "tighten": lambda s: bounding.tighten(s, counted(s.normal, s.pool.rows, s.params)),
    "place anew": lambda s: proposing.place_anew(s, 0.5),
    "start beyond": proposing.start_beyond,
    "close": bounding.close_by_branching,
    "neighbourhoods": incumbent.neighbourhoods,
    "widen": incumbent.widen,
    "add placed": bounding.add_placed,
}
"""Steps that do nothing where the incumbent is good enough, or time has ended."""


@pytest.mark.parametrize("step", STEPS)
def test_steps_solve_programs_where_there_is_something_to_win_and_only_there(step: str) -> None:
    """A solver that is not there is asked while bound and incumbent are apart; else not at all."""
    with pytest.raises(SolverUnavailable):
        STEPS[step](search_at(gap=0.01, bound=1.1))
    before = search_at(gap=0.01, bound=1.0005, relaxation=1.0005)
    pool, best = before.pool, before.incumbent
    STEPS[step](before)
    assert (before.pool, before.incumbent) == (pool, best)


@pytest.mark.parametrize("step", STEPS)
def test_steps_end_with_the_time(step: str) -> None:
    """Interrupted, none solves anything more."""
    ended = search_at(gap=0.01, bound=1.1)
    ended.budget.interrupt()
    STEPS[step](ended)


@pytest.mark.parametrize(
    ("step", "limit"),
    [("place anew", "freed_servers"), ("close", "branch_servers")],
)
def test_some_steps_are_for_small_clusters(step: str, limit: str) -> None:
    """Clusters of more servers than the parameter says are left alone; of as many, not."""
    for most in (2, 3):
        params = DEFAULTS.changed({"patterns": {limit: most}})
        wide = search_at(bound=1.1, settings=replace(NO_SOLVER, params=params))
        if most < 3:
            STEPS[step](wide)
        else:
            with pytest.raises(SolverUnavailable):
                STEPS[step](wide)


def test_without_a_relaxation_there_is_nothing_to_round() -> None:
    """No fraction, no duals, no plan: the steps that need them do nothing."""
    bare = search_at(bound=1.1)
    bare.findings.learn(Pool(replace(bare.pool.proven, duals=None)))
    assert incumbent.round_near(bare) is False
    incumbent.round_up(bare)
    incumbent.offer_promising(bare)
    bounding.close_by_branching(bare)
    lost = replace(bare, findings=Findings(bare.pool, Incumbent()))
    incumbent.neighbourhoods(lost)
    proposing.place_anew(lost, 0.5)


def programs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Programs that the steps ask for from now on, none of which finds anything."""
    asked: list[dict[str, Any]] = []

    def integer(_: Search, patterns: list[Pattern], limits: Any = None, **how: Any) -> bool:
        asked.append({"patterns": patterns, "limits": limits, **how})
        return False

    monkeypatch.setattr(incumbent, "integer", integer)
    return asked


def test_counts_are_held_near_those_of_the_relaxation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within one of the floor, or two where more patterns are met; what is not used, from 0."""
    asked, found = programs(monkeypatch), search_at(bound=1.1)
    first, second, other = list(found.pool.patterns)[:3]
    aside = Pattern(0, ((0, 0),) * 9)
    found.findings.learn(replace(found.pool, reserve={aside: None}))
    incumbent.round_near(found)
    incumbent.widen(found)
    near, wide = asked
    assert near["patterns"] == [first, second]
    assert [near["limits"](p) for p in (first, second, other)] == [(0, 2), (0, 1), (0, 1)]
    assert near["node_limit"] == DEFAULTS.integer_plan.near_nodes
    assert wide["patterns"] == [*found.pool.patterns, aside]
    assert [wide["limits"](p) for p in (first, second, aside)] == [(0, 3), (0, 2), (0, 2)]
    many = replace(found.pool.relaxed, servers={first: 7.0 - 1e-9, second: 3.9})
    found.findings.learn(replace(found.pool, relaxed=many))
    incumbent.round_near(found)
    assert [asked[-1]["limits"](p) for p in (first, second)] == [(6, 8), (2, 4)]
    limits = incumbent._within(found.pool, 1, {first: 12, second: 0, other: 4})
    assert [limits(p) for p in (first, second, other)] == [(6, 12), (0, 4), (0, 4)]


@pytest.mark.parametrize(("servers", "bound", "more"), [(3, 1.1, 2), (3, 1.0, 1), (70, 1.1, 1)])
def test_few_servers_are_rounded_twice(
    monkeypatch: pytest.MonkeyPatch, servers: int, bound: float, more: int
) -> None:
    """Near the relaxation, and where that is not good enough with counts that are free."""
    asked, found = programs(monkeypatch), search_at(bound=bound, servers=servers)
    incumbent.round_up(found)
    assert len(asked) == more
    assert [a["limits"] is None for a in asked] == [False, True][:more]
    assert asked[-1]["patterns"][:2] == list(found.pool.fractions)


def test_neighbours_are_offered_while_that_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Round after round with those of the plan by then, whose patterns the pool takes."""
    found = search_at(bound=1.1)
    held = patterns_of(found.instance, found.best.placement)  # type: ignore[union-attr]
    for helps, rounds in ((False, 1), (True, DEFAULTS.integer_plan.exchange_rounds)):
        asked = []

        def integer(_: Search, patterns: list[Pattern], helps: bool = helps) -> bool:
            asked.append(patterns)  # noqa: B023 - called in this turn
            return helps

        monkeypatch.setattr(incumbent, "integer", integer)
        incumbent.neighbourhoods(found)
        assert len(asked) == rounds
        every = {*held, *found.pool.fractions, *neighbours(found.normal, held)}
        assert set(asked[0]) == every
        assert (set(held) <= set(found.pool.patterns)) or not helps


@pytest.mark.parametrize("exclusive", [True, False])
def test_neighbours_hold_one_replica_in_place_of_another(exclusive: bool) -> None:
    """Each has one replica out, and as many of another model in as fill its GPUs, laid out anew."""
    normal = search_at(exclusive=exclusive).normal
    pattern = lay_out(normal, 0, {0: 1, 1: 1, 2: 1})
    k, counts = normal.gpus_required, pattern.counts()
    expected = {}
    for out in counts:
        for model in normal.used_models:
            if model != out:
                more = {**counts, out: counts[out] - 1}
                more[model] = more.get(model, 0) + max(1, int(k[out] // k[model]))
                expected[lay_out(normal, 0, {m: n for m, n in more.items() if n})] = None
    assert neighbours(normal, [pattern]) == list(expected)
    assert neighbours(normal, []) == []


def test_a_plan_is_kept_where_it_is_as_good() -> None:
    """And the pool is the one learnt last."""
    findings = Findings(Pool(), Incumbent(None, 0.5))
    findings.keep(Incumbent(None, 0.4))
    assert findings.incumbent.worth == 0.5
    findings.keep(Incumbent(None, 0.6))
    assert findings.incumbent.worth == 0.6
    pool = Pool().having([Pattern(0, ((0, 0),))])
    findings.learn(pool)
    assert findings.pool is pool


@pytest.mark.parametrize(("servers", "part"), [(3, 4), (70, 2)])
def test_the_integer_master_begins_at_the_incumbent_where_that_is_in_it(
    monkeypatch: pytest.MonkeyPatch, servers: int, part: float
) -> None:
    """With its counts as values; not where a pattern is missing or a limit forbids it."""
    seen: list[tuple[dict[str, Any], dict[str, float]]] = []

    def solve(problem: pulp.LpProblem, _: SolverSettings, **how: Any) -> ProgramOutcome:
        seen.append((how, {v.name: v.varValue for v in problem.variables()}))
        return ProgramOutcome("none", None, float("inf"), 0.0, None)

    monkeypatch.setattr(incumbent, "solve_program", solve)
    found = search_at(bound=1.1, gap=0.02, settings=SolverSettings(), servers=servers)
    assert found.best is not None
    held = patterns_of(found.instance, found.best.placement)
    others = [p for p in found.pool.patterns if p not in held]
    every = [*held, *others]

    def run(patterns: list[Pattern], **how: Any) -> tuple[dict[str, Any], dict[str, float]]:
        assert incumbent.integer(found, patterns, **how) is False
        return seen[-1]

    how, values = run(every)
    assert how["manner"].warm_start
    assert [values[f"n_{i}"] for i in range(len(every))] == [*held.values(), *(0 for _ in others)]
    assert how["stop"].gap == pytest.approx(0.02 / part)
    assert how["stop"].node_limit == DEFAULTS.integer_plan.nodes
    target = found.pool.best_bound / 1.02 - found.normal.locality_constant
    assert how["stop"].target == pytest.approx(target * found.normal.cluster.n_servers)
    assert not run(others)[0]["manner"].warm_start
    most, least = max(held.values()), min(held.values())
    for limits, fits in (((0, most), True), ((0, most - 1), False), ((least + 1, 99), False)):
        how, _ = run(list(held), limits=lambda _, limits=limits: limits, node_limit=7, gap=0.5)
        assert how["manner"].warm_start == fits
        assert (how["stop"].node_limit, how["stop"].gap) == (7, 0.5)
    how, values = run(every, start={others[0]: 2})
    assert how["manner"].warm_start
    assert {n: v for n, v in values.items() if v} == {f"n_{len(held)}": 2}
    lone = replace(found, findings=Findings(found.pool, Incumbent()))
    assert incumbent.integer(lone, every) is False
    assert not seen[-1][0]["manner"].warm_start


@pytest.mark.parametrize("left", [0.2, 0.3])
def test_what_is_left_below_the_bound_is_priced_from_a_quarter_of_the_gap(left: float) -> None:
    """Closer than that a relaxation says what the bound says; few servers are left to branching."""
    params = DEFAULTS.changed({"cuts": {"passes": 0}})
    settings, relaxation = replace(NO_SOLVER, params=params), 1.1 / (1 + left * 0.01)
    for step, servers in (("add placed", 3), ("add placed", 70), ("tighten", 70), ("tighten", 3)):
        found = search_at(bound=1.1, relaxation=relaxation, settings=settings, servers=servers)
        if left < 0.25 or (step, servers) == ("tighten", 3):
            STEPS[step](found)
        else:
            with pytest.raises(SolverUnavailable):
                STEPS[step](found)


def test_only_a_better_plan_is_taken() -> None:
    """One that serves all and is worth more; the same, a worse one or half of one are not."""
    found = search_at(settings=SolverSettings())
    assert found.best is not None
    held = patterns_of(found.instance, found.best.placement)
    whole = dict(held)
    found.offer(whole)  # routed anew it may be worth more than the start was
    worth = found.worth
    assert found.offer(whole) is False
    first = next(iter(held))
    assert found.offer({first: 1}) is False
    assert found.worth == worth
    lost = replace(found, findings=Findings(found.pool, Incumbent()))
    assert lost.offer(whole) is True
    assert lost.worth == pytest.approx(worth)
