"""Multipliers of the master's rows, and the Lagrangian bound that any of them prove."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from placement.equality import ByContent
from placement.instance import Instance
from placement.patterns.rows import CountRow

ABSURD = 1e6
"""No part of a bound on a number below 1 is this large (nor is NaN less than it)."""


@dataclass(frozen=True, eq=False)
class Duals(ByContent):
    """pi[w, v] of the demand rows and mu of the count rows, of a normalized instance."""

    demand: dict[tuple[int, int], float]
    rows: tuple[float, ...] = ()

    def mix(self, other: Duals, weight: float) -> Duals:
        """`weight` of these and the rest of the others."""
        rest = 1 - weight
        return Duals(
            {key: weight * pi + rest * other.demand[key] for key, pi in self.demand.items()},
            tuple(weight * a + rest * b for a, b in zip(self.rows, other.rows, strict=True)),
        )


def zero_duals(instance: Instance, rows: Sequence[CountRow] = ()) -> Duals:
    """All multipliers 0."""
    demand = {
        (w, v): 0.0
        for w in instance.active_workflows
        for v in range(len(instance.workflows[w].node_model))
    }
    return Duals(demand, (0.0,) * len(rows))


def lagrangian(
    instance: Instance, rows: Sequence[CountRow], duals: Duals, bounds: list[float]
) -> float:
    """Bound on the locality: sum pi lambda + sum mu limit + sum of count x pricing bound.

    Relaxing the demand rows sum_s a[w,v,s] = lambda_w with any multipliers, and the count rows
    with multipliers of the right sign, leaves one problem per server, whose maximum is at most
    the pricing problem's proven bound (Geoffrion, Lagrangean relaxation for integer programming,
    Math. Prog. Study 2, 1974). `instance` is normalized. It bounds every plan that keeps the
    rows; all plans keep `rounding_rows`.
    """
    return min(1.0, relaxed(instance, rows, duals, bounds))


def relaxed(
    instance: Instance, rows: Sequence[CountRow], duals: Duals, bounds: list[float]
) -> float:
    """Locality of the relaxation itself: beyond 1 it still says what each server adds to it."""
    total = sum(pi * instance.workflows[w].rate for (w, _), pi in duals.demand.items())
    total += sum(row.signed(mu) * row.limit for row, mu in zip(rows, duals.rows, strict=True))
    types = instance.cluster.server_types
    total += sum(t.count * b for t, b in zip(types, bounds, strict=True))
    return total / instance.cluster.n_servers + instance.locality_constant


def as_json(instance: Instance, rows: Sequence[CountRow], duals: Duals) -> dict[str, object]:
    """Duals as parts of the bound: of each node by workflow, of the count rows in order."""
    servers = instance.cluster.n_servers
    return {
        "demand": {
            instance.workflows[w].id: [
                duals.demand[w, v] * instance.workflows[w].rate / servers
                for v in range(len(instance.workflows[w].node_model))
            ]
            for w in instance.active_workflows
        },
        "replicas": [
            row.signed(mu) * row.unit / servers for row, mu in zip(rows, duals.rows, strict=True)
        ],
    }


def from_json(instance: Instance, rows: Sequence[CountRow], data: dict[str, object]) -> Duals:
    """Read `as_json` back; whatever is missing or malformed is 0, which only weakens the bound."""
    zero = zero_duals(instance, rows)
    servers = instance.cluster.n_servers
    demand = data.get("demand")
    by_workflow = demand if isinstance(demand, dict) else {}
    parts = {}
    for w, v in zero.demand:
        flow = instance.workflows[w]
        parts[w, v] = _number(by_workflow.get(flow.id), v) * servers / flow.rate
    replicas = data.get("replicas")
    return Duals(
        parts,
        tuple(_number(replicas, r) * servers / row.unit for r, row in enumerate(rows)),
    )


def _number(values: object, index: int) -> float:
    value = values[index] if isinstance(values, list) and index < len(values) else 0.0
    return float(value) if isinstance(value, int | float) and abs(value) < ABSURD else 0.0
