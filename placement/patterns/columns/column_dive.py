"""Diving over columns: contents are fixed server by server, while their flows stay free.

The restricted master heuristic of Sadykov, Vanderbeck, Pessoa, Tahiri and Uchoa (Primal heuristics
for branch and price: the assets of diving methods, INFORMS JoC 31, 2019), but what is fixed is the
content alone: columns with other rates for it are priced on, so that late steps can still make up
for early ones.

What may be fixed leaves GPUs for the numbers of replicas that were chosen before, and the
relaxation holds no other content on free servers: proper columns, as in that paper. With others in
part it is worth as much as before down to the last few servers, where nothing adds up any more.
"""

from __future__ import annotations

from math import ceil, floor

from placement.patterns.columns.generation import Generation
from placement.patterns.columns.replica_counts import Counts, quota
from placement.solver.budget import Budget

DIVING_INTEGRALITY = 1e-6
"""A part of a server this small is none, and a count this close below a whole number is one."""


def dive_columns(gen: Generation, budget: Budget, left: int, counts: Counts) -> bool:
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
    counts : Counter
        Replicas by model and server type that all servers shall hold.
    """
    master = gen.master
    master.require(counts)
    quotas = quota(gen.instance, counts, master.fixed)
    free = quotas.free
    while True:
        gen.bar(lambda p: not quotas.admits(p))
        gen.run(budget, rounds=gen.params.dive_rounds, levels=1)
        if budget.expired:
            return False
        if sum(free) <= left:
            return True
        rest = {p: n - master.fixed.get(p, 0) for p, n in master.used().items() if free[p.kind]}
        rest = {p: n for p, n in rest.items() if n > DIVING_INTEGRALITY and quotas.admits(p)}
        stuck = not rest
        if stuck:
            # No content in use leaves room for what is missing, so that is laid side by side.
            laid = (quotas.rest(t) for t, n in enumerate(free) if n)
            rest = {p: 1.0 for p in laid if p.content}
            if not rest:
                return True
            master.add([gen.column(p) for p in rest])
        step = min(ceil(gen.params.dive_part * sum(free)), sum(free) - left)
        # Whole servers first, then the largest parts of one.
        for pattern in sorted(rest, key=lambda p: (-min(rest[p], 1.0), -rest[p], p.content)):
            for _ in range(max(1, floor(rest[pattern] + DIVING_INTEGRALITY))):
                if not free[pattern.kind] or not step or not (stuck or quotas.admits(pattern)):
                    break
                quotas.take(pattern)
                step -= 1
                master.fix(pattern, master.fixed.get(pattern, 0) + 1)
