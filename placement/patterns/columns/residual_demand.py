"""What is left of the demand when some servers are placed, as workflows that can be priced.

The rates left of a workflow's nodes differ once a server has served a part of them. They are then
served as nested sets of nodes, {v : a[w,v] >= theta}: each is a workflow of its own, in which
what all its nodes can keep together is worth as much as before. Nodes that can keep nothing any
more are pooled by model, as work that some server has to do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from placement.patterns.columns.content_pool import Column
from placement.patterns.columns.flat_problem import FlatFlows, starts_of
from placement.problem.cluster import FloatArray, IntArray
from placement.support.equality import ByContent

SERVED_NOISE = 1e-7
"""Part of a workflow's rate that counts as served: rates are added up and taken off again."""


@dataclass(frozen=True, eq=False)
class Residual(ByContent):
    """What is left, in pieces.

    Parameters
    ----------
    flows : FlatFlows
        Of the pieces; those that pool what can keep nothing come last, with a unit of work each.
    node : int64
        Node of the whole demand that each node of a piece is; of the pools there are none.
    pooled : tuple of int64 arrays
        Nodes of the whole demand that each pool has.
    pooled_rate : tuple of float64 arrays
        And at which rates; what is taken goes off.
    """

    flows: FlatFlows
    node: IntArray
    pooled: tuple[IntArray, ...]
    pooled_rate: tuple[FloatArray, ...]

    @property
    def empty(self) -> bool:
        """Whether nothing is left."""
        return len(self.flows.rate) == 0

    def take(self, whole: FlatFlows, column: Column, left: FloatArray) -> FloatArray:
        """Take what a column over the pieces serves off the rates that are left; return it.

        Parameters
        ----------
        whole : FlatFlows
            The whole demand.
        column : Column
            Of pieces.
        left : float64, shape (N,)
            Of the whole demand; changed in place, as the rates of pieces and pools are.
        """
        rates = np.zeros(len(left))
        own = column.node < len(self.node)
        np.add.at(rates, self.node[column.node[own]], column.rate[own])
        rates = np.minimum(rates, left)
        for n, work in zip(column.node[~own].tolist(), column.rate[~own].tolist(), strict=True):
            mine, rate = self.pooled[n - len(self.node)], self.pooled_rate[n - len(self.node)]
            each = rate * whole.node_work[mine]
            taken = np.clip(work - (np.cumsum(each) - each), 0.0, each) / whole.node_work[mine]
            rates[mine] += taken
            rate -= taken
        rates = np.minimum(rates, left)
        left -= rates
        # A set of which one node is served more than the others is only left at what all have.
        most = np.zeros(len(self.flows.rate))
        np.maximum.at(most, self.flows.node_flow[column.node], column.rate)
        np.maximum(0.0, self.flows.rate - most, out=self.flows.rate)
        return rates


def residual_of(whole: FlatFlows, left: FloatArray) -> Residual:
    """Cut what is left of the demand into pieces.

    Parameters
    ----------
    whole : FlatFlows
        All of it.
    left : float64, shape (N,)
        Rate of each node that is not served yet.
    """
    least = SERVED_NOISE * whole.rate[whole.node_flow]
    nodes, sizes, rates = list[int](), list[int](), list[float]()
    sets, worths, parts = list[int](), list[float](), list[int]()
    pools: dict[int, list[int]] = {}
    for w in np.unique(whole.node_flow[left > least]).tolist():
        first, last = int(whole.node_ptr[w]), int(whole.node_ptr[w + 1])
        mine, before = left[first:last], 0.0
        kept = range(int(whole.part_ptr[w]), int(whole.part_ptr[w + 1]))
        rest = set[int]()
        for rate in np.unique(mine[mine > least[first]]).tolist():
            if rate - before <= least[first]:
                continue
            mask = sum(1 << v for v in range(last - first) if mine[v] >= rate)
            keeps = [p for p in kept if int(whole.part_set[p]) & mask == whole.part_set[p]]
            held = [
                v
                for v in range(last - first)
                if any(int(whole.part_set[p]) >> v & 1 for p in keeps)
            ]
            rest |= {v for v in range(last - first) if mask >> v & 1} - set(held)
            if keeps:
                bit = {v: 1 << i for i, v in enumerate(held)}
                sets += [
                    sum(b for v, b in bit.items() if int(whole.part_set[p]) >> v & 1) for p in keeps
                ]
                worths += [float(whole.part_worth[p]) for p in keeps]
                parts.append(len(keeps))
                nodes += [first + v for v in held]
                sizes.append(len(held))
                rates.append(rate - before)
            before = rate
        for v in sorted(rest):
            if whole.node_work[first + v] > 0:
                pools.setdefault(int(whole.node_model[first + v]), []).append(first + v)
    node = np.array(nodes, dtype=np.int64)
    spoken = np.zeros(len(left))
    np.add.at(spoken, node, np.repeat(rates, sizes) if sizes else 0.0)
    pooled = tuple(np.array(pools[m], dtype=np.int64) for m in sorted(pools))
    rest_of = tuple(np.maximum(0.0, (left - spoken)[of]) for of in pooled)
    work = [float(r @ whole.node_work[of]) for of, r in zip(pooled, rest_of, strict=True)]
    model = np.concatenate([whole.node_model[node], np.array(sorted(pools), dtype=np.int64)])
    each = np.array([*sizes, *(1 for _ in pooled)], dtype=np.int64)
    by_model = np.argsort(model, kind="stable")
    flows = whole._replace(
        node_ptr=starts_of(each),
        node_model=model,
        node_flow=np.repeat(np.arange(len(each)), each),
        node_work=np.concatenate([whole.node_work[node], np.ones(len(pooled))]),
        rate=np.array([*rates, *work], dtype=np.float64),
        table_ptr=starts_of(1 << each),
        part_ptr=starts_of(np.array([*parts, *(0 for _ in pooled)], dtype=np.int64)),
        part_set=np.array(sets, dtype=np.int64),
        part_worth=np.array(worths, dtype=np.float64),
        model_ptr=np.searchsorted(model[by_model], np.arange(len(whole.gpus_required) + 1)).astype(
            np.int64
        ),
        model_node=by_model.astype(np.int64),
    )
    return Residual(flows, node, pooled, rest_of)
