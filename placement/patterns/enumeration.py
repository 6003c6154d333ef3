"""The contents that a better plan can hold, by reduced cost, and the integer program over them.

With multipliers of bound B, a server of type t that holds a content of value v costs every plan
(price[t] - v) / S of B, where price[t] is the largest value of a type and S the number of servers.
A content with price[t] - v >= (B - worth) S is in no plan better than `worth`, and no better plan
has more than (B - worth) S / (price[t] - v) servers of it (Baldacci, Christofides and Mingozzi, An
exact algorithm for the vehicle routing problem based on the set partitioning formulation, Math.
Prog. 115, 2008). What is left is few enough, near the optimum, for one integer program.

Where no row limits a count from above, one more replica never hurts: contents to which none can be
added suffice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor

import numpy as np

from placement.patterns.duals import Duals, relaxed
from placement.patterns.master_rows import Row
from placement.patterns.pattern import Pattern
from placement.patterns.pricing.content_list import Contents, prices_at
from placement.patterns.pricing.contents import ContentPricing, value_exactly
from placement.patterns.restricted_master import Master
from placement.problem.instance import Instance
from placement.solver.budget import Budget
from placement.solver.milp import Manner, SolverSettings, Stop, solve_program
from placement.support.equality import ByContent

COST_MARGIN = 1e-6
"""Reduced cost, in locality per server, by which a content must be too dear to be left out."""


@dataclass(frozen=True, eq=False)
class Candidates(ByContent):
    """Patterns that a plan better than `worth` can hold, with the most servers of each."""

    worth: float
    most: Mapping[Pattern, int]


def candidates(
    instance: Instance,
    settings: SolverSettings,
    budget: Budget | None,
    rows: Sequence[Row],
    duals: Duals,
    contents: Sequence[Contents],
    worth: float,
) -> Candidates | None:
    """List what a plan better than `worth` can hold; None where that is too much.

    Parameters
    ----------
    instance : Instance
        Normalized.
    rows, duals : sequence of Row, Duals
        Any multipliers are valid; better ones leave less.
    contents : sequence of Contents
        Of every server type.
    worth : float
        Locality that a plan must exceed.
    """
    params = settings.params.branching
    proving = settings.params.contents.proving_batches
    pricings = [ContentPricing(c, rows, batches=proving) for c in contents]
    priced = [p.solve(duals, settings, budget) for p in pricings]
    bounds = [p.best_bound for p in priced if p is not None]
    if len(bounds) < len(priced):
        return None
    spare = (relaxed(instance, rows, duals, bounds) - worth) * instance.cluster.n_servers
    most: dict[Pattern, int] = {}
    for pricing, price in zip(pricings, bounds, strict=True):
        left = _within(pricing, settings, budget, duals, price - max(0.0, spare) - COST_MARGIN)
        if left is None or len(left) + len(most) > params.most_candidates:
            return None
        for row, value in left.items():
            dear = max(price - value - COST_MARGIN, 0.0)
            servers = instance.cluster.server_types[pricing.contents.kind].count
            times = (
                servers if dear <= 0 else floor(min(servers, max(0.0, spare) / dear + COST_MARGIN))
            )
            if times:
                most[pricing.contents.pattern(row)] = times
    return Candidates(worth, most)


def _within(
    pricing: ContentPricing,
    settings: SolverSettings,
    budget: Budget | None,
    duals: Duals,
    least: float,
) -> dict[int, float] | None:
    """Contents of at least some value, by row; None where they are too many."""
    contents, params = pricing.contents, settings.params.branching
    prices = prices_at(contents.instance, pricing.rows, duals)
    fixed = contents.features(pricing.rows, duals)
    limited = any(row.limits_replicas for row in pricing.rows) or bool(contents.instance.company)
    rows = np.arange(len(contents)) if limited else np.flatnonzero(contents.full())
    bound = contents.bound(prices, pricing.sigma, rows) + fixed[rows]
    rows, bound = rows[bound >= least], bound[bound >= least]
    found: dict[int, float] = {}
    for _ in range(params.most_batches):
        if not len(rows):
            return found
        if len(found) > params.most_candidates or (budget is not None and budget.expired):
            return None
        order = np.lexsort((rows, -bound))
        batch, rest = rows[order[: params.batch]], order[params.batch :]
        values, sigma = value_exactly(contents, batch, prices, settings, budget)
        values += fixed[batch]
        found |= {int(r): float(v) for r, v in zip(batch, values, strict=True) if v >= least}
        rows, bound = rows[rest], bound[rest]
        # Multipliers that are the best for one content are good ones for its like.
        for multipliers in np.where(np.isnan(sigma), pricing.sigma, sigma):
            bound = np.minimum(bound, contents.bound(prices, multipliers, rows) + fixed[rows])
            rows, bound = rows[bound >= least], bound[bound >= least]
    return None


def solve_over(
    instance: Instance,
    settings: SolverSettings,
    budget: Budget | None,
    rows: Sequence[Row],
    listed: Candidates,
    start: Mapping[Pattern, int] | None = None,
) -> tuple[dict[Pattern, int] | None, float | None]:
    """Solve the integer program over the candidates.

    Parameters
    ----------
    instance : Instance
        Normalized.
    settings : SolverSettings
        For the integer program.
    budget : Budget or None
        When to stop.
    rows : sequence of Row
        Rows that every plan keeps.
    listed : Candidates
        Contents, the most servers of each, and the locality that the others cannot exceed.
    start : mapping of Pattern to int, optional
        Servers of each in a plan to begin with.

    Returns
    -------
    servers : dict of Pattern to int or None
        The best plan found.
    bound : float or None
        On every plan, `worth` among them; None where the program was not solved to the end.
    """
    if not listed.most:
        return None, listed.worth
    master = Master(instance, listed.most, rows, integer=True)
    for pattern, n in master.servers.items():
        n.upBound = listed.most[pattern]
        n.varValue = None if start is None else start.get(pattern, 0)
    outcome = solve_program(
        master.problem,
        settings,
        stop=Stop(
            gap=settings.params.branching.finish_gap,
            node_limit=settings.params.branching.finish_nodes,
        ),
        manner=Manner(warm_start=start is not None),
        budget=budget,
    )
    found = dict(master.counts()) if outcome.found else None
    if outcome.status not in ("optimal", "infeasible"):
        return found, None
    best = listed.worth
    if outcome.status == "optimal":
        locality = outcome.best_bound / instance.cluster.n_servers + instance.locality_constant
        best = max(best, locality)
    return found, best
