"""The cutting plane loop: rounding cuts that the relaxation breaks become rows of the master."""

from __future__ import annotations

from dataclasses import replace

from placement.patterns.column_generation import Pool, Relaxation
from placement.patterns.restricted_master import Master
from placement.patterns.rounding_cuts import Cut, broken, kept_rows, server_rows
from placement.problem.instance import Instance
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings, solve_program


def add_broken_rows(
    instance: Instance,
    settings: SolverSettings,
    budget: Budget,
    pool: Pool,
    *,
    servers: bool = False,
) -> Pool:
    """Add the cuts that a pool's relaxation breaks.

    Those by whole servers take integers of their own in pricing: they come where the others have
    done, or at once where `servers` says so.

    Their multipliers are 0 until patterns are priced again: the bound stays what it is. The
    relaxation is the one with the cuts, which rounds better.

    Parameters
    ----------
    instance : Instance
        Normalized.
    settings : SolverSettings
        For the master.
    budget : Budget
        When to stop.
    pool : Pool
        With the patterns of the relaxation.
    servers : bool
        Look for cuts by whole servers, too.

    Returns
    -------
    Pool
        With the rows, if any, and the relaxation with them.
    """
    known, params = set(pool.rows), settings.params.cuts
    rows: list[Cut] = [row for row in kept_rows(instance, settings.params) if row not in known]
    added = False
    for _ in range(params.loops):
        master = Master(instance, pool.patterns, pool.rows)
        if not rows or not solve_program(master.problem, settings, budget=budget).found:
            break
        used, kept = master.fractions(), master.kept()
        pool = replace(pool, relaxed=Relaxation(master.locality(), used))
        found = broken(rows, used, kept, least=params.least_broken)
        if not found and (servers or not added):
            known |= set(pool.rows)
            more = [row for row in server_rows(instance, used, settings.params) if row not in known]
            worst = broken(more, used, kept, least=params.least_broken)
            each = {row.part: row for row in reversed(worst)}
            found = list(each.values())[::-1][: params.server_rows]
        if not found:
            break
        rows = [row for row in rows if row not in set(found)]
        pool = replace(pool, proven=pool.proven.with_rows(tuple(found)))
        added = True
    return pool
