"""Which models are loaded on which GPUs, for schedulers that switch them (compiled).

A *resident* is a loaded replica: model m on the block of GPUs that begins at GPU a of the cluster,
so the pair (m, a) names it. It keeps its memory on every GPU of its block until it is evicted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from placement.problem.cluster import Cluster, FloatArray, IntArray
from placement.problem.space import all_rooms_gb
from placement.problem.workload import Workload
from placement.support.machine_code import compiled
from runtime.arrays import BoolArray


class Residency(NamedTuple):
    """Models, GPUs, and what is loaded where.

    Parameters
    ----------
    gpus_required, slots : int64, shape (M,)
    memory_gb, load_s : float64, shape (M,)
        Memory on each GPU of a block; seconds to load a replica.
    slowdown : float64, shape (M, most slots)
    server, server_first, server_end : int64, shape (N,)
        Server of each GPU, the server's first GPU and the one behind its last.
    speed, capacity_gb : float64, shape (N,)
    per_gpu : int
        Most residents on one GPU.
    free_s : float64, shape (N,)
        When all that was committed to a GPU has ended.
    memory_left_gb, residents : shape (N,)
    loaded : bool, shape (M, N)
    slot_end_s : float64, shape (M, N, most slots)
        When each slot of a resident is free.
    rival_end_s : float64, shape (M, N)
        When the other residents on its GPUs have ended.
    used_s : float64, shape (M, N)
        End of the latest execution of a resident.
    """

    gpus_required: IntArray
    slots: IntArray
    memory_gb: FloatArray
    load_s: FloatArray
    slowdown: FloatArray
    server: IntArray
    server_first: IntArray
    server_end: IntArray
    speed: FloatArray
    capacity_gb: FloatArray
    per_gpu: int
    free_s: FloatArray
    memory_left_gb: FloatArray
    residents: IntArray
    loaded: BoolArray
    slot_end_s: FloatArray
    rival_end_s: FloatArray
    used_s: FloatArray


def empty_residency(workload: Workload, cluster: Cluster, models_per_gpu: int | None) -> Residency:
    """GPUs that hold nothing yet; `models_per_gpu` None lets memory alone decide.

    Parameters
    ----------
    workload : Workload
        Models that will be loaded.
    cluster : Cluster
        GPUs and their memory.
    models_per_gpu : int or None
        Most models on one GPU at a time.
    """
    models = workload.models
    n_models, n_gpus = len(models), cluster.n_gpus
    slots = np.array([m.max_concurrency for m in models], dtype=np.int64)
    slowdown = np.ones((n_models, int(slots.max(initial=1))))
    for m, model in enumerate(models):
        slowdown[m, : len(model.slowdown)] = model.slowdown
        slowdown[m, len(model.slowdown) :] = model.slowdown[-1]
    server = np.asarray(cluster.gpu_server, dtype=np.int64)
    first = cluster.first_gpu[server]
    capacity = all_rooms_gb(cluster)
    return Residency(
        gpus_required=np.array([m.gpus_required for m in models], dtype=np.int64),
        slots=slots,
        memory_gb=np.array([m.memory_per_gpu_gb for m in models], dtype=np.float64),
        load_s=np.array([m.load_time_s for m in models], dtype=np.float64),
        slowdown=slowdown,
        server=server,
        server_first=first,
        server_end=first + cluster.server_gpus[server],
        speed=cluster.gpu_speed,
        capacity_gb=capacity,
        per_gpu=models_per_gpu or max(1, n_models * int(cluster.max_gpus_per_server)),
        free_s=np.zeros(n_gpus),
        memory_left_gb=capacity.copy(),
        residents=np.zeros(n_gpus, dtype=np.int64),
        loaded=np.zeros((n_models, n_gpus), dtype=np.bool_),
        slot_end_s=np.zeros((n_models, n_gpus, slowdown.shape[1])),
        rival_end_s=np.zeros((n_models, n_gpus)),
        used_s=np.zeros((n_models, n_gpus)),
    )


def places(state: Residency) -> BoolArray:
    """Models that some block of the cluster can hold, or that need no GPU, shape (M,)."""
    found = np.zeros(len(state.gpus_required), dtype=np.bool_)
    arrival = np.zeros(int(state.server.max()) + 1)
    for m in range(len(found)):
        needs = state.gpus_required[m] > 0
        found[m] = not needs or first_to_start(state, m, arrival, False, 1.0) >= 0
    return found


@compiled()
def first_to_start(state, m, arrival_s, foresight, price):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Block on which an execution of model m can start first; -1 where none can hold it.

    Ties: the model is loaded there; then nothing need be evicted; then idle the longest; then the
    lowest GPU.

    Parameters
    ----------
    state : Residency
        Is not changed.
    m : int
        The model.
    arrival_s : float64, shape (S,)
        When the execution's data is on each server.
    foresight : bool
        Loading may begin before the data is there.
    price : float
        How often the time to load counts in the comparison of blocks.
    """
    k = state.gpus_required[m]
    load = price * state.load_s[m]
    n_gpus = len(state.server)
    best = -1
    best_start = best_idle = np.inf
    best_rank = 3
    soonest = arrival_s.min()
    for a in range(n_gpus):
        if not state.loaded[m, a]:
            continue
        start = state.slot_end_s[m, a, 0]
        for slot in range(1, state.slots[m]):
            start = min(start, state.slot_end_s[m, a, slot])
        start = max(arrival_s[state.server[a]], start, state.rival_end_s[m, a])
        if start < best_start:
            best, best_start, best_rank, best_idle = a, start, 0, 0.0
    if best_start <= soonest + (0.0 if foresight else load):
        return best  # loading starts no earlier, and a loaded model wins ties
    a = 0
    while a + k <= n_gpus:
        if a + k > state.server_end[a]:
            a = state.server_end[a]
            continue
        idle = 0.0
        blocked = -1
        for g in range(a, a + k):
            idle = max(idle, state.free_s[g])
            if state.free_s[g] + load > best_start or state.capacity_gb[g] < state.memory_gb[m]:
                blocked = g
        if blocked >= 0:
            a = blocked + 1  # no block with this GPU is free in time
            continue
        if not state.loaded[m, a]:
            arrival = arrival_s[state.server[a]]
            begin = idle if foresight else max(arrival, idle)
            start = max(arrival, begin + load)
            if start <= best_start:
                rank = 1
                for g in range(a, a + k):
                    if not _has_room(state, m, g):
                        rank = 2
                if start < best_start or (
                    rank < best_rank or (rank == best_rank and idle < best_idle)
                ):
                    best, best_start, best_rank, best_idle = a, start, rank, idle
        a += 1
    return best


@compiled()
def serve(state, m, a, arrival, service, foresight):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Queue an execution on the block from GPU a, loading the model where it is not.

    Parameters
    ----------
    state : Residency
        Changed in place.
    m, a : int
        Model, and first GPU of its block.
    arrival : float
        Seconds at which the input is there.
    service : float
        Seconds of the execution at speed 1, alone.
    foresight : bool
        The model may be loaded before the input is there.

    Returns
    -------
    start, end, load : float
        Begin and end of service; seconds of loading before it, 0 where the model was there.
    """
    block_end = a + state.gpus_required[m]
    load = 0.0
    if not state.loaded[m, a]:
        load = state.load_s[m]
        begin = 0.0 if foresight else arrival
        for g in range(a, block_end):
            begin = max(begin, state.free_s[g])
            _make_room(state, m, g)
        for g in range(a, block_end):
            state.memory_left_gb[g] -= state.memory_gb[m]
            state.residents[g] += 1
        state.loaded[m, a] = True
        state.slot_end_s[m, a, :] = begin + load
        state.rival_end_s[m, a] = 0.0
    slot = 0
    for other in range(1, state.slots[m]):
        if state.slot_end_s[m, a, other] < state.slot_end_s[m, a, slot]:
            slot = other
    start = max(arrival, state.slot_end_s[m, a, slot], state.rival_end_s[m, a])
    in_service = 0
    for other in range(state.slots[m]):
        in_service += state.slot_end_s[m, a, other] > start
    speed = state.speed[a]  # of the slowest GPU of the block
    for g in range(a, block_end):
        speed = min(speed, state.speed[g])
    end = start + service / speed * state.slowdown[m, in_service]
    state.slot_end_s[m, a, slot] = end
    state.used_s[m, a] = max(state.used_s[m, a], end)
    for g in range(a, block_end):
        state.free_s[g] = max(state.free_s[g], end)
    for rival in range(len(state.gpus_required)):
        low = max(state.server_first[a], a - state.gpus_required[rival] + 1)
        for b in range(low, block_end):
            if state.loaded[rival, b] and not (rival == m and b == a):
                state.rival_end_s[rival, b] = max(state.rival_end_s[rival, b], end)
    return start, end, load


@compiled()
def _has_room(state, m, g):  # type: ignore[no-untyped-def]  # pragma: no cover
    fits = state.memory_left_gb[g] >= state.memory_gb[m]
    return fits and state.residents[g] < state.per_gpu


@compiled()
def _make_room(state, m, g):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Evict from GPU g, the least recently used first (ties: lowest model, lowest GPU).

    A resident in use has ended when all its GPUs are free, and loading waits for g; so what is
    evicted is idle by then.
    """
    while not _has_room(state, m, g):
        model, first = -1, -1
        for other in range(len(state.gpus_required)):
            low = max(state.server_first[g], g - state.gpus_required[other] + 1)
            for b in range(low, g + 1):
                if state.loaded[other, b] and (
                    model < 0 or state.used_s[other, b] < state.used_s[model, first]
                ):
                    model, first = other, b
        state.loaded[model, first] = False
        for b in range(first, first + state.gpus_required[model]):
            state.memory_left_gb[b] += state.memory_gb[model]
            state.residents[b] -= 1
        # Adding and subtracting leaves a residue; an empty GPU has all its memory.
        for b in range(first, first + state.gpus_required[model]):
            if state.residents[b] == 0:
                state.memory_left_gb[b] = state.capacity_gb[b]
