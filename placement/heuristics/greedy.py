"""The greedy placement: by usage, large blocks first, spare GPUs by load."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable

import numpy as np

from placement.heuristics.coverage import cover, cover_anew, relieve
from placement.heuristics.free_space import Room
from placement.params.search_params import DEFAULTS, SearchParams
from placement.problem.blocks import BoolArray
from placement.problem.cluster import FloatArray
from placement.problem.instance import Instance
from placement.problem.solution import Placement

Chooser = Callable[[Room, int], tuple[int, int] | None]


def greedy(
    instance: Instance, *, affinity: bool = True, params: SearchParams = DEFAULTS
) -> Placement:
    """Place by usage: multi-GPU models first, then single-GPU models server by server.

    Replica counts follow the load (one more goes to the model whose replicas are busiest).
    A multi-GPU replica takes the first server with enough consecutive free GPUs. Single-GPU
    replicas go round the servers; with `affinity` to the server whose models they co-occur
    with most. Where a used model finds no free GPU it shares one by memory, on the GPUs with
    the least load; where even that fails, the models are packed anew by first-fit decreasing.

    Parameters
    ----------
    instance : Instance
    affinity : bool
        False is plain round-robin.
    params : SearchParams
        Of its `coverage`.

    Raises
    ------
    Infeasible
        No order of packing that was tried gives every used model a replica.
    """
    order = replica_order(instance)
    room = Room(instance)
    choose_single = AffinityChooser(instance) if affinity else RoundRobinChooser()
    multi = [m for m in order if instance.gpus_required[m] > 1]
    single = [m for m in order if instance.gpus_required[m] == 1]
    first_fit = FirstFitChooser()
    place_all(room, multi, first_fit)
    place_all(room, single, choose_single)
    if not cover(room):
        room, first_fit = cover_anew(instance, params.coverage), FirstFitChooser()
    relieve(room, params.coverage)
    fill_spare(room, first_fit, choose_single)
    return room.placement()


def replica_order(instance: Instance) -> list[int]:
    """Models in the order in which they receive replicas, until the GPUs are used up.

    Every used model receives one, by usage, then what rules ask for at least; each further replica
    goes to the model whose replicas are busiest, which is the divisor method of D'Hondt and keeps
    counts in proportion to load.
    """
    k, wanted = instance.gpus_required, instance.requirements
    spare = int(instance.cluster.usable_gpus.sum()) - int(k[list(instance.used_models)].sum())
    order = sorted(instance.used_models, key=lambda m: (-instance.model_work[m], m))
    first = dict.fromkeys(order, 1)
    if wanted is not None:
        first = {m: int(max(wanted.least[m], wanted.spread[m])) for m in order}
        more = [m for m in order for _ in range(first[m] - 1)]
        spare -= int(k[more].sum())
        order += more
    heap = [(-instance.model_work[m] / n, m, n) for m, n in first.items()]
    heapq.heapify(heap)
    while heap and spare > 0:
        _, m, n = heapq.heappop(heap)
        if k[m] > spare or (wanted is not None and n >= wanted.most[m]):
            continue
        order.append(m)
        spare -= int(k[m])
        heapq.heappush(heap, (-instance.model_work[m] / (n + 1), m, n + 1))
    return order


def place_all(room: Room, models: Iterable[int], choose: Chooser) -> None:
    """Put a replica of each model on free GPUs where `choose` says, if anywhere.

    Parameters
    ----------
    room : Room
        Changed in place.
    models : iterable of int
        In this order; one may come several times.
    choose : callable
        Gives server and first GPU for a model, or None.
    """
    full: set[int] = set()
    for m in models:
        where = None if m in full else choose(room, m)
        if where is None:
            full.add(m)
        else:
            room.put(m, *where)


def cooccurrence(instance: Instance) -> FloatArray:
    """Rate at which pairs of models are linked in a workflow, shape (M, M), symmetric."""
    pairs = np.zeros((len(instance.model_ids),) * 2)
    for w in (instance.workflows[i] for i in instance.active_workflows):
        u, v = w.node_model[w.links[:, 0]], w.node_model[w.links[:, 1]]
        np.add.at(pairs, (u, v), w.request_rate)
        np.add.at(pairs, (v, u), w.request_rate)
    np.fill_diagonal(pairs, 0.0)
    return pairs


class FirstFitChooser:
    """The first server with a block of free GPUs.

    Free blocks only ever disappear, so the search for a model goes on where it last ended.
    """

    def __init__(self) -> None:
        self._servers: dict[int, list[int]] = {}

    def __call__(self, room: Room, model: int) -> tuple[int, int] | None:
        """Choose server and start, or None where no block is free."""
        if model not in self._servers:
            k = room.instance.gpus_required[model]
            able = np.flatnonzero(room.holding(model) & (room.empty >= k))
            self._servers[model] = able[::-1].tolist()
        waiting = self._servers[model]
        while waiting:
            start = room.empty_block(model, waiting[-1])
            if start is not None:
                return waiting[-1], start
            waiting.pop()
        return None


class RoundRobinChooser:
    """The next server, in turn, with a free GPU."""

    def __init__(self) -> None:
        self._next = 0

    def __call__(self, room: Room, model: int) -> tuple[int, int] | None:
        """Choose server and start, or None where no GPU is free."""
        free = self._free(room, model)
        return self._turn(room, model, free.astype(np.float64)) if free.any() else None

    @staticmethod
    def _free(room: Room, model: int) -> BoolArray:
        """Servers with a block of free GPUs for the model, shape (S,)."""
        company = room.instance.company
        free = not company.foes(model) and company.base(model) is None
        if room.instance.cluster.uniform and room.allows(model) and free:
            return (room.empty > 0) & room.holding(model)
        return np.asarray(room.fits(model, empty=True).any(axis=1))

    def _turn(self, room: Room, model: int, score: FloatArray) -> tuple[int, int]:
        """Take the best server, of equals the first whose turn it is."""
        ahead = score[self._next :]
        behind = score[: self._next]
        server = self._next + int(ahead.argmax())
        if len(behind) and behind.max() > score[server]:
            server = int(behind.argmax())
        self._next = (server + 1) % len(score)
        start = room.empty_block(model, server)
        if start is None:
            raise AssertionError("the server chosen has no free GPU")
        return server, start


class AffinityChooser(RoundRobinChooser):
    """The server whose models co-occur most with the new one; ties go round the servers.

    A server that holds the model already counts for less with each replica there, so replicas
    follow their partners instead of gathering on one server.
    """

    def __init__(self, instance: Instance) -> None:
        super().__init__()
        self._pairs = cooccurrence(instance)

    def __call__(self, room: Room, model: int) -> tuple[int, int] | None:
        """Choose server and start, or None where no GPU is free."""
        free = self._free(room, model)
        if not free.any():
            return None
        pairs = self._pairs[model]
        linked = np.flatnonzero(pairs)
        partners = pairs[linked] @ (room.count[linked] > 0)
        return self._turn(room, model, np.where(free, partners / (1 + room.count[model]), -1.0))


def fill_spare(room: Room, choose_multi: Chooser, choose_single: Chooser) -> None:
    """Give GPUs that packing left free to the busiest models that fit on them.

    Parameters
    ----------
    room : Room
        Changed in place; every used model has a replica.
    choose_multi, choose_single : callable
        Give server and first GPU for a model of several GPUs, and for one of a single GPU.
    """
    instance = room.instance
    count = room.count.sum(axis=1)
    heap = [(-instance.model_work[m] / count[m], m) for m in instance.used_models]
    heapq.heapify(heap)
    while heap and room.free_gpus():
        _, m = heapq.heappop(heap)
        choose = choose_multi if instance.gpus_required[m] > 1 else choose_single
        where = choose(room, m)
        if where is not None:
            room.put(m, *where)
            count[m] += 1
            heapq.heappush(heap, (-instance.model_work[m] / count[m], m))
