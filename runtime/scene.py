"""A plan at work: the workload it serves and one simulated run over it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from placement.problem.cluster import FloatArray, IntArray
from placement.problem.plan import Plan
from placement.problem.trace import Trace
from placement.problem.verdict import Verdict
from placement.problem.workload import Workload
from placement.support.equality import ByContent


@dataclass(frozen=True, eq=False)
class Executions(ByContent):
    """N node executions in the order of `Trace.service_s`; arrays of shape (N,).

    Parameters
    ----------
    replica : int64
        Index into the plan's placement, -1 where the node never ran.
    start_s, end_s : float64
        Seconds since the first request.
    """

    replica: IntArray
    start_s: FloatArray
    end_s: FloatArray


@dataclass(frozen=True, eq=False)
class Scene(ByContent):
    """One plan at work.

    Parameters
    ----------
    name : str
        How people call the plan, e.g. its method.
    release_s : float64, shape (R,)
        When each request became known: its arrival online, 0 offline.
    verdict : Verdict or None
        On the run; None where nothing ran.
    """

    name: str
    plan: Plan
    workload: Workload
    trace: Trace
    release_s: FloatArray
    run: Executions
    verdict: Verdict | None = None

    @cached_property
    def replica_model(self) -> IntArray:
        """Model of each replica as an index into the workload, shape (R,)."""
        # A model that the plan never places may be gone from the workload.
        known = self.workload.model_index
        index = np.array([known.get(m, -1) for m in self.plan.model_ids], np.int64)
        return index[self.plan.placement.model]

    @cached_property
    def replica_gpus(self) -> IntArray:
        """GPUs of each replica, shape (R,)."""
        return np.array([m.gpus_required for m in self.workload.models])[self.replica_model]

    @cached_property
    def replica_memory_gb(self) -> FloatArray:
        """Memory that each replica takes on each of its GPUs, shape (R,)."""
        return np.array([m.memory_per_gpu_gb for m in self.workload.models])[self.replica_model]

    @cached_property
    def execution_server(self) -> IntArray:
        """Server of each node execution, -1 where it never ran, shape (N,)."""
        replica = self.run.replica
        if not self.plan.placement.n_replicas:
            return np.full(len(replica), -1, dtype=np.int64)
        return np.where(replica >= 0, self.plan.placement.server[replica], -1)

    @cached_property
    def work_rank(self) -> IntArray:
        """Rank of each model by the GPU time it is expected to take, shape (M,): 0 is the most."""
        work = np.zeros(len(self.workload.models))
        np.add.at(work, self.replica_model, self.plan.load * self.replica_gpus)
        rank = np.empty(len(work), dtype=np.int64)
        rank[np.argsort(-work, kind="stable")] = np.arange(len(work))
        return rank

    def per_gpu(self, per_replica: FloatArray) -> FloatArray:
        """Add up a figure of each replica over the GPUs it covers.

        Parameters
        ----------
        per_replica : float64, shape (R,) or (R, B)

        Returns
        -------
        float64, shape (N_gpus,) or (N_gpus, B)
        """
        step = np.zeros((self.plan.cluster.n_gpus + 1, *per_replica.shape[1:]))
        np.add.at(step, self.plan.first_gpu, per_replica)
        np.add.at(step, self.plan.first_gpu + self.replica_gpus, -per_replica)
        return np.asarray(np.cumsum(step, axis=0)[:-1])
