"""Both compiled loops: loaded where they were compiled before, else compiled by another process.

Compiling takes many seconds, once on a machine. Whoever has something else to do first lets it
begin, and asks later; who has a time limit waits no longer than that. Run as a module, this is the
other process.
"""

from __future__ import annotations

import atexit
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache

import numpy as np

from placement.problem.cluster import Cluster
from placement.problem.solution import Placement
from placement.problem.trace import Trace
from placement.problem.workload import Model, Node, Workflow, Workload
from placement.support.compilation import NotCompiled, announced, only_loaded
from runtime.simulate import simulate_placement

LOOK_S = 0.05
"""Seconds between two looks at the other process."""


def begin() -> None:
    """Let the other process begin, unless the loops are there."""
    if not _loaded():
        _compiler()


def ready(in_time: Callable[[], bool]) -> bool:
    """Whether both loops can run at once; waits for the other process while there is time."""
    if _loaded():
        return True
    process = _compiler()
    with announced("the event loop", at_once=True):
        while process.poll() is None:
            if not in_time():
                return False
            time.sleep(LOOK_S)
    return _loaded()


def _loaded() -> bool:
    try:
        with only_loaded():
            warm_up()
    except NotCompiled:
        return False
    return True


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


if __name__ == "__main__":
    warm_up()
