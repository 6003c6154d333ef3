"""Give every used model a replica, and relieve GPUs that sharing would overload."""

from __future__ import annotations

import numpy as np

from placement.heuristics.free_space import Room
from placement.params.heuristic_params import CoverageParams
from placement.problem.instance import Instance
from placement.problem.outcome import Infeasible
from placement.problem.solution import effective_loads
from placement.problem.space import can_hold
from placement.support.described import counted


def cover(room: Room) -> bool:
    """Place a replica of each used model that has none, sharing GPUs; False where one is left.

    Each goes to the block with the least load estimate; large blocks first.
    """
    instance = room.instance
    count = room.count.sum(axis=1)
    absent = [m for m in instance.used_models if not count[m]]
    if absent:
        _estimate_load(room)
    for m in sorted(absent, key=lambda m: _hardness(instance, m)):
        if not _share_least_loaded(room, m, float(instance.model_work[m])):
            return False
    return True


def cover_anew(instance: Instance, params: CoverageParams) -> Room:
    """Pack one replica of each used model on empty servers.

    First-fit decreasing; a model that finds no place moves to the front of the next attempt
    (squeaky wheel optimization, Joslin and Clements, JAIR 10, 1999).

    Raises
    ------
    Infeasible
        No attempt succeeds.
    """
    order = sorted(instance.used_models, key=lambda m: _hardness(instance, m))
    seen: set[tuple[int, ...]] = set()
    stuck = -1
    while len(seen) < params.repacking_rounds and tuple(order) not in seen:
        seen.add(tuple(order))
        room = Room(instance)
        for m in order:
            if room.count[m].any():
                continue  # pinned
            fits = room.fits(m)
            if not fits.any():
                stuck = m
                break
            server, start = divmod(int(fits.argmax()), fits.shape[1])
            room.put(m, server, start, float(instance.model_work[m]))
        else:
            return room
        order.remove(stuck)
        order.insert(0, stuck)
    raise Infeasible(
        f"no place found for a replica of model {instance.model_ids[stuck]} "
        f"({counted(int(instance.gpus_required[stuck]), 'GPU')}, "
        f"{instance.memory_per_gpu_gb[stuck]:g} GB on each) beside the other used models; "
        "add servers or memory, or allow more models on a GPU"
    )


def relieve(room: Room, params: CoverageParams) -> None:
    """Add shared replicas while the busiest GPU exceeds the cap and another GPU has slack."""
    instance = room.instance
    if instance.models_per_gpu == 1:
        return
    _estimate_load(room)
    for _ in range(min(instance.cluster.n_gpus, params.relieving_rounds)):
        if room.load.max(initial=0.0) <= instance.load_cap:
            return
        server, gpu = np.unravel_index(int(room.load.argmax()), room.load.shape)
        here = [m for m in instance.used_models if room.count[m, server]]
        share = instance.model_work / np.maximum(1, room.count.sum(axis=1))
        before = float(room.load[server, gpu])
        for m in sorted(here, key=lambda m: -share[m]):
            if _share_least_loaded(room, m, 0.0, below=before - float(share[m]) / 2):
                break
        else:
            return
        _estimate_load(room)


def _hardness(instance: Instance, m: int) -> tuple[float, ...]:
    types = instance.cluster.server_types
    homes = sum(
        t.count * (t.usable_gpus // int(instance.gpus_required[m]))
        for t in types
        if can_hold(instance, m, t)
    )
    return (homes, -instance.gpus_required[m], -instance.memory_per_gpu_gb[m], m)


def _share_least_loaded(room: Room, m: int, load: float, below: float = np.inf) -> bool:
    fits = room.fits(m)
    if not fits.any():
        return False
    peak = room.block_load(m)
    share = float(room.instance.model_work[m]) / (1 + int(room.count[m].sum()))
    choice = np.where(fits, room.load_with(m, share), np.inf)
    # A server without the model comes first.
    choice[room.count[m] > 0] += 1e-9
    server, start = divmod(int(choice.argmin()), choice.shape[1])
    if not peak[server, start] + 1e-9 * bool(room.count[m, server]) < below:
        return False
    room.put(m, server, start, load)
    return True


def _estimate_load(room: Room) -> None:
    """Load of each GPU if every model divided its work evenly over its replicas."""
    instance = room.instance
    placed = room.placement()
    share = instance.model_work / np.maximum(1, room.count.sum(axis=1))
    loads = effective_loads(instance, placed, share[placed.model])
    gpus = instance.cluster.server_gpus
    room.load[:] = 0.0
    room.load[np.arange(room.load.shape[1]) < gpus[:, None]] = loads
