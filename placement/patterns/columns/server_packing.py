"""Servers packed one after the other: each gets the content and rates worth most of what is left.

What thousands of workflows share on a server is beyond any master with a row a node, but not
beyond annealing over the contents of one server. A set of nodes is priced at what it keeps less
its part of what its workflow could keep, so that a server is no better off for taking the best
part of a workflow and leaving the rest without; and work is worth something by itself, for it all
has to be done somewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from placement.params.column_params import ServerPackingParams
from placement.patterns.columns.content_pool import Column, ContentPool, column_of
from placement.patterns.columns.flat_problem import FlatFlows, groups_left
from placement.patterns.columns.residual_demand import SERVED_NOISE, Residual, residual_of
from placement.patterns.pattern import Pattern
from placement.problem.blocks import BoolArray
from placement.problem.cluster import FloatArray
from placement.problem.instance import Instance
from placement.solver.budget import tick


@dataclass
class ServerPacker:
    """Packs servers of a normalized instance.

    Parameters
    ----------
    instance : Instance
        Normalized.
    flows : FlatFlows
        Its workflows.
    params : ServerPackingParams
    seed : int
        Of the first annealing; each has one of its own.
    """

    instance: Instance
    flows: FlatFlows
    params: ServerPackingParams
    seed: int
    _recent: list[Pattern] = field(default_factory=list)

    @property
    def work(self) -> FloatArray:
        """GPU-seconds of each node, shape (N,)."""
        return _work(self.flows)

    @property
    def density(self) -> float:
        """What all workflows could keep, over their work."""
        flows = self.flows
        work = float(flows.rate[flows.node_flow] @ self.work)
        return float(_whole(flows) @ flows.rate) / max(work, 1e-300)

    def pack(
        self, kinds: Sequence[int], left: FloatArray, filled: float, moves: int
    ) -> list[Column]:
        """Pack servers of some types, in their order; what they serve goes off what is left.

        Parameters
        ----------
        kinds : sequence of int
            Type of each server.
        left : float64, shape (N,)
            Rate of each node that is not served yet; changed in place.
        filled : float
            What work is worth by itself, over what all workflows could keep in as much.
        moves : int
            Of annealing from each content.

        Returns
        -------
        list of Column
            Of the servers; none of those for which nothing was left.
        """
        found: list[Column] = []
        residual: Residual | None = None
        pools: dict[int, ContentPool] = {}
        demand = np.zeros(0)
        for number, kind in enumerate(kinds):
            tick()
            if residual is None or number % self.params.renewed == 0:
                residual, pools = residual_of(self.flows, left), {}
                if residual.empty:
                    break
                demand = self._demand(residual.flows, filled)
            if kind not in pools:
                groups = groups_left(self.instance, kind, residual.flows)
                pools[kind] = ContentPool(self.instance, kind, residual.flows, groups)
                for pattern in self._recent:
                    if pattern.kind == kind:
                        pools[kind].add(pattern)
            column = self._best(pools[kind], demand, moves)
            if column is not None:
                rates = residual.take(self.flows, column, left)
                found.append(column_of(self.flows, column.pattern, rates))
                self._recent = [*self._recent, column.pattern][-self.params.remembered :]
        return found

    def mend(
        self, columns: Sequence[Column], left: FloatArray, price: float
    ) -> tuple[list[Column], FloatArray]:
        """Have servers serve more of what is missing, each beside and instead of what it serves.

        Parameters
        ----------
        columns : sequence of Column
            Of the servers.
        left : float64, shape (N,)
            Rate of each node that nobody serves.
        price : float
            What a GPU-second that is not done costs.

        Returns
        -------
        list of Column, float64 array
            The servers in the same order, and what is missing then: for every server, what it
            keeps less what is missing costs is no less than before.
        """
        found, left = list(columns), left.copy()
        self.seed += 1
        for i in np.random.default_rng(self.seed).permutation(len(found)).tolist():
            missing = left > SERVED_NOISE * self.flows.rate[self.flows.node_flow]
            if not missing.any():
                break
            tick()
            better = self._mended(found[i], left, missing, price)
            if better is not None:
                found[i], left = better
        return found, left

    def _mended(
        self, column: Column, left: FloatArray, missing: BoolArray, price: float
    ) -> tuple[Column, FloatArray] | None:
        """A server worth more by some of what is missing, and what then is; None if none is found.

        Parameters
        ----------
        column : Column
            Of the server as it is.
        left : float64, shape (N,)
            Rate of each node that nobody serves.
        missing : bool, shape (N,)
            Nodes of which that is more than noise.
        price : float
            What a GPU-second that is not done costs.
        """
        params, freed = self.params, left.copy()
        freed[column.node] += column.rate
        residual, kind = residual_of(self.flows, freed), column.pattern.kind
        groups = groups_left(self.instance, kind, residual.flows)
        pool = ContentPool(self.instance, kind, residual.flows, groups)
        if not pool.anchors:  # nothing of what is left fits on a server of the type
            return None
        no_bonus = np.zeros(len(self.instance.model_ids))
        pool.price(-price * _work(residual.flows), no_bonus, -np.inf)
        own, worth = pool.add(column.pattern), self._done(column, price)
        scale = max(1.0, worth)
        wanted = np.intersect1d(self.flows.node_model[missing], pool.anchors).tolist()
        self.seed += 1
        better = pool.anneal(
            [own] * params.mended,
            wanted[: params.wanted],
            params.mending_moves,
            (params.mending_hot * scale, params.mending_cold * scale),
            self.seed,
        )
        best = max(better, key=lambda p: (better[p], p.content))
        if better[best] <= worth:
            return None
        rates = residual.take(self.flows, pool.column(best), freed)
        mended = column_of(self.flows, best, rates)
        return (mended, freed) if self._done(mended, price) > worth else None

    def _done(self, column: Column, price: float) -> float:
        """What a server keeps, and what its work would cost if it were missing."""
        return column.worth + price * float(column.rate @ self.work[column.node])

    def _demand(self, flows: FlatFlows, filled: float) -> FloatArray:
        """Prices of the nodes of what is left."""
        share = _whole(flows) / np.diff(flows.node_ptr)
        done = filled * self.density * _work(flows)
        return np.asarray(self.params.kept_share * share[flows.node_flow] - done)

    def _best(self, pool: ContentPool, demand: FloatArray, moves: int) -> Column | None:
        """The best content that annealing finds, with its rates."""
        params = self.params
        self.seed += 1
        rng = np.random.default_rng(self.seed)
        flows = pool.flows
        called = np.unique(flows.node_model[flows.rate[flows.node_flow] > 0])
        anchors = np.intersect1d(called, np.array(pool.anchors, dtype=np.int64))
        if not len(anchors):
            return None
        pool.price(demand, np.zeros(len(self.instance.model_ids)), -np.inf)
        order = np.argsort(-pool.values, kind="stable")[: params.seeds]
        drawn = rng.choice(anchors, min(len(anchors), params.anchors), replace=False)
        scale = max([1.0, *pool.values[order].tolist()])
        ends = params.hot * scale, params.cold * scale
        worth = pool.anneal(order.tolist(), drawn.tolist(), moves, ends, self.seed)
        best = max(worth, key=lambda p: (worth[p], p.content))
        return pool.column(best)


def _work(flows: FlatFlows) -> FloatArray:
    """GPU-seconds of each node, shape (N,)."""
    return flows.node_work * flows.gpus_required[flows.node_model]


def _whole(flows: FlatFlows) -> FloatArray:
    """What a unit of each workflow keeps where nothing of it is parted, shape (W,)."""
    flow = np.repeat(np.arange(len(flows.rate)), np.diff(flows.part_ptr))
    return np.bincount(flow, flows.part_worth, len(flows.rate)).astype(np.float64)
