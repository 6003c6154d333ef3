"""Placements of replica counts that a program over the cluster in sum has found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from placement.problem.blocks import windows
from placement.problem.instance import Instance
from placement.problem.solution import Placement
from placement.problem.space import ServerSpace
from placement.solver.budget import tick


@dataclass(frozen=True)
class Counted:
    """Replicas of a model on the servers of a type.

    Parameters
    ----------
    replicas : int
    alone : int
        Of these, how many share none of their GPUs with another loaded one.
    shared : float
        Load of the others in sum.
    """

    replicas: int
    alone: int
    shared: float


def packed_apart(instance: Instance, counts: Mapping[tuple[int, int], Counted]) -> Placement | None:
    """Lay blocks on free GPUs, large ones first, each on the fullest server with room."""
    cluster = instance.cluster
    rows: list[tuple[int, int, int]] = []
    for t in range(len(cluster.server_types)):
        servers = np.flatnonzero(cluster.server_type == t)
        used = np.zeros(len(servers), dtype=np.int64)
        gpus = cluster.server_types[t].gpus
        # Servers by free GPUs: the fullest with room is found without a search.
        buckets: list[list[int]] = [[] for _ in range(gpus + 1)]
        buckets[gpus] = list(range(len(servers) - 1, -1, -1))
        mine = sorted(
            (m for (m, kind), c in counts.items() if kind == t for _ in range(c.replicas)),
            key=lambda m: (-instance.gpus_required[m], m),
        )
        for m in mine:
            k = int(instance.gpus_required[m])
            free = next((f for f in range(k, gpus + 1) if buckets[f]), None)
            if free is None:
                continue
            i = buckets[free].pop()
            rows.append((m, int(servers[i]), int(used[i])))
            used[i] += k
            buckets[free - k].append(i)
    return _covering(instance, rows)


def packed_together(
    instance: Instance, counts: Mapping[tuple[int, int], Counted]
) -> Placement | None:
    """Give GPUs of their own to the replicas that stand alone, and spread the others over the rest.

    Large blocks come first, then heavy ones, each to where the busiest GPU under it has the least
    to do (longest processing time first; Graham 1969).
    """
    cluster = instance.cluster
    kinds = [cluster.server_types[t] for t in cluster.server_type.tolist()]
    spaces = [ServerSpace(instance, kind) for kind in kinds]
    busy = [np.zeros(kind.gpus) for kind in kinds]
    pieces: list[tuple[int, int, bool, float]] = []
    for (m, t), c in counts.items():
        pieces += [(m, t, True, 0.0)] * c.alone
        others = c.replicas - c.alone
        pieces += [(m, t, False, c.shared / max(1, others))] * others
    size = instance.gpus_required
    pieces.sort(key=lambda p: (not p[2], -size[p[0]], -p[3], p[0], p[1]))
    for m, t, alone, load in pieces:
        tick()
        k = int(size[m])
        best: tuple[float, int, int] | None = None
        for s in np.flatnonzero(cluster.server_type == t).tolist():
            under = windows(busy[s], k).max(axis=1)
            if kinds[s].paced:
                under = under + load / instance.block_paces(kinds[s], m)
            under = np.where(spaces[s].fits(m), under, np.inf)
            if alone:  # on untouched GPUs, of the server that has the fewest of them
                untouched = np.full(len(under), float((busy[s] == 0).sum()))
                if kinds[s].paced:  # the faster ones first
                    untouched = untouched - instance.block_paces(kinds[s], m) / 2
                under = np.where(under == 0, untouched, np.inf)
            i = int(under.argmin())
            if np.isfinite(under[i]) and (best is None or under[i] < best[0]):
                best = float(under[i]), s, i
        if best is not None:
            _, s, i = best
            spaces[s].put(m, i)
            busy[s][i : i + k] += np.inf if alone else load / instance.pace(kinds[s], m, i)
    rows = [(m, s, i) for s, space in enumerate(spaces) for m, i in space.content]
    return _covering(instance, rows)


def _covering(instance: Instance, rows: list[tuple[int, int, int]]) -> Placement | None:
    """The placement, if every used model has a replica."""
    if set(instance.used_models) - {m for m, _, _ in rows}:
        return None
    return Placement.of(rows)
