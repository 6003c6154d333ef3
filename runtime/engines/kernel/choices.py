"""The routing policies of `runtime.policies`, compiled.

What routers are told stands in two trees of minima a model, of one shape: `free`, when a replica
could begin one more call, and `cost`, its stretch (under least-loaded, its load). The replicas of
one server are the leaves under one node, so that the same search serves home servers.
"""

from __future__ import annotations

import numpy as np

from runtime.engines.kernel.native import inlined
from runtime.engines.kernel.trees import first_finish, least_cost, lowest_leaf, set_leaf

PLAN, LOCALITY, EARLIEST, LEAST_LOADED, STICKY = 0, 1, 2, 3, 4
NO_NETWORK, NETWORK, ODD_NETWORK = 0, 1, 2
"""Odd is a network on which some edge takes longer inside a server than across servers."""
BACKLOG_PATIENCE = 1.0
"""As in `runtime.policies`, which numba need not be loaded for."""


@inlined
def set_free(p, free_s, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Say when a replica is free."""
    set_leaf(s.free, t.tree_base[p], t.leaf[p], free_s)


@inlined
def set_cost(p, unfinished, share, policy, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Say what one more call would cost on a replica: its stretch, or the replica's load."""
    if policy == LEAST_LOADED:
        cost = (unfinished + 1) * t.call_work[p] / share
    else:
        cost = t.slowdown[p, min(unfinished, t.slots[p] - 1)] / (share * t.speed[p])
    set_leaf(s.cost, t.tree_base[p], t.leaf[p], cost)


@inlined
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


@inlined
def saved_on(e, p, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Seconds of prefill that an execution saves on a replica that read its context before."""
    v = s.node[e]
    first = t.offset[s.request[e]]
    most = 0.0
    for i in range(t.parent_start[v], t.parent_start[v + 1]):
        if t.shared[i] > 0.0 and s.replica[first + t.parent[i]] == p:
            most = max(most, t.shared[i] * t.prefix[e])
    return most


@inlined
def needed(e, p, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Seconds at speed 1 that an execution would take on a replica."""
    if len(t.prefix) == 0:
        return t.service[e]
    return t.service[e] - saved_on(e, p, t, s)


@inlined
def least_needed(e, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """No more than what an execution takes anywhere: what it would save most is taken off."""
    if len(t.prefix) == 0:
        return t.service[e]
    v = s.node[e]
    most = 0.0
    for i in range(t.parent_start[v], t.parent_start[v + 1]):
        most = max(most, t.shared[i] * t.prefix[e])
    return t.service[e] - most


@inlined
def served(e, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Seconds at speed 1 that an execution takes where it was routed to."""
    return t.service[e] - s.saved[e] if len(s.saved) else t.service[e]


@inlined
def note_saved(e, p, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Keep what an execution saves on the replica that it is routed to."""
    if len(s.saved):
        s.saved[e] = saved_on(e, p, t, s)


@inlined
def first_under(m, node, arrival, service, alike, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Of the leaves under a node the first to finish; where costs are alike, the first free."""
    base = t.tree_start[m]
    if alike:
        return lowest_leaf(s.free, base, t.tree_size[m], node)
    return first_finish(s.free, s.cost, s.stack, base, t.tree_size[m], node, arrival, service)


@inlined
def with_context(e, m, home, best, arrival, network, now, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Of the best leaf and those that read some of the context before, the first to finish.

    The best was found as if nothing were saved: whoever saves nothing is no better than it. At a
    `home` of -1 all servers count. Gives the leaf, and when the data would be there.
    """
    v = s.node[e]
    base = t.tree_start[m]
    first = t.offset[s.request[e]]
    finish = max(arrival, s.free[base + best])
    finish += needed(e, t.leaf_replica[base + best], t, s) * s.cost[base + best]
    for i in range(t.parent_start[v], t.parent_start[v + 1]):
        if not t.shared[i] > 0.0:
            continue
        p = s.replica[first + t.parent[i]]
        if home >= 0 and t.server[p] != home:
            continue
        leaf = t.leaf[p]
        there = data_arrival(e, t.server[p], now, t, s) if network else now
        end_there = max(there, s.free[base + leaf])
        end_there += needed(e, p, t, s) * s.cost[base + leaf]
        if end_there < finish or (
            end_there == finish
            and (
                s.free[base + leaf] < s.free[base + best]
                or (s.free[base + leaf] == s.free[base + best] and leaf < best)
            )
        ):
            best, arrival, finish = leaf, there, end_there
    return best, arrival


@inlined
def first_of_all(e, m, now, network, alike, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Of all leaves of a model the first to finish, and when the data would be there."""
    service = t.service[e]
    if network == NO_NETWORK:
        return first_under(m, 1, now, service, alike, t, s), now
    base, size = t.tree_start[m], t.tree_size[m]
    v = s.node[e]
    first = t.offset[s.request[e]]
    if network == ODD_NETWORK:
        begin, end = size, 2 * size
        best, arrival = begin, np.inf
    else:
        # As if every replica were far from the parents, then what is near to one of them: it ends
        # no later than it would from afar, so the better of the two is the best of all.
        arrival = data_arrival(e, -1, now, t, s)
        best = first_under(m, 1, arrival, service, alike, t, s)
        begin, end = t.parent_start[v], t.parent_start[v + 1]
    finish = max(arrival, s.free[base + best]) + service * s.cost[base + best]
    for i in range(begin, end):
        if network == ODD_NETWORK:
            leaf = i
            if t.leaf_replica[base + leaf] < 0:
                continue
            at = t.server[t.leaf_replica[base + leaf]]
            there = data_arrival(e, at, now, t, s)
        else:
            at = t.server[s.replica[first + t.parent[i]]]
            node = t.server_node[m, at] if at >= 0 else 0
            if not node:
                continue
            there = data_arrival(e, at, now, t, s)
            leaf = first_under(m, node, there, service, alike, t, s)
        end_there = max(there, s.free[base + leaf]) + service * s.cost[base + leaf]
        if end_there < finish or (
            end_there == finish
            and (
                s.free[base + leaf] < s.free[base + best]
                or (s.free[base + leaf] == s.free[base + best] and leaf <= best)
            )
        ):
            best, arrival, finish = leaf, there, end_there
    return best, arrival


@inlined
def choose(e, now, policy, network, alike, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Choose the replica by policy; each is stated in `runtime.policies`."""
    v = s.node[e]
    m = t.node_model[v]
    base = t.tree_start[m]
    if policy == LEAST_LOADED:
        return t.leaf_replica[base + least_cost(s.free, s.cost, s.stack, base, t.tree_size[m], 1)]
    service = t.service[e]
    node = 0
    home = -1
    if policy == STICKY and len(t.session):
        session = t.session[s.request[e]]
        if session >= 0 and s.session_server[session] >= 0:
            home = s.session_server[session]
            node = t.server_node[m, home]
            if node:
                arrival = data_arrival(e, home, now, t, s) if network else now
                stay = first_under(m, node, arrival, service, alike, t, s)
                if len(t.prefix):
                    stay, arrival = with_context(e, m, home, stay, arrival, network, now, t, s)
                return t.leaf_replica[base + stay]
            home = -1
    if policy != EARLIEST:
        home = t.target[e]
        if policy != PLAN and t.parent_start[v] < t.parent_start[v + 1]:
            parent = t.offset[s.request[e]] + t.parent[t.parent_start[v]]
            at = t.server[s.replica[parent]]
            meant = t.target[parent]
            if meant >= 0 and at >= 0 and at != meant and t.server_node[m, at]:
                home = at
        if home >= 0:
            node = t.server_node[m, home]
    stay = -1
    finish = 0.0
    if node:
        arrival = data_arrival(e, home, now, t, s) if network else now
        stay = first_under(m, node, arrival, service, alike, t, s)
        if len(t.prefix):
            stay, arrival = with_context(e, m, home, stay, arrival, network, now, t, s)
        took = needed(e, t.leaf_replica[base + stay], t, s)
        finish = max(arrival, s.free[base + stay]) + took * s.cost[base + stay]
        # Nothing ends before it would on the fastest at once: a short wait needs no look elsewhere.
        least = now + least_needed(e, t, s) * s.cost[base + 1]
        if policy == PLAN or finish - least <= t.patience[v]:
            return t.leaf_replica[base + stay]
    other, there = first_of_all(e, m, now, network, alike, t, s)
    if len(t.prefix):
        other, there = with_context(e, m, -1, other, there, network, now, t, s)
    if node:
        start = max(there, s.free[base + other])
        took = needed(e, t.leaf_replica[base + other], t, s)
        later = finish - (start + took * s.cost[base + other])
        if later <= t.patience[v] + BACKLOG_PATIENCE * (start - now):
            other = stay
    return t.leaf_replica[base + other]


@inlined
def note_session(e, p, t, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Keep the server of a session's first call."""
    if len(t.session):
        session = t.session[s.request[e]]
        if session >= 0 and s.session_server[session] < 0:
            s.session_server[session] = t.server[p]
