"""What a content is worth at some prices, and the rates that make it so (compiled).

For one content the best rates are a small linear program. Serve sets S of nodes of each workflow
w together, at rates y[w,S]:

    max  sum worth[w,S] y[w,S]
         sum_S y[w,S] <= lambda_w                      for every workflow
         sum load[r,S] y[w,S] <= cap[r]                for every GPU r (every model, where GPUs
                                                       are exclusive)

which loses nothing: rates a[w,v] are served as nested sets {v : a[w,v] >= theta}. Where all fits,
each workflow takes its best set. Else the program is solved by the primal simplex method, with the
sets priced by looking at all of those that the content holds: some ten pivots over a basis of ten
to thirty rows, a few microseconds in all. The work of a model is shared evenly by its replicas.
"""

from __future__ import annotations

import numpy as np

from placement.patterns.columns import content_scratch, flat_problem
from placement.patterns.columns.content_scratch import MOST_FLOWS, Scratch
from placement.patterns.columns.flat_problem import FlatFlows, FlatPrices, FlatServer
from placement.problem.cluster import FloatArray, IntArray
from placement.support.machine_code import compiled

CALLED = (flat_problem.__file__, content_scratch.__file__)
"""What compiled code is made of, beside this file."""

WORTHLESS = -1e300
"""In place of a value that is surely below what is asked for."""

# Worth below which a set of nodes, or a change of basis, counts as none.
_EPS = 1e-9


@compiled(calls=CALLED)
def fill_tables(
    flows: FlatFlows, demand: FloatArray, prices: FlatPrices
) -> None:  # pragma: no cover
    """Tabulate what the sets of nodes of every workflow are worth at multipliers of demand.

    Parameters
    ----------
    demand : float64, shape (N,)
        Multiplier of each node's demand.
    prices : FlatPrices
        Its tables are filled.
    """
    worth, best, subset = prices.worth, prices.best, prices.subset
    for w in range(len(flows.rate)):
        first, base = flows.node_ptr[w], flows.table_ptr[w]
        nodes = flows.node_ptr[w + 1] - first
        for s in range(1 << nodes):
            value = 0.0
            for p in range(flows.part_ptr[w], flows.part_ptr[w + 1]):
                if flows.part_set[p] & s == flows.part_set[p]:
                    value += flows.part_worth[p]
            for v in range(nodes):
                if (s >> v) & 1:
                    value -= demand[first + v]
            worth[base + s] = value
            best[base + s] = value
            subset[base + s] = s
        for v in range(nodes):
            for s in range(1 << nodes):
                if (s >> v) & 1:
                    without = base + (s ^ (1 << v))
                    if best[without] >= best[base + s]:
                        best[base + s] = best[without]
                        subset[base + s] = subset[without]


@compiled(calls=CALLED)
def _lay_rows(flows, server, model, start, size, room):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill the models of a content, and what a unit of their work is on each row; count both."""
    n = 0
    for r in range(size):
        m = model[r]
        if room.slot[m] < 0:
            room.slot[m] = n
            room.models[n] = m
            room.replicas[n] = 0
            n += 1
        room.replicas[room.slot[m]] += 1
    if server.counts:
        for i in range(n):
            for r in range(n):
                room.load[i, r] = 0.0
            room.load[i, i] = 1.0 / room.replicas[i]
            room.limit[i] = server.cap
        return n, n
    rows = len(server.room_gb)
    for g in range(rows):
        room.need[g] = 0.0
        for i in range(n):
            room.load[i, g] = 0.0
    for r in range(size):
        m = model[r]
        i = room.slot[m]
        for g in range(start[r], start[r] + flows.gpus_required[m]):
            room.load[i, g] += 1.0 / room.replicas[i]
            room.need[g] += server.counted[m]
    for g in range(rows):
        together = min(int(room.need[g]), len(server.kept) - 1)
        room.limit[g] = server.cap * server.kept[together]
    return n, rows


@compiled(calls=CALLED)
def _add_load(flows, w, s, rate, room, rows, into):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add the load that a set of nodes of a workflow brings to each row."""
    v = flows.node_ptr[w]
    while s:
        if s & 1:
            i = room.slot[flows.node_model[v]]
            for r in range(rows):
                into[r] += room.load[i, r] * flows.node_work[v] * rate
        s >>= 1
        v += 1


@compiled(calls=CALLED)
def _loaded_worth(flows, w, s, worth, above, room, rows):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Worth of a set less what its load costs; stops where it is below what is asked for."""
    v = flows.node_ptr[w]
    while s and worth > above:
        if s & 1:
            i = room.slot[flows.node_model[v]]
            for r in range(rows):
                worth -= room.dual[r] * room.load[i, r] * flows.node_work[v]
        s >>= 1
        v += 1
    return worth


@compiled(calls=CALLED)
def _simplex(flows, prices, room, rows, active):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Solve the program; the basis is left in `room`, the number of its rows returned."""
    size = rows + active
    for a in range(size):
        for b in range(size):
            room.basis[a, b] = 0.0
        room.basis[a, a] = 1.0
        room.price[a] = 0.0
        room.dual[a] = 0.0
        room.flow[a] = -1
        room.value[a] = room.limit[a] if a < rows else flows.rate[room.touched[a - rows]]
    for _ in range(20 * size):
        gain, entering, nodes, slack = _EPS, -1, 0, -1
        for q in range(active):
            w = room.touched[q]
            base, held = flows.table_ptr[w], room.held[w]
            s = held
            while s:
                worth = prices.worth[base + s] - room.dual[rows + q]
                if worth > gain:
                    worth = _loaded_worth(flows, w, s, worth, gain, room, rows)
                    if worth > gain:
                        gain, entering, nodes = worth, q, s
                s = (s - 1) & held
        for a in range(size):
            if -room.dual[a] > gain:
                gain, slack = -room.dual[a], a
        if entering < 0 and slack < 0:
            break
        for a in range(size):
            room.column[a] = 0.0
        price = 0.0
        if slack >= 0:
            room.column[slack] = 1.0
        else:
            w = room.touched[entering]
            price = prices.worth[flows.table_ptr[w] + nodes]
            _add_load(flows, w, nodes, 1.0, room, rows, room.column)
            room.column[rows + entering] = 1.0
        leaving, step = -1, np.inf
        for a in range(size):
            x = 0.0
            for b in range(size):
                if room.column[b] != 0.0:
                    x += room.basis[a, b] * room.column[b]
            room.entering[a] = x
            if x > _EPS:
                ratio = room.value[a] / x
                # Of equal steps the largest pivot: it keeps the basis well conditioned.
                if ratio < step - 1e-12 or (ratio <= step + 1e-12 and x > room.entering[leaving]):
                    leaving, step = a, ratio
        if leaving < 0:
            break
        for a in range(size):
            if a != leaving:
                room.value[a] = max(0.0, room.value[a] - step * room.entering[a])
        room.value[leaving] = step
        pivot = 1.0 / room.entering[leaving]
        for b in range(size):
            room.basis[leaving, b] *= pivot
            room.dual[b] += gain * room.basis[leaving, b]
        for a in range(size):
            x = room.entering[a]
            if a != leaving and x != 0.0:
                for b in range(size):
                    room.basis[a, b] -= x * room.basis[leaving, b]
        room.price[leaving] = price
        room.flow[leaving] = -1 if slack >= 0 else entering
        room.nodes[leaving] = nodes
    return size


@compiled(calls=CALLED)
def _keep_largest(flows, room, found):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Drop workflows beyond `MOST_FLOWS` that could be worth least; those that stay."""
    order = np.argsort(-room.potential[:found], kind="mergesort")
    kept = np.sort(order[:MOST_FLOWS])
    for i in range(MOST_FLOWS, found):
        room.held[room.touched[order[i]]] = 0
    for i in range(len(kept)):
        room.touched[i] = room.touched[kept[i]]
    return len(kept)


@compiled(calls=CALLED, nogil=True)
def content_value(  # type: ignore[no-untyped-def]  # pragma: no cover
    flows: FlatFlows,
    server: FlatServer,
    prices: FlatPrices,
    model: IntArray,
    start: IntArray,
    size: int,
    least: float,
    room: Scratch,
    rates: FloatArray,
):
    """The most that a content is worth at some prices.

    Parameters
    ----------
    flows : FlatFlows
        All that is to be served.
    server : FlatServer
        What its GPUs bear.
    prices : FlatPrices
        Of sets of nodes, and of replicas.
    model, start : int64, shape (K,)
        Model and first GPU of each replica.
    size : int
        Replicas that count: the first ones.
    least : float
        `WORTHLESS` is returned, sooner, where the value is surely below that.
    room : Scratch
        Of such contents.
    rates : float64, shape (N,), or empty
        Takes the rate of each node.
    """
    models, rows = _lay_rows(flows, server, model, start, size, room)
    total, found = 0.0, 0
    for i in range(models):
        m = room.models[i]
        total += prices.bonus[m] * room.replicas[i]
        for q in range(flows.model_ptr[m], flows.model_ptr[m + 1]):
            n = flows.model_node[q]
            w = flows.node_flow[n]
            if room.held[w] == 0:
                room.touched[found] = w
                found += 1
            room.held[w] |= 1 << (n - flows.node_ptr[w])
    active, most = 0, 0.0
    for q in range(found):
        w = room.touched[q]
        worth = prices.best[flows.table_ptr[w] + room.held[w]] * flows.rate[w]
        if worth > _EPS:
            room.touched[active] = w
            room.potential[active] = worth
            most += worth
            active += 1
        else:
            room.held[w] = 0
    value = most
    if total + most < least:
        value = WORTHLESS
    elif active > 0:
        if active > MOST_FLOWS:
            active = _keep_largest(flows, room, active)
        for r in range(rows):
            room.need[r] = 0.0
        for q in range(active):
            w = room.touched[q]
            s = prices.subset[flows.table_ptr[w] + room.held[w]]
            _add_load(flows, w, s, flows.rate[w], room, rows, room.need)
        scarce = False
        for r in range(rows):
            if room.need[r] > room.limit[r] * (1.0 + _EPS):
                scarce = True
        if scarce:
            basic = _simplex(flows, prices, room, rows, active)
            value = 0.0
            for a in range(basic):
                if room.flow[a] >= 0:
                    value += room.price[a] * room.value[a]
        if rates.size:
            if scarce:
                for a in range(basic):
                    if room.flow[a] >= 0:
                        w = room.touched[room.flow[a]]
                        _serve(flows, w, room.nodes[a], room.value[a], rates)
            else:
                for q in range(active):
                    w = room.touched[q]
                    s = prices.subset[flows.table_ptr[w] + room.held[w]]
                    _serve(flows, w, s, flows.rate[w], rates)
    for q in range(active):
        room.held[room.touched[q]] = 0
    for i in range(models):
        room.slot[room.models[i]] = -1
    return value + total if value > WORTHLESS else WORTHLESS


@compiled(calls=CALLED)
def _serve(flows, w, s, rate, rates):  # type: ignore[no-untyped-def]  # pragma: no cover
    v = flows.node_ptr[w]
    while s:
        if s & 1:
            rates[v] += rate
        s >>= 1
        v += 1
