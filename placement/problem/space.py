"""What fits where: the rules of space, known here and nowhere else.

A replica of model m stands on k_m consecutive GPUs of one server. Replicas fit on a GPU where

- the GPU is not excluded, and their memory adds up to at most its room, which is its memory and
  `blocks.MEMORY_TOLERANCE` of it;
- they are no more than the rules of sharing allow (`Instance.models_per_gpu`);
- rules of the user let a replica of the model stand there, beside the others of the server, and its
  block within one domain;
- no two of one model stand on the same GPUs: together they would serve no more than one.

The judge of a placement, every heuristic, program and bound, and the verifier ask here, so that
none excludes what another accepts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from placement.problem.blocks import BoolArray, block_starts, gpu_rooms_gb, windows
from placement.problem.cluster import Cluster, FloatArray, ServerType
from placement.problem.instance import Instance


def largest_room_gb(kind: ServerType) -> float:
    """Room on the GPU of a type that has most: what fits on none of its GPUs exceeds this."""
    return float(gpu_rooms_gb(kind).max())


def total_room_gb(kind: ServerType) -> float:
    """Room on all GPUs of a server of a type."""
    rooms = gpu_rooms_gb(kind)
    return float(rooms[rooms > 0].sum())


def cluster_rooms_gb(cluster: Cluster) -> FloatArray:
    """Room on each GPU of each server, shape (S, G), G GPUs on the largest.

    GPUs that a smaller server lacks have less than none: nothing fits there.
    """
    rooms = np.full((len(cluster.server_types), cluster.max_gpus_per_server), -np.inf)
    for t, kind in enumerate(cluster.server_types):
        rooms[t, : kind.gpus] = gpu_rooms_gb(kind)
    return rooms[cluster.server_type]


def all_rooms_gb(cluster: Cluster) -> FloatArray:
    """Room on each GPU by its number in the cluster, shape (N,)."""
    return np.concatenate([np.tile(gpu_rooms_gb(t), t.count) for t in cluster.server_types])


def open_blocks(instance: Instance, m: int, free_gb: FloatArray, vacant: BoolArray) -> BoolArray:
    """Whether a block of a model can start at each GPU, shape (..., G - k + 1).

    Parameters
    ----------
    m : int
        The model, of k GPUs a replica.
    free_gb : float64, shape (..., G)
        Room left on each GPU.
    vacant : bool, shape (..., G)
        Whether the rules of sharing allow one more replica there.
    """
    free: BoolArray = (free_gb >= instance.memory_per_gpu_gb[m]) & vacant
    k = int(instance.gpus_required[m])
    return free if k == 1 else np.asarray(windows(free, k).all(axis=-1))


def starts(instance: Instance, m: int, kind: ServerType) -> list[int]:
    """First GPUs of the blocks on which an empty server of a type can hold a replica.

    Parameters
    ----------
    instance : Instance
        Says how many GPUs a replica takes, and how much memory on each.
    m : int
        The model.
    kind : ServerType
        Type of the server.

    Returns
    -------
    list of int
        Ascending, from 0 within the server; empty where the model does not fit.
    """
    k, need = int(instance.gpus_required[m]), float(instance.memory_per_gpu_gb[m])
    return block_starts(kind, k, need, instance.model_ids[m])


def open_starts(instance: Instance, m: int, kind: ServerType) -> BoolArray:
    """Whether a block can start at each GPU of an empty server, shape (G - k + 1,).

    Parameters
    ----------
    instance : Instance
    m : int
        Model.
    kind : ServerType
        Type of the server.

    Returns
    -------
    bool, shape (G - k + 1,)
    """
    found = np.zeros(max(0, kind.gpus - int(instance.gpus_required[m]) + 1), dtype=np.bool_)
    found[starts(instance, m, kind)] = True
    return found


def cluster_starts(instance: Instance, m: int) -> BoolArray:
    """Whether a block can start at each GPU of each empty server, shape (S, G - k + 1)."""
    cluster = instance.cluster
    width = max(0, cluster.max_gpus_per_server - int(instance.gpus_required[m]) + 1)
    found = np.zeros((len(cluster.server_types), width), dtype=np.bool_)
    for t, kind in enumerate(cluster.server_types):
        found[t, starts(instance, m, kind)] = True
    return found[cluster.server_type]


def pins(instance: Instance, kind: ServerType) -> list[tuple[int, int]]:
    """Model and first GPU of the replicas of used models that every server of a type holds."""
    if not kind.pinned:
        return []
    index = {instance.model_ids[m]: m for m in instance.used_models}
    return [(index[name], start) for name, start in kind.pinned if name in index]


def can_hold(instance: Instance, m: int, kind: ServerType) -> bool:
    """Whether an empty server of a type can hold a replica of a model.

    Parameters
    ----------
    instance : Instance
        Says how many GPUs a replica takes, and how much memory on each.
    m : int
        The model.
    kind : ServerType
        Type of the server.
    """
    return bool(
        instance.gpus_required[m] <= kind.gpus
        and instance.memory_per_gpu_gb[m] <= largest_room_gb(kind)
        and (kind.plain or starts(instance, m, kind))
    )


def models_that_fit(instance: Instance, kind: ServerType) -> list[int]:
    """Used models of which an empty server of a type can hold a replica."""
    return [m for m in instance.used_models if can_hold(instance, m, kind)]


def most_replicas(instance: Instance, m: int, kind: ServerType) -> int:
    """Replicas of one model that a server of a type can hold at most.

    Exclusive blocks lie side by side; others begin at different GPUs.

    Parameters
    ----------
    instance : Instance
        Says how many GPUs a replica takes, and how many models may share one.
    m : int
        The model.
    kind : ServerType
        Type of the server; its memory is not looked at.
    """
    if instance.models_per_gpu == 1:
        return kind.usable_gpus // int(instance.gpus_required[m])
    if not kind.plain:
        return len(starts(instance, m, kind))
    return max(0, kind.gpus - int(instance.gpus_required[m]) + 1)


def share_a_gpu(instance: Instance, models: Sequence[int], kind: ServerType) -> bool:
    """Whether replicas of these models fit on one and the same GPU of a type.

    Parameters
    ----------
    instance : Instance
        Memory of a replica on each of its GPUs, and how many models may share one.
    models : sequence of int
        Of each replica.
    kind : ServerType
        Type whose roomiest GPU is asked about.
    """
    memory = sum(float(instance.memory_per_gpu_gb[m]) for m in models)
    return memory <= largest_room_gb(kind) and len(models) <= instance.models_per_gpu


class ServerSpace:
    """What is still free on one server while it is being filled; pinned replicas stand already.

    Parameters
    ----------
    held : iterable of (model, first GPU)
        Replicas that stand there already, whether they fit or not.
    most_per_gpu : int, optional
        Replicas on one GPU at most, where that is less than the rules allow.

    Attributes
    ----------
    content : list of (model, first GPU)
    """

    def __init__(
        self,
        instance: Instance,
        kind: ServerType,
        held: Iterable[tuple[int, int]] = (),
        *,
        most_per_gpu: int | None = None,
    ) -> None:
        self.instance = instance
        self._free_gb = gpu_rooms_gb(kind)
        allowed = instance.models_per_gpu
        self._places = np.full(kind.gpus, min(allowed, most_per_gpu or allowed))
        self.content: list[tuple[int, int]] = []
        self._starts: dict[int, list[int]] = {}
        self._kind, self._open = kind, dict[int, BoolArray]()
        for m, i in (*pins(instance, kind), *held):
            if i not in self._starts.get(m, []):  # pinned, or the base of an adapter before it
                self.put(m, i)

    @property
    def vacant(self) -> bool:
        """Whether the rules of sharing allow one more replica on any GPU."""
        return bool((self._places >= 1).any())

    def fits(self, m: int) -> BoolArray:
        """Whether one more replica of a model can start at each GPU, shape (G - k + 1,).

        The base of an adapter that is not there yet comes with it.
        """
        base = self.instance.company.base(m)
        if base is None:
            found = open_blocks(self.instance, m, self._free_gb, self._places >= 1)
        else:
            found = self._fits_on(m, base)
        found[self._starts.get(m, [])] = False
        if any(o in self._starts for o in self.instance.company.foes(m)):
            found[:] = False
        if not self._kind.plain:
            if m not in self._open:
                self._open[m] = open_starts(self.instance, m, self._kind)
            found &= self._open[m]
        return found

    def _fits_on(self, m: int, base: int) -> BoolArray:
        """Whether an adapter can start at each GPU, on a base that stands or comes with it."""
        stands = self._starts.get(base, [])
        free = self._free_gb - self.instance.memory_per_gpu_gb[base]
        found = open_blocks(self.instance, m, free, self._places >= 2) & self.fits(base)
        found[stands] = open_blocks(self.instance, m, self._free_gb, self._places >= 1)[stands]
        return found

    def put(self, m: int, start: int) -> None:
        """Place a replica; the caller has asked `fits`."""
        base = self.instance.company.base(m)
        if base is not None and start not in self._starts.get(base, []):
            self.put(base, start)
        block = slice(start, start + int(self.instance.gpus_required[m]))
        self._free_gb[block] -= self.instance.memory_per_gpu_gb[m]
        self._places[block] -= 1
        self.content.append((m, start))
        self._starts.setdefault(m, []).append(start)


def keep_what_fits(
    instance: Instance, kind: ServerType, content: Iterable[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Leave out replicas that do not fit beside those before them on an empty server.

    Parameters
    ----------
    instance : Instance
        The models and the rules of sharing.
    kind : ServerType
        Type of the server.
    content : iterable of (int, int)
        Model and first GPU of each replica, the more wanted first.

    Returns
    -------
    list of (int, int)
        What stays.
    """
    space = ServerSpace(instance, kind)
    for m, start in content:
        if space.fits(m)[start]:
            space.put(m, start)
    if not instance.company.asks:
        return space.content
    return instance.company.kept(space.content, pins(instance, kind))
