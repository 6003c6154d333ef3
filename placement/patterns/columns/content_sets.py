"""Sets of a workflow's nodes on one content: their load, their price, and the best (compiled).

Of a workflow a content holds some nodes, and any set of them may be served together. What a set is
worth is a table (`placement.patterns.columns.flat_problem`), what its work costs depends on prices
of models.
"""

from __future__ import annotations

from placement.patterns.columns import content_scratch, flat_problem
from placement.support.machine_code import compiled

CALLED = (flat_problem.__file__, content_scratch.__file__)
"""What compiled code is made of, beside this file."""

HALVINGS = 8
"""Of the range in which a first dual is sought."""

FIRST = 0.1
"""Dual that is tried first, in the worth of a GPU-second of a normalized instance."""

NONE_BELOW = 1e-9
"""Worth of a set of nodes, part of a load or entry of a basis that counts as none."""


@compiled(calls=CALLED)
def add_load(flows, w, s, rate, room, rows, into):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add the load that a set of nodes of a workflow brings to each row.

    Parameters
    ----------
    flows : FlatFlows
    w : int
        The workflow.
    s : int
        Its nodes, as a mask.
    rate : float
        At which they are served.
    room : Scratch
        With the load of a unit of work of each model.
    rows : int
    into : float64, shape (R,)
        Takes it.
    """
    v = flows.node_ptr[w]
    while s:
        if s & 1:
            i = room.slot[flows.node_model[v]]
            for r in range(rows):
                into[r] += room.load[i, r] * flows.node_work[v] * rate
        s >>= 1
        v += 1


@compiled(calls=CALLED)
def price_models(room, models, rows):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Work out what a unit of work of each model costs at the duals of the rows.

    Parameters
    ----------
    room : Scratch
        With the duals, and the load of a unit of work; its costs are filled.
    models, rows : int
        How many there are.
    """
    for i in range(models):
        room.cost[i] = 0.0
        for r in range(rows):
            room.cost[i] += room.dual[r] * room.load[i, r]


@compiled(calls=CALLED)
def net_worth(flows, prices, room, q, s):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Worth of a set of nodes less what its work costs.

    Parameters
    ----------
    flows : FlatFlows
    prices : FlatPrices
        Of sets of nodes.
    room : Scratch
        With the costs of models.
    q : int
        Position of the workflow among those of the content.
    s : int
        Its nodes, as a mask.
    """
    w = room.touched[q]
    worth = prices.worth[flows.table_ptr[w] + s]
    v = flows.node_ptr[w]
    while s:
        if s & 1:
            worth -= room.cost[room.slot[flows.node_model[v]]] * flows.node_work[v]
        s >>= 1
        v += 1
    return worth


@compiled(calls=CALLED)
def best_set(flows, prices, room, q, above):  # type: ignore[no-untyped-def]  # pragma: no cover
    """The set of nodes of a workflow that is worth most beyond its work; -1 if none is more.

    Parameters
    ----------
    flows : FlatFlows
    prices : FlatPrices
        Of sets of nodes.
    room : Scratch
        With the costs of models, and the nodes that the content holds.
    q : int
        Position of the workflow among those of the content.
    above : float
        Net worth that the set has to exceed. The empty set has none.
    """
    w = room.touched[q]
    first, base, held = flows.node_ptr[w], flows.table_ptr[w], room.held[w]
    best = 0 if above < 0.0 else -1
    above = max(above, 0.0)
    s = held
    while s:
        worth = prices.worth[base + s]
        left, v = s, first
        while left and worth > above:
            if left & 1:
                worth -= room.cost[room.slot[flows.node_model[v]]] * flows.node_work[v]
            left >>= 1
            v += 1
        if worth > above:
            above, best = worth, s
        s = (s - 1) & held
    return best


@compiled(calls=CALLED)
def even_price(flows, prices, room, models, active, bears):  # type: ignore[no-untyped-def]  # pragma: no cover
    """A price of a GPU-second at which about as much is asked of all rows as they bear.

    Parameters
    ----------
    flows : FlatFlows
    prices : FlatPrices
        Of sets of nodes.
    room : Scratch
        With the workflows of the content.
    models, active : int
        How many models and workflows it has.
    bears : float
        GPU-seconds of all rows.
    """
    low, high = 0.0, 0.0
    for _ in range(HALVINGS):
        price = 0.5 * (low + high) if high > 0 else max(2.0 * low, FIRST)
        for i in range(models):
            room.cost[i] = price * flows.gpus_required[room.models[i]]
        asked = 0.0
        for q in range(active):
            w = room.touched[q]
            s = best_set(flows, prices, room, q, -NONE_BELOW)
            v = flows.node_ptr[w]
            while s:
                if s & 1:
                    gpus = flows.gpus_required[flows.node_model[v]]
                    asked += flows.rate[w] * flows.node_work[v] * gpus
                s >>= 1
                v += 1
        if asked > bears:
            low = price
        else:
            high = price
    return price
