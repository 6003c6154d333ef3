"""What a replica gets of its GPUs, by who else has work on them: the simulator's law of sharing."""

from __future__ import annotations

from placement.problem.gpu_sharing import paces
from runtime.arrays import Problem


class Neighbours:
    """Which replicas have work, and what share of its GPUs each of them gets.

    Parameters
    ----------
    problem : Problem
        Its cluster says how GPUs are shared. Where they serve one execution after the other,
        every replica that serves gets all.

    Attributes
    ----------
    share : list of float, length P
        What each replica gets beside those that have work, whether it has any itself or not.
    """

    def __init__(self, problem: Problem) -> None:
        first = problem.replica_first_gpu.tolist()
        self._gpus = [
            range(g, g + k) for g, k in zip(first, problem.replica_gpus.tolist(), strict=True)
        ]
        self._rivals: list[list[int]] = [
            problem.rival[a:b].tolist()
            for a, b in zip(problem.rival_start, problem.rival_start[1:], strict=False)
        ]
        self._sliced = problem.sliced
        self._fraction = problem.replica_fraction.tolist()
        self._kept = problem.kept.tolist()
        self._present: list[set[int]] = [set() for _ in range(problem.cluster.n_gpus)]
        self.share = [1.0] * problem.n_replicas

    def come(self, replica: int) -> None:
        """Take note that a replica has work."""
        for gpu in self._gpus[replica] if self._shared(replica) else ():
            self._present[gpu].add(replica)
        self._change(replica)

    def go(self, replica: int) -> None:
        """Take note that a replica has no work any more."""
        for gpu in self._gpus[replica] if self._shared(replica) else ():
            self._present[gpu].discard(replica)
        self._change(replica)

    def of(self, replica: int) -> list[int]:
        """Replicas whose share depends on whether this one has work."""
        return self._rivals[replica] if self._sliced else []

    def _shared(self, replica: int) -> bool:
        return bool(self.of(replica))

    def _change(self, replica: int) -> None:
        for p in self.of(replica):
            self.share[p] = self._least(p)

    def _least(self, replica: int) -> float:
        least = float("inf")
        for gpu in self._gpus[replica]:
            members = sorted(self._present[gpu] | {replica})
            found = paces([self._fraction[q] for q in members], self._kept)
            least = min(least, found[members.index(replica)])
        return least
