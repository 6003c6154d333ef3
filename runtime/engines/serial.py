"""One execution on a GPU at a time, in plain Python: the oracle of the compiled loop.

Semantics of ``gpu_sharing: serial``, and of a plan in which every replica is alone on its GPUs and
serves one call at a time, where both kinds of sharing are one:

- Every GPU serves what is committed to replicas on it in the order of commitment; nothing is
  preempted or overtaken. So an execution starts when, on every GPU of its replica, all that was
  committed earlier has ended: a block of GPUs is entered by all at once, and one that waits for a
  free block cannot starve.
- A replica that batches is the one exception: up to `max_concurrency` of *its* executions are in
  service at once. An execution that starts as the n-th in service takes ``slowdown[n - 1]`` times
  its service time, whatever joins or leaves later; no prefill is told apart.

What a router is told: a replica is free when all that was committed to its GPUs has ended; calls
whose data still travels are added, as if they all could begin at once.
"""

from __future__ import annotations

from runtime.arrays import Problem
from runtime.engines.events import KnownEnds
from runtime.engines.replicas import Replicas
from runtime.policies import RoutingPolicy


class SerialReplicas(Replicas, KnownEnds):
    """A station where every end is known at commitment."""

    def __init__(self, problem: Problem, policy: RoutingPolicy) -> None:
        Replicas.__init__(self, problem, policy)
        KnownEnds.__init__(self)
        replicas = range(problem.n_replicas)
        free = self.view.free_s
        self._slot_end = [[free[p]] * self._slots[p] for p in replicas]
        self._rival_end = list(free)
        self._travels = [False] * len(self.replica)
        self._coming = [0 for _ in replicas]
        self._coming_s = [0.0 for _ in replicas]
        for p in replicas:
            self._stretch(p)

    def routed(self, execution: int, replica: int, now_s: float, *, travels: bool) -> None:
        """Count a call at once, although its data still travels.

        Parameters
        ----------
        execution, replica : int
            The call, and where it goes.
        now_s : float
            Simulated time.
        travels : bool
            Its data is still on the way.
        """
        self._stretch(replica)
        if travels:
            self._travels[execution] = True
            work = self._service[execution] / self._speed[replica]
            for p in (replica, *self._rivals[replica]):
                self._coming[p] += 1
                self._coming_s[p] += work
                self._free(p, now_s)

    def commit(self, execution: int, now_s: float) -> None:
        """Append an execution to the queues of its replica's GPUs."""
        replica, rivals = self.replica[execution], self._rivals[self.replica[execution]]
        work = self._service[execution] / self._speed[replica]
        slot_end = self._slot_end[replica]
        earliest = min(slot_end)
        start = max(now_s, earliest, self._rival_end[replica])
        in_service = 1 + sum(end > start for end in slot_end)
        end = start + work * self._slowdown[replica][in_service - 1]
        slot_end[slot_end.index(earliest)] = end
        for p in rivals:
            self._rival_end[p] = max(self._rival_end[p], end)
        if self._travels[execution]:
            for p in (replica, *rivals):
                self._coming[p] -= 1
                # Nothing is exactly nothing, whatever was rounded on the way.
                self._coming_s[p] = self._coming_s[p] - work if self._coming[p] else 0.0
        for p in (replica, *rivals):
            self._free(p, now_s)
        self.ready[execution], self.start[execution] = now_s, start
        self.end_s[execution] = end
        self.expect(end, execution)

    def end(self, now_s: float) -> int:
        """Take the execution that ends now off its replica's count."""
        execution = KnownEnds.end(self, now_s)
        replica = self.replica[execution]
        self.view.unfinished[replica] -= 1
        self._stretch(replica)
        return execution

    def _free(self, p: int, now_s: float) -> None:
        free = max(min(self._slot_end[p]), self._rival_end[p])
        if self._coming[p]:
            free = max(free, now_s) + self._coming_s[p]
        self.view.free_s[p] = free
