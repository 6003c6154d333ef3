"""Large-neighbourhood search: place a few servers anew, all at once, and keep what is better.

Of the incumbent some servers are freed, the others keep their replicas, and every rate is free;
the compact program of what is left is small enough for branch and bound (Shaw, Using constraint
programming and local search methods to solve vehicle routing problems, CP 1998). Which servers:
those among which a workflow is torn, for there is locality to win.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from placement.compact import CompactProgram
from placement.instance import Instance
from placement.outcome import Budget
from placement.routing_lp import best_routing
from placement.solution import Solution, dense_flows, evaluate
from placement.solvers import SolverSettings, linear, solve_program

FREE_SERVERS = 2
MOST_FREE = 3
NODE_LIMIT = 60
IMPROVED = 1e-6
"""Least gain in locality that counts."""


def search_servers(
    instance: Instance,
    settings: SolverSettings,
    budget: Budget,
    solution: Solution,
    *,
    best_bound: float,
    gap: float,
    rounds: int,
    report: Callable[[float], None],
) -> Solution:
    """Improve a solution until it is within `gap` of `best_bound` or the rounds are over.

    More servers are freed at a time once fewer do not help, but never all: that is the compact
    form's part. Equal seeds give equal solutions.
    """
    rng = np.random.default_rng(settings.seed)
    worth = evaluate(instance, solution).objective
    servers = instance.cluster.n_servers
    free, draws = FREE_SERVERS, 0
    tried: set[frozenset[int]] = set()
    for _ in range(rounds):
        if budget.expired or best_bound - worth <= gap * abs(worth):
            break
        if draws >= servers:
            draws, free = 0, free + 1
        if free > min(MOST_FREE, servers - 1):
            break
        draws += 1
        chosen = _torn_servers(instance, solution, free, rng)
        if frozenset(chosen) in tried:
            continue
        tried.add(frozenset(chosen))
        found = _replace(instance, settings, budget, solution, chosen)
        value = evaluate(instance, found).objective if found is not None else worth
        if found is not None and value > worth + IMPROVED:
            solution, worth, draws = found, value, 0
            tried.clear()
            report(worth)
    return solution


def _torn_servers(
    instance: Instance, solution: Solution, count: int, rng: np.random.Generator
) -> list[int]:
    """Servers that serve parts of a workflow, drawn by the rate it loses; the rest at random."""
    lost = np.zeros(len(instance.workflows))
    for w in instance.active_workflows:
        _, rate = dense_flows(instance, solution.flows, w)
        lost[w] = max(0.0, instance.workflows[w].rate - float(rate.min(axis=0).sum()))
    chosen: list[int] = []
    if lost.sum() > 0:
        w = int(rng.choice(len(lost), p=lost / lost.sum()))
        servers, rate = dense_flows(instance, solution.flows, w)
        torn = (rate.max(axis=0) - rate.min(axis=0)) > 1e-9 * instance.total_rate
        chosen = rng.permutation(servers[torn]).tolist()[:count]
    others = (s for s in rng.permutation(instance.cluster.n_servers).tolist())
    return chosen + list(_take(others, set(chosen), count - len(chosen)))


def _take(servers: Iterator[int], but: set[int], count: int) -> Iterator[int]:
    for s in servers:
        if count <= 0:
            return
        if s not in but:
            count -= 1
            yield s


def _replace(
    instance: Instance,
    settings: SolverSettings,
    budget: Budget,
    solution: Solution,
    free: list[int],
) -> Solution | None:
    program = CompactProgram(instance, cap=instance.load_cap)
    program.round_up()
    program.route()
    program.problem += linear(program.locality())
    program.keep(solution.placement, but=free)
    outcome = solve_program(
        program.problem,
        settings,
        gap=IMPROVED,
        node_limit=NODE_LIMIT,
        warm_start=True,
        budget=budget,
    )
    if not outcome.found:
        return None
    return best_routing(instance, program.placement(), settings)
