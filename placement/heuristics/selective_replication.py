"""Selective replication guided by simulation.

The idea is AlpaServe (Li et al., AlpaServe: statistical multiplexing with model parallelism for
deep learning serving, OSDI 2023, algorithm 1): start from one replica of each model and greedily
add the replica that improves a simulated metric most. The simulator is an argument.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from placement.heuristics.coverage import cover, cover_anew, relieve
from placement.heuristics.free_space import Room
from placement.heuristics.greedy import AffinityChooser, FirstFitChooser, place_all
from placement.params.heuristic_params import ReplicationParams
from placement.params.search_params import DEFAULTS, SearchParams
from placement.problem.instance import Instance
from placement.problem.solution import Placement
from placement.solver.budget import Budget

Score = Callable[[Placement], float]
"""What the simulator says of a placement; more is better."""


def selective_replication(
    instance: Instance,
    score: Score,
    *,
    budget: Budget | None = None,
    params: SearchParams = DEFAULTS,
) -> Placement:
    """Add the best replica, again and again; return the best placement on the way.

    Servers that hold the same are tried once. Where memory allows, GPUs are shared.

    Parameters
    ----------
    instance : Instance
        What is to be placed.
    score : callable
        Worth of a placement: more is better.
    budget : Budget, optional
        When to stop; the first placement comes in any time.

    Raises
    ------
    Infeasible
        As `greedy`.
    """
    budget = budget or Budget()
    room = Room(instance)
    by_work = sorted(instance.used_models, key=lambda m: (-instance.model_work[m], m))
    place_all(room, [m for m in by_work if instance.gpus_required[m] > 1], FirstFitChooser())
    affinity = AffinityChooser(instance)
    place_all(room, [m for m in by_work if instance.gpus_required[m] == 1], affinity)
    if not cover(room):
        room = cover_anew(instance, params.coverage)
    relieve(room, params.coverage)
    best = placement = room.placement()
    best_score, idle = score(placement), 0
    while idle < params.replication.patience and not budget.expired:
        tried = [
            (score(_with(placement, *added)), -i, added)
            for i, added in enumerate(_candidates(instance, placement, params.replication))
            if not budget.expired
        ]
        if not tried:
            break
        reached, _, added = max(tried)
        placement = _with(placement, *added)
        idle += 1
        if reached > best_score:
            best, best_score, idle = placement, reached, 0
    return best


def _candidates(
    instance: Instance, placement: Placement, params: ReplicationParams
) -> list[tuple[int, int, int]]:
    """Model, server and first GPU of the replicas worth a simulation."""
    room = Room(instance)
    count = placement.replicas_per_model(len(instance.model_ids))
    share = instance.model_work / np.maximum(1, count)
    contents: dict[int, list[tuple[int, int]]] = {}
    for m, s, i in placement.replicas():
        if (m, s, i) not in room:
            room.put(m, s, i, float(share[m]))
        contents.setdefault(s, []).append((m, i))
    kind = instance.cluster.server_type
    found = []
    for m in sorted(instance.used_models, key=lambda m: (-share[m], m))[: params.neediest]:
        fits, load = room.fits(m), room.load_with(m, float(share[m]))
        seen, choices = set(), []
        for s in np.flatnonzero(fits.any(axis=1)).tolist():
            held = (int(kind[s]), tuple(contents.get(s, ())))
            if held not in seen:
                seen.add(held)
                start = int(np.where(fits[s], load[s], np.inf).argmin())
                choices.append((float(load[s, start]), s, start))
        found += [(m, s, start) for _, s, start in sorted(choices)[: params.lightest]]
    return found


def _with(placement: Placement, model: int, server: int, start: int) -> Placement:
    return Placement.sorted(
        np.append(placement.model, model),
        np.append(placement.server, server),
        np.append(placement.start, start),
    )
