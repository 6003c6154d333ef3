"""One partition at a time: split the problem at random, solve each part exactly, join.

The idea is POP (Narayanan et al., Solving large-scale granular resource allocation problems
efficiently with POP, SOSP 2021): granular problems lose little when clients and resources are dealt
to parts at random, and each part is small enough for the exact program. Clients are the workflows;
one that asks for more than a part's share is split over several (their section 4.2).
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import numpy as np

from placement.heuristics.greedy import greedy
from placement.heuristics.local_search import local_search
from placement.patterns import solve_patterns
from placement.problem.cluster import Cluster, FloatArray, IntArray
from placement.problem.instance import Instance
from placement.problem.outcome import Infeasible
from placement.problem.placement_rules import PlacementRules
from placement.problem.solution import Placement, evaluate
from placement.programs.compact_search import solve_compact
from placement.programs.least_load import least_bottleneck
from placement.programs.routing import best_routing
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings


def partition(
    instance: Instance, settings: SolverSettings, *, seed: int = 0, budget: Budget | None = None
) -> Placement:
    """Deal servers and workflows to parts at random, and place each part by the integer program.

    Parameters
    ----------
    instance : Instance
        What is to be placed.
    settings : SolverSettings
        For the programs of the parts.
    seed : int
        Of the splits.
    budget : Budget, optional
        Shared by the parts.

    Raises
    ------
    Infeasible
        The cluster has one server, or no split that was tried leaves room for the models of
        every part.
    """
    servers = instance.cluster.n_servers
    if servers < 2:
        raise Infeasible("a cluster of one server cannot be split into parts")
    rng = np.random.default_rng(seed)
    budget, params = budget or Budget(), settings.params.partition
    for parts in range(max(2, servers // params.servers), 1, -1):
        for _ in range(params.attempts):
            try:
                return _solve_parts(instance, parts, rng, settings, budget)
            except Infeasible:
                continue
    raise Infeasible(
        "no random split into 2 parts or more leaves every part room for the models of its "
        "workflows; the cluster is too small for this method"
    )


def _solve_parts(
    instance: Instance,
    parts: int,
    rng: np.random.Generator,
    settings: SolverSettings,
    budget: Budget,
) -> Placement:
    dealt = _deal_servers(instance.cluster, parts, rng)
    rates = _deal_workflows(instance, parts, rng)
    todo = [p for p in range(parts) if rates[p].any()]
    problems = [_part(instance, dealt[p], rates[p]) for p in todo]
    # Says early where a part lacks room.
    starts = [greedy(problem, params=settings.params) for problem in problems]
    model, server, start = [], [], []
    for i, p in enumerate(todo):
        share = budget.part(1.0 / (len(todo) - i))
        found = _solve_part(problems[i], starts[i], settings, share)
        model.append(found.model)
        server.append(dealt[p][found.server])
        start.append(found.start)
    return Placement.sorted(np.concatenate(model), np.concatenate(server), np.concatenate(start))


def _deal_servers(cluster: Cluster, parts: int, rng: np.random.Generator) -> list[IntArray]:
    """Shuffle the servers of each type and deal them in turn; ascending in each part."""
    order = np.concatenate(
        [
            rng.permutation(np.flatnonzero(cluster.server_type == t))
            for t in range(len(cluster.server_types))
        ]
    )
    return [np.sort(order[p::parts]) for p in range(parts)]


def _deal_workflows(instance: Instance, parts: int, rng: np.random.Generator) -> FloatArray:
    """Rate of each workflow in each part, shape (parts, W): whole, or split where it is large."""
    rates = np.zeros((parts, len(instance.workflows)))
    load = np.zeros(parts)
    gpus = instance.gpus_required
    offered = {
        w: instance.workflows[w].rate
        * float(instance.workflows[w].work_s @ gpus[instance.workflows[w].node_model])
        for w in instance.active_workflows
    }
    fair = sum(offered.values()) / parts
    for w in rng.permutation(np.array(instance.active_workflows, dtype=np.int64)).tolist():
        pieces = min(parts, max(1, ceil(offered[w] / fair - 1e-9))) if fair > 0 else 1
        for p in np.argsort(load, kind="stable")[:pieces]:
            rates[p, w] = instance.workflows[w].rate / pieces
            load[p] += offered[w] / pieces
    return rates


def _part(instance: Instance, servers: IntArray, rates: FloatArray) -> Instance:
    kinds = instance.cluster.server_type[servers]
    types = tuple(
        replace(t, count=int((kinds == i).sum()))
        for i, t in enumerate(instance.cluster.server_types)
        if (kinds == i).any()
    )
    return replace(
        instance,
        placement_rules=PlacementRules(),
        cluster=replace(instance.cluster, server_types=types),
        workflows=tuple(
            replace(w, rate=float(rate)) for w, rate in zip(instance.workflows, rates, strict=True)
        ),
    )


def _solve_part(
    problem: Instance, start: Placement, settings: SolverSettings, budget: Budget
) -> Placement:
    params = settings.params.partition
    part = budget.part(params.search_share)
    searched = local_search(problem, budget=part, params=settings.params)
    routed = [least_bottleneck(problem, p, settings) for p in (start, searched)]
    upper, solution = min(routed, key=lambda pair: pair[0])
    if upper > problem.load_cap:
        problem = replace(problem, load_cap=(1 + params.slack) * upper)
    found = [best_routing(problem, p, settings) for p in (start, searched)]
    best = max(
        [solution, *(s for s in found if s is not None)],
        key=lambda s: evaluate(problem, s).objective,
    )
    few = problem.cluster.n_servers <= params.compact_servers
    run = solve_compact if few else solve_patterns
    return run(problem, settings, budget, start=best, gap=params.gap).solution.placement
