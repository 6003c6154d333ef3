"""What is still free on every GPU while a heuristic places replicas one by one."""

from __future__ import annotations

import numpy as np

from placement.problem.blocks import BoolArray, windows
from placement.problem.cluster import FloatArray
from placement.problem.instance import Instance
from placement.problem.solution import Placement, Replica
from placement.problem.space import cluster_rooms_gb, cluster_starts, open_blocks, pins
from placement.solver.budget import tick


class Room:
    """Free memory, replicas and load estimate of every GPU, as (S, G) arrays.

    Pinned replicas stand from the beginning.

    G is the GPU count of the largest server; GPUs that a smaller server lacks have less than no
    memory, and so have those that are excluded.
    """

    def __init__(self, instance: Instance) -> None:
        cluster = instance.cluster
        self.instance = instance
        servers, gpus = cluster.n_servers, cluster.max_gpus_per_server
        self._rooms_gb = cluster_rooms_gb(cluster)
        self.memory_gb: FloatArray = self._rooms_gb.copy()
        self.replicas = np.zeros((servers, gpus), dtype=np.int64)
        self.load: FloatArray = np.zeros((servers, gpus))
        self.count = np.zeros((len(instance.model_ids), servers), dtype=np.int64)
        self.empty = cluster.usable_gpus.copy()
        """Usable GPUs without a replica on each server, shape (S,)."""
        self._placed: list[Replica] = []
        self._starts: dict[int, list[tuple[int, int]]] = {}
        self._open: dict[int, BoolArray] = {}
        self._holding: dict[int, BoolArray] = {}
        if not cluster.plain:
            for t, kind in enumerate(cluster.server_types):
                for m, i in pins(instance, kind):
                    for s in np.flatnonzero(cluster.server_type == t).tolist():
                        self.put(m, s, i)

    def fits(self, model: int, *, empty: bool = False) -> BoolArray:
        """Whether a block of the model can start at each GPU, shape (S, G - k + 1).

        Where one stands already, a second would add nothing.

        Parameters
        ----------
        model : int
        empty : bool
            Ask for GPUs that hold no replica at all.
        """
        limit = 1 if empty else self.instance.models_per_gpu
        if not self.allows(model):
            shape = len(self.empty), max(0, self.memory_gb.shape[1] - self._length(model) + 1)
            return np.zeros(shape, dtype=np.bool_)
        base = self.instance.company.base(model)
        if base is None:
            found = open_blocks(self.instance, model, self.memory_gb, self.replicas < limit)
        else:  # on one that stands, or that comes with it
            free = self.memory_gb - self.instance.memory_per_gpu_gb[base]
            found = open_blocks(self.instance, model, free, self.replicas < limit - 1)
            found &= self.fits(base, empty=empty)
            alone = open_blocks(self.instance, model, self.memory_gb, self.replicas < limit)
            for server, start in self._starts.get(base, ()):
                found[server, start] = alone[server, start]
        for server, start in self._starts.get(model, ()) if limit > 1 else ():
            found[server, start] = False
        for other in self.instance.company.foes(model):
            found[self.count[other] > 0] = False
        return found if self.instance.cluster.plain else found & self._open_to(model)

    def _open_to(self, model: int) -> BoolArray:
        """Where the rules let a block of the model start, shape (S, G - k + 1)."""
        if model not in self._open:
            self._open[model] = cluster_starts(self.instance, model)
        return self._open[model]

    def __contains__(self, replica: Replica) -> bool:
        """Whether a replica, as model, server and first GPU, stands."""
        return replica[1:] in self._starts.get(replica[0], ())

    def allows(self, model: int) -> bool:
        """Whether the rules allow one more replica of the model."""
        wanted = self.instance.requirements
        return wanted is None or bool(self.count[model].sum() < wanted.most[model])

    def _length(self, model: int) -> int:
        return int(self.instance.gpus_required[model])

    def block_load(self, model: int) -> FloatArray:
        """Largest load estimate inside each block of the model, shape (S, G - k + 1)."""
        peak: FloatArray = windows(self.load, int(self.instance.gpus_required[model])).max(axis=2)
        return peak

    def load_with(self, model: int, load: float) -> FloatArray:
        """`block_load` with one more replica, where it matters on which GPUs that stands.

        Parameters
        ----------
        model : int
        load : float
            Busy fraction of the replica on the fastest block of a server.
        """
        peak, cluster = self.block_load(model), self.instance.cluster
        if not cluster.paced:
            return peak
        table = self.instance.speed_table[cluster.server_type, model, : peak.shape[1]]
        return np.asarray(peak + load * table.max(axis=1, initial=0.0, keepdims=True) / table)

    def put(self, model: int, server: int, start: int, load: float = 0.0) -> None:
        """Place a replica; the caller has asked `fits`.

        Parameters
        ----------
        model, server : int
            Of the replica.
        start : int
            First GPU within the server.
        load : float
            Busy fraction expected of it, which later choices look at.
        """
        tick()
        base = self.instance.company.base(model)
        if base is not None and (server, start) not in self._starts.get(base, ()):
            self.put(base, server, start)
        block = slice(start, start + int(self.instance.gpus_required[model]))
        self.memory_gb[server, block] -= self.instance.memory_per_gpu_gb[model]
        self.empty[server] -= int((self.replicas[server, block] == 0).sum())
        self.replicas[server, block] += 1
        self.load[server, block] += load
        self.count[model, server] += 1
        self._placed.append((model, server, start))
        self._starts.setdefault(model, []).append((server, start))

    def placement(self) -> Placement:
        """Everything placed so far."""
        return Placement.of(self._placed)

    def free_gpus(self) -> int:
        """GPUs that hold no replica."""
        return int(self.empty.sum())

    def holding(self, model: int) -> BoolArray:
        """Servers on which a replica of the model fits while they are empty, shape (S,)."""
        if model not in self._holding:
            everywhere = np.ones_like(self._rooms_gb, dtype=np.bool_)
            found = open_blocks(self.instance, model, self._rooms_gb, everywhere)
            if not self.instance.cluster.plain:
                found &= self._open_to(model)
            self._holding[model] = np.asarray(found.any(axis=1))
        return self._holding[model]

    def empty_block(self, model: int, server: int) -> int | None:
        """First GPU of a block of empty GPUs on a server; None where there is none.

        The first of the fastest. None as well where the rules allow no more replicas.
        """
        if not self.allows(model):
            return None
        if any(self.count[other, server] for other in self.instance.company.foes(model)):
            return None
        if self.instance.company.base(model) is not None:
            return self._fastest(model, server, self.fits(model, empty=True)[server])
        vacant = self.replicas[server] == 0
        able = open_blocks(self.instance, model, self.memory_gb[server], vacant)
        if not self.instance.cluster.plain:
            able &= self._open_to(model)[server]
        return self._fastest(model, server, able)

    def _fastest(self, model: int, server: int, able: BoolArray) -> int | None:
        """The first of the fastest blocks that can be had on a server."""
        if not able.any():
            return None
        cluster = self.instance.cluster
        if not cluster.paced:
            return int(able.argmax())
        table = self.instance.speed_table[cluster.server_type[server], model, : len(able)]
        return int(np.where(able, table, -np.inf).argmax())
