"""Annealing over what one server holds: heuristic pricing for contents of any kind (compiled)."""

from __future__ import annotations

import numpy as np

from placement.patterns.columns import content_sets, content_simplex, flat_problem
from placement.patterns.columns import content_value as value_module
from placement.patterns.columns.content_scratch import Scratch
from placement.patterns.columns.content_value import WORTHLESS, content_value, price_seconds
from placement.patterns.columns.flat_problem import FlatFlows, FlatPrices, FlatServer, Groups
from placement.problem.cluster import FloatArray, IntArray
from placement.support.machine_code import compiled

CALLED = (
    value_module.__file__,
    content_sets.__file__,
    content_simplex.__file__,
    flat_problem.__file__,
)
"""Where the compiled functions live that those here call."""

NEAR = 0.7
"""Part of the moves that add to a workflow of which the server holds a model already."""

ROOMY = 0.3
"""Part of the moves that drop a replica although what is added would fit beside it."""

RENEWED = 10
"""Accepted moves after which the price of a GPU-second is that of the content at hand."""

EQUAL_SHARES = 1e-6
"""Load for which a replica stands on a GPU where loads are compared: no more than a tie-break."""


@compiled(calls=CALLED)
def pack(flows, server, model, start, size):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Give every replica its GPUs, large blocks first, on those with the least load; or fail.

    List scheduling (Graham, SIAM Journal on Applied Mathematics 17, 1969), as in the annealing
    over whole placements.

    Parameters
    ----------
    flows : FlatFlows
        Says how many GPUs and how much memory a replica takes, and what it may carry.
    server : FlatServer
        Its GPUs.
    model, start : int64, shape (K,)
        Sorted, and filled.
    size : int
        Replicas of the content.
    """
    gpus = len(server.room_gb)
    for r in range(1, size):  # insertion sort: a move leaves all but the end sorted
        m = model[r]
        weight = flows.gpus_required[m] * 1e6 + flows.memory_gb[m]
        q = r - 1
        while q >= 0 and (flows.gpus_required[model[q]] * 1e6 + flows.memory_gb[model[q]] < weight):
            model[q + 1] = model[q]
            q -= 1
        model[q + 1] = m
    if server.counts:
        taken = 0
        for r in range(size):
            start[r] = taken
            taken += flows.gpus_required[model[r]]
        return taken <= gpus
    count = np.zeros(gpus, dtype=np.int64)
    memory = np.zeros(gpus)
    load = np.zeros(gpus)
    for r in range(size):
        m = model[r]
        k = flows.gpus_required[m]
        best, least = -1, np.inf
        for i in range(gpus - k + 1):
            crowd = 0.0
            for q in range(r):
                # A second replica on the same GPUs would add nothing.
                if model[q] == m and start[q] == i:
                    crowd = np.inf
            for g in range(i, i + k):
                if count[g] >= server.per_gpu or memory[g] + flows.memory_gb[m] > server.room_gb[g]:
                    crowd = np.inf
                crowd = max(crowd, load[g] + EQUAL_SHARES * count[g])
            if crowd < least:
                best, least = i, crowd
        if best < 0:
            return False
        start[r] = best
        for g in range(best, best + k):
            load[g] += flows.share[m]
            count[g] += 1
            memory[g] += flows.memory_gb[m]
    return True


@compiled(calls=CALLED)
def _holds(model, size, m):  # type: ignore[no-untyped-def]  # pragma: no cover
    found = False
    for r in range(size):
        found = found or model[r] == m
    return found


@compiled(calls=CALLED)
def _in_group(groups, group, m):  # type: ignore[no-untyped-def]  # pragma: no cover
    first, last = groups.ptr[group], groups.ptr[group + 1]
    if last - first == 1:
        return False  # another replica of a single model is as good as the first
    found = False
    for q in range(first, last):
        found = found or groups.model[q] == m
    return found


@compiled(calls=CALLED)
def _drop_one(groups, group, anchor, model, size, old):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Drop a replica at random of the first `old`, but none that is wanted; whether there was one.

    Wanted are models of the group, and the last replica of the anchor.
    """
    anchors = 0
    for r in range(old):
        anchors += model[r] == anchor
    free = 0
    for r in range(old):
        m = model[r]
        free += not _in_group(groups, group, m) and not (m == anchor and anchors == 1)
    if free == 0:
        return False
    which = np.random.randint(free)
    for r in range(old):
        m = model[r]
        if not _in_group(groups, group, m) and not (m == anchor and anchors == 1):
            if which == 0:
                for q in range(r, size - 1):
                    model[q] = model[q + 1]
                return True
            which -= 1
    return False


@compiled(calls=CALLED)
def _add_group(flows, server, groups, group, anchor, drop, model, start, size):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add what is missing of a group, and drop others at random until all fits; the new size."""
    first, last = groups.ptr[group], groups.ptr[group + 1]
    single = last - first == 1
    old = size
    for q in range(first, last):
        m = groups.model[q]
        if single or not _holds(model, old, m):
            if size == len(model):
                return -1
            model[size] = m
            size += 1
    if size == old:
        return -1
    while True:
        if drop:
            if not _drop_one(groups, group, anchor, model, size, old):
                return -1
            size -= 1
            old -= 1
        # The order of `model` tells the old from the added: a copy is packed.
        packed = model[:size].copy()
        if pack(flows, server, packed, start, size):
            model[:size] = packed
            return size
        drop = True


@compiled(calls=CALLED, nogil=True)
def anneal_contents(  # type: ignore[no-untyped-def]  # pragma: no cover
    flows: FlatFlows,
    server: FlatServer,
    prices: FlatPrices,
    groups: Groups,
    model: IntArray,
    start: IntArray,
    size: IntArray,
    anchor: IntArray,
    moves: int,
    hot: float,
    cold: float,
    seed: int,
    room: Scratch,
    value: FloatArray,
):
    """Improve contents by annealing, each alone; the best met of each takes its place.

    A move adds a model, or what is missing of a link or a workflow, and drops replicas at random
    to make room.

    Parameters
    ----------
    model, start : int64, shape (C, K)
        Model and first GPU of each replica; changed in place, as `size` is.
    size : int64, shape (C,)
        Replicas of each.
    anchor : int64, shape (C,)
        Model of which each keeps a replica; -1 for none.
    moves : int
        Of each content.
    hot, cold : float
        Temperatures at the first and the last move, in units of the value.
    seed : int
        Of the moves.
    room : Scratch
        Of such contents.
    value : float64, shape (C,)
        Takes what each is worth.
    """
    np.random.seed(seed)
    none = np.zeros(0)
    width = model.shape[1]
    at_model = np.zeros(width, dtype=np.int64)
    at_start = np.zeros(width, dtype=np.int64)
    new_model = np.zeros(width, dtype=np.int64)
    new_start = np.zeros(width, dtype=np.int64)
    kinds = len(groups.ptr) - 1
    for c in range(len(size)):
        at_model[:] = model[c]
        at_start[:] = start[c]
        at_size = size[c]
        current = content_value(
            flows, server, prices, at_model, at_start, at_size, -np.inf, room, none
        )
        best = current
        accepted = 0
        price_seconds(flows, room.second[0], prices)
        for move in range(moves):
            group = np.random.randint(kinds)
            if at_size > 0 and np.random.random() < NEAR:
                m = at_model[np.random.randint(at_size)]
                first, last = groups.model_ptr[m], groups.model_ptr[m + 1]
                if last > first:
                    w = groups.model_flow[first + np.random.randint(last - first)]
                    first, last = groups.flow_ptr[w], groups.flow_ptr[w + 1]
                    if last > first:
                        group = groups.flow_group[first + np.random.randint(last - first)]
            new_model[:] = at_model
            drop = np.random.random() < ROOMY
            new_size = _add_group(
                flows, server, groups, group, anchor[c], drop, new_model, new_start, at_size
            )
            if new_size < 0:
                continue
            temperature = hot * (cold / hot) ** (move / moves)
            least = current + temperature * np.log(np.random.random() + 1e-300)
            found = content_value(
                flows, server, prices, new_model, new_start, new_size, least, room, none
            )
            if found < least or found == WORTHLESS:
                continue
            current = found
            accepted += 1
            if accepted % RENEWED == 0 and room.second[0] > 0:
                price_seconds(flows, room.second[0], prices)
            at_model[:] = new_model
            at_start[:] = new_start
            at_size = new_size
            if current > best:
                best = current
                model[c] = at_model
                start[c] = at_start
                size[c] = at_size
        value[c] = best


@compiled(calls=CALLED, nogil=True)
def value_contents(  # type: ignore[no-untyped-def]  # pragma: no cover
    flows: FlatFlows,
    server: FlatServer,
    prices: FlatPrices,
    model: IntArray,
    start: IntArray,
    size: IntArray,
    least: float,
    room: Scratch,
    value: FloatArray,
):
    """What each content is worth; `WORTHLESS` where that is surely below `least`.

    Parameters
    ----------
    model, start : int64, shape (C, K)
        Model and first GPU of each replica.
    size : int64, shape (C,)
        Replicas of each.
    least : float
        Value that is of interest.
    room : Scratch
        Of such contents.
    value : float64, shape (C,)
        Filled.
    """
    none = np.zeros(0)
    for c in range(len(size)):
        value[c] = content_value(
            flows, server, prices, model[c], start[c], size[c], least, room, none
        )
