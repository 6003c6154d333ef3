"""What a run returns: when and where every node execution ran."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from placement.problem.cluster import FloatArray
from placement.problem.names import Scheduler
from placement.support.equality import ByContent
from runtime.arrays import BoolArray, Int32Array, Problem
from runtime.outages import Interruptions


@dataclass(frozen=True, kw_only=True, eq=False)
class Course(ByContent):
    """N node executions in the order of ``Trace.service_s``; arrays of shape (N,).

    Parameters
    ----------
    replica : int32
        Replica (position in ``Problem.placement``) that ran each execution, -1 for none.
    ready_s : float64
        When the execution's data had arrived and it joined its replica's queue.
    start_s, end_s : float64
        Begin and end of service, in seconds since the first arrival; NaN where it did not run.
    switch_s : float64 or None
        Seconds spent loading the model just before `start_s`; None where nothing switches.
    interruptions : Interruptions or None
        What outages did; None where there were none.
    """

    replica: Int32Array
    ready_s: FloatArray
    start_s: FloatArray
    end_s: FloatArray
    switch_s: FloatArray | None = None
    interruptions: Interruptions | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class RunResult(Course):
    """One finished run over N node executions of R requests.

    Executions are numbered request by request: request r owns
    ``problem.offset[r] : problem.offset[r + 1]``.

    Parameters
    ----------
    problem : Problem
        The arrays that were run; holds workload, trace, cluster, placement and mode.
    scheduler : str
        ``static``, ``baseline`` or ``offline``.
    routing : str
        Name of the routing policy; ``none`` for the schedulers without a plan.
    simulated : bool
        False where real servers were called.
    """

    problem: Problem
    scheduler: Scheduler
    routing: str
    simulated: bool = True

    @property
    def ran(self) -> BoolArray:
        """Whether each execution ran, shape (N,)."""
        return np.asarray(self.replica >= 0)

    @property
    def served(self) -> BoolArray:
        """Whether a GPU served each execution, shape (N,): steps without one ran, too."""
        return np.asarray((self.replica >= 0) & (self.problem.replica_server[self.replica] >= 0))

    @cached_property
    def completed(self) -> BoolArray:
        """Whether all nodes of each request ran, shape (R,)."""
        ran = np.concatenate(([0], np.cumsum(self.ran)))
        offset = self.problem.offset
        return np.asarray(ran[offset[1:]] - ran[offset[:-1]] == np.diff(offset))
