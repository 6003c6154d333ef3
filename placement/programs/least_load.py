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

from placement.problem.cluster import FloatArray
from placement.problem.instance import Instance
from placement.problem.solution import Flows, Placement, Solution, gpu_loads
from placement.programs.routing import Group, group_servers
from placement.programs.space_rows import loads_of, loads_on_gpus
from placement.solver.budget import Budget
from placement.solver.milp import Pairs, SolverSettings, linear, solve_program

NOTHING = 1e-9
"""Part of a model's work that is a solver's rounding."""


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
    load, budget = None, budget or Budget()
    if instance.offered_load.any() and _can_differ(instance, placement):
        with budget.bounded():
            load = _least_loads(instance, placement, settings, budget)
    if load is None:
        load = _even_loads(instance, placement)
    solution = in_proportion(instance, placement, load)
    return float(gpu_loads(instance, placement, solution.load).max(initial=0.0)), solution


def in_proportion(instance: Instance, placement: Placement, load: FloatArray) -> Solution:
    """Serve every node where the replicas of its model carry load, in proportion.

    Parameters
    ----------
    load : float64, shape (R,)
        Relative loads; those of one model are scaled so that they do its work.
    """
    cluster = instance.cluster
    speed = np.array([t.speed for t in cluster.server_types])[cluster.server_type]
    done = load * speed[placement.server]
    total = np.bincount(placement.model, done, minlength=len(instance.model_ids))
    # A solver sees no load where a model has next to none; its requests are routed all the same.
    done = np.where(total[placement.model] > 0, done, speed[placement.server])
    total = np.bincount(placement.model, done, minlength=len(instance.model_ids))
    done = np.where(done > NOTHING * total[placement.model], done, 0.0)
    total = np.bincount(placement.model, done, minlength=len(instance.model_ids))
    share = done / np.where(total > 0, total, 1.0)[placement.model]
    carried = share * instance.model_work[placement.model] / speed[placement.server]
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
    cluster = instance.cluster
    speed = np.array([t.speed for t in cluster.server_types])[cluster.server_type]
    power = np.bincount(placement.model, speed[placement.server], minlength=len(instance.model_ids))
    each = instance.model_work / np.where(power > 0, power, 1.0)
    # Where there is no work, there still are requests to be routed.
    return np.where(each > 0, each, 1.0)[placement.model]


def _can_differ(instance: Instance, placement: Placement) -> bool:
    """Whether a GPU has several replicas: else even loads are the least."""
    ones = np.ones(placement.n_replicas)
    return bool(gpu_loads(instance, placement, ones).max(initial=0.0) > 1.5)


def _least_loads(
    instance: Instance, placement: Placement, settings: SolverSettings, budget: Budget
) -> FloatArray | None:
    """Loads whose largest sum on a GPU is least; None where the time ended."""
    # In multiples of the mean load: the program does not depend on the unit of time.
    unit = float(instance.offered_load.sum()) / instance.cluster.n_gpus
    bottleneck = pulp.LpVariable("U", 0)
    problem = pulp.LpProblem("least_load", pulp.LpMinimize)
    problem += linear([(bottleneck, 1.0)])
    done: dict[int, Pairs] = defaultdict(list)
    groups = group_servers(instance, placement)
    loads: list[list[pulp.LpVariable]] = []
    for g, group in enumerate(groups):
        loads.append(_add_group(problem, instance, group, g, bottleneck, done))
    for m in instance.used_models:
        problem += linear(done[m]) == float(instance.model_work[m]) / unit
    if not solve_program(problem, settings, budget=budget).found:
        return None
    load = np.zeros(placement.n_replicas)
    first = np.searchsorted(placement.server, np.arange(instance.cluster.n_servers))
    for group, held in zip(groups, loads, strict=True):
        for r, h in enumerate(held):
            load[first[group.servers] + r] = max(0.0, h.varValue or 0.0)
    return load


def _add_group(
    problem: pulp.LpProblem,
    instance: Instance,
    group: Group,
    g: int,
    bottleneck: pulp.LpVariable,
    done: dict[int, Pairs],
) -> list[pulp.LpVariable]:
    """Loads of the replicas of one of a group's servers, at most the bottleneck GPU by GPU."""
    load = loads_of(group.model.tolist(), f"_{g}")
    for m, h in load:
        done[m].append((h, group.speed * len(group.servers)))
    for _, terms in loads_on_gpus(instance, load, group.start.tolist()):
        problem += linear([*terms, (bottleneck, -1.0)]) <= 0
    return [h for _, h in load]
