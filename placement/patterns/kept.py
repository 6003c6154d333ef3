"""Rounding cuts on what is kept: the last replica that keeps a workflow or a link is a whole one.

A part is a whole workflow or one of its links; it is kept, at most at its rate lambda, on the
servers that hold all its models. On these servers let Y be the number of replicas of one of the
models, and t the work of one request of the part on it: every plan has t kept <= cap Y, and Y is
whole. The mixed-integer rounding of this row and of kept <= lambda (Nemhauser and Wolsey, A
recursive procedure to generate all cuts for 0-1 mixed integer programs, Math. Prog. 46, 1990) is

    kept <= lambda - r (K - Y),    K = ceil(t lambda / cap),    r = lambda - (K - 1) cap / t.

The relaxation may serve 2.1 servers' worth of a workflow with 2.1 servers; with this row it needs
a third for the rest, or gives the rest up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from placement.instance import Instance
from placement.patterns.pattern import Pattern
from placement.patterns.rows import CountRow
from placement.rounding import MARGIN

WHOLE = -1
"""In place of a link's number: the whole workflow."""

LEAST_FRACTION = 0.01
"""Least fractional part of t lambda / cap that makes a row worth having."""

Part = tuple[int, int]
"""A workflow, and the number of one of its links or `WHOLE`."""


@dataclass(frozen=True)
class KeptRow(CountRow):
    """kept - sum over servers of weight[type] * replicas, where the part is held, <= most.

    Parameters
    ----------
    models : tuple of int
        The model whose replicas count, then the others that a server must hold too.
    weight : tuple of float
        By server type; not negative.
    part : tuple of int
    rate : float
        Of the part: no plan keeps more.
    speed : float
        Of the servers whose replicas count 1 before the rounding.
    """

    part: Part = (0, WHOLE)
    rate: float = 1.0
    speed: float = 1.0

    @property
    def feature(self) -> tuple[tuple[int, ...], int]:
        """What is counted: no threshold of a `CountRow` is negative."""
        return self.models, -1

    @property
    def unit(self) -> float:
        """What a stored multiplier is multiplied with."""
        return self.rate

    def weight_on(self, kind: int) -> float:
        """What one of the feature contributes on a server of a type."""
        return -self.weight[kind]

    def coefficient(self, pattern: Pattern) -> float:
        """Contribution of one server with this content, but for what it keeps."""
        if not pattern.models.issuperset(self.models):
            return 0.0
        return self.weight_on(pattern.kind) * pattern.counts()[self.models[0]]


def kept_rows(instance: Instance) -> Iterator[KeptRow]:
    """Every cut of an instance: each part, each model of it, rounded at each speed."""
    whole, link = instance.locality_weights
    for w in instance.active_workflows:
        nodes = range(len(instance.workflows[w].node_model))
        parts: list[tuple[int, list[int]]] = []
        if whole:
            parts.append((WHOLE, list(nodes)))
        if link:
            parts += list(enumerate(instance.workflows[w].links.tolist()))
        for e, members in parts:
            yield from _rows_of(instance, (w, e), members)


def _rows_of(instance: Instance, part: Part, nodes: Sequence[int]) -> Iterator[KeptRow]:
    flow = instance.workflows[part[0]]
    work: dict[int, float] = {}
    for v in dict.fromkeys(nodes):
        m = int(flow.node_model[v])
        work[m] = work.get(m, 0.0) + float(flow.work_s[v]) * (1 - MARGIN)
    types = instance.cluster.server_types
    for m, seconds in work.items():
        for speed in sorted({t.speed for t in types}):
            most = instance.load_cap * speed  # work that one replica of this speed does
            need = seconds * flow.rate / most
            fraction = need - math.floor(need)
            if fraction < LEAST_FRACTION:
                continue
            last = fraction * most / seconds
            weight = tuple(last * _rounded(t.speed / speed, fraction) for t in types)
            yield KeptRow(
                models=(m, *(other for other in work if other != m)),
                threshold=0,
                weight=weight,
                most=flow.rate - last * math.ceil(need),
                part=part,
                rate=flow.rate,
                speed=speed,
            )


def _rounded(ratio: float, fraction: float) -> float:
    """Coefficient of a whole number after rounding a row with a fraction on its right side."""
    whole = math.floor(ratio + 1e-12)
    return whole + min(max(0.0, ratio - whole) / fraction, 1.0)


def broken(
    rows: Sequence[KeptRow],
    servers: Mapping[Pattern, float],
    kept: Mapping[Part, float],
    *,
    least: float,
) -> list[KeptRow]:
    """Rows that a relaxation breaks by more than `least` of the part's rate."""
    return [
        row
        for row in rows
        if kept.get(row.part, 0.0) + sum(n * row.coefficient(p) for p, n in servers.items())
        > row.most + least * row.rate
    ]


def as_json(instance: Instance, row: KeptRow) -> dict[str, object]:
    """Name a row, so that it can be made anew from the instance."""
    flow = instance.workflows[row.part[0]]
    data: dict[str, object] = {
        "workflow": flow.id,
        "model": instance.model_ids[row.models[0]],
        "speed": row.speed,
    }
    if row.part[1] != WHOLE:
        data["link"] = row.part[1]
    return data


def from_json(instance: Instance, data: object) -> tuple[KeptRow, ...]:
    """Find the named rows among the instance's own; at the first that is none of them, stop."""
    if not isinstance(data, list):
        return ()
    known = {_key(as_json(instance, row)): row for row in kept_rows(instance)}
    found = []
    for item in data:
        row = known.get(_key(item)) if isinstance(item, dict) else None
        if row is None:
            break
        found.append(row)
    return tuple(found)


def _key(data: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(str(data.get(name)) for name in ("workflow", "model", "link", "speed"))
