"""Greedy server by server: each gets what keeps most of the demand that is left.

Numbers of replicas follow the load, as in `greedy`. A server begins empty and takes, again and
again, the models of a link or of a whole workflow that raise most, a GPU, what it keeps by
water-filling. That is then taken off the demand, so that the next servers see to the rest
(compiled).
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from placement.heuristics import search_arrays, water_filling
from placement.heuristics.coverage import cover, relieve
from placement.heuristics.free_space import Room
from placement.heuristics.greedy import (
    AffinityChooser,
    FirstFitChooser,
    fill_spare,
    greedy,
    replica_order,
)
from placement.heuristics.search_arrays import Demands, Servers, flatten_demand
from placement.heuristics.water_filling import fill
from placement.params.search_params import DEFAULTS, SearchParams
from placement.problem.cluster import IntArray
from placement.problem.instance import Instance
from placement.problem.normalization import normalize
from placement.problem.solution import Placement
from placement.support.machine_code import compiled

CALLED = (water_filling.__file__, search_arrays.__file__)
"""Where the compiled functions live that those here call."""

TIE = 1e-9
"""Gain, relative or in locality, that is none: in another unit of time floats differ by less."""


class Partners(NamedTuple):
    """Where each model is linked to which others: what of a workflow a content can keep.

    Parameters
    ----------
    ptr : int64, shape (M + 1,)
        Where those of each model begin.
    flow, other : int64
        A workflow, and the model at the other end of a link; itself where nothing is linked.
    """

    ptr: IntArray
    flow: IntArray
    other: IntArray


def server_greedy(instance: Instance, params: SearchParams = DEFAULTS) -> Placement:
    """Place server by server, each replica on GPUs of its own, then as `greedy` where GPUs are few.

    Where blocks cannot stand anywhere, or rules say what stands beside what, it is `greedy`.

    Parameters
    ----------
    instance : Instance
    params : SearchParams
        Of its `coverage`.

    Raises
    ------
    Infeasible
        As `greedy`.
    """
    if not instance.cluster.uniform or instance.company or not instance.active_workflows:
        return greedy(instance, params=params)
    instance = normalize(instance)
    room, demand = Room(instance), flatten_demand(instance)
    demand = demand._replace(rate=demand.rate.copy())
    left = np.zeros(len(instance.model_ids), dtype=np.int64)
    for m, n in Counter(replica_order(instance)).items():
        left[m] = n
    groups, partners = groups_of(demand), partners_of(demand)
    types = instance.cluster.server_type
    for s in range(instance.cluster.n_servers):
        kind = instance.cluster.server_types[types[s]]
        server = Servers(
            gpus=np.array([kind.gpus]),
            speed=np.ascontiguousarray(instance.speed_table[types[s], np.newaxis]),
            size=np.zeros(1, dtype=np.int64),
            model=np.zeros((1, kind.gpus), dtype=np.int64),
            start=np.zeros((1, kind.gpus), dtype=np.int64),
        )
        fits = np.array([room.holding(m)[s] for m in range(len(left))])
        fill_server(demand, server, *groups, partners, np.where(fits, left, 0))
        for r in range(int(server.size[0])):
            m = int(server.model[0, r])
            room.put(m, s, int(server.start[0, r]), float(instance.model_work[m]))
            left[m] -= 1
    if not cover(room):
        return greedy(instance, params=params)
    relieve(room, params.coverage)
    fill_spare(room, FirstFitChooser(), AffinityChooser(instance))
    return room.placement()


def groups_of(demand: Demands) -> tuple[IntArray, IntArray]:
    """Models of every workflow, of every link and alone, end to end; where each group begins."""
    found: dict[tuple[int, ...], None] = {}
    for w in range(len(demand.rate)):
        first, last = demand.node_ptr[w : w + 2]
        found[tuple(sorted(set(demand.node_model[first:last].tolist())))] = None
        for e in range(demand.link_ptr[w], demand.link_ptr[w + 1]):
            ends = demand.node_model[[demand.link_u[e], demand.link_v[e]]]
            found[tuple(sorted(set(ends.tolist())))] = None
    found |= {(m,): None for m in sorted(set(demand.node_model.tolist()))}
    sizes = np.array([len(g) for g in found])
    ptr = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    return ptr, np.array([m for g in found for m in g], dtype=np.int64)


def partners_of(demand: Demands) -> Partners:
    """Both ends of every link; of a workflow without any, its first model."""
    found: list[set[tuple[int, int]]] = [set() for _ in demand.gpus_required]
    model = demand.node_model.tolist()
    for w in range(len(demand.rate)):
        first = int(demand.node_ptr[w])
        ends = [(first, first)]
        if demand.link_ptr[w] < demand.link_ptr[w + 1]:
            mine = slice(demand.link_ptr[w], demand.link_ptr[w + 1])
            ends = list(
                zip(demand.link_u[mine].tolist(), demand.link_v[mine].tolist(), strict=True)
            )
        for u, v in ends:
            found[model[u]].add((w, model[v]))
            found[model[v]].add((w, model[u]))
    pairs = [pair for of in found for pair in sorted(of)]
    ptr = np.concatenate(([0], np.cumsum([len(of) for of in found]))).astype(np.int64)
    flow, other = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return Partners(ptr, np.ascontiguousarray(flow), np.ascontiguousarray(other))


@compiled(calls=CALLED)
def join(demand, partners, held, model, linked, size):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Take the workflows that a model links to those held, itself included; how many there are.

    In the order of the demand, each once, but those of which nothing is left.

    Parameters
    ----------
    demand : Demands
    partners : Partners
        Of the demand.
    held : int64, shape (M,)
        Replicas of each model that are held, those of `model` included.
    model : int
    linked : int64, shape (W,)
        The workflows so far, as many as `size` says; is filled.
    size : int
    """
    for q in range(partners.ptr[model], partners.ptr[model + 1]):
        w = partners.flow[q]
        if not held[partners.other[q]] or demand.rate[w] <= 0.0:
            continue
        at = size
        while at > 0 and linked[at - 1] > w:
            at -= 1
        if at > 0 and linked[at - 1] == w:
            continue
        for i in range(size, at, -1):
            linked[i] = linked[i - 1]
        linked[at] = w
        size += 1
    return size


@compiled(calls=CALLED)
def roomy(demand):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Arrays with room for a part of a demand, or all of it."""
    return Demands(
        demand.node_ptr.copy(), demand.node_model.copy(), demand.node_work.copy(),
        demand.link_ptr.copy(), demand.link_u.copy(), demand.link_v.copy(),
        demand.rate.copy(), demand.whole_value.copy(), demand.link_value.copy(),
        demand.missing.copy(),
        demand.gpus_required, demand.load_cap, demand.counted, demand.kept,
    )  # fmt: skip


@compiled(calls=CALLED)
def part_of(demand, room, linked, size):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Copy the demand of some workflows alone.

    Parameters
    ----------
    demand, room : Demands
        All of it, and arrays that are written.
    linked : int64
        The workflows, as many as `size` says.
    size : int
    """
    room.node_ptr[0] = 0
    room.link_ptr[0] = 0
    nodes, links = 0, 0
    for i in range(size):
        w = linked[i]
        moved = nodes - demand.node_ptr[w]
        for v in range(demand.node_ptr[w], demand.node_ptr[w + 1]):
            room.node_model[nodes] = demand.node_model[v]
            room.node_work[nodes] = demand.node_work[v]
            nodes += 1
        for e in range(demand.link_ptr[w], demand.link_ptr[w + 1]):
            room.link_u[links] = demand.link_u[e] + moved
            room.link_v[links] = demand.link_v[e] + moved
            room.link_value[links] = demand.link_value[e]
            links += 1
        room.node_ptr[i + 1] = nodes
        room.link_ptr[i + 1] = links
        room.rate[i] = demand.rate[w]
        room.whole_value[i] = demand.whole_value[w]
        room.missing[i] = demand.missing[w]
    return Demands(
        room.node_ptr[: size + 1], room.node_model[:nodes], room.node_work[:nodes],
        room.link_ptr[: size + 1], room.link_u[:links], room.link_v[:links],
        room.rate[:size], room.whole_value[:size], room.link_value[:links], room.missing[:size],
        demand.gpus_required, demand.load_cap, demand.counted, demand.kept,
    )  # fmt: skip


@compiled(calls=CALLED, nogil=True)
def fill_server(demand, server, group_ptr, group_model, partners, left):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Lay out one server, and take what it keeps off the rates.

    Parameters
    ----------
    demand : Demands
        Its rates are what is left, and are changed in place.
    server : Servers
        One server, empty; is filled.
    group_ptr, group_model : int64
        Models that are worth having together, and where each such group begins.
    partners : Partners
        Of the demand.
    left : int64, shape (M,)
        Replicas of each model that are still to be placed.
    """
    gpus = server.gpus[0]
    nothing = np.zeros((0, 0))
    taken, kept = 0, 0.0
    held = np.zeros(len(left), dtype=np.int64)
    linked = np.zeros(len(demand.rate), dtype=np.int64)
    known = 0
    would = np.zeros(len(demand.rate), dtype=np.int64)
    room = roomy(demand)
    while taken < gpus:
        best, most, value = -1, TIE, kept
        for g in range(len(group_ptr) - 1):
            size = server.size[0]
            need, fits = 0, True
            # All that is missing of a group, or one replica more of a model that is there.
            single = group_ptr[g + 1] - group_ptr[g] == 1
            for q in range(group_ptr[g], group_ptr[g + 1]):
                m = group_model[q]
                if held[m] and not single:
                    continue
                need += demand.gpus_required[m]
                if left[m] < 1 or taken + need > gpus:
                    fits = False
                    break
                server.model[0, size] = m
                server.start[0, size] = taken + need - demand.gpus_required[m]
                size += 1
            if not fits or need == 0:
                continue
            before = server.size[0]
            would[:known] = linked[:known]
            size_of_part = known
            for r in range(before, size):
                held[server.model[0, r]] += 1
                size_of_part = join(demand, partners, held, server.model[0, r], would, size_of_part)
            server.size[0] = size
            worth, _ = fill(part_of(demand, room, would, size_of_part), server, nothing, nothing)
            server.size[0] = before
            for r in range(before, size):
                held[server.model[0, r]] -= 1
            gain = (worth - kept) / need
            if gain > most * (1 + TIE):
                best, most, value = g, gain, worth
        if best < 0:
            # Nothing more can be kept: the model of which most is still to be placed.
            for g in range(len(group_ptr) - 1):
                m = group_model[group_ptr[g]]
                if (
                    group_ptr[g + 1] - group_ptr[g] == 1
                    and left[m] > 0
                    and taken + demand.gpus_required[m] <= gpus
                    and (best < 0 or left[m] > left[group_model[group_ptr[best]]])
                ):
                    best = g
            if best < 0:
                break
        single = group_ptr[best + 1] - group_ptr[best] == 1
        for q in range(group_ptr[best], group_ptr[best + 1]):
            m = group_model[q]
            if held[m] and not single:
                continue
            server.model[0, server.size[0]] = m
            server.start[0, server.size[0]] = taken
            server.size[0] += 1
            taken += demand.gpus_required[m]
            left[m] -= 1
            held[m] += 1
            known = join(demand, partners, held, m, linked, known)
        kept = value
    served = np.zeros((len(demand.node_model), 1))
    carried = np.zeros(server.model.shape)
    fill(demand, server, served, carried)
    for w in range(len(demand.rate)):
        most = 0.0
        for v in range(demand.node_ptr[w], demand.node_ptr[w + 1]):
            most = max(most, served[v, 0])
        demand.rate[w] = max(0.0, demand.rate[w] - most)
