"""Servers that hold the same, drawn as one: what keeps 1,000 GPUs legible."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cli.views.scales import ranges
from placement.problem.cluster import Cluster, FloatArray, IntArray, ServerType
from placement.support.equality import ByContent
from runtime.scene import Scene

ALONE = 12
"""Up to so many servers each is drawn for itself, even where two hold the same."""


@dataclass(frozen=True, eq=False)
class ServerGroup(ByContent):
    """Servers of one type with the same blocks at the same places.

    Parameters
    ----------
    servers : int64, shape (K,)
    replicas : int64, shape (K, B)
        Replica of each block on each of these servers; a column is one block of the pattern.
    """

    type: ServerType
    servers: IntArray
    replicas: IntArray

    @property
    def title(self) -> str:
        """Name of the group: the server, or how many alike there are."""
        if len(self.servers) == 1:
            return f"Server {self.servers[0]}"
        return f"{len(self.servers)} servers alike"

    def first_gpu(self, cluster: Cluster) -> int:
        """Number of the first GPU in the cluster; 0 for servers alike, whose GPUs share a place."""
        return int(cluster.first_gpu[self.servers[0]]) if len(self.servers) == 1 else 0

    def where(self, cluster: Cluster) -> str:
        """Say of what type the servers are, which they are, and how their GPUs are numbered."""
        if len(self.servers) > 1:
            return f"{self.type.name}: {ranges(self.servers)}; GPUs by their place in each"
        first = self.first_gpu(cluster)
        gpus = (
            f"GPUs {first}–{first + self.type.gpus - 1}" if self.type.gpus > 1 else f"GPU {first}"
        )
        return f"{self.type.name}, {gpus}"


def group_servers(scene: Scene, *, alone: int = ALONE) -> list[ServerGroup]:
    """Group servers by content, the largest group first; few servers stay in their order."""
    cluster, placement = scene.plan.cluster, scene.plan.placement
    by_server: list[list[int]] = [[] for _ in range(cluster.n_servers)]
    for r in np.lexsort((scene.replica_model, placement.start)):
        by_server[placement.server[r]].append(int(r))
    groups: dict[object, list[int]] = {}
    for s, replicas in enumerate(by_server):
        content = tuple((int(placement.start[r]), int(scene.replica_model[r])) for r in replicas)
        key = (int(cluster.server_type[s]), content) if cluster.n_servers > alone else s
        groups.setdefault(key, []).append(s)
    members = sorted(groups.values(), key=lambda servers: (-len(servers), servers[0]))
    return [
        ServerGroup(
            type=cluster.server_types[cluster.server_type[servers[0]]],
            servers=np.array(servers, dtype=np.int64),
            replicas=np.array([by_server[s] for s in servers], dtype=np.int64),
        )
        for servers in members
    ]


def group_mean(scene: Scene, group: ServerGroup, per_gpu: FloatArray) -> FloatArray:
    """Mean over a group's servers of a figure of each GPU, shape (G,).

    Parameters
    ----------
    scene : Scene
        With the plan's cluster.
    group : ServerGroup
        Servers of one type that hold the same.
    per_gpu : float64, shape (N,)
        The figure of every GPU of the cluster.
    """
    first = scene.plan.cluster.first_gpu[group.servers]
    return np.asarray(per_gpu[first[:, None] + np.arange(group.type.gpus)].mean(axis=0))


def lanes(start: IntArray, length: IntArray) -> IntArray:
    """Give blocks that share a GPU different lanes, the lowest that is free, shape (B,)."""
    lane = np.zeros(len(start), dtype=np.int64)
    ends: list[int] = []
    for b in np.lexsort((-length, start)):
        free = next((i for i, end in enumerate(ends) if end <= start[b]), len(ends))
        if free == len(ends):
            ends.append(0)
        ends[free] = int(start[b] + length[b])
        lane[b] = free
    return lane
