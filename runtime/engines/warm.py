"""Both compiled loops: loaded where they were compiled before, else compiled by another process.

Compiling takes many seconds, once on a machine. Whoever has something else to do first lets it
begin, and asks later; who has a time limit waits no longer than that. Run as a module, this is the
other process.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from placement.problem.cluster import Cluster
from placement.problem.solution import Placement
from placement.problem.trace import Trace
from placement.problem.workload import Model, Node, Workflow, Workload
from placement.support import compile_beside
from runtime.simulate import simulate_placement


def begin() -> None:
    """Let the other process begin, unless the loops are there."""
    if not compile_beside.loaded(warm_up):
        compile_beside.compiler(__name__)


def ready(in_time: Callable[[], bool]) -> bool:
    """Whether both loops can run at once; waits for the other process while there is time."""
    if compile_beside.loaded(warm_up):
        return True
    waited = compile_beside.awaited(__name__, "the event loop", in_time)
    return waited and compile_beside.loaded(warm_up)


def warm_up() -> None:
    """Run both loops on next to nothing: one model alone on a GPU, and two that share it."""
    zero = np.zeros(1, dtype=np.int64)
    trace = Trace(["r"], np.zeros(1), zero, np.ones(1), np.array([0, 1]), datetime.now(UTC))
    models = tuple(Model(name, name, 1.0, 1, 0.0) for name in "ab")
    workload = Workload(models, (Workflow("w", "w", (Node("n", 0),)),))
    for placed in (zero, np.array([0, 1])):
        none = np.zeros(len(placed), dtype=np.int64)
        placement = Placement(placed, none, none)
        simulate_placement(workload, trace, Cluster.homogeneous(1, 1), placement, engine="compiled")


if __name__ == "__main__":
    warm_up()
