"""The compiled search: loaded where it was compiled before, else compiled beside the solve.

Compiling takes many seconds, once on a machine. A solve with a time limit does not sit through
them: another process compiles, and the search begins when that has ended, if there still is time.
Run as a module, this is that process.
"""

from __future__ import annotations

import atexit
import subprocess
import sys
import time
from functools import cache

import numpy as np

from placement.heuristics.annealing import anneal, score_of
from placement.heuristics.water_filling import flatten_demand, lay_out
from placement.problem.cluster import Cluster
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.solution import Placement
from placement.solver.budget import Budget
from placement.support.compilation import NotCompiled, announced, only_loaded

LOOK_S = 0.05
"""Seconds between two looks at the other process."""


def ready(budget: Budget) -> bool:
    """Whether the search can begin: compiled here without a time limit, else by another process.

    False where the budget ends first; the other process then goes on until this one ends.
    """
    try:
        with only_loaded():
            warm_up()
    except NotCompiled:
        if budget.limited:
            return _compiled_beside(budget)
        with announced("the local search"):
            warm_up()
    return True


def at_hand(budget: Budget) -> bool:
    """As `ready`, but without waiting: who has something else to do begins with that.

    False where another process is still compiling, which this may have started.
    """
    try:
        with only_loaded():
            warm_up()
    except NotCompiled:
        if budget.limited and _compiler().poll() is None:
            budget.cut()
            return False
        return ready(budget)
    return True


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
    score = score_of(demand, servers, zero)
    anneal(demand, servers, best, score, zero, np.ones(1), np.ones((1, 1)), 1, 0, 1.0, 1.0, 0)


@cache
def _compiler() -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    atexit.register(process.terminate)
    return process


def _compiled_beside(budget: Budget) -> bool:
    process = _compiler()
    with announced("the local search", at_once=True):
        while process.poll() is None:
            if budget.expired:
                return False
            time.sleep(LOOK_S)
    try:
        with only_loaded():
            warm_up()
    except NotCompiled:
        # What the other process compiled is nowhere to be found.
        budget.cut()
        return False
    return True


if __name__ == "__main__":
    warm_up()
