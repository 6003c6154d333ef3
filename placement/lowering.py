"""Lower the busiest GPU of a plan at equal locality: a step of objective 3 of DESIGN 5.

The locality program is content with any loads under its cap, and many placements reach the same
locality. The one that reaches it under the lowest cap has the shortest queues.
"""

from __future__ import annotations

from dataclasses import replace

from placement.bottleneck import load_floor
from placement.heuristics.local_search import local_search
from placement.instance import Instance
from placement.outcome import Budget, Infeasible
from placement.routing_lp import best_routing
from placement.solution import Solution, evaluate
from placement.solvers import SolverSettings

STEPS = 5
"""Caps tried, each half way between the lowest that held and the highest that did not."""

MOVES = 20_000
MOST_SERVERS = 16
"""Larger clusters repeat few patterns; their loads are evened by the rates."""


def lower_cap(
    instance: Instance,
    solution: Solution,
    settings: SolverSettings,
    budget: Budget,
    *,
    tolerance: float,
) -> Solution:
    """Search for the least cap on GPU loads under which the locality can be kept.

    Returns
    -------
    Solution
        The last one that kept it within `tolerance` (relative), `solution` where none did.
    """
    if instance.cluster.n_servers > MOST_SERVERS:
        return solution
    worth = evaluate(instance, solution)
    least = worth.objective * (1 - tolerance)
    high, low, best = worth.max_utilization, load_floor(instance), solution
    for _ in range(STEPS):
        if budget.expired or high <= low * (1 + tolerance):
            break
        tighter = replace(instance, load_cap=(low + high) / 2)
        try:
            placement = local_search(tighter, seed=settings.seed, budget=budget, moves=MOVES)
        except Infeasible:
            break
        found = best_routing(tighter, placement, settings)
        if found is not None and evaluate(instance, found).objective >= least:
            best, high = found, evaluate(instance, found).max_utilization
        else:
            low = tighter.load_cap
    return best
