"""Servers and GPUs that are lost during a run, and come back or do not (docs/simulator.md)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from placement.problem.cluster import Cluster, FloatArray, IntArray
from placement.support.equality import ByContent
from runtime.arrays import BoolArray, Int32Array, Problem

WRITTEN = re.compile(
    r"(?:server:(?P<server>\d+)|gpu:(?P<on>\d+)/(?P<gpu>\d+))@(?P<from>[^-]+)(?:-(?P<until>.+))?"
)


@dataclass(frozen=True)
class Outage:
    """A server, or one GPU of it, that is down for a time.

    Parameters
    ----------
    server : int
        Its number in the cluster.
    gpu : int or None
        Number of the GPU in the server; None: the whole server.
    from_s : float
        When it goes down, in seconds since the first arrival.
    until_s : float
        When it is up again and loads its models; infinity: it stays down.

    Raises
    ------
    ValueError
        It ends before it begins, or a number is negative or none.
    """

    server: int
    gpu: int | None
    from_s: float
    until_s: float = float("inf")

    def __post_init__(self) -> None:
        if self.server < 0 or (self.gpu is not None and self.gpu < 0):
            raise ValueError(f"{self.what}: servers and GPUs are numbered from 0")
        if not 0 <= self.from_s < float("inf"):
            raise ValueError(f"{self.what} is lost at {self.from_s:g} s; give a time from 0 on")
        if not self.from_s < self.until_s:
            raise ValueError(
                f"{self.what} is lost at {self.from_s:g} s and back at {self.until_s:g} s; give a "
                "later time for the second"
            )

    @property
    def what(self) -> str:
        """The part that is lost, in words."""
        part = "" if self.gpu is None else f"GPU {self.gpu} of "
        return f"{part}server {self.server}"

    @property
    def text(self) -> str:
        """The outage, in words."""
        back = "" if self.until_s == float("inf") else f" and up again at {self.until_s:g} s"
        return f"{self.what} lost at {self.from_s:g} s{back}"


def read_outage(text: str) -> Outage:
    """Read an outage as users write it: ``server:3@120``, ``gpu:3/1@120-180``.

    Raises
    ------
    ValueError
        It is written otherwise, or its numbers make no outage.
    """
    found = WRITTEN.fullmatch(text.strip())
    try:
        if found is None:
            raise ValueError
        from_s = float(found["from"])
        until_s = float("inf") if found["until"] is None else float(found["until"])
    except ValueError:
        raise ValueError(
            f"{text!r} is no outage; write server:S@SECONDS, gpu:SERVER/GPU@SECONDS, or with "
            "-SECONDS behind it when it is up again, such as server:3@120-180"
        ) from None
    server, gpu = found["server"] or found["on"], found["gpu"]
    return Outage(int(server), None if gpu is None else int(gpu), from_s, until_s)


def check_outages(outages: Sequence[Outage], cluster: Cluster) -> None:
    """Refuse outages of what there is not.

    Raises
    ------
    ValueError
        With the numbers that there are.
    """
    for outage in outages:
        if outage.server >= cluster.n_servers:
            raise ValueError(
                f"{outage.text}: there is no server {outage.server}; they are numbered 0 to "
                f"{cluster.n_servers - 1}"
            )
        gpus = int(cluster.server_gpus[outage.server])
        if outage.gpu is not None and outage.gpu >= gpus:
            raise ValueError(
                f"{outage.text}: there is no such GPU; those of server {outage.server} are "
                f"numbered 0 to {gpus - 1}"
            )


@dataclass(frozen=True)
class Turn:
    """An instant at which replicas go, or come back.

    Parameters
    ----------
    time_s : float
    gone, back : tuple of int
        Replicas, ascending.
    closed : tuple of int
        Replicas that take no more calls, and serve those that they have.
    """

    time_s: float
    gone: tuple[int, ...]
    back: tuple[int, ...]
    closed: tuple[int, ...] = ()


def turns(problem: Problem, outages: Sequence[Outage]) -> tuple[Turn, ...]:
    """When which replicas go and come back, ascending.

    A replica goes with any of its GPUs. Once all are up again it is loaded, the replicas of a
    server one after the other, and serves from then on.

    Parameters
    ----------
    problem : Problem
    outages : sequence of Outage
        Of this cluster; they may overlap.
    """
    down: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for outage in outages:
        loaded_s = outage.until_s
        for p in _lost(problem, outage):
            loaded_s += problem.workload.models[problem.placement.model[p]].load_time_s
            down[p].append((outage.from_s, loaded_s))
    gone: dict[float, list[int]] = defaultdict(list)
    back: dict[float, list[int]] = defaultdict(list)
    for p in sorted(down):
        for begin, end in _united(down[p]):
            gone[begin].append(p)
            back[end].append(p)
    times = sorted((gone.keys() | back.keys()) - {float("inf")})
    return tuple(Turn(t, tuple(gone.get(t, ())), tuple(back.get(t, ()))) for t in times)


def _lost(problem: Problem, outage: Outage) -> list[int]:
    here = problem.replica_server == outage.server
    if outage.gpu is not None:
        gpu = int(problem.cluster.first_gpu[outage.server]) + outage.gpu
        first = problem.replica_first_gpu
        here &= (first <= gpu) & (gpu < first + problem.replica_gpus)
    return [int(p) for p in np.flatnonzero(here)]


def _united(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    united: list[tuple[float, float]] = []
    for begin, end in sorted(spans):
        if united and begin <= united[-1][1]:
            begin, before = united.pop()
            end = max(before, end)
        united.append((begin, end))
    return united


@dataclass(frozen=True, eq=False)
class Interruptions(ByContent):
    """What the outages of a run did to it; K calls were interrupted.

    Parameters
    ----------
    outages : tuple of Outage
    failed : bool, shape (R,)
        Requests that came to a call whose model had no replica left.
    execution : int64, shape (K,)
        The calls, in the order in which they were interrupted; one that is interrupted again is
        there again.
    replica : int32, shape (K,)
        Where each was.
    time_s : float64, shape (K,)
        When it was interrupted.
    lost_s : float64, shape (K,)
        Seconds that it had been in service by then.
    """

    outages: tuple[Outage, ...]
    failed: BoolArray
    execution: IntArray
    replica: Int32Array
    time_s: FloatArray
    lost_s: FloatArray

    def as_dict(self, ran: BoolArray) -> dict[str, object]:
        """Lay out what was lost and what became of it, as ``--json`` gives it.

        Parameters
        ----------
        ran : bool, shape (N,)
            Whether each execution ran in the end.
        """
        calls = np.unique(self.execution)
        return {
            "outages": [
                {
                    "server": o.server,
                    "gpu": o.gpu,
                    "from": o.from_s,
                    "until": None if o.until_s == float("inf") else o.until_s,
                }
                for o in self.outages
            ],
            "interrupted_calls": len(calls),
            "served_after_all": int(ran[calls].sum()),
            "failed_requests": int(self.failed.sum()),
            "lost_service_time": float(self.lost_s.sum()),
        }
