"""Every content that one server with exclusive GPUs can hold, and what each is worth at prices.

A content is a count vector n with sum k n <= G. Where there are a few hundred thousand of them
they are listed outright: at any duals the value of all is bounded in one pass over arrays, so
that pricing needs no branching and whatever cannot be in a better plan is known by name.

At duals pi the value of content n is a linear program over its rates a. Its load rows
sum t a <= cap n[m] relaxed with multipliers sigma[m] >= 0, the workflows fall apart, and in each
every rate is 0 or all there is (c <= a and l <= a make it a closure problem), so that

    value(n) <= sum_w best[w](models of w in n) + sum_m sigma[m] cap n[m]   for every sigma >= 0,

with best[w] a table over the sets of nodes of w (Picard, Maximal closure of a graph, Management
Science 22, 1976, for the integrality).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from placement.params.search_params import DEFAULTS, SearchParams
from placement.patterns.duals import Duals
from placement.patterns.master_rows import Row
from placement.patterns.pattern import Pattern, canonical
from placement.problem.cluster import FloatArray, IntArray
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.space import models_that_fit
from placement.programs.flows import Part, keepable
from placement.solver.budget import tick
from placement.support.equality import ByContent


@dataclass(frozen=True, eq=False)
class Prices(ByContent):
    """Cost of a unit of rate of each node, and worth of a unit kept of each workflow and link."""

    demand: Mapping[tuple[int, int], float]
    kept: Mapping[Part, float]


def prices_at(instance: Instance, count_rows: Sequence[Row], duals: Duals) -> Prices:
    """Prices of the Lagrangian relaxation; what is worth less than nothing need not be kept.

    Parameters
    ----------
    instance : Instance
        Normalized.
    count_rows : sequence of Row
        Rows on replica counts, in the order of the multipliers; some take from what is kept.
    duals : Duals
        Of demand and rows.
    """
    kept = {
        part: worth for w in instance.active_workflows for part, _, worth in keepable(instance, w)
    }
    for row, mu in zip(count_rows, duals.rows, strict=True):
        if row.kept is not None:
            kept[row.kept] -= row.signed(mu)
    return Prices(duals.demand, {part: max(0.0, worth) for part, worth in kept.items()})


def count_contents(instance: Instance, kind: int, only: Collection[int] | None = None) -> int:
    """Contents of one server of a type, of some models or all; the empty one is among them.

    Parameters
    ----------
    instance : Instance
        With exclusive GPUs.
    kind : int
        Server type.
    only : collection of int, optional
        Models; else all that are used.
    """
    gpus = instance.cluster.server_types[kind].gpus
    ways = np.zeros(gpus + 1, dtype=object)
    ways[0] = 1
    for m in fitting_models(instance, kind, only):
        k = int(instance.gpus_required[m])
        for g in range(k, gpus + 1):
            ways[g] += ways[g - k]
    return int(ways.sum())


def fitting_models(instance: Instance, kind: int, only: Collection[int] | None = None) -> list[int]:
    """Used models that a server of a type can hold, of some or of all.

    Parameters
    ----------
    instance : Instance
        Models and rules of space.
    kind : int
        Server type.
    only : collection of int, optional
        Models; else all that are used.
    """
    server = instance.cluster.server_types[kind]
    return [m for m in models_that_fit(instance, server) if only is None or m in only]


@dataclass(frozen=True, eq=False)
class Flow(ByContent):
    """One workflow w, and tables over the sets of its V nodes, as bit masks.

    Parameters
    ----------
    column : int64, shape (V,)
        Column of each node's model among the counts; -1 where it does not fit.
    held : uint16, shape (R,)
        Set of the nodes whose model a content holds.
    member : float64, shape (2^V, V)
    parts : dict
        Which sets keep the whole workflow, or a link of it, shape (2^V,).
    """

    w: int
    demand: WorkflowDemand
    column: IntArray
    held: np.ndarray
    member: FloatArray
    parts: dict[Part, FloatArray]


class Contents:
    """The contents of one server type.

    Parameters
    ----------
    only : collection of int, optional
        Models to hold; all if None.

    Attributes
    ----------
    models : list of int
        M models that fit.
    counts : int8, shape (R, M)
        Replicas of each content.
    """

    def __init__(self, instance: Instance, kind: int, only: Collection[int] | None = None) -> None:
        self.instance = instance
        self.kind = kind
        self.models = fitting_models(instance, kind, only)
        server = instance.cluster.server_types[kind]
        self.speed = instance.speeds[kind]
        k = [int(instance.gpus_required[m]) for m in self.models]
        self.counts = _all_counts(k, server.gpus)
        self._column = {m: i for i, m in enumerate(self.models)}
        if instance.company:
            self.counts = self.counts[_in_company(instance, self.counts, self._column)]

    @cached_property
    def _flows(self) -> list[Flow]:
        return [self.flow(w) for w in self.instance.active_workflows]

    def __len__(self) -> int:
        return len(self.counts)

    def among(self, rows: IntArray) -> Contents:
        """Some of the contents."""
        some = copy(self)
        some.counts = self.counts[rows]
        some.__dict__.pop("_flows", None)
        return some

    def pattern(self, row: int) -> Pattern:
        """Give a content its blocks."""
        content = [
            (m, 0) for m, n in zip(self.models, self.counts[row], strict=True) for _ in range(n)
        ]
        return canonical(self.instance, self.kind, content)

    def full(self) -> np.ndarray:
        """Whether no replica can be added to a content, shape (R,)."""
        k = self.instance.gpus_required[self.models]
        gpus = self.instance.cluster.server_types[self.kind].gpus
        least = k.min() if len(k) else gpus + 1
        return np.asarray(gpus - _weigh(self.counts, k.astype(float)) < least)

    def bound(
        self,
        prices: Prices,
        sigma: FloatArray,
        rows: np.ndarray | slice = slice(None),
    ) -> FloatArray:
        """Bound on the value of contents at some prices, but for their features.

        Parameters
        ----------
        sigma : shape (M,)
            Multipliers of the load rows, at least 0.
        rows : int64, shape (B,), or slice
            The contents; all by default.
        """
        value = _weigh(self.counts[rows], sigma * self.instance.load_cap)
        for flow in self._flows:
            tick()
            value += self.best(flow, prices, sigma)[flow.held[rows]]
        return value

    def features(self, count_rows: Sequence[Row], duals: Duals) -> FloatArray:
        """What the multipliers of the count rows add to the value of each content, shape (R,)."""
        each = np.zeros(len(self.models))
        total = np.zeros(len(self.counts))
        for row, mu in zip(count_rows, duals.rows, strict=True):
            tick()
            price = -row.signed(mu) * row.weight_on(self.kind)
            if not price or not set(row.models) <= set(self._column):
                continue
            if row.counted is not None:
                each[self._column[row.counted]] += price
            else:
                columns = [self._column[m] for m in row.models]
                total += price * row.feature_of(self.counts[:, columns], self.kind)
        return total + _weigh(self.counts, each)

    def best(self, flow: Flow, prices: Prices, sigma: FloatArray) -> FloatArray:
        """Most that one workflow is worth where these nodes can be served, shape (2^V,).

        Parameters
        ----------
        flow : Flow
            Its nodes V, and which of its parts each set of them keeps.
        prices : Prices
            Worth of a unit of rate, by node and by part kept.
        sigma : float64, shape (M,)
            Multipliers of the load rows, at least 0.
        """
        demand = flow.demand
        pi = np.array([prices.demand[flow.w, v] for v in range(len(demand.node_model))])
        # A server type may hold none of the models: -1 then looks up the 0 at the end.
        load = np.append(sigma, 0.0)[flow.column] * demand.work_s / self.speed[demand.node_model]
        best: FloatArray = -(flow.member @ (pi + load))
        for part, keeps in flow.parts.items():
            best += prices.kept[part] * keeps
        sets = np.arange(len(best))
        for v in range(len(pi)):
            having = sets[(sets >> v) & 1 == 1]
            best[having] = np.maximum(best[having], best[having ^ (1 << v)])
        return best * demand.rate

    def flow(self, w: int) -> Flow:
        """Tabulate one workflow."""
        tick()
        demand = self.instance.workflows[w]
        nodes = len(demand.node_model)
        column = np.array([self._column.get(int(m), -1) for m in demand.node_model])
        held = np.zeros(len(self.counts), dtype=np.uint16)
        for v, i in enumerate(column.tolist()):
            if i >= 0:
                held |= (self.counts[:, i] > 0).astype(np.uint16) << np.uint16(v)
        member = ((np.arange(1 << nodes)[:, None] >> np.arange(nodes)) & 1).astype(float)
        parts: dict[Part, FloatArray] = {
            part: member[:, together].prod(axis=1)
            for part, together, _ in keepable(self.instance, w)
        }
        return Flow(w, demand, column, held, member, parts)


def listed_contents(instance: Instance, params: SearchParams = DEFAULTS) -> list[Contents]:
    """Contents of every server type; none where counts do not suffice or there are too many."""
    kinds = range(len(instance.cluster.server_types))
    nodes = (len(instance.workflows[w].node_model) for w in instance.active_workflows)
    if (
        not instance.counts_suffice
        or max(nodes) > params.contents.most_nodes
        or sum(count_contents(instance, t) for t in kinds) > params.contents.most_contents
    ):
        return []
    return [Contents(instance, t) for t in kinds]


def _weigh(counts: np.ndarray, weight: FloatArray) -> FloatArray:
    """Product of counts and weights, a column at a time: most weights are 0."""
    total = np.zeros(len(counts))
    for i in np.flatnonzero(weight):
        total += counts[:, i] * weight[i]
    return total


def _all_counts(k: list[int], gpus: int) -> np.ndarray:
    """Count vectors with sum k n <= gpus, int8, shape (R, M)."""
    counts = np.zeros((1, len(k)), dtype=np.int8)
    free = np.array([gpus])
    for i in sorted(range(len(k)), key=lambda i: (-k[i], i)):
        grown, left = [counts], [free]
        for n in range(1, gpus // k[i] + 1):
            room = free >= n * k[i]
            more = counts[room]
            more[:, i] = n
            grown.append(more)
            left.append(free[room] - n * k[i])
        counts, free = np.concatenate(grown), np.concatenate(left)
    return counts


def _in_company(instance: Instance, counts: np.ndarray, column: Mapping[int, int]) -> np.ndarray:
    """Contents that keep the rules on which models stand together, shape (R,)."""
    kept = np.ones(len(counts), dtype=np.bool_)
    for a, b in instance.company.apart:
        if a in column and b in column:
            kept &= (counts[:, column[a]] == 0) | (counts[:, column[b]] == 0)
    for m, o in instance.company.together:
        if m in column:
            there = counts[:, column[o]] > 0 if o in column else False
            kept &= (counts[:, column[m]] == 0) | there
    return kept
