"""The phases that propose plans: servers of the incumbent placed anew, starts beyond the cap."""

from __future__ import annotations

from collections.abc import Callable

from placement.improve.beyond_cap import search_beyond
from placement.improve.large_neighbourhood import Goal, search_servers, worth_of
from placement.patterns.incumbent import Search, incumbent_of
from placement.patterns.pattern import canonical, patterns_of
from placement.problem.solution import Solution
from placement.problem.space import keep_what_fits
from placement.programs.routing import shortfall
from placement.solver.budget import Budget


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


def place_anew(search: Search, share: float, start: Solution | None = None) -> None:
    """Free a few servers at a time; the patterns found go to the pool.

    Parameters
    ----------
    search : Search
        Its findings are told of better plans.
    share : float
        Of the time left.
    start : Solution, optional
        Where that is worth more, although it may leave demand unserved; the incumbent by default.
    """
    if (
        search.instance.cluster.n_servers > search.params.patterns.freed_servers
        or search.best is None
        or search.closed()
        or search.budget.expired
    ):
        return
    if start is None or worth_of(search.instance, start) <= search.worth:
        start = search.best
    _improve(search, search.budget.part(share), search_servers, "servers anew", start)


def _improve(
    search: Search, phase: Budget, find: Callable[..., Solution], name: str, start: Solution
) -> None:
    """Search for a better incumbent; the patterns found go to the pool."""
    assert search.best is not None

    def better(solution: Solution) -> None:
        if shortfall(search.instance, solution) > 0:
            return
        search.findings.keep(incumbent_of(search.instance, solution))
        search.report(name)

    if worth_of(search.instance, start) > search.worth:
        better(start)
    kinds = search.instance.cluster.server_type

    def keep(server: int, content: list[tuple[int, int]]) -> None:
        kind = int(kinds[server])
        server_type = search.instance.cluster.server_types[kind]
        content = keep_what_fits(search.instance, server_type, content)
        search.add([canonical(search.instance, kind, content)])

    find(
        search.instance,
        search.settings,
        phase,
        start,
        Goal(search.pool.best_bound, search.gap),
        report=better,
        met=keep,
    )
    search.add(patterns_of(search.instance, search.best.placement))
