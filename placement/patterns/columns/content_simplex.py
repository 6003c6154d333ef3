"""The best rates of one content by a simplex method of its own (compiled).

Serve sets S of nodes of each workflow w together, at rates y[w,S]:

    max  sum worth[w,S] y[w,S]
         sum_S y[w,S] <= lambda_w                      for every workflow
         sum load[r,S] y[w,S] <= limit[r]              for every row r of the server

Every workflow has a key: the set, maybe the empty one, that serves what no other of its sets does.
So the basis has only the rows of the server (generalised upper bounds: Dantzig and Van Slyke,
Journal of Computer and System Sciences 1, 1967). Duals are held in a box around where they begin,
which is moved while they would leave it (Marsten, Hogan and Blankenship, Operations Research 23,
1975): capacity beyond the row costs the upper end, capacity left brings the lower. What that comes
to bounds the program from above, so contents of little worth are told long before their best rates.
"""

from __future__ import annotations

import numpy as np

from placement.patterns.columns import content_scratch, content_sets, flat_problem
from placement.patterns.columns.content_sets import (
    NONE_BELOW,
    add_load,
    best_set,
    net_worth,
    price_models,
)
from placement.support.machine_code import compiled

CALLED = (flat_problem.__file__, content_scratch.__file__, content_sets.__file__)
"""What compiled code is made of, beside this file."""

MOST_PIVOTS = 20
"""For each row and workflow: beyond, the best rates so far are taken."""

BOX = 0.2
"""Part of themselves by which duals may change before their box is moved."""

LOWEST = 0.2
"""Part of the mean dual that they may rise by beyond that, and below which they may fall to 0."""

REFACTORED = 40
"""Pivots after which the basis is inverted anew, for sums of floats drift."""

MOST_BOXES = 12
"""Boxes of duals, after which they may be anything."""

_ANYTHING = 1e9
_LEFT, _MISSING = -1, -2  # in place of a workflow: what a row has left, or what it misses
_TIE = 1e-12


@compiled(calls=CALLED)
def _asked(flows, prices, room, rows, active):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Serve every workflow by its best set at the costs of models; fill what that asks of rows."""
    for r in range(rows):
        room.need[r] = 0.0
    for q in range(active):
        w = room.touched[q]
        room.key[q] = best_set(flows, prices, room, q, -NONE_BELOW)
        add_load(flows, w, room.key[q], flows.rate[w], room, rows, room.need)


@compiled(calls=CALLED)
def _begin(flows, room, rows):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Begin with what is left of every row, or what is missing of it."""
    for r in range(rows):
        for b in range(rows):
            room.basis[r, b] = 0.0
        missing = room.need[r] > room.limit[r]
        room.value[r] = abs(room.limit[r] - room.need[r])
        room.basis[r, r] = -1.0 if missing else 1.0
        room.flow[r], room.nodes[r] = _MISSING if missing else _LEFT, r


@compiled(calls=CALLED)
def _load_beyond_key(flows, room, q, s, rows, into):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Load of a set of nodes on each row, less that of the set that serves the workflow."""
    w = room.touched[q]
    for r in range(rows):
        into[r] = 0.0
    add_load(flows, w, s, 1.0, room, rows, into)
    add_load(flows, w, room.key[q], -1.0, room, rows, into)


@compiled(calls=CALLED)
def _refactor(flows, room, rows, active):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Invert the basis anew, by Gauss and Jordan, and work out what its variables are."""
    for a in range(rows):
        if room.flow[a] < 0:
            for r in range(rows):
                room.square[r, a] = 0.0
            room.square[room.nodes[a], a] = 1.0 if room.flow[a] == _LEFT else -1.0
        else:
            _load_beyond_key(flows, room, room.flow[a], room.nodes[a], rows, room.column)
            for r in range(rows):
                room.square[r, a] = room.column[r]
    for a in range(rows):
        for b in range(rows):
            room.basis[a, b] = 0.0
        room.basis[a, a] = 1.0
    for a in range(rows):
        best = a
        for r in range(a + 1, rows):
            if abs(room.square[r, a]) > abs(room.square[best, a]):
                best = r
        if abs(room.square[best, a]) < NONE_BELOW:
            return False
        for b in range(rows):
            room.square[a, b], room.square[best, b] = room.square[best, b], room.square[a, b]
            room.basis[a, b], room.basis[best, b] = room.basis[best, b], room.basis[a, b]
        pivot = 1.0 / room.square[a, a]
        for b in range(rows):
            room.square[a, b] *= pivot
            room.basis[a, b] *= pivot
        for r in range(rows):
            x = room.square[r, a]
            if r != a and x != 0.0:
                for b in range(rows):
                    room.square[r, b] -= x * room.square[a, b]
                    room.basis[r, b] -= x * room.basis[a, b]
    for r in range(rows):
        room.column[r] = room.limit[r]
    for q in range(active):
        w = room.touched[q]
        add_load(flows, w, room.key[q], -flows.rate[w], room, rows, room.column)
    for a in range(rows):
        room.value[a] = 0.0
        for b in range(rows):
            room.value[a] += room.basis[a, b] * room.column[b]
        room.value[a] = max(0.0, room.value[a])
    return True


@compiled(calls=CALLED)
def _box(room, rows):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Hold duals near what they are."""
    mean = 0.0
    for r in range(rows):
        mean += room.dual[r] / rows
    for r in range(rows):
        low = room.dual[r] * (1 - BOX)
        room.low[r] = low if low > LOWEST * mean else 0.0
        room.high[r] = room.dual[r] * (1 + BOX) + LOWEST * mean


@compiled(calls=CALLED)
def _worth_of(flows, prices, room, rows, active):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Worth at the basis, and whether duals would go beyond what they are held to."""
    value, held_back = 0.0, False
    for q in range(active):
        w = room.touched[q]
        value += prices.worth[flows.table_ptr[w] + room.key[q]] * flows.rate[w]
    for a in range(rows):
        q, r = room.flow[a], room.nodes[a]
        if q == _LEFT:
            value += room.low[r] * room.value[a]
            held_back = held_back or (room.value[a] > NONE_BELOW and room.low[r] > 0)
        elif q == _MISSING:
            value -= room.high[r] * room.value[a]
            held_back = held_back or room.value[a] > NONE_BELOW
        else:
            base = flows.table_ptr[room.touched[q]]
            more = prices.worth[base + r] - prices.worth[base + room.key[q]]
            value += more * room.value[a]
    return value, held_back


@compiled(calls=CALLED)
def best_rates(flows, prices, room, models, rows, active, least):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Solve the program of one content from some duals of its rows; what it is worth.

    Where that is below `least`, any value below it may be returned, and 0 where pivots do not end
    (none such is known). The keys, and the basis with its values, are left in `room`.

    Parameters
    ----------
    flows : FlatFlows
    prices : FlatPrices
        Of sets of nodes.
    room : Scratch
        With the rows, the workflows, and the duals to begin from.
    models, rows, active : int
        How many models, rows and workflows the content has.
    least : float
        Worth that is of interest.
    """
    price_models(room, models, rows)
    _asked(flows, prices, room, rows, active)
    _begin(flows, room, rows)
    _box(room, rows)
    at, quiet, pivots, boxes = 0, 0, 0, 0
    for _ in range(MOST_PIVOTS * (rows + active)):
        for r in range(rows):
            room.dual[r] = 0.0
        for a in range(rows):
            q = room.flow[a]
            if q == _LEFT:
                more = room.low[room.nodes[a]]
            elif q == _MISSING:
                more = -room.high[room.nodes[a]]
            else:
                base = flows.table_ptr[room.touched[q]]
                more = prices.worth[base + room.nodes[a]] - prices.worth[base + room.key[q]]
            for r in range(rows):
                room.dual[r] += more * room.basis[a, r]
        kind, nodes, most = 0, -1, NONE_BELOW
        for r in range(rows):
            if room.low[r] - room.dual[r] > most:
                kind, nodes, most = _LEFT, r, room.low[r] - room.dual[r]
            if room.dual[r] - room.high[r] > most:
                kind, nodes, most = _MISSING, r, room.dual[r] - room.high[r]
        entering = kind
        if nodes >= 0:
            for r in range(rows):
                room.column[r] = 0.0
            room.column[nodes] = 1.0 if kind == _LEFT else -1.0
        else:
            price_models(room, models, rows)
            while quiet < active:
                nodes = best_set(
                    flows,
                    prices,
                    room,
                    at,
                    net_worth(flows, prices, room, at, room.key[at]) + NONE_BELOW,
                )
                if nodes >= 0:
                    entering = at
                    break
                quiet += 1
                at = (at + 1) % active
            if nodes < 0:
                value, held_back = _worth_of(flows, prices, room, rows, active)
                if not held_back or value < least:
                    return value
                quiet = 0
                boxes += 1
                _box(room, rows)
                if boxes >= MOST_BOXES:
                    room.low[:rows] = 0.0
                    room.high[:rows] = _ANYTHING
                continue
            _load_beyond_key(flows, room, entering, nodes, rows, room.column)
        quiet = 0
        leaving, step, pivot, key = -1, np.inf, 0.0, False
        for a in range(rows):
            x = 0.0
            for b in range(rows):
                x += room.basis[a, b] * room.column[b]
            room.entering[a] = x
            if x > NONE_BELOW:
                ratio = room.value[a] / x
                # Of equal steps the largest pivot: it keeps the basis well conditioned.
                if ratio < step - _TIE or (ratio <= step + _TIE and x > pivot):
                    leaving, step, pivot = a, ratio, x
        alone = entering >= 0
        for a in range(rows):  # keys of workflows that the basis has other sets of
            q = room.flow[a]
            if q < 0:
                continue
            alone = alone and q != entering
            rest = flows.rate[room.touched[q]]
            x = 1.0 if q == entering else 0.0
            for b in range(rows):
                if room.flow[b] == q:
                    rest -= room.value[b]
                    x -= room.entering[b]
            if x > NONE_BELOW:
                ratio = max(0.0, rest) / x
                if ratio < step - _TIE or (ratio <= step + _TIE and x > pivot):
                    leaving, step, pivot, key = a, ratio, x, True
        if alone and flows.rate[room.touched[entering]] <= step:
            step = flows.rate[room.touched[entering]]
            for a in range(rows):
                room.value[a] = max(0.0, room.value[a] - step * room.entering[a])
            room.key[entering] = nodes
            continue
        if leaving < 0:
            break
        if key:  # it changes places with another set of its workflow
            q = room.flow[leaving]
            for a in range(rows):
                if room.flow[a] == q and a != leaving:
                    for b in range(rows):
                        room.basis[leaving, b] += room.basis[a, b]
            for b in range(rows):
                room.basis[leaving, b] = -room.basis[leaving, b]
            room.entering[leaving] = pivot
            room.key[q] = room.nodes[leaving]
        for a in range(rows):
            if a != leaving:
                room.value[a] = max(0.0, room.value[a] - step * room.entering[a])
        room.value[leaving] = step
        room.flow[leaving] = entering
        room.nodes[leaving] = nodes
        pivots += 1
        if pivots % REFACTORED == 0 and _refactor(flows, room, rows, active):
            continue
        pivot = 1.0 / room.entering[leaving]
        for b in range(rows):
            room.basis[leaving, b] *= pivot
        for a in range(rows):
            x = room.entering[a]
            if a != leaving and x != 0.0:
                for b in range(rows):
                    room.basis[a, b] -= x * room.basis[leaving, b]
    value, held_back = _worth_of(flows, prices, room, rows, active)
    if not held_back:
        return value
    room.key[:active] = 0  # nothing is served: rates beyond what the rows bear are none
    room.flow[:rows] = _LEFT
    return 0.0
