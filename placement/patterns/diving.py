"""Diving with column generation: fix servers to patterns one by one, and price what remains.

The restricted master heuristic of Sadykov, Vanderbeck, Pessoa, Tahiri and Uchoa (Primal
heuristics for branch and price: the assets of diving methods, INFORMS JoC 31, 2019): patterns
made for the linear relaxation rarely add up to whole servers; those priced while some servers are
fixed are made for the demand that is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import floor

from placement.patterns.column_generation import Pool, Pricers, Until, generate
from placement.patterns.pattern import Pattern
from placement.patterns.pricing.counts import PricingProblem
from placement.patterns.proven_bound import ProvenBound
from placement.problem.instance import Instance
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings

DIVING_INTEGRALITY = 1e-6
"""A part of a server this small is none, and a count this close below a whole number is one."""


def dive(
    instance: Instance,
    settings: SolverSettings,
    budget: Budget,
    pool: Pool,
    pricings: Sequence[PricingProblem],
) -> tuple[Pool, dict[Pattern, int] | None]:
    """Round a pool's relaxation to a whole plan, and price on the way.

    Parameters
    ----------
    instance : Instance
        Normalized.
    settings : SolverSettings
        For master and pricing.
    budget : Budget
        When to stop.
    pool : Pool
        With its relaxation.
    pricings : sequence of PricingProblem
        One a server type.

    Returns
    -------
    pool : Pool
        With every pattern that was priced, whenever time ended.
    servers : dict of Pattern to int or None
        Servers of each pattern (the demand may not be served in full); None where the time ended.
    """
    free = [t.count for t in instance.cluster.server_types]
    fixed: dict[Pattern, int] = {}
    below = Pool(
        ProvenBound(pool.rows), patterns=pool.patterns, rounds=pool.rounds, params=pool.params
    )
    while any(free):
        below = generate(
            instance,
            settings,
            budget,
            below,
            Until(gap=0.0, rounds=settings.params.integer_plan.fixing_rounds),
            Pricers(pricings),
            fixed=fixed,
        )
        if budget.expired or not below.fractions:
            return pool.having(below.patterns), None
        before = sum(free)
        for pattern, n in below.fractions.items():
            _fix(fixed, free, pattern, floor(n + DIVING_INTEGRALITY))
        rest = {p: n - fixed.get(p, 0) for p, n in below.fractions.items() if free[p.kind]}
        rest = {p: part for p, part in rest.items() if part > DIVING_INTEGRALITY}
        if rest:
            nearest = max(rest, key=lambda p: (rest[p], p.content))
            _fix(fixed, free, nearest, fixed.get(nearest, 0) + 1)
        elif sum(free) == before:
            break
    proven = below.proven if below.best_bound < pool.best_bound else pool.proven
    return replace(pool.having(below.patterns), proven=proven), fixed


def _fix(fixed: dict[Pattern, int], free: list[int], pattern: Pattern, n: int) -> None:
    more = min(n - fixed.get(pattern, 0), free[pattern.kind])
    if more > 0:
        fixed[pattern] = fixed.get(pattern, 0) + more
        free[pattern.kind] -= more
