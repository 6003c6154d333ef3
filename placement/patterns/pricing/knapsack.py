"""Pricing workflow by workflow: the best parts of servers, and a knapsack that combines them.

The content that is worth most at some duals mostly serves one workflow, or two or three side by
side. A part of a server that holds replicas for one workflow w alone is worth, where each node v
has a model of its own and these can serve the rate u[v],

    max over a <= u of  sum over parts of worth x min(a in the part) - sum pi[v] a[v]
      = integral over theta from 0 to lambda of best_w({v : u[v] >= theta}),

for the nodes with a[v] >= theta may be chosen at every theta alone: best_w is the most that a
subset of a set of nodes is worth, supermodular but for a modular cost, so the largest best subsets
are nested as the sets shrink (Topkis, Minimizing a submodular function on a lattice, Operations
Research 26, 1978). Thousands of parts are valued by a few array operations. The best for every
number of GPUs are the items of a knapsack, one a workflow, over the GPUs of a server.

What it finds is a content and a value that this content reaches; replicas that two workflows
share are beyond it, so it proves no bound. It finds nearly every pattern that pricing by branch
and bound would, some hundred times faster, and leaves the last ones and the proof to that.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from placement.params.search_params import DEFAULTS, SearchParams
from placement.patterns.duals import Duals
from placement.patterns.master_rows import Row
from placement.patterns.pattern import Pattern, canonical
from placement.patterns.pricing.content_list import (
    Contents,
    Prices,
    count_contents,
    prices_at,
)
from placement.problem.cluster import FloatArray, IntArray
from placement.problem.instance import Instance
from placement.solver.budget import tick


class WorkflowParts(Contents):
    """What a server can hold of the models of one workflow, and what that is worth for it.

    Attributes
    ----------
    gpus : int64, shape (R,)
        GPUs that each part takes; ascending.
    """

    def __init__(self, instance: Instance, kind: int, w: int) -> None:
        demand = instance.workflows[w]
        super().__init__(instance, kind, set(demand.node_model.tolist()))
        gpus = self.counts @ instance.gpus_required[self.models]
        order = np.argsort(gpus, kind="stable")
        self.counts, self.gpus = self.counts[order], gpus[order]
        self.w = w
        self._table = self.flow(w)
        self._share, self._sets = self._layers()

    def worth(self, prices: Prices) -> FloatArray:
        """Value of every part at some prices, but for its features, shape (R,)."""
        best = self.best(self._table, prices, np.zeros(len(self.models)))
        value: FloatArray = (self._share * best[self._sets]).sum(axis=1)
        return value

    def _layers(self) -> tuple[FloatArray, IntArray]:
        """Shares of the rate, and the set of nodes that can serve each, both shape (R, V)."""
        demand, cap = self.instance.workflows[self.w], self.instance.load_cap
        work: dict[int, float] = defaultdict(float)
        for v, m in enumerate(demand.node_model.tolist()):
            work[m] += float(demand.work_s[v] / self.speed[m]) * demand.rate
        served = np.zeros((len(self.counts), len(demand.node_model)))
        for v, m in enumerate(demand.node_model.tolist()):
            if self._table.column[v] >= 0:
                replicas = self.counts[:, self._table.column[v]]
                # One replica serves all where a node takes next to no time, or none.
                served[:, v] = (
                    np.minimum(replicas * cap, work[m]) / work[m] if work[m] > 0 else replicas > 0
                )
        order = np.argsort(served, axis=1, kind="stable")
        ascending = np.take_along_axis(served, order, axis=1)
        bits = np.int64(1) << order
        sets = np.cumsum(bits[:, ::-1], axis=1)[:, ::-1]
        return np.diff(ascending, axis=1, prepend=0.0), sets


class Knapsack:
    """Heuristic pricing of one server type with exclusive GPUs."""

    central: bool = False

    def __init__(self, instance: Instance, kind: int) -> None:
        self.instance = instance
        self.kind = kind
        self.gpus = instance.cluster.server_types[kind].gpus
        self.parts = [WorkflowParts(instance, kind, w) for w in instance.active_workflows]

    def solve(self, rows: Sequence[Row], duals: Duals, most: int) -> dict[Pattern, float]:
        """Contents of highest value at some duals, highest first.

        Every workflow is once the one that must be held, with each number of GPUs, and the rest
        of the server is filled as is best: the contents differ.

        Parameters
        ----------
        rows : sequence of Row
            Rows on replica counts, in the order of the multipliers.
        most : int
            Contents wanted.

        Returns
        -------
        dict of Pattern to float
            What each is worth at least.
        """
        value, part = self._items(rows, duals)
        before, took_before = _filled(value)
        after, took_after = _filled(value[::-1])
        after, took_after = after[::-1], took_after[::-1]
        options: list[tuple[float, int, int, int]] = []
        for i, row in enumerate(value):
            for g in range(1, self.gpus + 1):
                if part[i, g] == part[i, g - 1]:
                    continue
                left = self.gpus - g
                rest = before[i, : left + 1] + after[i + 1, left::-1]
                split = int(np.argmax(rest))
                options.append((float(row[g] + rest[split]), i, g, split))
        found: dict[Pattern, float] = {}
        tick()
        for worth, i, g, split in sorted(options, key=lambda o: (-o[0], o[1:])):
            if len(found) >= most:
                break
            taken = [
                (i, g),
                *_traced(took_before, range(i, 0, -1), split, -1),
                *_traced(took_after, range(i + 1, len(value)), self.gpus - g - split, 0),
            ]
            found.setdefault(self._pattern((j, int(part[j, h])) for j, h in taken), worth)
        return found

    def _items(self, rows: Sequence[Row], duals: Duals) -> tuple[FloatArray, IntArray]:
        """Most that each workflow's parts are worth by GPUs, and which part is; (W, GPUs + 1)."""
        prices = prices_at(self.instance, rows, duals)
        shape = len(self.parts), self.gpus + 1
        value, part = np.zeros(shape), np.full(shape, -1, dtype=np.int64)
        for i, parts in enumerate(self.parts):
            tick()
            worth = parts.worth(prices) + parts.features(rows, duals)
            ends = np.searchsorted(parts.gpus, np.arange(self.gpus + 2))
            for g in range(1, self.gpus + 1):
                value[i, g], part[i, g] = value[i, g - 1], part[i, g - 1]
                of_size = worth[ends[g] : ends[g + 1]]
                if len(of_size) and of_size.max() > value[i, g]:
                    row = int(np.argmax(of_size))
                    value[i, g], part[i, g] = of_size[row], ends[g] + row
        return value, part

    def _pattern(self, taken: Iterable[tuple[int, int]]) -> Pattern:
        held: Counter[int] = Counter()
        for i, row in taken:
            if row >= 0:
                parts = self.parts[i]
                held.update(dict(zip(parts.models, parts.counts[row].tolist(), strict=True)))
        return canonical(self.instance, self.kind, [(m, 0) for m in held.elements()])


def knapsacks(instance: Instance, params: SearchParams = DEFAULTS) -> list[Knapsack]:
    """A knapsack for each server type; none where counts do not suffice or there are too many."""
    models = [set(instance.workflows[w].node_model.tolist()) for w in instance.active_workflows]
    nodes = (len(instance.workflows[w].node_model) for w in instance.active_workflows)
    kinds, most = range(len(instance.cluster.server_types)), params.contents.most_parts
    if (
        not instance.counts_suffice
        or max(nodes) > params.contents.most_nodes
        or sum(count_contents(instance, t, only) for t in kinds for only in models) > most
    ):
        return []
    return [Knapsack(instance, t) for t in kinds]


def _filled(value: FloatArray) -> tuple[FloatArray, IntArray]:
    """Knapsacks over the first i items for every i, and the GPUs that item i - 1 takes in each."""
    items, sizes = value.shape
    best, took = np.zeros((items + 1, sizes)), np.zeros((items + 1, sizes), dtype=np.int64)
    for i in range(items):
        tick()
        for g in range(sizes):
            with_item = best[i, g::-1] + value[i, : g + 1]
            took[i + 1, g] = h = int(np.argmax(with_item))
            best[i + 1, g] = with_item[h]
    return best, took


def _traced(took: IntArray, items: Iterable[int], left: int, shift: int) -> list[tuple[int, int]]:
    """Items of a knapsack and the GPUs that each takes."""
    taken = []
    for i in items:
        g = int(took[i, left])
        if g:
            taken.append((i + shift, g))
            left -= g
    return taken
