"""The compiled search: loaded where it was compiled before, else compiled beside the solve.

Compiling takes many seconds, once on a machine. A solve with a time limit does not sit through
them: another process compiles, and the search begins when that has ended, if there still is time.
Run as a module, this is that process.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from placement.heuristics.annealing import anneal, score_of
from placement.heuristics.search_arrays import flatten_demand, lay_out
from placement.heuristics.server_greedy import server_greedy
from placement.problem.cluster import Cluster
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.solution import Placement
from placement.solver.budget import Budget
from placement.support import compile_beside

WHAT = "the local search"


def ready(budget: Budget) -> bool:
    """Whether the search can begin: compiled here without a time limit, else by another process.

    False where the budget ends first; the other process then goes on until this one ends.
    """
    in_time = (lambda: not budget.expired) if budget.limited else None
    if compile_beside.ready(__name__, WHAT, warm_up, in_time):
        return True
    budget.cut()
    return False


def at_hand(budget: Budget) -> bool:
    """As `ready`, but without waiting: who has something else to do begins with that.

    False where another process is still compiling, which this may have started.
    """
    if compile_beside.loaded(warm_up):
        return True
    if budget.limited and compile_beside.compiler(__name__).poll() is None:
        budget.cut()
        return False
    return ready(budget)


@cache
def warm_up() -> None:
    """Have the search compiled, or loaded, for the one kind of arguments that it ever gets."""
    instance = Instance(
        ("m",),
        np.array([1], dtype=np.int64),
        np.array([1.0]),
        (
            WorkflowDemand(
                "w",
                1.0,
                np.array([0], dtype=np.int64),
                np.array([0.1]),
                np.zeros((0, 2), dtype=np.int64),
            ),
        ),
        Cluster.homogeneous(1, 1),
    )
    zero = np.zeros(1, dtype=np.int64)
    servers, best = (lay_out(instance, Placement(zero, zero, zero)) for _ in range(2))
    demand = flatten_demand(instance)
    score = score_of(demand, servers, zero, 1.0)
    anneal(demand, servers, best, score, 1.0, zero, np.ones(1), np.ones((1, 1)), 1, 0, 1.0, 1.0, 0)
    server_greedy(instance)


if __name__ == "__main__":
    warm_up()
