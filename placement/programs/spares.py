"""Spare replicas: those that carry nothing make room for those that relieve the busiest GPUs."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush

import numpy as np

from placement.heuristics.mending import mend
from placement.params.search_params import DEFAULTS, SearchParams
from placement.problem.blocks import windows
from placement.problem.cluster import FloatArray
from placement.problem.instance import Instance
from placement.problem.solution import Placement, Solution, effective_loads
from placement.problem.space import ServerSpace
from placement.programs.idle_replicas import busy_replicas
from placement.programs.least_load import least_bottleneck
from placement.solver.budget import Budget, tick
from placement.solver.milp import SolverSettings


def spread(instance: Instance, solution: Solution) -> float:
    """Sum of squared GPU loads: for equal speeds, the variance but for a constant."""
    loads = effective_loads(instance, solution.placement, solution.load)
    return float((loads**2).sum())


def refill(
    instance: Instance,
    solution: Solution,
    even: Callable[[Placement, Solution], Solution | None],
    params: SearchParams = DEFAULTS,
) -> Solution:
    """Take off the replicas that carry no load, fill the room with spares, and even the rates.

    Again and again while the squared loads fall: what the rates leave without load shows where
    a spare is of no use.

    Parameters
    ----------
    even : callable
        Routes a placement, which holds the replicas of a solution, for the least squared loads
        without giving up locality; None where it cannot in time.
    """
    for _ in range(params.spares.refill_rounds):
        busy = busy_replicas(instance, solution)
        filled = mend(instance, fill(instance, busy, params))
        found = None if filled is None else even(filled, busy)
        if found is None:
            break
        before, after = spread(instance, solution), spread(instance, found)
        if after < before:
            solution = found
        if after >= before * (1 - params.spares.least_gain):
            break
    return solution


def relieve_bottleneck(
    instance: Instance,
    load: float,
    solution: Solution,
    settings: SolverSettings,
    budget: Budget,
    *,
    enough: float,
) -> tuple[float, Solution]:
    """Lower the load of the busiest GPU: spares in the place of replicas that carry nothing.

    Each round fills the room there is and spreads the work over all replicas by the program of
    least bottleneck, whose rates show which of them are of no use.

    Parameters
    ----------
    load : float
        The least bottleneck load of the solution's placement.
    enough : float
        A load at or below this is good enough.

    Returns
    -------
    float, Solution
        Of the best round; what was given where none is better. Time that ends within a round takes
        none of the earlier ones along.
    """
    best, last = (load, solution), solution
    with budget.bounded():
        for _ in range(settings.params.spares.relief_rounds):
            if best[0] <= enough or budget.expired:
                break
            filled = fill(instance, busy_replicas(instance, last), settings.params)
            placement = mend(instance, filled)
            if placement is None:
                break
            load, last = least_bottleneck(instance, placement, settings, budget=budget.outer)
            if load < best[0]:
                best = load, last
    return best


def fill(instance: Instance, solution: Solution, params: SearchParams = DEFAULTS) -> Placement:
    """Add replicas server by server until memory or the rules of sharing end it.

    The model whose replicas on the server have the most to do is next, a model that is not there
    with what its replicas elsewhere have; it takes the block whose busiest GPU has the least.

    Parameters
    ----------
    instance : Instance
        Models, cluster and rules of space.
    solution : Solution
        What is placed, and the loads of it.
    params : SearchParams
        Of its `spares`.
    """
    placement, cluster = solution.placement, instance.cluster
    loads = effective_loads(instance, placement, solution.load)
    counts = placement.replicas_per_model(len(instance.model_ids))
    elsewhere = instance.model_work / np.maximum(1, counts)
    work = np.zeros((cluster.n_servers, len(instance.model_ids)))
    np.add.at(work, (placement.server, placement.model), solution.load)
    model, server, start = [placement.model], [placement.server], [placement.start]
    for s in range(cluster.n_servers):
        rows = np.flatnonzero(placement.server == s)
        first = int(cluster.first_gpu[s])
        spares = _spares(
            instance,
            s,
            [(int(placement.model[r]), int(placement.start[r])) for r in rows],
            work[s],
            elsewhere,
            loads[first : first + int(cluster.server_gpus[s])].copy(),
            params.spares.most_per_gpu,
        )
        model.append(np.array([m for m, _ in spares], dtype=np.int64))
        start.append(np.array([i for _, i in spares], dtype=np.int64))
        server.append(np.full(len(spares), s))
    return Placement.sorted(np.concatenate(model), np.concatenate(server), np.concatenate(start))


def _spares(
    instance: Instance,
    server: int,
    held: list[tuple[int, int]],
    work: FloatArray,
    elsewhere: FloatArray,
    load: FloatArray,
    most_per_gpu: int,
) -> list[tuple[int, int]]:
    """Replicas, as model and first GPU, to add to what one server holds; `load` is used up."""
    kind = instance.cluster.server_types[instance.cluster.server_type[server]]
    space = ServerSpace(instance, kind, held, most_per_gpu=most_per_gpu)
    replicas = np.bincount([m for m, _ in held], minlength=len(instance.model_ids))
    todo = {m: float(work[m] if replicas[m] else elsewhere[m]) for m in instance.used_models}
    queue = [(-todo[m] / (replicas[m] + 1), m) for m in todo]
    heapify(queue)
    while queue and space.vacant:
        _, m = heappop(queue)
        k = int(instance.gpus_required[m])
        tick()
        fits = space.fits(m)
        if not fits.any():
            continue
        peak = windows(load, k).max(axis=1)
        if kind.paced:
            peak = peak + todo[m] / (replicas[m] + 1) / instance.block_paces(kind, m)
        i = int(np.where(fits, peak, np.inf).argmin())
        space.put(m, i)
        replicas[m] += 1
        load[i : i + k] += todo[m] / replicas[m] / instance.pace(kind, m, i)
        heappush(queue, (-todo[m] / (replicas[m] + 1), m))
    return space.content[len(held) :]
