"""`runtime.engines.sliced`, compiled.

Each replica keeps its calls in service in a heap by their tags, and its queue as a list through
`following`: from `prefill_head` those whose prefill is to be served, from `wait_head` those that
are not in service yet. A tree of minima holds when something ends next on each replica.
"""

from __future__ import annotations

import numpy as np

from runtime.engines.kernel.choices import (
    NO_NETWORK,
    choose,
    data_arrival,
    note_saved,
    note_session,
    served,
    set_cost,
    set_free,
)
from runtime.engines.kernel.native import called, inlined, loop
from runtime.engines.kernel.releases import (
    COMMITTED,
    make_ready,
    next_instant,
    next_ready,
    open_request,
    pass_by,
    release_children,
)
from runtime.engines.kernel.trees import drop_first, lowest_leaf, push, set_leaf

CLOCK, LEFT, SINCE, PACE, GIVEN, SHARE, AHEAD, CHANGED = range(8)
"""Columns of `SlicedState.work`: one line of memory holds what is known of a replica."""
SERVING, PREFILLING, UNFINISHED, BUSY, PREFILL_HEAD, WAIT_HEAD, WAIT_TAIL = range(7)
"""Columns of `SlicedState.calls`."""


@inlined
def prefill_left(e, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Seconds of prefill at speed 1, less what a shared prefix saves."""
    return max(0.0, t.prefill[e] - s.saved[e]) if len(s.saved) else t.prefill[e]


@inlined
def prefill_work(e, p, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Seconds of prefill of an execution on a replica."""
    if t.slots[p] == 1 or len(t.prefill) == 0:
        return 0.0
    return prefill_left(e, t, s) / t.speed[p]


@inlined
def decode_work(e, p, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Seconds of what follows the prefill."""
    if t.slots[p] == 1 or len(t.prefill) == 0:
        return served(e, t, s) / t.speed[p]
    return (served(e, t, s) - prefill_left(e, t, s)) / t.speed[p]


@inlined
def full_work(e, p, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Seconds of a replica that an execution takes where its places are all filled."""
    full = t.slowdown[p, t.slots[p] - 1] / t.slots[p]
    return prefill_work(e, p, t, s) + decode_work(e, p, t, s) * full


@called
def constant(gpu, without, beside, calls, present, start, replicas, fraction, kept, chance):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Give `placement.problem.gpu_sharing._constant` of the replicas on a GPU, with `beside`."""
    n = 0
    chance[0] = 1.0
    for i in range(start[gpu], start[gpu + 1]):
        q = replicas[i]
        if q != without and (calls[q, present] > 0 or q == beside):
            u = fraction[q]
            chance[n + 1] = 0.0 + chance[n] * u
            for k in range(n, 0, -1):
                chance[k] = chance[k] * (1.0 - u) + chance[k - 1] * u
            chance[0] = chance[0] * (1.0 - u) + 0.0
            n += 1
    value = chance[0]
    for k in range(1, n + 1):
        value = chance[k] + value * (kept[k] / k)
    return value


@inlined
def least_share(p, present, number, fractions, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Pace of a replica among those present on its GPUs (itself counted): the least of theirs."""
    mine = 0 if s.calls[p, present] > 0 else 1
    least = np.inf
    for gpu in range(t.first_gpu[p], t.first_gpu[p] + t.gpus[p]):
        n = number[gpu] + mine
        share = t.part[n]
        if fractions and n > 1:
            on_gpu = (s.calls, present, t.gpu_start, t.gpu_replica, t.fraction, t.kept, s.chance)
            rest, whole = constant(gpu, p, p, *on_gpu), constant(gpu, -1, p, *on_gpu)
            share = share * (rest / whole)
        least = min(least, share)
    return least


@inlined
def estimate(p, policy, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Tell routers when a call would begin on a replica, and what it would cost there."""
    set_cost(p, s.calls[p, UNFINISHED], s.work[p, SHARE], policy, t, s)
    free = s.work[p, CHANGED]
    if s.calls[p, UNFINISHED] >= t.slots[p]:
        if s.calls[p, SERVING]:
            free = s.ends[len(s.ends) // 2 + p]
        free += s.work[p, AHEAD] / s.work[p, SHARE]
    set_free(p, free, t, s)


@inlined
def settle(p, now, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Bring a replica up to date: it has proceeded at its pace since it last was."""
    served = (now - s.work[p, SINCE]) * s.work[p, PACE]
    if s.calls[p, PREFILLING]:
        s.work[p, LEFT] -= served
    elif s.calls[p, SERVING]:
        s.work[p, CLOCK] += served
    s.work[p, SINCE] = now


@inlined
def foresee(p, now, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Set the pace of a replica that is up to date, and say what ends on it next."""
    then = np.inf
    if s.calls[p, SERVING]:
        if s.calls[p, PREFILLING]:
            s.work[p, PACE] = s.work[p, GIVEN]
            left = s.work[p, LEFT]
        else:
            s.work[p, PACE] = s.work[p, GIVEN] / t.slowdown[p, s.calls[p, SERVING] - 1]
            left = s.tag[t.slot_start[p]] - s.work[p, CLOCK]
        then = now + max(0.0, left) / s.work[p, PACE]
    set_leaf(s.ends, 0, len(s.ends) // 2 + p, then)


@inlined
def enter(e, p, s, t):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Let a call whose prefill is done proceed with the others."""
    size = s.calls[p, SERVING] - s.calls[p, PREFILLING]
    push(s.tag, s.serving, t.slot_start[p], size, s.work[p, CLOCK] + decode_work(e, p, t, s), e)


@inlined
def admit(p, now, policy, fractions, apart, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill the places of a replica from its queue, and let its neighbours feel it."""
    while s.calls[p, WAIT_HEAD] >= 0 and s.calls[p, SERVING] < t.slots[p]:
        e = s.calls[p, WAIT_HEAD]
        s.calls[p, WAIT_HEAD] = s.following[e]
        s.start[e] = now
        s.work[p, AHEAD] -= full_work(e, p, t, s)
        prefill = prefill_work(e, p, t, s)
        if prefill > 0.0 or s.calls[p, PREFILLING]:
            if not s.calls[p, PREFILLING]:
                s.calls[p, PREFILL_HEAD] = e
                s.work[p, LEFT] = prefill
            s.calls[p, PREFILLING] += 1
        else:
            enter(e, p, s, t)
        s.calls[p, SERVING] += 1
    if s.calls[p, UNFINISHED] == s.calls[p, SERVING]:
        s.work[p, AHEAD] = 0.0
    busy = s.calls[p, SERVING] > 0
    if busy != s.calls[p, BUSY]:
        s.calls[p, BUSY] = busy
        for gpu in range(t.first_gpu[p], t.first_gpu[p] + t.gpus[p]):
            s.gpu_busy[gpu] += 1 if busy else -1
        s.work[p, GIVEN] = least_share(p, BUSY, s.gpu_busy, fractions, t, s) if busy else 0.0
        for i in range(t.rival_start[p], t.rival_start[p + 1]):
            q = t.rival[i]
            if apart and not s.calls[q, SERVING]:
                continue
            share = least_share(q, BUSY, s.gpu_busy, fractions, t, s)
            if s.calls[q, SERVING] and share != s.work[q, GIVEN]:
                settle(q, now, s)
                s.work[q, GIVEN] = share
                foresee(q, now, t, s)
            elif apart or share == s.work[q, SHARE]:
                continue
            # Without a network, who has work is who has a call in service.
            if not apart:
                s.work[q, SHARE] = share
            estimate(q, policy, t, s)
    foresee(p, now, t, s)


@inlined
def notice(p, policy, fractions, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Let the estimates of a replica's neighbours feel that it has work now, or none."""
    for gpu in range(t.first_gpu[p], t.first_gpu[p] + t.gpus[p]):
        s.gpu_active[gpu] += 1 if s.calls[p, UNFINISHED] else -1
    for i in range(t.rival_start[p], t.rival_start[p + 1]):
        q = t.rival[i]
        s.work[q, SHARE] = least_share(q, UNFINISHED, s.gpu_active, fractions, t, s)
        estimate(q, policy, t, s)


@inlined
def end_first(p, now, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Take the prefill or call of a replica that ends now; give the call that is done, or -1."""
    settle(p, now, s)
    done = -1
    if s.calls[p, PREFILLING]:
        e = s.calls[p, PREFILL_HEAD]
        if decode_work(e, p, t, s) > 0.0:
            enter(e, p, s, t)
        else:
            done = e
        s.calls[p, PREFILLING] -= 1
        if s.calls[p, PREFILLING]:
            s.calls[p, PREFILL_HEAD] = s.following[e]
            s.work[p, LEFT] = prefill_work(s.calls[p, PREFILL_HEAD], p, t, s)
    else:
        base = t.slot_start[p]
        s.work[p, CLOCK], done = s.tag[base], s.serving[base]
        drop_first(s.tag, s.serving, base, s.calls[p, SERVING])
    if done >= 0:
        s.calls[p, SERVING] -= 1
        s.end[done] = now
        s.calls[p, UNFINISHED] -= 1
        s.work[p, CHANGED] = now
        if not s.calls[p, SERVING]:
            s.work[p, CLOCK] = 0.0
    return done


@inlined
def join(e, p, now, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Let an execution whose data is there join the queue of its replica."""
    s.ready[e] = now
    s.following[e] = -1
    if s.calls[p, WAIT_HEAD] < 0:
        s.calls[p, WAIT_HEAD] = e
    if s.calls[p, WAIT_TAIL] >= 0:
        s.following[s.calls[p, WAIT_TAIL]] = e
    s.calls[p, WAIT_TAIL] = e
    s.tally[COMMITTED] += 1


@loop
def advance(stamp):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Make the loop."""

    def advance(t, s, policy, network, fractions, limit):  # type: ignore[no-untyped-def]
        """Run as `runtime.engines.kernel.serial_loop.advance` does.

        `fractions` says whether some model leaves its GPU idle part of the time.
        """
        assert stamp
        apart = network != NO_NETWORK
        now = s.clock[0]
        if now == -np.inf:
            open_request(t, s)
        while True:
            # One thing of this instant at a time. It is written so that all that happens to a
            # replica stands here once: what is inlined twice is compiled twice.
            done, joined, turned = -1, False, False
            if s.ends[1] == now:
                p = lowest_leaf(s.ends, 0, len(s.ends) // 2, 1) - len(s.ends) // 2
                done = end_first(p, now, t, s)
                admits = True
                turned = done >= 0 and s.calls[p, UNFINISHED] == 0
            else:
                e = next_ready(now, t, s)
                if e < 0:
                    now = next_instant(s.ends[1], t, s)
                    if now == np.inf:
                        return True
                    continue
                if t.node_step[s.node[e]]:
                    if pass_by(e, now, t, s) and s.tally[COMMITTED] >= limit:
                        s.clock[0] = now
                        return False
                    continue
                joined = True
                p = s.replica[e]
                if p < 0:
                    p = choose(e, now, policy, network, False, t, s)
                    note_session(e, p, t, s)
                    note_saved(e, p, t, s)
                    arrival = data_arrival(e, t.server[p], now, t, s) if network else now
                    s.replica[e] = p
                    s.calls[p, UNFINISHED] += 1
                    s.work[p, AHEAD] += full_work(e, p, t, s)
                    s.work[p, CHANGED] = now
                    turned = s.calls[p, UNFINISHED] == 1
                    if arrival > now:
                        make_ready(e, arrival, s)
                        joined = False
                admits = False
                if joined:
                    join(e, p, now, s)
                    if s.calls[p, SERVING] < t.slots[p]:
                        admits = True
                        settle(p, now, s)
            if admits:
                admit(p, now, policy, fractions, apart, t, s)
            if apart and turned:
                notice(p, policy, fractions, t, s)
            estimate(p, policy, t, s)
            if done >= 0:
                release_children(done, now, t, s)
            if joined and s.tally[COMMITTED] >= limit:
                s.clock[0] = now
                return False

    return advance
