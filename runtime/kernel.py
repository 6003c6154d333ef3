"""The event loop of `runtime.reference`, compiled: same semantics, same bits.

Three facts make it fast. What a GPU will do next is known at commitment (queues are first come
first served), so an execution's start and end are computed once and no queue is kept. Ends on one
slot of a replica never decrease, so completions wait in one list for each slot and the heap holds
slots, not executions: it stays small however long the backlog is. And the first replica of a model
to be free is found in a tree of minima, lowest number first.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from placement.cluster import FloatArray, IntArray
from runtime.problem import BoolArray, Int32Array

PLAN, LOCALITY, EARLIEST, LEAST_LOADED = 0, 1, 2, 3
SLOTS, TRANSIT, INSTANT, REQUEST, SOURCE, COMMITTED = 0, 1, 2, 3, 4, 5
"""Places in `State.tally`: sizes of the three heaps, the next request and source, commitments."""


class Tables(NamedTuple):
    """What never changes: `Problem`'s arrays, and where the state of each replica begins."""

    arrival: FloatArray
    workflow: IntArray
    offset: IntArray
    service: FloatArray
    servable: BoolArray
    first_node: IntArray
    node_model: IntArray
    child_start: IntArray
    child: IntArray
    parent_start: IntArray
    parent: IntArray
    intra: FloatArray
    inter: FloatArray
    source_start: IntArray
    source: IntArray
    model_start: IntArray
    model_replica: IntArray
    local_start: IntArray
    server: IntArray
    speed: FloatArray
    slowdown: FloatArray
    rival_start: IntArray
    rival: IntArray
    target: Int32Array
    patience: FloatArray
    slot_start: IntArray
    slot_replica: IntArray
    tree_start: IntArray
    tree_size: IntArray
    leaf: IntArray


class State(NamedTuple):
    """What a run changes: results and bookkeeping by execution, slots, replicas, heaps."""

    replica: Int32Array
    ready: FloatArray
    start: FloatArray
    end: FloatArray
    missing: np.ndarray[tuple[int], np.dtype[np.int16]]
    node: Int32Array
    request: Int32Array
    following: Int32Array
    slot_end: FloatArray
    slot_head: Int32Array
    slot_tail: Int32Array
    rival_end: FloatArray
    free: FloatArray
    unfinished: IntArray
    tree: FloatArray
    heap_time: FloatArray
    heap_slot: Int32Array
    transit_time: FloatArray
    transit: Int32Array
    instant: Int32Array
    tally: IntArray
    clock: FloatArray


@nb.njit(cache=True)
def push(times, items, size, time, item):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add to a binary heap by time, then item."""
    i = size
    while i > 0:
        up = (i - 1) >> 1
        if times[up] < time or (times[up] == time and items[up] < item):
            break
        times[i], items[i] = times[up], items[up]
        i = up
    times[i], items[i] = time, item


@nb.njit(cache=True)
def sift(times, items, size, time, item):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Put an entry in place of a heap's first."""
    i = 0
    while True:
        down = 2 * i + 1
        if down >= size:
            break
        right = down + 1
        if right < size and (
            times[right] < times[down]
            or (times[right] == times[down] and items[right] < items[down])
        ):
            down = right
        if time < times[down] or (time == times[down] and item < items[down]):
            break
        times[i], items[i] = times[down], items[down]
        i = down
    times[i], items[i] = time, item


@nb.njit(cache=True)
def push_item(items, size, item):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add to a binary heap of numbers."""
    i = size
    while i > 0 and items[(i - 1) >> 1] > item:
        items[i] = items[(i - 1) >> 1]
        i = (i - 1) >> 1
    items[i] = item


@nb.njit(cache=True)
def drop_item(items, size):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Remove the least of a heap of `size` numbers."""
    item = items[size - 1]
    i = 0
    while True:
        down = 2 * i + 1
        if down >= size - 1:
            break
        if down + 1 < size - 1 and items[down + 1] < items[down]:
            down += 1
        if item < items[down]:
            break
        items[i] = items[down]
        i = down
    items[i] = item


@nb.njit(cache=True)
def set_free(p, free_s, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Say when a replica is free, and mend the minima above it."""
    s.free[p] = free_s
    m = t.leaf[p, 0]
    base, i = t.tree_start[m], t.leaf[p, 1]
    s.tree[base + i] = free_s
    while i > 1:
        i >>= 1
        least = min(s.tree[base + 2 * i], s.tree[base + 2 * i + 1])
        if s.tree[base + i] == least:
            break
        s.tree[base + i] = least


@nb.njit(cache=True)
def first_in_tree(m, now, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Lowest free replica of a model; where none is free, the lowest of the first to be."""
    base, size = t.tree_start[m], t.tree_size[m]
    # Whatever is free already could start at once: the lowest number decides among those.
    bar = max(now, s.tree[base + 1])
    i = 1
    while i < size:
        i *= 2
        if s.tree[base + i] > bar:
            i += 1
    return t.model_replica[t.model_start[m] + i - size]


@nb.njit(cache=True)
def data_arrival(e, server, now, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """When the data of every parent would have arrived at a server."""
    v = s.node[e]
    first = t.offset[s.request[e]]
    arrival = now
    for i in range(t.parent_start[v], t.parent_start[v + 1]):
        parent = first + t.parent[i]
        same = t.server[s.replica[parent]] == server
        arrival = max(arrival, s.end[parent] + (t.intra[i] if same else t.inter[i]))
    return arrival


@nb.njit(cache=True)
def first_in_range(e, a, b, now, network, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Of ``model_replica[a:b]`` the one that can start first, and when; ties: the lowest."""
    best, best_start = -1, np.inf
    for i in range(a, b):
        p = t.model_replica[i]
        arrival = data_arrival(e, t.server[p], now, t, s) if network else now
        start = max(arrival, s.free[p])
        if start < best_start:
            best, best_start = p, start
    return best, best_start


@nb.njit(cache=True)
def first_anywhere(e, m, now, network, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Of all replicas of a model the one that can start first, and when."""
    if network:
        a, b = t.model_start[m], t.model_start[m + 1]
        return first_in_range(e, a, b, now, network, t, s)
    p = first_in_tree(m, now, t, s)
    return p, max(now, s.free[p])


@nb.njit(cache=True)
def choose(e, now, policy, network, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Choose the replica by policy; each is stated in `runtime.policies`."""
    v = s.node[e]
    m = t.node_model[v]
    if policy == EARLIEST:
        return first_anywhere(e, m, now, network, t, s)[0]
    if policy == LEAST_LOADED:
        best = t.model_replica[t.model_start[m]]
        for i in range(t.model_start[m] + 1, t.model_start[m + 1]):
            if s.unfinished[t.model_replica[i]] < s.unfinished[best]:
                best = t.model_replica[i]
        return best
    home = t.target[e]
    if policy == LOCALITY and t.parent_start[v] < t.parent_start[v + 1]:
        parent = t.offset[s.request[e]] + t.parent[t.parent_start[v]]
        at = t.server[s.replica[parent]]
        meant = t.target[parent]
        if meant >= 0 and at != meant and t.local_start[m, at] < t.local_start[m, at + 1]:
            home = at
    if home < 0 or t.local_start[m, home] == t.local_start[m, home + 1]:
        return first_anywhere(e, m, now, network, t, s)[0]
    a, b = t.local_start[m, home], t.local_start[m, home + 1]
    stay, stay_start = first_in_range(e, a, b, now, network, t, s)
    # Nothing starts before now, so a short wait at home needs no look elsewhere.
    if policy == PLAN or stay_start - now <= t.patience[v]:
        return stay
    other, other_start = first_anywhere(e, m, now, network, t, s)
    return stay if stay_start - other_start <= t.patience[v] else other


@nb.njit(cache=True)
def commit(e, now, every, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Queue an execution at its replica; wait for its end where something depends on it."""
    p = s.replica[e]
    k = t.slot_start[p]
    last = t.slot_start[p + 1]
    for other in range(k + 1, last):
        if s.slot_end[other] < s.slot_end[k]:
            k = other
    start = max(now, s.slot_end[k], s.rival_end[p])
    in_service = 0
    for other in range(t.slot_start[p], last):
        in_service += s.slot_end[other] > start
    end = start + t.service[e] / t.speed[p] * t.slowdown[p, in_service]
    s.slot_end[k] = end
    least = end
    for other in range(t.slot_start[p], last):
        least = min(least, s.slot_end[other])
    set_free(p, max(least, s.rival_end[p]), t, s)
    for i in range(t.rival_start[p], t.rival_start[p + 1]):
        q = t.rival[i]
        s.rival_end[q] = max(s.rival_end[q], end)
        if end > s.free[q]:
            set_free(q, end, t, s)
    s.ready[e], s.start[e], s.end[e] = now, start, end
    s.tally[COMMITTED] += 1
    v = s.node[e]
    if every or t.child_start[v] < t.child_start[v + 1]:
        s.following[e] = -1
        if s.slot_head[k] < 0:
            s.slot_head[k] = s.slot_tail[k] = e
            push(s.heap_time, s.heap_slot, s.tally[SLOTS], end, k)
            s.tally[SLOTS] += 1
        else:
            s.following[s.slot_tail[k]] = e
            s.slot_tail[k] = e


@nb.njit(cache=True)
def complete(t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """End the execution that is first to end; release the children that waited for it alone."""
    k = s.heap_slot[0]
    e = s.slot_head[k]
    following = s.following[e]
    s.slot_head[k] = following
    size = s.tally[SLOTS]
    if following >= 0:
        sift(s.heap_time, s.heap_slot, size, s.end[following], k)
    else:
        size -= 1
        s.tally[SLOTS] = size
        sift(s.heap_time, s.heap_slot, size, s.heap_time[size], s.heap_slot[size])
    s.unfinished[t.slot_replica[k]] -= 1
    v = s.node[e]
    first = t.offset[s.request[e]]
    for i in range(t.child_start[v], t.child_start[v + 1]):
        child = first + t.child[i]
        s.missing[child] -= 1
        if s.missing[child] == 0:
            push_item(s.instant, s.tally[INSTANT], child)
            s.tally[INSTANT] += 1


@nb.njit(cache=True)
def open_request(t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Prepare the next request that can be served; those before it fail."""
    r = s.tally[REQUEST]
    while r < len(t.arrival) and not t.servable[t.workflow[r]]:
        for e in range(t.offset[r], t.offset[r + 1]):
            s.replica[e] = -1
            s.ready[e] = s.start[e] = s.end[e] = np.nan
        r += 1
    s.tally[REQUEST] = r
    s.tally[SOURCE] = 0
    if r < len(t.arrival):
        v = t.first_node[t.workflow[r]]
        for e in range(t.offset[r], t.offset[r + 1]):
            s.replica[e] = -1
            s.node[e] = v
            s.request[e] = r
            s.missing[e] = t.parent_start[v + 1] - t.parent_start[v]
            v += 1


@nb.njit(cache=True)
def next_ready(now, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Take the lowest execution released or arrived at this instant; -1 where none is left."""
    while s.tally[TRANSIT] and s.transit_time[0] == now:
        push_item(s.instant, s.tally[INSTANT], s.transit[0])
        s.tally[INSTANT] += 1
        s.tally[TRANSIT] -= 1
        size = s.tally[TRANSIT]
        sift(s.transit_time, s.transit, size, s.transit_time[size], s.transit[size])
    r = s.tally[REQUEST]
    if r < len(t.arrival) and t.arrival[r] == now:
        w = t.workflow[r]
        source = t.offset[r] + t.source[t.source_start[w] + s.tally[SOURCE]]
        if not s.tally[INSTANT] or source < s.instant[0]:
            s.tally[SOURCE] += 1
            if t.source_start[w] + s.tally[SOURCE] == t.source_start[w + 1]:
                s.tally[REQUEST] += 1
                open_request(t, s)
            return source
    if not s.tally[INSTANT]:
        return -1
    e = s.instant[0]
    drop_item(s.instant, s.tally[INSTANT])
    s.tally[INSTANT] -= 1
    return e


@nb.njit(cache=True)
def advance(t, s, policy, network, limit):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Run until `limit` executions are committed in all; True when nothing is left to do.

    Everything that the loop knows is in `s`, so a run may be cut anywhere without a trace of it.
    """
    every = policy == LEAST_LOADED
    now = s.clock[0]
    while True:
        while True:
            while s.tally[SLOTS] and s.heap_time[0] == now:
                complete(t, s)
            e = next_ready(now, t, s)
            if e < 0:
                break
            if s.replica[e] < 0:
                p = choose(e, now, policy, network, t, s)
                arrival = data_arrival(e, t.server[p], now, t, s) if network else now
                s.replica[e] = p
                s.unfinished[p] += 1
                if arrival > now:
                    push(s.transit_time, s.transit, s.tally[TRANSIT], arrival, e)
                    s.tally[TRANSIT] += 1
                    continue
            commit(e, now, every, t, s)
            if s.tally[COMMITTED] >= limit:
                s.clock[0] = now
                return False
        now = np.inf
        if s.tally[SLOTS]:
            now = s.heap_time[0]
        if s.tally[TRANSIT]:
            now = min(now, s.transit_time[0])
        if s.tally[REQUEST] < len(t.arrival):
            now = min(now, t.arrival[s.tally[REQUEST]])
        if now == np.inf:
            return True
