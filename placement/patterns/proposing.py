"""The phases that propose plans: servers of the incumbent placed anew, starts beyond the cap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from placement.improve.beyond_cap import search_beyond
from placement.improve.large_neighbourhood import Goal, search_servers
from placement.patterns.incumbent import Search, incumbent_of
from placement.patterns.pattern import canonical, patterns_of
from placement.problem.solution import Solution
from placement.problem.space import keep_what_fits
from placement.programs.routing import shortfall
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings


def start_beyond(search: Search) -> None:
    """Look for a better incumbent from placements that overload GPUs a little."""
    if search.best is None or search.closed() or search.budget.expired:
        return
    _improve(
        search,
        search.budget.part(search.params.patterns.beyond_share),
        search_beyond,
        "beyond the cap",
        search.best,
    )


def mend_end(search: Search, end: Solution | None) -> None:
    """Place single servers of a dive's end anew until it is a plan, where it leaves work unserved.

    An end that is a plan, and none, are left alone. What is unserved has a price, so that it goes
    first; the search's findings are told of plans that come of it, where they are better.
    """
    if search.best is None or search.closed() or search.budget.expired:
        return
    if end is None or shortfall(search.instance, end) <= 0:
        return
    freeing = search.params.neighbourhood
    one = replace(freeing, most_free=1, node_limits=freeing.node_limits[:1])
    settings = replace(search.settings, params=replace(search.params, neighbourhood=one))
    share = search.params.dive.mending_share
    _improve(search, search.budget.part(share), search_servers, "end of the dive", end, settings)


def place_anew(search: Search, share: float) -> None:
    """Free a few servers of the incumbent at a time; the patterns found go to the pool."""
    if (
        search.instance.cluster.n_servers > search.params.patterns.freed_servers
        or search.best is None
        or search.closed()
        or search.budget.expired
    ):
        return
    _improve(search, search.budget.part(share), search_servers, "servers anew", search.best)


def _improve(
    search: Search,
    phase: Budget,
    find: Callable[..., Solution],
    name: str,
    start: Solution,
    settings: SolverSettings | None = None,
) -> None:
    """Search for a better incumbent; the patterns found go to the pool."""
    assert search.best is not None

    def better(solution: Solution) -> None:
        if shortfall(search.instance, solution) > 0:
            return
        search.findings.keep(incumbent_of(search.instance, solution))
        search.report(name)

    kinds = search.instance.cluster.server_type

    def keep(server: int, content: list[tuple[int, int]]) -> None:
        kind = int(kinds[server])
        server_type = search.instance.cluster.server_types[kind]
        content = keep_what_fits(search.instance, server_type, content)
        search.add([canonical(search.instance, kind, content)])

    find(
        search.instance,
        settings or search.settings,
        phase,
        start,
        Goal(search.pool.best_bound, search.gap),
        report=better,
        met=keep,
    )
    search.add(patterns_of(search.instance, search.best.placement))
