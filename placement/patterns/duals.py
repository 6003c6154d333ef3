"""Multipliers of the master's rows, and the Lagrangian bound that any of them prove."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from placement.patterns.master_rows import Row
from placement.problem.instance import Instance
from placement.support.equality import ByContent


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


def zero_duals(instance: Instance, rows: Sequence[Row] = ()) -> Duals:
    """All multipliers 0."""
    demand = {
        (w, v): 0.0
        for w in instance.active_workflows
        for v in range(len(instance.workflows[w].node_model))
    }
    return Duals(demand, (0.0,) * len(rows))


def lagrangian(instance: Instance, rows: Sequence[Row], duals: Duals, bounds: list[float]) -> float:
    """Bound on the locality: sum pi lambda + sum mu limit + sum of count x pricing bound.

    Relaxing the demand rows sum_s a[w,v,s] = lambda_w with any multipliers, and the count rows
    with multipliers of the right sign, leaves one problem per server, whose maximum is at most
    the pricing problem's proven bound (Geoffrion, Lagrangean relaxation for integer programming,
    Math. Prog. Study 2, 1974). `instance` is normalized. It bounds every plan that keeps the
    rows; all plans keep `standing_rows`.

    Parameters
    ----------
    instance : Instance
        Normalized.
    rows : sequence of Row
        Rows on replica counts, in the order of the multipliers.
    duals : Duals
        Any are valid; those of rows are taken with the sign that makes them so.
    bounds : list of float
        Of each server type: what one server is worth at these multipliers at most.
    """
    return min(1.0, relaxed(instance, rows, duals, bounds))


def relaxed(instance: Instance, rows: Sequence[Row], duals: Duals, bounds: list[float]) -> float:
    """Locality of the relaxation itself: beyond 1 it still says what each server adds to it.

    Parameters
    ----------
    instance : Instance
        Normalized.
    rows : sequence of Row
        Rows on replica counts, in the order of the multipliers.
    duals : Duals
        Of demand and rows.
    bounds : list of float
        Of each server type: what one server is worth at these multipliers at most.
    """
    total = sum(pi * instance.workflows[w].rate for (w, _), pi in duals.demand.items())
    total += sum(row.signed(mu) * row.limit for row, mu in zip(rows, duals.rows, strict=True))
    types = instance.cluster.server_types
    total += sum(t.count * b for t, b in zip(types, bounds, strict=True))
    return total / instance.cluster.n_servers + instance.locality_constant


def as_json(instance: Instance, rows: Sequence[Row], duals: Duals) -> dict[str, object]:
    """Duals as parts of the bound: of each node by workflow, of the count rows in order.

    Parameters
    ----------
    instance : Instance
        Normalized.
    rows : sequence of Row
        Rows on replica counts, in the order of the multipliers.
    duals : Duals
        Of demand and rows.

    Returns
    -------
    dict
        ``demand`` and ``replicas``, as the plan file stores them (docs/certificate.md).
    """
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
