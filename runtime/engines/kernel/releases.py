"""How requests come to a loop, and what becomes ready in them."""

from __future__ import annotations

import numpy as np

from runtime.engines.kernel.native import inlined
from runtime.engines.kernel.trees import drop_first, push

READY, REQUEST, SOURCE, COMMITTED = 0, 1, 2, 3
"""Places in `State.tally`: size of the ready heap, the next request and source, commitments."""


@inlined
def make_ready(e, time, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Let an execution be routed, or committed once it has been, at a time."""
    push(s.ready_time, s.ready_item, 0, s.tally[READY], time, e)
    s.tally[READY] += 1


@inlined
def release_children(e, now, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Release the children that waited for an execution alone, which has ended."""
    v = s.node[e]
    first = t.offset[s.request[e]]
    for i in range(t.child_start[v], t.child_start[v + 1]):
        child = first + t.child[i]
        s.missing[child] -= 1
        if s.missing[child] == 0:
            make_ready(child, now, s)


@inlined
def pass_by(e, now, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Begin a step that needs no GPU, or end it: whether it has ended."""
    if s.replica[e] < 0:
        s.replica[e] = len(t.gpus) - 1
        s.ready[e] = s.start[e] = now
        s.end[e] = now + t.service[e]
        if s.end[e] > now:
            make_ready(e, s.end[e], s)
            return False
    s.tally[COMMITTED] += 1
    release_children(e, now, t, s)
    return True


@inlined
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


@inlined
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
    drop_first(s.ready_time, s.ready_item, 0, s.tally[READY])
    s.tally[READY] -= 1
    return e


@inlined
def next_instant(end, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """When something happens next, where the next thing to end does so at `end`."""
    now = end
    if s.tally[READY]:
        now = min(now, s.ready_time[0])
    if s.tally[REQUEST] < len(t.arrival):
        now = min(now, t.arrival[s.tally[REQUEST]])
    return now
