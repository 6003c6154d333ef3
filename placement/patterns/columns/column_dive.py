"""Diving over columns: contents are fixed server by server, while their flows stay free.

As in `placement.patterns.diving`, but what is fixed is the content alone: columns with other rates
for it are priced on, so that late steps can still make up for early ones.
"""

from __future__ import annotations

from math import ceil, floor

from placement.patterns.columns.generation import Generation
from placement.solver.budget import Budget

DIVING_INTEGRALITY = 1e-6
"""A part of a server this small is none, and a count this close below a whole number is one."""


def dive_columns(gen: Generation, budget: Budget, left: int) -> bool:
    """Fix contents of the relaxation until so many servers are left; False where time ended.

    Late steps lose most: what is left over then has to add up, which an integer program sees.

    Parameters
    ----------
    gen : Generation
        What its master has fixed stays fixed, and more is.
    budget : Budget
        When to stop.
    left : int
        Servers that stay free.
    """
    master = gen.master
    free = [t.count for t in gen.instance.cluster.server_types]
    for pattern, n in master.fixed.items():
        free[pattern.kind] -= n
    while True:
        gen.run(budget, rounds=gen.params.dive_rounds, levels=1)
        if budget.expired:
            return False
        if sum(free) <= left:
            return True
        rest = {p: n - master.fixed.get(p, 0) for p, n in master.used().items() if free[p.kind]}
        rest = {p: n for p, n in rest.items() if n > DIVING_INTEGRALITY}
        if not rest:
            return True
        step = min(ceil(gen.params.dive_part * sum(free)), sum(free) - left)
        # Whole servers first, then the largest parts of one.
        for pattern in sorted(rest, key=lambda p: (-min(rest[p], 1.0), -rest[p], p.content)):
            whole = max(1, floor(rest[pattern] + DIVING_INTEGRALITY))
            n = min(whole, free[pattern.kind], step)
            if n > 0:
                free[pattern.kind] -= n
                step -= n
                master.fix(pattern, master.fixed.get(pattern, 0) + n)
