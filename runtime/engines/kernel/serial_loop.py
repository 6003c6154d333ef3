"""`runtime.engines.serial`, compiled.

Two facts make it fast. What a GPU will do next is known at commitment (queues are first come
first served), so an execution's start and end are computed once and no queue is kept. And ends on
one slot of a replica never decrease, so completions wait in one list for each slot, and only the
first of each list is compared with the others.
"""

from __future__ import annotations

import numpy as np

from runtime.engines.kernel.choices import (
    choose,
    data_arrival,
    note_saved,
    note_session,
    served,
    set_cost,
    set_free,
)
from runtime.engines.kernel.native import inlined, loop
from runtime.engines.kernel.releases import (
    COMMITTED,
    make_ready,
    next_instant,
    next_ready,
    open_request,
    pass_by,
    release_children,
)
from runtime.engines.kernel.trees import lower_leaf, raise_leaf


@inlined
def refresh(p, now, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Say when a replica is free, calls on their way included."""
    free = s.slot_end[t.slot_start[p]]
    for k in range(t.slot_start[p] + 1, t.slot_start[p + 1]):
        free = min(free, s.slot_end[k])
    free = max(free, s.rival_end[p])
    if s.coming[p]:
        free = max(free, now) + s.coming_s[p]
    set_free(p, free, t, s)


@inlined
def comes(p, now, work, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Count a call whose data travels to a replica, or to one that shares a GPU with it."""
    s.coming[p] += 1
    s.coming_s[p] += work
    refresh(p, now, t, s)


@inlined
def came(p, work, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Count such a call no more."""
    s.coming[p] -= 1
    s.coming_s[p] = s.coming_s[p] - work if s.coming[p] else 0.0


@inlined
def depart(e, now, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Let the data of a routed execution travel."""
    p = s.replica[e]
    work = served(e, t, s) / t.speed[p]
    comes(p, now, work, t, s)
    for i in range(t.rival_start[p], t.rival_start[p + 1]):
        comes(t.rival[i], now, work, t, s)


@inlined
def commit(e, now, travelled, counted, network, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
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
    work = served(e, t, s) / t.speed[p]
    end = start + work * t.slowdown[p, in_service]
    s.slot_end[k] = end
    if travelled:
        came(p, work, s)
    refresh(p, now, t, s)
    for i in range(t.rival_start[p], t.rival_start[p + 1]):
        q = t.rival[i]
        later = end > s.rival_end[q]
        if later:
            s.rival_end[q] = end
        if network:
            if travelled:
                came(q, work, s)
            refresh(q, now, t, s)
        elif later and end > s.free[t.tree_base[q] + t.leaf[q]]:
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


@inlined
def count(p, more, policy, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Change the number of a replica's unfinished executions."""
    s.unfinished[p] += more
    set_cost(p, s.unfinished[p], 1.0, policy, t, s)


@inlined
def complete(counted, policy, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """End the execution that is first to end."""
    k = s.event_slot[1]
    e = s.slot_head[k]
    following = s.following[e]
    s.slot_head[k] = following
    then = s.end[following] if following >= 0 else np.inf
    raise_leaf(s.event_time, s.event_slot, len(s.event_time) // 2 + k, then, k)
    if counted:
        count(t.slot_replica[k], -1, policy, t, s)
    release_children(e, s.end[e], t, s)


@loop
def advance(stamp):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Make the loop."""

    def advance(t, s, policy, network, alike, counted, limit):  # type: ignore[no-untyped-def]
        """Run until `limit` executions are committed in all; True when nothing is left to do.

        Everything that the loop knows is in `s`, so a run may be cut anywhere without a trace of
        it. A run begins at the clock -inf with no request open.
        """
        assert stamp
        now = s.clock[0]
        if now == -np.inf:
            open_request(t, s)
        while True:
            while True:
                while s.event_time[1] == now:
                    complete(counted, policy, t, s)
                e = next_ready(now, t, s)
                if e < 0:
                    break
                travelled = s.replica[e] >= 0
                if t.node_step[s.node[e]]:
                    if not pass_by(e, now, t, s):
                        continue
                else:
                    if not travelled:
                        p = choose(e, now, policy, network, alike, t, s)
                        note_session(e, p, t, s)
                        note_saved(e, p, t, s)
                        arrival = data_arrival(e, t.server[p], now, t, s) if network else now
                        s.replica[e] = p
                        if counted:
                            count(p, 1, policy, t, s)
                        if arrival > now:
                            depart(e, now, t, s)
                            make_ready(e, arrival, s)
                            continue
                    commit(e, now, travelled, counted, network, t, s)
                if s.tally[COMMITTED] >= limit:
                    s.clock[0] = now
                    return False
            now = next_instant(s.event_time[1], t, s)
            if now == np.inf:
                return True

    return advance
