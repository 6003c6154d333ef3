"""The second level of locality: which requests and edges of a run stayed on one GPU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from placement.problem.cluster import IntArray
from runtime.metrics import percent
from runtime.result import RunResult


@dataclass(frozen=True)
class GpuHops:
    """What happened inside servers, over completed requests.

    Parameters
    ----------
    completed_requests : int
    intra_gpu_workflows : int
        Of which some GPU took part in every call; those that needed none are among them.
    cross_gpu_communications : int
        Edges whose ends ran on one server, on blocks that have no GPU in common.
    intra_gpu_communications : int
        Edges whose ends ran on blocks that have one.
    hop_mb : float
        What moved between GPUs of a server.
    """

    completed_requests: int
    intra_gpu_workflows: int
    cross_gpu_communications: int
    intra_gpu_communications: int
    hop_mb: float

    @property
    def gpu_efficiency(self) -> float:
        """Percent of the completed requests that ran whole on one GPU."""
        return percent(self.intra_gpu_workflows, self.completed_requests)

    def as_dict(self) -> dict[str, float]:
        """Fields of the summary."""
        return {
            "gpu_efficiency": self.gpu_efficiency,
            "intra_gpu_workflows": self.intra_gpu_workflows,
            "cross_gpu_communications": self.cross_gpu_communications,
            "intra_gpu_communications": self.intra_gpu_communications,
            "cross_gpu_megabytes": self.hop_mb,
        }


def gpu_hops(run: RunResult) -> GpuHops:
    """Count the hops between GPUs of a server."""
    problem, workload = run.problem, run.problem.workload
    first_gpu = problem.replica_first_gpu
    last_gpu = first_gpu + problem.replica_gpus - 1
    whole = hops = stays = 0
    moved_mb = 0.0
    for w in range(len(workload.workflows)):
        first = problem.offset[:-1][(problem.workflow == w) & run.completed]
        at: dict[int, IntArray] = {v: run.replica[first + v] for v in workload.on_gpus(w)}
        low = np.zeros(len(first), dtype=np.int64)
        high = np.full(len(first), problem.cluster.n_gpus)
        for replica in at.values():
            low = np.maximum(low, first_gpu[replica])
            high = np.minimum(high, last_gpu[replica])
        whole += int((low <= high).sum())
        for e in workload.crossing_edges(w):
            u, v = at[e.source], at[e.target]
            inside = problem.replica_server[u] == problem.replica_server[v]
            shared = np.maximum(first_gpu[u], first_gpu[v]) <= np.minimum(last_gpu[u], last_gpu[v])
            stays += int(shared.sum())
            hop = int((inside & ~shared).sum())
            hops += hop
            moved_mb += hop * e.payload_mb
    return GpuHops(int(run.completed.sum()), whole, hops, stays, moved_mb)
