"""Greedy server by server: each gets what keeps most of the demand that is left.

Numbers of replicas follow the load, as in `greedy`. A server begins empty and takes, again and
again, the models of a link or of a whole workflow that raise most, a GPU, what it keeps by
water-filling. That is then taken off the demand, so that the next servers see to the rest
(compiled).
"""

from __future__ import annotations

from collections import Counter

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
    groups = _groups(demand)
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
        fill_server(demand, server, *groups, np.where(fits, left, 0))
        for r in range(int(server.size[0])):
            m = int(server.model[0, r])
            room.put(m, s, int(server.start[0, r]), float(instance.model_work[m]))
            left[m] -= 1
    if not cover(room):
        return greedy(instance, params=params)
    relieve(room, params.coverage)
    fill_spare(room, FirstFitChooser(), AffinityChooser(instance))
    return room.placement()


def _groups(demand: Demands) -> tuple[IntArray, IntArray]:
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


@compiled(calls=CALLED, nogil=True)
def fill_server(demand, server, group_ptr, group_model, left):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Lay out one server, and take what it keeps off the rates.

    Parameters
    ----------
    demand : Demands
        Its rates are what is left, and are changed in place.
    server : Servers
        One server, empty; is filled.
    group_ptr, group_model : int64
        Models that are worth having together, and where each such group begins.
    left : int64, shape (M,)
        Replicas of each model that are still to be placed.
    """
    gpus = server.gpus[0]
    nothing = np.zeros((0, 0))
    taken, kept = 0, 0.0
    held = np.zeros(len(left), dtype=np.int64)
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
            server.size[0] = size
            worth, _ = fill(demand, server, nothing, nothing)
            server.size[0] = before
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
        kept = value
    served = np.zeros((len(demand.node_model), 1))
    carried = np.zeros(server.model.shape)
    fill(demand, server, served, carried)
    for w in range(len(demand.rate)):
        most = 0.0
        for v in range(demand.node_ptr[w], demand.node_ptr[w + 1]):
            most = max(most, served[v, 0])
        demand.rate[w] = max(0.0, demand.rate[w] - most)
