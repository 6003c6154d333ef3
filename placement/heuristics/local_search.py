"""The best heuristic of this package: simulated annealing on what each server holds."""

from __future__ import annotations

from math import ceil

import numpy as np

from placement.compilation import announced
from placement.heuristics.annealing import anneal, score_of
from placement.heuristics.filling import (
    Servers,
    flatten_demand,
    lay_out,
    water_fill,
)
from placement.heuristics.greedy import greedy
from placement.heuristics.scaling import repeat, shrink
from placement.instance import Instance
from placement.outcome import Budget, Infeasible
from placement.solution import TOLERANCE, Placement

SEARCHED_SERVERS = 24
"""Larger clusters are searched as one of about this size, or of the next that holds every model,
and repeated (see `shrink`)."""

HOT, COLD = 0.01, 1e-5
"""Loss of locality accepted with probability 1/e, first and last."""

MOVES, START_MOVES = 50_000, 40_000
"""Work limits: of the method, and where it makes one proposal among several."""

MOVES_PER_GPU = 3_000
"""Small clusters are searched out sooner."""

CHUNK = 2_000
"""Moves between two looks at the clock."""


@announced("the local search")
def local_search(
    instance: Instance, *, seed: int = 0, budget: Budget | None = None, moves: int | None = None
) -> Placement:
    """Improve the greedy placements by annealing; never worse by `water_fill` than they are.

    The number of moves, not the clock, ends the search unless `budget` expires first, so equal
    seeds give equal placements. A large cluster is searched at a fraction of its size, with its
    rates scaled alike, and the result repeated over the servers.

    Parameters
    ----------
    instance : Instance
    seed : int
    budget : Budget, optional
    moves : int, optional
        Work limit; by default `MOVES`, less on small clusters.

    Raises
    ------
    Infeasible
        As `greedy`.
    """
    starts = [greedy(instance, affinity=affinity) for affinity in (True, False)]
    if not instance.active_workflows:
        return starts[0]
    budget = budget or Budget()
    if moves is None:
        moves = min(MOVES, MOVES_PER_GPU * instance.cluster.n_gpus)
    candidates = list(starts)
    small, placed = _fraction(instance)
    if placed is not None:
        found = _search(small, placed, seed, budget, moves)
        candidates.append(repeat(instance, small, found))
    else:
        start = max(starts, key=lambda p: water_fill(instance, p).score)
        candidates.append(_search(instance, start, seed, budget, moves))
    return max(candidates, key=lambda p: water_fill(instance, p).score)


@announced("the local search")
def compile_search(instance: Instance, placement: Placement) -> None:
    """Have the search's loop compiled, or loaded, before a clock runs that would count it."""
    _search(instance, placement, 0, Budget(), 0)


def _fraction(instance: Instance) -> tuple[Instance, Placement | None]:
    """The smallest fraction of a large cluster that holds every model, placed greedily."""
    factor = ceil(instance.cluster.n_servers / SEARCHED_SERVERS)
    while factor > 1:
        small = shrink(instance, factor)
        try:
            return small, greedy(small)
        except Infeasible:
            factor //= 2
    return instance, None


def _search(
    instance: Instance, start: Placement, seed: int, budget: Budget, moves: int
) -> Placement:
    demand = flatten_demand(instance)
    # Room for as many replicas as memory could ever allow on the largest server.
    used = np.array(instance.used_models, dtype=np.int64)
    limit = min(instance.models_per_gpu, len(used)) * instance.cluster.max_gpus_per_server
    current = lay_out(instance, start, limit)
    best = Servers(
        current.gpus, current.speed, current.size.copy(), current.model.copy(), current.start.copy()
    )
    best_score = score_of(demand, current, used)
    types = instance.cluster.server_types
    capacity = np.array([t.gpu_memory_gb for t in types])[instance.cluster.server_type]
    rounds, chunk = max(1, moves // CHUNK), min(CHUNK, moves)
    ratio = (COLD / HOT) ** (1 / rounds)
    for i in range(rounds):
        if budget.expired:
            break
        best_score = anneal(
            demand, current, best, best_score, used, instance.memory_per_gpu_gb,
            capacity * (1 + TOLERANCE / 2), instance.models_per_gpu, chunk,
            HOT * ratio**i, HOT * ratio ** (i + 1), seed * rounds + i,
        )  # fmt: skip
    return _placement(best)


def _placement(servers: Servers) -> Placement:
    s, r = np.nonzero(np.arange(servers.model.shape[1]) < servers.size[:, None])
    return Placement.sorted(servers.model[s, r], s, servers.start[s, r])
