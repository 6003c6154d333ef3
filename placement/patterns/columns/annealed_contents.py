"""Heuristic pricing of one server type by annealing: where GPUs are shared, and models many.

What `placement.patterns.pricing.knapsack` is for exclusive GPUs: contents that are worth much at
some duals, and that prove no bound.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from placement.improve.beyond_cap import goes_beyond_cap
from placement.params.column_params import ColumnParams
from placement.params.search_params import SearchParams
from placement.patterns.columns.content_pool import ContentPool, bonus_of
from placement.patterns.columns.flat_problem import flat_flows
from placement.patterns.duals import Duals
from placement.patterns.master_rows import Row
from placement.patterns.pattern import Pattern
from placement.problem.instance import Instance
from placement.solver.budget import tick


def annealing_suits(instance: Instance, params: SearchParams) -> bool:
    """Whether contents of an instance can be priced by annealing, where its code is compiled.

    It knows one speed of a server, for all models on all of its GPUs, and nothing of which models
    stand beside which.

    Parameters
    ----------
    instance : Instance
        With shared or exclusive GPUs.
    params : SearchParams
        Says up to how many nodes of a workflow.
    """
    nodes = (len(instance.workflows[w].node_model) for w in instance.active_workflows)
    return (
        instance.models_per_gpu > 1
        and not instance.company
        and max(nodes, default=0) <= params.columns.most_nodes
        and not any(t.paced or t.model_speeds for t in instance.cluster.server_types)
    )


def contents_are_annealed(instance: Instance, params: SearchParams) -> bool:
    """Whether annealing is what finds the contents: small clusters are searched by place, too.

    Parameters
    ----------
    instance : Instance
        With shared or exclusive GPUs.
    params : SearchParams
        Says which clusters are small.
    """
    return annealing_suits(instance, params) and not goes_beyond_cap(instance, params.beyond_cap)


class AnnealedContents:
    """Contents of one server type that were met, and annealing from those worth most.

    Parameters
    ----------
    instance : Instance
        Normalized.
    kind : int
        Server type.
    params : ColumnParams
        Of the deepest level of annealing.
    seed : int
        Of the first annealing; each has one of its own.
    """

    central: bool = True

    def __init__(self, instance: Instance, kind: int, params: ColumnParams, seed: int) -> None:
        self.instance, self.kind, self.params, self.seed = instance, kind, params, seed
        self.pool = ContentPool(instance, kind, flat_flows(instance))

    def solve(self, rows: Sequence[Row], duals: Duals, most: int) -> dict[Pattern, float]:
        """Contents of highest value at some duals, highest first.

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
        pool, params, instance = self.pool, self.params, self.instance
        if not pool.anchors:  # no model fits on a server of the type
            return {}
        tick()
        demand = np.array(
            [
                duals.demand[w, v]
                for w in instance.active_workflows
                for v in range(len(instance.workflows[w].node_model))
            ]
        )
        pool.price(demand, bonus_of(instance, rows, np.array(duals.rows), self.kind), 0.0)
        order = np.argsort(-pool.values, kind="stable")
        worth = {pool.patterns[i]: float(pool.values[i]) for i in order[:most].tolist()}
        scale = max([1.0, *worth.values()])
        self.seed += 1
        worth |= pool.anneal(
            order[: params.seeds[-1]].tolist(),
            pool.anchors,
            params.moves[-1],
            (params.hot * scale, params.cold * scale),
            self.seed,
        )
        for pattern in worth:
            pool.add(pattern)
        best = sorted(worth, key=lambda p: (-worth[p], p.content))[:most]
        return {p: worth[p] for p in best}
