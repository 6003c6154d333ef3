"""GPU servers, their types, and the network between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from placement.problem.names import SharingMode
from placement.support.described import Described, Facts, counted

LAST_SERVER = "last-server"
"""Name of the smaller server that is left where GPUs are no multiple of those of a server."""

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

Speeds = float | tuple[float, ...]
"""One speed, or one for each GPU of a server."""


@dataclass(frozen=True, slots=True)
class ServerType:
    """`count` identical servers.

    Parameters
    ----------
    name : str
        Name of the type.
    count : int
        Number of servers of the type.
    gpus : int
        GPUs on one server (G_s).
    gpu_memory_gb : float
        Memory of one GPU (C_s); of the largest where they differ.
    speed : float
        Service rates scale with it: an execution of t seconds takes t / speed here; of the fastest
        GPU where they differ.
    excluded_gpus : tuple of int
        GPUs on which no replica may stand, by their number in the server, ascending.
    closed_gpus : tuple of (str, tuple of int)
        By the id of a model, ascending: GPUs on which none of its replicas may stand.
    pinned : tuple of (str, int)
        Id of a model, ascending, and first GPU: replicas that every server of the type holds.
    domains : tuple of tuple of int
        Groups of GPUs, such as NVLink pairs, within which a block must stay; a GPU that is in none
        is a group by itself. Empty: blocks stand anywhere.
    gpu_memories_gb : tuple of float
        Memory of each GPU in order, where they differ; else empty.
    model_speeds : tuple of (str, float or tuple of float)
        Id of a model, ascending, and its own speed here in place of `speed`; that on each GPU in
        order where they differ.
    family : str
        Type that the servers belong to, where rules tell servers of one type apart; "" where the
        type is one by itself.
    gpu_speeds : tuple of float
        Speed of each GPU in order, where they differ; else empty. A block goes at the pace of the
        slowest of its GPUs.
    """

    name: str
    count: int
    gpus: int
    gpu_memory_gb: float
    speed: float = 1.0
    excluded_gpus: tuple[int, ...] = ()
    closed_gpus: tuple[tuple[str, tuple[int, ...]], ...] = ()
    pinned: tuple[tuple[str, int], ...] = ()
    domains: tuple[tuple[int, ...], ...] = ()
    family: str = ""
    gpu_memories_gb: tuple[float, ...] = ()
    model_speeds: tuple[tuple[str, Speeds], ...] = ()
    gpu_speeds: tuple[float, ...] = ()

    @property
    def paced(self) -> bool:
        """Whether the speed of a replica depends on the GPUs on which it stands."""
        return bool(self.gpu_speeds) or any(isinstance(v, tuple) for _, v in self.model_speeds)

    def stated_speed(self, model_id: str) -> Speeds:
        """Speed of a model here, its own or that of the type: one, or one for each GPU."""
        of_type = self.gpu_speeds or self.speed
        return next((v for name, v in self.model_speeds if name == model_id), of_type)

    def speeds_of(self, model_id: str) -> tuple[float, ...]:
        """Speed of a model on each GPU."""
        stated = self.stated_speed(model_id)
        return stated if isinstance(stated, tuple) else (stated,) * self.gpus

    def block_speed(self, model_id: str, start: int, gpus: int) -> float:
        """Speed of a replica: that on the slowest GPU of its block.

        Parameters
        ----------
        model_id : str
        start : int
            First GPU of the block in the server.
        gpus : int
            GPUs of the block.
        """
        stated = self.stated_speed(model_id)
        return min(stated[start : start + gpus]) if isinstance(stated, tuple) else stated

    @property
    def memories_gb(self) -> tuple[float, ...]:
        """Memory of each GPU."""
        return self.gpu_memories_gb or (self.gpu_memory_gb,) * self.gpus

    @property
    def usable_gpus(self) -> int:
        """GPUs of one server on which a replica may stand."""
        return self.gpus - len(self.excluded_gpus)

    @property
    def type_name(self) -> str:
        """Name of the type as the user gave it."""
        return self.family or self.name

    @property
    def plain(self) -> bool:
        """Whether no rule says what may stand where, and the GPUs are alike."""
        return not (self.closed_gpus or self.pinned) and self._alike

    @property
    def uniform(self) -> bool:
        """Whether blocks of models that may stand here can stand anywhere.

        Those that fit can then be laid end to end.
        """
        whole = all(len(gpus) == self.gpus for _, gpus in self.closed_gpus)
        return whole and not self.pinned and self._alike

    @property
    def _alike(self) -> bool:
        return not (self.excluded_gpus or self.domains or self.gpu_memories_gb or self.paced)

    def closed_to(self, model_id: str) -> tuple[int, ...]:
        """GPUs on which no replica of a model may stand, but for excluded ones."""
        return next((gpus for name, gpus in self.closed_gpus if name == model_id), ())


@dataclass(frozen=True, slots=True)
class Network:
    """Time to move data over an edge: latency + payload / bandwidth; no bandwidth limit is inf."""

    intra_latency_s: float = 0.0
    intra_bandwidth_gb_per_s: float = float("inf")
    inter_latency_s: float = 0.0
    inter_bandwidth_gb_per_s: float = float("inf")

    def delay_s(self, payload_mb: float, *, same_server: bool) -> float:
        """Seconds until `payload_mb` megabytes have crossed an edge."""
        if same_server:
            return self.intra_latency_s + payload_mb / 1000.0 / self.intra_bandwidth_gb_per_s
        return self.inter_latency_s + payload_mb / 1000.0 / self.inter_bandwidth_gb_per_s


@dataclass(frozen=True, slots=True)
class GpuSharing:
    """How a GPU serves several replicas.

    Parameters
    ----------
    mode : {"time-sliced", "serial"}
        ``time-sliced``: the replicas with work in service share the GPU evenly, as the driver
        does with processes. ``serial``: one execution at a time, first come first served.
    efficiency : tuple of float
        ``efficiency[n - 2]``: what n replicas that share a GPU get of it together, for n = 2, 3,
        ...; the last holds for all that are more. Alone, a replica gets all. The default is what
        four processes on an H100 were measured to keep.
    """

    mode: SharingMode = "time-sliced"
    efficiency: tuple[float, ...] = (0.93,)

    def kept(self, n: int) -> float:
        """What n replicas that share a GPU get of it together: eta(n), with eta(1) = 1."""
        if n < 2 or not self.efficiency:
            return 1.0
        return self.efficiency[min(n - 2, len(self.efficiency) - 1)]


@dataclass(frozen=True, repr=False)
class Cluster(Described):
    """Servers in the order of their types; GPUs are numbered through, server by server.

    Parameters
    ----------
    server_types : tuple of ServerType
        Identical servers together.
    network : Network
        What it takes to move data within a server and between servers.
    sharing : GpuSharing
        How a GPU serves several replicas.
    """

    server_types: tuple[ServerType, ...]
    network: Network = field(default_factory=Network)
    sharing: GpuSharing = field(default_factory=GpuSharing)

    @classmethod
    def homogeneous(
        cls, gpus: int, gpus_per_server: int = 4, gpu_memory_gb: float = 80.0
    ) -> Cluster:
        """Build identical servers; the last is smaller where `gpus` is no multiple.

        Parameters
        ----------
        gpus : int
            GPUs in the cluster.
        gpus_per_server : int
            GPUs of one server.
        gpu_memory_gb : float
            Memory of one GPU in GB.

        Raises
        ------
        ValueError
            Where a number is none of a cluster.
        """
        for name, number in (("gpus", gpus), ("gpus_per_server", gpus_per_server)):
            if not isinstance(number, Integral) or number < 1:
                raise ValueError(
                    f"Cluster: {name} is {number!r}; give it a whole number of at least 1"
                )
        if not 0 < gpu_memory_gb < float("inf"):
            raise ValueError(
                f"Cluster: gpu_memory_gb is {gpu_memory_gb!r}; give it a number above 0"
            )
        full, rest = divmod(gpus, gpus_per_server)
        types = []
        if full:
            types.append(ServerType("server", full, gpus_per_server, gpu_memory_gb))
        if rest:
            types.append(ServerType(LAST_SERVER, 1, rest, gpu_memory_gb))
        return cls(tuple(types))

    @property
    def headline(self) -> str:
        """How many GPUs there are, on how many servers."""
        return f"{counted(self.n_gpus, 'GPU')} on {counted(self.n_servers, 'server')}"

    def facts(self) -> Facts:
        """Each server type with what its servers have."""
        return [
            (
                t.name,
                f"{t.count:,} x {counted(t.gpus, 'GPU')} of "
                f"{numbers(t.gpu_memories_gb or (t.gpu_memory_gb,))} GB"
                + (
                    f", speed {numbers(t.gpu_speeds or (t.speed,))}"
                    if t.gpu_speeds or t.speed != 1
                    else ""
                )
                + (f", without GPU {numbers(t.excluded_gpus)}" if t.excluded_gpus else ""),
            )
            for t in self.server_types
        ]

    @cached_property
    def server_type(self) -> IntArray:
        """Type index of each server, shape (S,)."""
        return np.repeat(np.arange(len(self.server_types)), [t.count for t in self.server_types])

    @cached_property
    def server_gpus(self) -> IntArray:
        """GPUs of each server, shape (S,)."""
        return np.array([t.gpus for t in self.server_types], dtype=np.int64)[self.server_type]

    @cached_property
    def usable_gpus(self) -> IntArray:
        """GPUs of each server on which a replica may stand, shape (S,)."""
        return np.array([t.usable_gpus for t in self.server_types], dtype=np.int64)[
            self.server_type
        ]

    @cached_property
    def gpu_speed(self) -> FloatArray:
        """Speed of each GPU by its number in the cluster, shape (N,)."""
        each = [np.tile(t.gpu_speeds or (t.speed,) * t.gpus, t.count) for t in self.server_types]
        return np.concatenate(each).astype(np.float64)

    @cached_property
    def paced(self) -> bool:
        """Whether the speed of a replica depends on the GPUs of its server on which it stands."""
        return any(t.paced for t in self.server_types)

    @cached_property
    def first_gpu(self) -> IntArray:
        """Number of the first GPU of each server, shape (S,)."""
        return np.concatenate(([0], np.cumsum(self.server_gpus)[:-1])).astype(np.int64)

    @cached_property
    def gpu_server(self) -> IntArray:
        """Server of each GPU, shape (N,)."""
        return np.repeat(np.arange(self.n_servers), self.server_gpus)

    @cached_property
    def plain(self) -> bool:
        """Whether no rule says what may stand where."""
        return all(t.plain for t in self.server_types)

    @cached_property
    def uniform(self) -> bool:
        """Whether blocks can stand anywhere on every server."""
        return all(t.uniform for t in self.server_types)

    @property
    def n_servers(self) -> int:
        """Number of servers S."""
        return sum(t.count for t in self.server_types)

    @property
    def n_gpus(self) -> int:
        """Number of GPUs N."""
        return sum(t.count * t.gpus for t in self.server_types)

    @property
    def max_gpus_per_server(self) -> int:
        """GPUs of the largest server: no replica can be larger."""
        return max(t.gpus for t in self.server_types)


def memories(stated: float | list[float]) -> tuple[float, tuple[float, ...]]:
    """Memory of the largest GPU, and that of each where they differ, of what a file states."""
    if not isinstance(stated, list):
        return float(stated), ()
    largest = float(max(stated))
    return largest, () if min(stated) == largest else tuple(map(float, stated))


def speeds(stated: float | Sequence[float]) -> Speeds:
    """One speed, or that on each GPU where they differ, of what is stated."""
    if isinstance(stated, float | int):
        return float(stated)
    return float(stated[0]) if min(stated) == max(stated) else tuple(map(float, stated))


def numbers(of: tuple[float, ...]) -> str:
    """List a few numbers in a sentence."""
    return ", ".join(f"{n:g}" for n in of)
