"""Starts from beyond the cap: placements found under wider caps, brought back under the real one.

Close to the cap, few placements that models share are feasible, and few moves lead from one to
another. A search that may overload GPUs a little passes between them (strategic oscillation;
Glover and Laguna, Tabu Search, 1997). What demand then cannot be served under the cap is priced
away by placing one server after the other anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from placement.heuristics.local_search import local_search
from placement.heuristics.mending import mend
from placement.improve.large_neighbourhood import Goal, Met, search_servers, worth_of
from placement.params.improvement_params import BeyondCapParams
from placement.problem.instance import Instance
from placement.problem.solution import Solution
from placement.programs.routing import best_routing, elastic_routing, shortfall
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings


def goes_beyond_cap(instance: Instance, params: BeyondCapParams) -> bool:
    """Whether the instance is one that `search_beyond` is meant for."""
    return instance.models_per_gpu > 1 and instance.cluster.n_servers <= params.most_servers


def search_beyond(
    instance: Instance,
    settings: SolverSettings,
    budget: Budget,
    solution: Solution,
    goal: Goal,
    *,
    report: Callable[[Solution], None],
    met: Met | None = None,
) -> Solution:
    """Find better solutions than the one at hand from starts beyond the cap.

    Equal seeds give equal solutions.

    Parameters
    ----------
    report : callable
        Told every better solution.
    met : callable, optional
        Told the contents that `search_servers` meets.
    """
    best, worth = solution, worth_of(instance, solution)
    params, freeing = settings.params.beyond_cap, settings.params.neighbourhood
    one = replace(freeing, rounds=params.rounds, most_free=1, node_limits=freeing.node_limits[:1])
    for attempt, slack in enumerate(params.slacks):
        if budget.expired or goal.reached(worth):
            break
        seed = settings.seed + attempt
        phase = budget.part(params.attempt_share)
        wider = replace(instance, load_cap=instance.load_cap * slack)
        searched = local_search(wider, seed=seed, budget=phase, params=settings.params)
        placement = mend(instance, searched)
        if placement is None:
            continue
        start = best_routing(instance, placement, settings, budget=budget)
        start = start or elastic_routing(instance, placement, settings, budget=budget)
        if start is None:
            continue
        found = search_servers(
            instance,
            replace(settings, seed=seed, params=replace(settings.params, neighbourhood=one)),
            phase,
            start,
            goal,
            report=lambda _: None,
            met=met,
        )
        if shortfall(instance, found) == 0 and worth_of(instance, found) > worth:
            best, worth = found, worth_of(instance, found)
            report(best)
    return best
