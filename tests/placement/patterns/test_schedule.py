"""The phases of the search: each for the instances that it suits, and in one order."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from placement.params.search_params import DEFAULTS, SearchParams
from placement.patterns import schedule
from placement.patterns.incumbent import Search
from placement.solver.milp import SolverSettings
from tests.placement.patterns.searches import search_at

HIGHS = SolverSettings(threads=1)

PHASES = (
    "add_patterns", "add_placed", "bound_apart", "close_by_branching", "cut", "dive", "integer",
    "mend_end", "neighbourhoods", "offer_promising", "place_anew", "round_near", "round_up",
    "start_beyond", "tighten", "widen",
)  # fmt: skip
PRICED = ("add_placed", "tighten")
"""Phases that return the pricing problems to go on with."""


def phases_of(monkeypatch: pytest.MonkeyPatch, found: Search, *, finished: bool = True) -> str:
    """Names of the phases that a search goes through, none of which does anything."""
    run: list[str] = []

    def phase(name: str):  # type: ignore[no-untyped-def]
        def record(*given: object, **_: object) -> object:
            run.append(name)
            return given[1] if name == "tighten" else [] if name in PRICED else finished

        return record

    for name in PHASES:
        monkeypatch.setattr(schedule, name, phase(name))
    schedule.run_phases(found)
    return " ".join(run)


FEW_PATTERNS = DEFAULTS.changed({"contents": {"most_contents": 0, "most_parts": 0}})
UNLISTED = DEFAULTS.changed({"contents": {"most_contents": 0}, "columns": {"least_tight": 1.0}})
UNDIVED = DEFAULTS.changed({"dive": {"first_rounds": 0}})
UNANNEALED = DEFAULTS.changed({"columns": {"most_nodes": 0}})


@pytest.mark.parametrize(
    ("servers", "exclusive", "params", "phases"),
    [
        (3, True, DEFAULTS,
         "add_patterns tighten round_up close_by_branching neighbourhoods place_anew"),
        (3, True, FEW_PATTERNS,
         "add_patterns tighten round_up neighbourhoods close_by_branching place_anew"),
        (3, False, DEFAULTS,
         "bound_apart add_patterns round_near integer start_beyond dive mend_end place_anew"
         " add_patterns round_near integer integer tighten round_up add_placed neighbourhoods"
         " close_by_branching"),
        (3, False, UNANNEALED,
         "bound_apart add_patterns round_near integer start_beyond place_anew integer tighten"
         " round_up add_placed neighbourhoods close_by_branching"),
        (3, False, UNDIVED,
         "bound_apart add_patterns round_near integer start_beyond place_anew integer tighten"
         " round_up add_placed neighbourhoods close_by_branching"),
        (70, False, DEFAULTS,
         "bound_apart add_patterns round_up add_patterns cut round_up tighten round_up widen"
         " close_by_branching"),
        (40, True, DEFAULTS,
         "add_patterns tighten round_up offer_promising close_by_branching neighbourhoods"
         " place_anew"),
        (70, True, DEFAULTS,
         "add_patterns cut round_up tighten offer_promising close_by_branching place_anew"),
        (70, True, UNLISTED,
         "add_patterns round_up add_patterns cut round_up tighten round_up widen"
         " close_by_branching place_anew"),
    ],
)  # fmt: skip
def test_the_phases_are_those_of_the_cluster_and_the_models(
    monkeypatch: pytest.MonkeyPatch,
    servers: int,
    exclusive: bool,
    params: SearchParams,
    phases: str,
) -> None:
    """Small or large, GPUs shared or not, contents listed or not: each search has its order."""
    settings = replace(HIGHS, params=params)
    found = search_at(
        bound=1.1, relaxation=1.06, servers=servers, exclusive=exclusive, settings=settings
    )
    assert phases_of(monkeypatch, found) == phases


def test_phases_are_left_out_where_the_search_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No cuts where patterns were not finished; nothing that seeks plans where one is good."""
    unfinished = phases_of(monkeypatch, search_at(bound=1.1, settings=HIGHS), finished=False)
    assert "tighten" not in unfinished
    closed = search_at(bound=1.0, servers=70, settings=HIGHS)
    assert "offer_promising" not in phases_of(monkeypatch, closed)
    settings = replace(HIGHS, params=UNLISTED)
    met = search_at(bound=1.1, relaxation=1.1, exclusive=False, settings=HIGHS)
    assert "add_patterns round_near integer start_beyond dive" in phases_of(monkeypatch, met)
    good = search_at(bound=1.1, relaxation=1.04, exclusive=False, settings=HIGHS)
    assert "add_patterns round_near integer place_anew" in phases_of(monkeypatch, good)
    near = search_at(bound=1.1, relaxation=1.0, servers=70, settings=settings)
    again = "cut round_up add_patterns round_up tighten"
    assert again in phases_of(monkeypatch, near)


def test_a_plan_near_the_relaxation_leaves_the_time_to_servers_placed_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A dive is for where the plans from beyond the cap are far from it."""
    for relaxation, steps in ((1.0, ["anew"]), (1.9, ["dive", "mend", "anew"])):
        search = search_at(bound=2.0, relaxation=relaxation, exclusive=False, settings=HIGHS)
        run: list[str] = []
        monkeypatch.setattr(schedule, "dive", lambda _, run=run: run.append("dive"))
        monkeypatch.setattr(schedule, "mend_end", lambda *_, run=run: run.append("mend"))
        monkeypatch.setattr(schedule, "place_anew", lambda *_, run=run: run.append("anew"))
        dives = next(p for p in schedule.PHASES if p.run.__name__ == "_dive")
        dives.run(search)
        assert run == steps


def test_a_phase_suits_by_all_that_it_needs_and_none_of_what_it_lacks() -> None:
    """Whatever else an instance has."""
    phase = schedule.Phase(lambda s: s, frozenset({"many", "quick"}), frozenset({"drafted"}))
    assert phase.suits(frozenset({"many", "quick", "shared"}))
    assert not phase.suits(frozenset({"many"}))
    assert not phase.suits(frozenset({"many", "quick", "drafted"}))


def test_a_phase_that_has_done_it_all_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those before it ran, none after it does."""
    run: list[str] = []

    def phase(name: str, *, last: bool = False) -> schedule.Phase:
        def step(search: Search) -> Search | None:
            run.append(name)
            return None if last else search

        return schedule.Phase(step)

    monkeypatch.setattr(schedule, "PHASES", (phase("a"), phase("b", last=True), phase("c")))
    schedule.run_phases(search_at(bound=1.1, settings=HIGHS))
    assert run == ["a", "b"]


def test_what_a_phase_finds_out_later_phases_are_chosen_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contents that are listed on the way are a feature from then on."""
    seen: list[bool] = []
    ask = schedule.Phase(lambda s: seen.append(True) or s, needs=frozenset({"listed"}))
    listing = schedule.Phase(lambda s: replace(s, contents=["any"]))  # type: ignore[list-item]
    monkeypatch.setattr(schedule, "PHASES", (ask, listing, ask))
    schedule.run_phases(search_at(bound=1.1, settings=HIGHS))
    assert seen == [True]


def test_every_feature_steers_some_phase() -> None:
    """No name of a feature is idle, and every phase suits some instance."""
    named = {f for p in schedule.PHASES for f in (p.needs | p.lacks)}
    assert named == set(get_args(schedule.Feature))
    assert all(not p.needs & p.lacks for p in schedule.PHASES)
