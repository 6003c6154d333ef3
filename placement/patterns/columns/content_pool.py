"""Contents of the servers of one type, what they are worth at some duals, and better ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from placement.patterns.columns.content_scratch import scratch
from placement.patterns.columns.content_search import anneal_contents, value_contents
from placement.patterns.columns.content_value import content_value, fill_tables
from placement.patterns.columns.flat_problem import (
    FlatFlows,
    FlatPrices,
    Groups,
    flat_server,
    groups_of,
)
from placement.patterns.master_rows import Row
from placement.patterns.pattern import Pattern, canonical
from placement.problem.cluster import FloatArray, IntArray
from placement.problem.instance import Instance
from placement.support.equality import ByContent

WIDEST = 64
"""Replicas on one server at most, where they share GPUs."""


@dataclass(frozen=True, eq=False)
class Column(ByContent):
    """A content with the rates that it serves.

    Parameters
    ----------
    pattern : Pattern
    node : int64, shape (A,)
        Nodes that are served, by their number in `FlatFlows`.
    rate : float64, shape (A,)
    worth : float
        Of what is kept.
    """

    pattern: Pattern
    node: IntArray
    rate: FloatArray
    worth: float


class ContentPool:
    """Contents of one server type that were met, and their values at the duals set last.

    Parameters
    ----------
    instance : Instance
        Normalized.
    kind : int
        Server type.
    flows : FlatFlows
        Its workflows, or what is left of them.
    groups : Groups, optional
        What annealing adds at a time; of all workflows by default.

    Attributes
    ----------
    patterns : list of Pattern
        In the order in which they were met.
    values : float64, shape (P,)
        Of those that were there when `price` was called.
    """

    def __init__(
        self, instance: Instance, kind: int, flows: FlatFlows, groups: Groups | None = None
    ) -> None:
        self.instance, self.kind, self.flows = instance, kind, flows
        self.server = flat_server(instance, kind)
        self.groups = groups or groups_of(instance, kind)
        self.anchors = sorted({int(m) for m in self.groups.model})
        gpus = len(self.server.room_gb)
        width = gpus if self.server.counts else min(WIDEST, gpus * instance.models_per_gpu)
        self._room = scratch(flows, gpus, width)
        tables = int(flows.table_ptr[-1])
        self.prices = FlatPrices(
            np.zeros(tables),
            np.zeros(tables),
            np.zeros(tables, dtype=np.int64),
            np.zeros(len(flows.gpus_required)),
            np.zeros(1),
            np.zeros(tables),
        )
        self.patterns: list[Pattern] = []
        self.values = np.zeros(0)
        self._known: dict[Pattern, int] = {}
        self._model = np.zeros((64, width), dtype=np.int64)
        self._start = np.zeros((64, width), dtype=np.int64)
        self._size = np.zeros(64, dtype=np.int64)
        self._demand = np.zeros(len(flows.node_model))

    def add(self, pattern: Pattern) -> int:
        """Take a content; its number."""
        if pattern not in self._known:
            n, size = len(self.patterns), len(pattern.content)
            if n == len(self._size):
                self._model = np.concatenate([self._model, np.zeros_like(self._model)])
                self._start = np.concatenate([self._start, np.zeros_like(self._start)])
                self._size = np.concatenate([self._size, np.zeros_like(self._size)])
            self._model[n, :size], self._start[n, :size] = np.array(pattern.content).T
            self._size[n] = size
            self._known[pattern] = n
            self.patterns.append(pattern)
        return self._known[pattern]

    def price(self, demand: FloatArray, bonus: FloatArray, least: float) -> None:
        """Value all contents at some multipliers; those surely below `least` as worth nothing.

        Parameters
        ----------
        demand : float64, shape (N,)
            Of the nodes' demand.
        bonus : float64, shape (M,)
            Of a replica of each model.
        least : float
            Value that is of interest.
        """
        self._demand[:], self.prices.bonus[:] = demand, bonus
        fill_tables(self.flows, self._demand, self.prices)
        n = len(self.patterns)
        self.values = np.zeros(n)
        value_contents(
            self.flows, self.server, self.prices,
            self._model[:n], self._start[:n], self._size[:n],
            least, self._room, self.values,
        )  # fmt: skip

    def anneal(
        self,
        seeds: Sequence[int],
        anchors: Sequence[int],
        moves: int,
        temperatures: tuple[float, float],
        seed: int,
    ) -> dict[Pattern, float]:
        """Better contents, begun from some of those known, and what each is worth.

        Parameters
        ----------
        seeds : sequence of int
            Contents to begin from.
        anchors : sequence of int
            Models: from a server with nothing but a replica of each, which it keeps.
        moves : int
            Of each.
        temperatures : tuple of float
            At the first and the last move.
        seed : int
            Of the moves.
        """
        known, alone = np.array(seeds, dtype=np.int64), np.array(anchors, dtype=np.int64)
        more, width = len(alone), self._model.shape[1]
        one = np.zeros((more, width), dtype=np.int64)
        one[:, 0] = alone
        model = np.concatenate([self._model[known], one])
        start = np.concatenate([self._start[known], np.zeros_like(one)])
        size = np.concatenate([self._size[known], np.ones(more, dtype=np.int64)])
        anchor = np.concatenate([np.full(len(known), -1), alone])
        value = np.zeros(len(size))
        anneal_contents(
            self.flows, self.server, self.prices, self.groups, model, start, size, anchor,
            moves, *temperatures, seed, self._room, value,
        )  # fmt: skip
        found: dict[Pattern, float] = {}
        for c, n in enumerate(size.tolist()):
            content = list(zip(model[c, :n].tolist(), start[c, :n].tolist(), strict=True))
            if content:
                found[canonical(self.instance, self.kind, content)] = float(value[c])
        return found

    def column(self, pattern: Pattern) -> Column:
        """Give a content the rates that are best at the multipliers set last."""
        i = self.add(pattern)
        rates = np.zeros(len(self._demand))
        content_value(
            self.flows, self.server, self.prices,
            self._model[i], self._start[i], int(self._size[i]), -np.inf, self._room, rates,
        )  # fmt: skip
        return column_of(self.flows, pattern, rates)

    def reduced(self, column: Column, demand: FloatArray, bonus: FloatArray) -> float:
        """What a column is worth at other multipliers.

        Parameters
        ----------
        column : Column
            Of this server type.
        demand : float64, shape (N,)
            Of the nodes' demand.
        bonus : float64, shape (M,)
            Of a replica of each model.
        """
        value = column.worth - float(column.rate @ demand[column.node])
        return value + float(sum(bonus[m] for m, _ in column.pattern.content))


def column_of(flows: FlatFlows, pattern: Pattern, rates: FloatArray) -> Column:
    """A content with its rates as a column.

    Parameters
    ----------
    flows : FlatFlows
        Says what is kept by which rates.
    pattern : Pattern
        The content.
    rates : float64, shape (N,)
        Of all nodes.
    """
    node = np.flatnonzero(rates > 0)
    worth = 0.0
    for w in np.unique(flows.node_flow[node]).tolist():
        mine = rates[flows.node_ptr[w] : flows.node_ptr[w + 1]]
        for p in range(int(flows.part_ptr[w]), int(flows.part_ptr[w + 1])):
            together = int(flows.part_set[p])
            nodes = [v for v in range(len(mine)) if together >> v & 1]
            worth += float(flows.part_worth[p]) * float(mine[nodes].min())
    return Column(pattern, node, rates[node], worth)


def bonus_of(instance: Instance, rows: Sequence[Row], duals: FloatArray, kind: int) -> FloatArray:
    """What the multipliers of rows on replica counts add to a replica of each model, shape (M,).

    Parameters
    ----------
    instance : Instance
        Normalized.
    rows : sequence of Row
        Others than those on numbers of replicas add nothing.
    duals : float64
        Of the rows.
    kind : int
        Server type.
    """
    bonus = np.zeros(len(instance.model_ids))
    for row, mu in zip(rows, duals.tolist(), strict=True):
        if row.counted is not None:
            bonus[row.counted] -= row.signed(mu) * row.weight_on(kind)
    return bonus
