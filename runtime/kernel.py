"""The event loop of `runtime.reference`, compiled: same semantics, same bits.

Four facts make it fast. What a GPU will do next is known at commitment (queues are first come
first served), so an execution's start and end are computed once and no queue is kept. Ends on one
slot of a replica never decrease, so completions wait in one list for each slot, and only the first
of each list is compared with the others. The first replica of a model to be free (or the one with
the shortest queue) is found in a tree of minima, lowest number first. And the replicas of one
server are the leaves under one node of that tree, so that the same search serves home servers.

A tree of minima over 2^d leaves is one array: node 1 is the root, node i has the children 2i and
2i + 1, leaf number l is node 2^d + l. Unlike a heap it never moves an entry, so the way from a leaf
to the root is known beforehand and holds no branch to be mispredicted.

All of it is one file because the machine code that is kept is made anew when this file changes,
and by no change of another.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np

PLAN, LOCALITY, EARLIEST, LEAST_LOADED = 0, 1, 2, 3
# As in runtime.policies: the cache of compiled code watches this file alone.
BACKLOG_PATIENCE = 1.0
NO_NETWORK, NETWORK, ODD_NETWORK = 0, 1, 2
"""Odd is a network on which some edge takes longer inside a server than across servers."""
READY, REQUEST, SOURCE, COMMITTED = 0, 1, 2, 3
"""Places in `State.tally`: size of the ready heap, the next request and source, commitments."""


def compiled(function: Any) -> Any:
    """Compile a function of the event loop, to machine code that is kept for the next process.

    Every function is made part of its caller, and none counts references: the arrays belong to
    the caller of the whole loop. Passing fifty arrays from function to function and counting who
    holds them would cost fifty times what the work itself does.
    """
    options: Any = {"error_model": "numpy", "forceinline": True, "_nrt": False}
    try:
        return nb.njit(cache=True, **options)(function)
    except RuntimeError:
        # There is no folder to keep machine code in, so every process compiles for itself.
        return nb.njit(**options)(function)


@compiled
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


@compiled
def drop_first(times, items, size):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Remove the first entry of a binary heap of `size` entries."""
    last = size - 1
    time, item = times[last], items[last]
    i = 0
    while True:
        down = 2 * i + 1
        if down >= last:
            break
        right = down + 1
        if right < last and (
            times[right] < times[down]
            or (times[right] == times[down] and items[right] < items[down])
        ):
            down = right
        if time < times[down] or (time == times[down] and item < items[down]):
            break
        times[i], items[i] = times[down], items[down]
        i = down
    times[i], items[i] = time, item


@compiled
def lower_leaf(least, winner, leaf, value, item):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Put a value that is less than the old one into a tree that also keeps whose minimum it is."""
    i = leaf
    while i > 0 and value < least[i]:
        least[i], winner[i] = value, item
        i >>= 1


@compiled
def raise_leaf(least, winner, leaf, value, item):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Put a value in place of the whole tree's minimum."""
    i = leaf
    least[i], winner[i] = value, item
    while i > 1:
        other, its_item = least[i ^ 1], winner[i ^ 1]
        item = its_item if other < value else item
        value = min(value, other)
        i >>= 1
        least[i], winner[i] = value, item


@compiled
def set_leaf(least, base, leaf, value):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Change a leaf of the tree that begins at `base`, and mend the minima above it."""
    i = leaf
    least[base + i] = value
    while i > 1:
        value = min(value, least[base + (i ^ 1)])
        i >>= 1
        if least[base + i] == value:
            break
        least[base + i] = value


@compiled
def first_leaf(least, base, size, node, bar):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Find the lowest leaf under a node whose value is at most `bar`; there must be one."""
    i = node
    while i < size:
        i = 2 * i + (least[base + 2 * i] > bar)
    return i


@compiled
def data_arrival(e, server, now, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """When the data of every parent would have arrived at a server (-1: at none of theirs)."""
    v = s.node[e]
    first = t.offset[s.request[e]]
    arrival = now
    for i in range(t.parent_start[v], t.parent_start[v + 1]):
        parent = first + t.parent[i]
        same = t.server[s.replica[parent]] == server
        arrival = max(arrival, s.end[parent] + (t.intra[i] if same else t.inter[i]))
    return arrival


@compiled
def first_under(m, node, arrival, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Of the replicas under a node the one to start first, and when; ties: the lowest."""
    base = t.tree_start[m]
    # What is free at the arrival could start at once: the lowest number decides among those.
    start = max(arrival, s.tree[base + node])
    return t.leaf_replica[base + first_leaf(s.tree, base, t.tree_size[m], node, start)], start


@compiled
def first_of_all(e, m, now, network, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Of all replicas of a model the one that can start first, and when; ties: the lowest."""
    if network == ODD_NETWORK:
        best, best_start = -1, np.inf
        base, size = t.tree_start[m], t.tree_size[m]
        for i in range(base + size, base + 2 * size):
            p = t.leaf_replica[i]
            if p >= 0:
                start = max(data_arrival(e, t.server[p], now, t, s), s.tree[i])
                if start < best_start:
                    best, best_start = p, start
        return best, best_start
    if network == NO_NETWORK:
        return first_under(m, 1, now, t, s)
    # As if every replica were far from the parents, then what is near to one of them: it starts
    # no later than it would from afar, so the better of the two (ties: lower) is the best of all.
    best, best_start = first_under(m, 1, data_arrival(e, -1, now, t, s), t, s)
    v = s.node[e]
    first = t.offset[s.request[e]]
    for i in range(t.parent_start[v], t.parent_start[v + 1]):
        at = t.server[s.replica[first + t.parent[i]]]
        node = t.server_node[m, at]
        if node:
            p, start = first_under(m, node, data_arrival(e, at, now, t, s), t, s)
            if start < best_start or (start == best_start and p < best):
                best, best_start = p, start
    return best, best_start


@compiled
def choose(e, now, policy, network, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Choose the replica by policy; each is stated in `runtime.policies`."""
    v = s.node[e]
    m = t.node_model[v]
    if policy == LEAST_LOADED:
        return first_under(m, 1, 0.0, t, s)[0]
    node = 0
    home = -1
    if policy != EARLIEST:
        home = t.target[e]
        if policy == LOCALITY and t.parent_start[v] < t.parent_start[v + 1]:
            parent = t.offset[s.request[e]] + t.parent[t.parent_start[v]]
            at = t.server[s.replica[parent]]
            meant = t.target[parent]
            if meant >= 0 and at != meant and t.server_node[m, at]:
                home = at
        if home >= 0:
            node = t.server_node[m, home]
    if not node:
        return first_of_all(e, m, now, network, t, s)[0]
    arrival = data_arrival(e, home, now, t, s) if network else now
    stay, stay_start = first_under(m, node, arrival, t, s)
    # Nothing starts before now, so a short wait at home needs no look elsewhere.
    if policy == PLAN or stay_start - now <= t.patience[v]:
        return stay
    other, other_start = first_of_all(e, m, now, network, t, s)
    patience = t.patience[v] + BACKLOG_PATIENCE * (other_start - now)
    return stay if stay_start - other_start <= patience else other


@compiled
def set_free(p, free_s, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Say when a replica is free."""
    set_leaf(s.tree, t.tree_start[t.model[p]], t.leaf[p], free_s)


@compiled
def count(p, more, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Change the number of a replica's unfinished executions."""
    base = t.tree_start[t.model[p]]
    set_leaf(s.tree, base, t.leaf[p], s.tree[base + t.leaf[p]] + more)


@compiled
def commit(e, now, counted, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
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
    if not counted:
        least = end
        for other in range(t.slot_start[p], last):
            least = min(least, s.slot_end[other])
        set_free(p, max(least, s.rival_end[p]), t, s)
    for i in range(t.rival_start[p], t.rival_start[p + 1]):
        q = t.rival[i]
        if end > s.rival_end[q]:
            s.rival_end[q] = end
            if not counted and end > s.tree[t.tree_start[t.model[q]] + t.leaf[q]]:
                set_free(q, end, t, s)
    s.ready[e], s.start[e], s.end[e] = now, start, end
    s.tally[COMMITTED] += 1
    v = s.node[e]
    if counted or t.child_start[v] < t.child_start[v + 1]:
        s.following[e] = -1
        if s.slot_head[k] < 0:
            s.slot_head[k] = e
            lower_leaf(s.event_time, s.event_slot, len(s.event_time) // 2 + k, end, k)
        else:
            s.following[s.slot_tail[k]] = e
        s.slot_tail[k] = e


@compiled
def make_ready(e, time, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Let an execution be routed, or committed once it has been, at a time."""
    push(s.ready_time, s.ready_item, s.tally[READY], time, e)
    s.tally[READY] += 1


@compiled
def complete(counted, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """End the execution that is first to end; release the children that waited for it alone."""
    k = s.event_slot[1]
    e = s.slot_head[k]
    following = s.following[e]
    s.slot_head[k] = following
    then = s.end[following] if following >= 0 else np.inf
    raise_leaf(s.event_time, s.event_slot, len(s.event_time) // 2 + k, then, k)
    if counted:
        count(t.slot_replica[k], -1.0, t, s)
    v = s.node[e]
    first = t.offset[s.request[e]]
    for i in range(t.child_start[v], t.child_start[v + 1]):
        child = first + t.child[i]
        s.missing[child] -= 1
        if s.missing[child] == 0:
            make_ready(child, s.end[e], s)


@compiled
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


@compiled
def next_ready(now, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Take the lowest execution released or arrived at this instant; -1 where none is left."""
    waits = s.tally[READY] > 0 and s.ready_time[0] == now
    r = s.tally[REQUEST]
    if r < len(t.arrival) and t.arrival[r] == now:
        w = t.workflow[r]
        source = t.offset[r] + t.source[t.source_start[w] + s.tally[SOURCE]]
        if not waits or source < s.ready_item[0]:
            s.tally[SOURCE] += 1
            if t.source_start[w] + s.tally[SOURCE] == t.source_start[w + 1]:
                s.tally[REQUEST] += 1
                open_request(t, s)
            return source
    if not waits:
        return -1
    e = s.ready_item[0]
    drop_first(s.ready_time, s.ready_item, s.tally[READY])
    s.tally[READY] -= 1
    return e


@compiled
def advance(t, s, policy, network, limit):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Run until `limit` executions are committed in all; True when nothing is left to do.

    Everything that the loop knows is in `s`, so a run may be cut anywhere without a trace of it.
    A run begins at the clock -inf with no request open.
    """
    counted = policy == LEAST_LOADED
    now = s.clock[0]
    if now == -np.inf:
        open_request(t, s)
    while True:
        while True:
            while s.event_time[1] == now:
                complete(counted, t, s)
            e = next_ready(now, t, s)
            if e < 0:
                break
            if s.replica[e] < 0:
                p = choose(e, now, policy, network, t, s)
                arrival = data_arrival(e, t.server[p], now, t, s) if network else now
                s.replica[e] = p
                if counted:
                    count(p, 1.0, t, s)
                if arrival > now:
                    make_ready(e, arrival, s)
                    continue
            commit(e, now, counted, t, s)
            if s.tally[COMMITTED] >= limit:
                s.clock[0] = now
                return False
        now = s.event_time[1]
        if s.tally[READY]:
            now = min(now, s.ready_time[0])
        if s.tally[REQUEST] < len(t.arrival):
            now = min(now, t.arrival[s.tally[REQUEST]])
        if now == np.inf:
            return True
