"""A dive: the contents that the relaxation uses most are fixed, one server after the other.

Where models share GPUs close to the cap, rounding all servers at once leaves work that none of them
has room for. Fixed one at a time, the others make up for what each does not serve: flows stay free,
and annealing prices contents for what is left. Only the last servers lose by it, and those are
placed anew.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set

from placement.heuristics.mending import mend
from placement.improve.large_neighbourhood import worth_of
from placement.patterns.incumbent import Search, incumbent_of
from placement.patterns.node_set_master import master_of
from placement.patterns.pattern import Pattern, expand
from placement.patterns.restricted_master import Master
from placement.problem.solution import Solution
from placement.programs.routing import best_routing, elastic_routing, shortfall
from placement.solver.milp import Manner, solve_program

USED = 1e-6
"""Servers of a pattern that count as none."""


def dive(search: Search) -> Solution | None:
    """Fix whole servers until there are none left; None where time ended first.

    Parameters
    ----------
    search : Search
        With quick pricing and a pool. Its findings are told of the patterns that are fixed, and of
        every end that is a better plan.

    Returns
    -------
    Solution or None
        The best end that serves all demand; where there is none, the one that is worth most less
        what it leaves unserved (`placement.programs.routing.shortfall`).
    """
    best: tuple[bool, float, Solution] | None = None
    with search.budget.bounded():
        for fixed in _ends(search):
            search.add(fixed)
            found = _routed(search, fixed)
            if found is None:
                continue
            # An end that lacks a little may be worth more than a plan, and never become one.
            whole = shortfall(search.instance, found) <= 0
            worth = worth_of(search.instance, found)
            if whole:
                search.findings.keep(incumbent_of(search.instance, found))
                search.report("dive")
            if best is None or (whole, worth) > best[:2]:
                best = whole, worth, found
    return best[2] if best else None


def _ends(search: Search) -> list[Counter[Pattern]]:
    """Servers of each pattern, with several for the last server; none where time ended first."""
    params, servers = search.params.dive, search.normal.cluster.n_servers
    fixed = Counter[Pattern]()
    near = search.pool
    pool = _near(near.patterns, near.fractions.keys(), near.reduced, params.kept)
    while fixed.total() < servers and not search.budget.expired:
        for _ in range(params.rounds):
            master = _solved(search, pool, fixed, interior=any(q.central for q in search.knapsacks))
            if master is None:
                return []
            duals = master.duals()
            for quick in search.knapsacks:
                found = quick.solve(search.pool.rows, duals, params.patterns)
                pool |= dict.fromkeys(found)
        master = _solved(search, pool, fixed, interior=False)
        if master is None:
            return []
        used = master.fractions()
        left = {p: n - fixed[p] for p, n in used.items() if n - fixed[p] > USED}
        first = sorted(left, key=lambda p: (-left[p], p.content))
        free = servers - fixed.total()
        search.report("dive")
        if not left:
            break
        if free == 1:
            return [fixed + Counter((p,)) for p in first[: params.ends]]
        _fix(search, fixed, first, math.ceil(params.part * free))
        pool = _near(pool, used.keys() | fixed.keys(), master.reduced_costs(), params.kept)
    return [] if search.budget.expired else [fixed]


def _fix(search: Search, fixed: Counter[Pattern], first: Sequence[Pattern], most: int) -> None:
    """Fix a server of each of the first patterns whose type has one left, and no more than so many.

    Parameters
    ----------
    search : Search
    fixed : Counter of Pattern
        Changed in place.
    first : sequence of Pattern
        Those used most come first.
    most : int
        Servers to fix.
    """
    free = [kind.count for kind in search.normal.cluster.server_types]
    for pattern, count in fixed.items():
        free[pattern.kind] -= count
    for pattern in first:
        if most > 0 and free[pattern.kind] > 0:
            fixed[pattern] += 1
            free[pattern.kind] -= 1
            most -= 1


def _near(
    patterns: Iterable[Pattern],
    used: Set[Pattern],
    reduced: Mapping[Pattern, float],
    kept: int,
) -> dict[Pattern, None]:
    """The patterns in use and those that nearly are: the others only make masters slower.

    Parameters
    ----------
    patterns : iterable of Pattern
    used : set of Pattern
        These stay.
    reduced : mapping of Pattern to float
        What one server more of each changes.
    kept : int
        Patterns wanted, if no more are in use.
    """
    order = sorted(patterns, key=lambda p: (p not in used, -reduced.get(p, 0.0)))
    return dict.fromkeys(order[: max(kept, len(used))])


def _solved(
    search: Search, patterns: Iterable[Pattern], fixed: Counter[Pattern], *, interior: bool
) -> Master | None:
    """The linear master where so many servers are fixed; None where time ended."""
    form = master_of(search.normal, search.params)
    master = form(search.normal, patterns, search.pool.rows)
    for pattern, count in fixed.items():
        master.servers[pattern].lowBound = count
    manner = Manner(interior=interior)
    solved = solve_program(master.problem, search.settings, manner=manner, budget=search.budget)
    return master if solved.found else None


def _routed(search: Search, servers: dict[Pattern, int]) -> Solution | None:
    instance, settings, budget = search.instance, search.settings, search.budget.outer
    placement = mend(instance, expand(instance, servers))
    if placement is None:
        return None
    routed = best_routing(instance, placement, settings, budget=budget)
    return routed or elastic_routing(instance, placement, settings, budget=budget)
