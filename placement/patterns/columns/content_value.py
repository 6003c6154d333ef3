"""What a content is worth at some prices, and the rates that make it so (compiled).

For one content the best rates are a small linear program. Serve sets S of nodes of each workflow
w together, at rates y[w,S]:

    max  sum worth[w,S] y[w,S]
         sum_S y[w,S] <= lambda_w                      for every workflow
         sum load[r,S] y[w,S] <= cap[r]                for every GPU r (every model, where GPUs
                                                       are exclusive)

which loses nothing: rates a[w,v] are served as nested sets {v : a[w,v] >= theta}. Where all fits,
each workflow takes its best set. Where a price of GPU-seconds shows that a content is worth less
than what is asked for, that is all; else the program is solved
(`placement.patterns.columns.content_simplex`). The work of a model is shared evenly by its
replicas.
"""

from __future__ import annotations

from placement.patterns.columns import (
    content_scratch,
    content_sets,
    content_simplex,
    flat_problem,
)
from placement.patterns.columns.content_scratch import Scratch
from placement.patterns.columns.content_sets import NONE_BELOW, add_load, even_price
from placement.patterns.columns.content_simplex import best_rates
from placement.patterns.columns.flat_problem import FlatFlows, FlatPrices, FlatServer
from placement.problem.cluster import FloatArray, IntArray
from placement.support.machine_code import compiled

CALLED = (
    flat_problem.__file__,
    content_scratch.__file__,
    content_sets.__file__,
    content_simplex.__file__,
)
"""What compiled code is made of, beside this file."""

WORTHLESS = -1e300
"""In place of a value that is surely below what is asked for."""


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
    price_seconds(flows, 0.0, prices)


@compiled(calls=CALLED)
def price_seconds(flows: FlatFlows, second: float, prices: FlatPrices) -> None:  # pragma: no cover
    """Tabulate what sets of nodes are worth at most beyond a price of their work.

    Parameters
    ----------
    flows : FlatFlows
    second : float
        Price of a GPU-second.
    prices : FlatPrices
        With what the sets are worth; its table of what is left is filled.
    """
    worth, paid = prices.worth, prices.paid
    prices.second[0] = second
    for w in range(len(flows.rate)):
        first, base = flows.node_ptr[w], flows.table_ptr[w]
        nodes = flows.node_ptr[w + 1] - first
        paid[base] = 0.0
        for s in range(1, 1 << nodes):
            # What the set without its last node costs was worked out before.
            v = 0
            while (s >> v) & 1 == 0:
                v += 1
            model = flows.node_model[first + v]
            rest = base + (s & (s - 1))
            cost = worth[rest] - paid[rest]
            cost += second * flows.node_work[first + v] * flows.gpus_required[model]
            paid[base + s] = worth[base + s] - cost
        for v in range(nodes):
            for s in range(1 << nodes):
                if (s >> v) & 1:
                    paid[base + s] = max(paid[base + s], paid[base + (s ^ (1 << v))])


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
    bears, second = 0.0, prices.second[0]
    for r in range(rows):
        wide = 1
        if server.counts:
            wide = flows.gpus_required[room.models[r]] * room.replicas[r]
        bears += room.limit[r] * wide
    room.second[0] = 0.0
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
    active, most, beyond = 0, 0.0, second * bears
    for q in range(found):
        w = room.touched[q]
        worth = prices.best[flows.table_ptr[w] + room.held[w]] * flows.rate[w]
        if worth > NONE_BELOW:
            paid = prices.paid[flows.table_ptr[w] + room.held[w]] * flows.rate[w]
            room.touched[active] = w
            most += worth
            beyond += paid
            active += 1
        else:
            room.held[w] = 0
    value = most
    if total + min(most, beyond) < least:
        value = WORTHLESS
    elif active > 0:
        for r in range(rows):
            room.need[r] = 0.0
        for q in range(active):
            w = room.touched[q]
            s = prices.subset[flows.table_ptr[w] + room.held[w]]
            add_load(flows, w, s, flows.rate[w], room, rows, room.need)
        scarce = False
        for r in range(rows):
            if room.need[r] > room.limit[r] * (1.0 + NONE_BELOW):
                scarce = True
        if scarce:
            if second <= NONE_BELOW:
                second = even_price(flows, prices, room, models, active, bears)
            for r in range(rows):
                room.dual[r] = second
                if server.counts:
                    room.dual[r] *= flows.gpus_required[room.models[r]] * room.replicas[r]
            value = best_rates(flows, prices, room, models, rows, active, least - total)
            for r in range(rows):
                room.second[0] += room.dual[r] * room.limit[r] / bears
            if value + total < least:
                value = WORTHLESS
        if rates.size:
            if scarce:
                for q in range(active):
                    w = room.touched[q]
                    _serve(flows, w, room.key[q], flows.rate[w], rates)
                for a in range(rows):
                    q = room.flow[a]
                    if q >= 0:
                        w = room.touched[q]
                        _serve(flows, w, room.nodes[a], room.value[a], rates)
                        _serve(flows, w, room.key[q], -room.value[a], rates)
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
