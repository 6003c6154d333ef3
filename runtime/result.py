"""What a run returns: when and where every node execution ran."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from placement.cluster import FloatArray, IntArray
from runtime.problem import Int32Array, Problem


@dataclass(frozen=True)
class RunResult:
    """One finished run over N node executions of R requests.

    Executions are numbered request by request, as in ``Trace.service_s``: request r owns
    ``problem.offset[r] : problem.offset[r + 1]``. An execution of a failed request has replica -1
    and NaN times.

    Parameters
    ----------
    problem : Problem
        The arrays that were run; holds workload, trace, cluster, placement and mode.
    scheduler : str
        ``static``, ``baseline`` or ``offline``.
    routing : str
        Name of the routing policy; ``none`` for the schedulers without a plan.
    replica : int32, shape (N,)
        Replica (position in ``problem.placement``) that ran each execution.
    ready_s : float64, shape (N,)
        When the execution's data had arrived and it joined its replica's queue.
    start_s, end_s : float64, shape (N,)
        Begin and end of service, in seconds since the first arrival.
    switch_s : float64, shape (N,), or None
        Seconds spent loading the model just before `start_s`; None where nothing switches.
    """

    problem: Problem
    scheduler: str
    routing: str
    replica: Int32Array
    ready_s: FloatArray
    start_s: FloatArray
    end_s: FloatArray
    switch_s: FloatArray | None = None
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def ran(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Whether each execution ran, shape (N,)."""
        return self.replica >= 0

    @cached_property
    def completed(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Whether all nodes of each request ran, shape (R,)."""
        ran = np.concatenate(([0], np.cumsum(self.ran)))
        offset = self.problem.offset
        return np.asarray(ran[offset[1:]] - ran[offset[:-1]] == np.diff(offset))

    @property
    def server(self) -> IntArray:
        """Server of each execution, shape (N,), -1 where it did not run."""
        return np.where(self.ran, self.problem.replica_server[self.replica], -1)

    @property
    def request(self) -> IntArray:
        """Request of each execution, shape (N,)."""
        return np.repeat(np.arange(len(self.problem.workflow)), np.diff(self.problem.offset))

    @property
    def template_node(self) -> IntArray:
        """Node of each execution by its number over all workflows, shape (N,)."""
        problem = self.problem
        base = problem.first_node[problem.workflow] - problem.offset[:-1]
        return np.repeat(base, np.diff(problem.offset)) + np.arange(len(self.replica))
