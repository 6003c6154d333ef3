"""Large-neighbourhood search: place a few servers anew, all at once, and keep what is better.

Of the incumbent some servers are freed, the others keep their replicas, and every rate is free;
the compact program of what is left is small enough for branch and bound (Shaw, Using constraint
programming and local search methods to solve vehicle routing problems, CP 1998). Which servers:
those among which a workflow is torn, for there is locality to win.

Where models share GPUs, placements close to the cap are hard to find and those a little beyond it
are not: the search may start from one that cannot serve all demand. What stays unserved has a price
far above any locality, so it goes first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from placement.problem.instance import Instance
from placement.problem.solution import Solution, all_dense_flows, dense_flows, evaluate
from placement.programs.compact import CompactProgram
from placement.programs.idle_replicas import loaded_placement
from placement.programs.move_limit import MoveLimit, limit_moves
from placement.programs.routing import SHORTFALL_PRICE, best_routing, elastic_routing, shortfall
from placement.solver.budget import Budget
from placement.solver.milp import Manner, SolverSettings, Stop, linear, solve_program

Met = Callable[[int, list[tuple[int, int]]], None]


@dataclass(frozen=True)
class Goal:
    """A bound, and the relative gap to it at which a solution is good enough."""

    best_bound: float
    gap: float

    def reached(self, worth: float) -> bool:
        """Whether a solution of this locality is good enough."""
        return self.best_bound - worth <= self.gap * abs(worth)


def search_servers(
    instance: Instance,
    settings: SolverSettings,
    budget: Budget,
    solution: Solution,
    goal: Goal,
    *,
    report: Callable[[Solution], None],
    met: Met | None = None,
    limit: MoveLimit | None = None,
) -> Solution:
    """Improve a solution until it is as good as the goal or the rounds are over.

    More servers are freed at a time once fewer do not help, but never all: that is the compact
    form's part. Equal seeds give equal solutions. The solution may leave demand unserved
    (`elastic_routing`); what is found may then, too, but less of it.

    Parameters
    ----------
    report : callable
        Told every better solution.
    met : callable, optional
        Called with the number of a freed server and its (model, first GPU) of each replica, for
        every better content that branch and bound meets (HiGHS).
    limit : MoveLimit, optional
        How far what is found may be from what runs; the solution keeps it.
    """
    params = settings.params.neighbourhood
    rng = np.random.default_rng(settings.seed)
    worth = worth_of(instance, solution)
    servers = instance.cluster.n_servers
    limits = iter(params.node_limits)
    node_limit = next(limits)
    alone = instance.models_per_gpu == 1
    first = params.first_free if alone else params.first_free_shared
    free, draws = first, 0
    tried: set[frozenset[int]] = set()
    for _ in range(params.rounds):
        if budget.expired or goal.reached(worth):
            break
        if draws >= (2 * servers if free == 1 else servers):
            draws, free = 0, free + 1
        if free > min(params.most_free, servers - 1):
            more = next(limits, None)
            if more is None:
                break
            node_limit, free, draws = more, min(first + 1, params.most_free), 0
            tried.clear()
        draws += 1
        chosen = _torn_servers(instance, solution, free, rng)
        if frozenset(chosen) in tried:
            continue
        tried.add(frozenset(chosen))
        found = None
        with budget.bounded():
            found = _replace(instance, settings, budget, solution, chosen, node_limit, met, limit)
        value = worth_of(instance, found) if found is not None else worth
        if found is not None and value > worth + params.least_gain:
            solution, worth, draws = found, value, 0
            tried.clear()
            report(solution)
    return solution


def worth_of(instance: Instance, solution: Solution) -> float:
    """Locality, less the price of what is left unserved."""
    missing = SHORTFALL_PRICE * shortfall(instance, solution)
    return evaluate(instance, solution).objective - missing


def _torn_servers(
    instance: Instance, solution: Solution, count: int, rng: np.random.Generator
) -> list[int]:
    """Servers that serve parts of a workflow, drawn by the rate it loses; the rest at random."""
    lost = np.zeros(len(instance.workflows))
    for w, (_, rate) in enumerate(all_dense_flows(instance, solution.flows)):
        if instance.workflows[w].rate <= 0:
            continue
        flow = instance.workflows[w]
        lost[w] = flow.unit * max(0.0, flow.rate - float(rate.min(axis=0).sum()))
    chosen: list[int] = []
    if lost.sum() > 0:
        w = int(rng.choice(len(lost), p=lost / lost.sum()))
        servers, rate = dense_flows(instance, solution.flows, w)
        torn = (rate.max(axis=0) - rate.min(axis=0)) > 1e-9 * instance.workflows[w].rate
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
    node_limit: int,
    met: Met | None,
    limit: MoveLimit | None,
) -> Solution | None:
    kept = frozenset(range(instance.cluster.n_servers)) - frozenset(free)
    short = shortfall(instance, solution) > 0
    placed, busy = loaded_placement(instance, solution)
    held = placed, kept
    program = CompactProgram(
        instance, kept=held, cautious=True, positions=limit is not None, params=settings.params
    )
    if limit is not None:
        limit_moves(program, limit)
    program.round_up()
    program.route(elastic=short)
    prices = [(u, -SHORTFALL_PRICE * program.scale * part) for u, part in program.unserved]
    program.problem += linear([*program.locality(), *prices])
    program.start_at(placed, placed.server, busy)

    def tell(values: list[float]) -> None:
        assert met is not None
        for s in free:
            held = [
                (m, start)
                for (m, server), entries in program.replicas.items()
                if server == s
                for x, _, start in entries
                if values[x.index] > 0.5
            ]
            met(s, held)

    outcome = solve_program(
        program.problem,
        settings,
        stop=Stop(gap=settings.params.neighbourhood.least_gain, node_limit=node_limit),
        manner=Manner(warm_start=True, light=instance.models_per_gpu > 1),
        budget=budget,
        on_solution=tell if met is not None and not program.counts else None,
    )
    if not outcome.found:
        return None
    placement = program.placement()
    carrying = program.carrying(placement)
    found = best_routing(instance, placement, settings, budget=budget.outer, carrying=carrying)
    if found is None and short:
        return elastic_routing(instance, placement, settings, budget=budget.outer)
    return found
