"""The compiled pricing of columns: loaded where it was compiled before, else compiled beside.

As with the local search, a solve with a time limit does not sit through the compilation. Run as a
module, this is the process that compiles.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from placement.patterns.columns.content_pool import ContentPool
from placement.patterns.columns.flat_problem import flat_flows
from placement.patterns.pattern import canonical
from placement.problem.cluster import Cluster
from placement.problem.instance import Instance, WorkflowDemand
from placement.solver.budget import Budget
from placement.support import compile_beside

WHAT = "the pricing of columns"


def ready(budget: Budget) -> bool:
    """Whether contents can be priced by compiled code; False where the time ends before."""
    in_time = (lambda: not budget.expired) if budget.limited else None
    if compile_beside.ready(__name__, WHAT, warm_up, in_time):
        return True
    budget.cut()
    return False


@cache
def warm_up() -> None:
    """Have all of it compiled, or loaded, for the one kind of arguments that it ever gets."""
    flow = WorkflowDemand(
        "w",
        1.0,
        np.array([0], dtype=np.int64),
        np.array([2.0]),
        np.zeros((0, 2), dtype=np.int64),
    )
    instance = Instance(
        ("m",), np.array([1], dtype=np.int64), np.array([1.0]), (flow,), Cluster.homogeneous(2, 2)
    )
    pool = ContentPool(instance, 0, flat_flows(instance))
    known = pool.add(canonical(instance, 0, [(0, 0)]))
    pool.price(np.zeros(1), np.zeros(1), 0.0)
    pool.anneal([known], [0], 1, (1.0, 1.0), 0)
    pool.column(pool.patterns[known])


if __name__ == "__main__":
    warm_up()
