"""The least load of the busiest GPU that a placement can reach, and rates that reach it.

Only the work of each model counts: a program over the loads of the replicas, whose size does not
depend on the workflows. Every node of a model is then served where the model's work is done, in
proportion, so rates follow without another program; where even this one takes too long, all
replicas of a model carry the same load.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pulp

from placement.problem.blocks import BoolArray
from placement.problem.cluster import FloatArray
from placement.problem.instance import Instance
from placement.problem.shared_capacity import loses_by_sharing
from placement.problem.solution import (
    Flows,
    Placement,
    Solution,
    effective_loads,
    gpu_loads,
)
from placement.programs.idle_replicas import carries
from placement.programs.server_groups import Group, group_servers
from placement.programs.space_rows import loads_of, loads_on_gpus
from placement.solver.budget import Budget
from placement.solver.milp import Pairs, SolverSettings, linear, solve_program

NOTHING = 1e-9
"""Part of a model's work that is a solver's rounding."""

LOADED_ROUNDS = 4
"""Most programs for one placement, where idle replicas count for nothing."""


def least_bottleneck(
    instance: Instance,
    placement: Placement,
    settings: SolverSettings,
    *,
    budget: Budget | None = None,
) -> tuple[float, Solution]:
    """Least attainable load of the busiest GPU of a placement, and a routing that attains it.

    Parameters
    ----------
    budget : Budget, optional
        Where it ends first, the routing has even loads, and the load is theirs.

    Raises
    ------
    ValueError
        A used model has no replica.
    """
    count = placement.replicas_per_model(len(instance.model_ids))
    if not count[list(instance.used_models)].all():
        raise ValueError("a used model has no replica: no routing serves every request")
    budget = budget or Budget()
    solution = in_proportion(instance, placement, _even_loads(instance, placement))
    if not instance.offered_load.any() or not _can_differ(instance, placement):
        return _busiest(instance, solution), solution
    found: tuple[float, Solution] | None = None
    carrying: BoolArray | None = None
    for _ in range(LOADED_ROUNDS):
        load = None
        with budget.bounded():
            load = _least_loads(instance, placement, settings, budget, carrying)
        if load is None:
            break
        solution = in_proportion(instance, placement, load)
        busiest = _busiest(instance, solution)
        if found is not None and not busiest < found[0] * (1 - NOTHING):
            break
        found = busiest, solution
        # The program counted all that may carry load as loaded: of those that do, once more.
        busy = carries(instance, placement, solution.load)
        if not loses_by_sharing(instance) or (busy == (carrying is None or carrying)).all():
            break
        carrying = busy
    return found or (_busiest(instance, solution), solution)


def _busiest(instance: Instance, solution: Solution) -> float:
    loads = effective_loads(instance, solution.placement, solution.load)
    return float(loads.max(initial=0.0))


def in_proportion(instance: Instance, placement: Placement, load: FloatArray) -> Solution:
    """Serve every node where the replicas of its model carry load, in proportion.

    Parameters
    ----------
    load : float64, shape (R,)
        Relative loads; those of one model are scaled so that they do its work.
    """
    speed = instance.speed_at(placement.model, placement.server, placement.start)
    done = load * speed
    total = np.bincount(placement.model, done, minlength=len(instance.model_ids))
    # A solver sees no load where a model has next to none; its requests are routed all the same.
    done = np.where(total[placement.model] > 0, done, speed)
    total = np.bincount(placement.model, done, minlength=len(instance.model_ids))
    done = np.where(done > NOTHING * total[placement.model], done, 0.0)
    total = np.bincount(placement.model, done, minlength=len(instance.model_ids))
    share = done / np.where(total > 0, total, 1.0)[placement.model]
    carried = share * instance.model_work[placement.model] / speed
    homes: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for m in instance.used_models:
        rows = np.flatnonzero((placement.model == m) & (share > 0))
        servers, at = np.unique(placement.server[rows], return_inverse=True)
        homes[m] = servers, np.bincount(at, share[rows], minlength=len(servers))
    nodes = [
        (w, v, int(m))
        for w in instance.active_workflows
        for v, m in enumerate(instance.workflows[w].node_model)
    ]
    size = [len(homes[m][0]) for _, _, m in nodes]
    parts = [instance.workflows[w].rate * homes[m][1] for w, _, m in nodes]
    flows = Flows(
        np.repeat(np.array([w for w, _, _ in nodes], dtype=np.int64), size),
        np.repeat(np.array([v for _, v, _ in nodes], dtype=np.int64), size),
        np.concatenate([homes[m][0] for _, _, m in nodes]).astype(np.int64),
        np.concatenate(parts).astype(np.float64),
    )
    return Solution(placement, flows, carried)


def _even_loads(instance: Instance, placement: Placement) -> FloatArray:
    """The same load for all replicas of a model."""
    speed = instance.speed_at(placement.model, placement.server, placement.start)
    power = np.bincount(placement.model, speed, minlength=len(instance.model_ids))
    each = instance.model_work / np.where(power > 0, power, 1.0)
    # Where there is no work, there still are requests to be routed.
    return np.where(each > 0, each, 1.0)[placement.model]


def _can_differ(instance: Instance, placement: Placement) -> bool:
    """Whether a GPU has several replicas: else even loads are the least."""
    ones = np.ones(placement.n_replicas)
    return bool(gpu_loads(instance, placement, ones).max(initial=0.0) > 1.5)


def _least_loads(
    instance: Instance,
    placement: Placement,
    settings: SolverSettings,
    budget: Budget,
    carrying: BoolArray | None,
) -> FloatArray | None:
    """Loads whose largest sum on a GPU is least, for what keeps load; None where the time ended."""
    # In multiples of the mean load: the program does not depend on the unit of time.
    unit = float(instance.offered_load.sum()) / instance.cluster.n_gpus
    bottleneck = pulp.LpVariable("U", 0)
    problem = pulp.LpProblem("least_load", pulp.LpMinimize)
    problem += linear([(bottleneck, 1.0)])
    done: dict[int, Pairs] = defaultdict(list)
    groups = group_servers(instance, placement, carrying)
    loads: list[dict[int, pulp.LpVariable]] = []
    for g, group in enumerate(groups):
        loads.append(_add_group(problem, instance, group, g, bottleneck, done))
    for m in instance.used_models:
        problem += linear(done[m]) == float(instance.model_work[m]) / unit
    if not solve_program(problem, settings, budget=budget).found:
        return None
    load = np.zeros(placement.n_replicas)
    first = np.searchsorted(placement.server, np.arange(instance.cluster.n_servers))
    for group, held in zip(groups, loads, strict=True):
        for r, h in held.items():
            load[first[group.servers] + r] = max(0.0, h.varValue or 0.0)
    return load


def _add_group(
    problem: pulp.LpProblem,
    instance: Instance,
    group: Group,
    g: int,
    bottleneck: pulp.LpVariable,
    done: dict[int, Pairs],
) -> dict[int, pulp.LpVariable]:
    """Loads of the replicas of one of a group's servers, at most the bottleneck GPU by GPU."""
    mine = np.flatnonzero(group.carrying)
    load = loads_of(group.model[mine].tolist(), f"_{g}")
    starts = group.start[mine].tolist()
    for (m, h), i in zip(load, starts, strict=True):
        done[m].append((h, instance.speed_on(group.kind, m, i) * len(group.servers)))
    for _, terms, kept in loads_on_gpus(instance, group.kind, load, starts):
        problem += linear([*terms, (bottleneck, -kept)]) <= 0
    return {r: h for r, (_, h) in zip(mine.tolist(), load, strict=True)}
