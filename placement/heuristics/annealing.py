"""Simulated annealing over what each server holds, scored by water-filling (compiled)."""

from __future__ import annotations

import numpy as np

from placement.heuristics import search_arrays, water_filling
from placement.heuristics.search_arrays import Demands, Servers
from placement.heuristics.water_filling import fill_score
from placement.problem.cluster import FloatArray, IntArray
from placement.support.machine_code import compiled

CALLED = (water_filling.__file__, search_arrays.__file__)
"""Where the compiled functions live that those here call."""

UNCOVERED = 10.0
"""Share of the demand that a used model without a replica counts as: more than all of it."""

EQUAL_SHARES = 1e-6
"""Load for which a replica stands on a GPU where loads are compared: no more than a tie-break."""


@compiled(calls=CALLED)
def score_of(demand, servers, used, penalty):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Locality by water-filling, less the penalties for what is not served and not covered.

    In overload it can pay to leave out a model whole; a plan may not.

    Parameters
    ----------
    demand : Demands
        Rates, work and links of all workflows, as `search_arrays` has them.
    servers : Servers
        What is placed where.
    used : int64
        Models that must have a replica.
    penalty : float
        Score lost where nothing is served.
    """
    held = np.zeros(len(demand.gpus_required), dtype=np.bool_)
    for s in range(len(servers.gpus)):
        for r in range(servers.size[s]):
            held[servers.model[s, r]] = True
    uncovered = 0
    for m in used:
        uncovered += not held[m]
    value, unserved = fill_score(demand, servers)
    return value - penalty * (unserved + UNCOVERED * uncovered)


@compiled(calls=CALLED, nogil=True)  # Ctrl-C is heard by another thread
def anneal(  # type: ignore[no-untyped-def]  # pragma: no cover
    demand: Demands,
    servers: Servers,
    best: Servers,
    best_score: float,
    penalty: float,
    used: IntArray,
    memory_gb: FloatArray,
    room_gb: FloatArray,
    per_gpu: int,
    moves: int,
    hot: float,
    cold: float,
    seed: int,
):
    """Try `moves` moves from `servers`, cooling from `hot` to `cold`; return the best score.

    Each move rewrites one server (drop some replicas, add what a random workflow lacks, fill up
    at random), copies another server's content, or swaps a replica between two servers. What is
    on a server goes to the GPUs with the fewest replicas in half of the moves, in the others to
    those with the least load: list scheduling (Graham, SIAM Journal on Applied Mathematics 17,
    1969), right but where loads differ from what they are estimated to be.
    `servers` and `best` are changed in place. Arguments stay flat: compiled code takes arrays and
    numbers, and no dataclass.

    Parameters
    ----------
    demand : Demands
        Rates, work and links of all workflows.
    servers : Servers
        Where it begins.
    best : Servers
        The best met so far.
    best_score : float
        Its `score_of`.
    penalty : float
        Score lost where nothing is served.
    used : int64
        Models that may be added.
    memory_gb : float64, shape (M,)
        Memory on each GPU of a block.
    room_gb : float64, shape (S, G)
        What the replicas on each GPU of each server may take (`placement.problem.space`).
    per_gpu : int
        Most replicas on one GPU.
    moves : int
        Tried in all.
    hot, cold : float
        Temperatures at the first and the last move, in units of the score.
    seed : int
        Of the moves.
    """
    np.random.seed(seed)
    n_servers = len(servers.gpus)
    width = servers.model.shape[1]
    current = score_of(demand, servers, used, penalty)
    kept_model = np.zeros((2, width), dtype=np.int64)
    kept_start = np.zeros((2, width), dtype=np.int64)
    kept_size = np.zeros(2, dtype=np.int64)
    share = np.zeros(len(demand.gpus_required))
    for move in range(moves):
        _shares(demand, servers, share)
        if np.random.random() < 0.5:
            share[:] = 0.0
        s = np.random.randint(n_servers)
        t = np.random.randint(n_servers)
        for i, server in enumerate((s, t)):
            kept_model[i] = servers.model[server]
            kept_start[i] = servers.start[server]
            kept_size[i] = servers.size[server]
        kind = np.random.random()
        if kind < 0.15 and s != t and servers.size[s] and servers.size[t]:
            i, j = np.random.randint(servers.size[s]), np.random.randint(servers.size[t])
            a, b = servers.model[s, i], servers.model[t, j]
            servers.model[s, i], servers.model[t, j] = b, a
            fits = _pack(demand, servers, s, memory_gb, share, room_gb[s], per_gpu) and _pack(
                demand, servers, t, memory_gb, share, room_gb[t], per_gpu
            )
        elif kind < 0.25 and s != t:
            servers.model[s] = servers.model[t]
            servers.size[s] = servers.size[t]
            fits = _pack(demand, servers, s, memory_gb, share, room_gb[s], per_gpu)
        else:
            fits = _rewrite(demand, servers, s, used, memory_gb, share, room_gb[s], per_gpu)
        score = -np.inf
        if fits:
            score = score_of(demand, servers, used, penalty)
        temperature = hot * (cold / hot) ** (move / moves)
        if score >= current or np.random.random() < np.exp((score - current) / temperature):
            current = score
            if score > best_score:
                best_score = score
                best.model[:] = servers.model
                best.start[:] = servers.start
                best.size[:] = servers.size
        else:
            for i, server in enumerate((s, t)):
                servers.model[server] = kept_model[i]
                servers.start[server] = kept_start[i]
                servers.size[server] = kept_size[i]
    return best_score


@compiled()
def _shares(demand, servers, share):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Load of a replica of each model if all replicas of one model had the same, into `share`."""
    count = np.zeros(len(share))
    for s in range(len(servers.gpus)):
        for r in range(servers.size[s]):
            count[servers.model[s, r]] += 1.0
    share[:] = 0.0
    for w in range(len(demand.rate)):
        for v in range(demand.node_ptr[w], demand.node_ptr[w + 1]):
            share[demand.node_model[v]] += demand.rate[w] * demand.node_work[v]
    share /= np.maximum(1.0, count)


@compiled()
def _rewrite(demand, servers, s, used, memory_gb, share, room_gb, per_gpu):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Drop up to half of the replicas, then add: a workflow's missing models, then any."""
    size = servers.size[s]
    for _ in range(np.random.randint(1, 2 + size // 2) if size else 0):
        i = np.random.randint(servers.size[s])
        servers.model[s, i] = servers.model[s, servers.size[s] - 1]
        servers.size[s] -= 1
    if not _pack(demand, servers, s, memory_gb, share, room_gb, per_gpu):
        return False
    if np.random.random() < 0.5:
        w = np.random.randint(len(demand.rate))
        for v in range(demand.node_ptr[w], demand.node_ptr[w + 1]):
            m = demand.node_model[v]
            absent = True
            for r in range(servers.size[s]):
                if servers.model[s, r] == m:
                    absent = False
            if absent:
                _add(demand, servers, s, m, memory_gb, share, room_gb, per_gpu)
    fill = 2 * servers.gpus[s]
    if demand.kept[-1] < 1.0:
        # A replica that has its GPU to itself bears more: not every server is to be full.
        fill = np.random.randint(fill + 1)
    for _ in range(fill):
        m = used[np.random.randint(len(used))]
        _add(demand, servers, s, m, memory_gb, share, room_gb, per_gpu)
    return True


@compiled()
def _add(demand, servers, s, model, memory_gb, share, room_gb, per_gpu):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add a replica if the server can be packed with it."""
    size = servers.size[s]
    if size == servers.model.shape[1]:
        return
    before_model = servers.model[s].copy()
    before_start = servers.start[s].copy()
    servers.model[s, size] = model
    servers.size[s] = size + 1
    if not _pack(demand, servers, s, memory_gb, share, room_gb, per_gpu):
        servers.model[s] = before_model
        servers.start[s] = before_start
        servers.size[s] = size


@compiled()
def _pack(demand, servers, s, memory_gb, share, room_gb, per_gpu):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Give every replica of s a block, large ones first, on the GPUs with the least `share`.

    Where they differ in speed, on those that have the least once it stands there.

    Equals go to the GPUs with the fewest replicas.
    """
    size = servers.size[s]
    length = demand.gpus_required[servers.model[s, :size]]
    order = np.argsort(-(length * 1000.0 + memory_gb[servers.model[s, :size]]), kind="mergesort")
    servers.model[s, :size] = servers.model[s, :size][order]
    count = np.zeros(servers.gpus[s], dtype=np.int64)
    memory = np.zeros(servers.gpus[s])
    load = np.zeros(servers.gpus[s])
    paced = servers.speed.shape[2] > 1
    for r in range(size):
        m = servers.model[s, r]
        k = demand.gpus_required[m]
        fastest = servers.speed[s, m].max()
        best, least = -1, np.inf
        for i in range(servers.gpus[s] - k + 1):
            crowd = 0.0
            for q in range(r):
                # A second replica on the same GPUs would add nothing.
                if servers.model[s, q] == m and servers.start[s, q] == i:
                    crowd = np.inf
                    break
            for g in range(i, i + k):
                if count[g] >= per_gpu or memory[g] + memory_gb[m] > room_gb[g]:
                    crowd = np.inf
                    break
                crowd = max(crowd, load[g] + EQUAL_SHARES * count[g])
            if paced:
                crowd += (share[m] + EQUAL_SHARES) * fastest / servers.speed[s, m, i]
            if crowd < least:
                best, least = i, crowd
        if best < 0:
            return False
        servers.start[s, r] = best
        more = share[m]
        if paced:
            more *= fastest / servers.speed[s, m, best]
        load[best : best + k] += more
        count[best : best + k] += 1
        memory[best : best + k] += memory_gb[m]
    return True
