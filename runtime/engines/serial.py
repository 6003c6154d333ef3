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

from collections.abc import Sequence

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
        self._committed: list[int] = []  # in their order
        self._back_s: dict[int, float] = {}  # of a replica that was gone
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
        replica = self.replica[execution]
        self.ready[execution] = now_s
        self._committed.append(execution)
        self._schedule(execution, now_s)
        if self._travels[execution]:
            self._arrived(execution)
        for p in (replica, *self._rivals[replica]):
            self._free(p, now_s)

    def _schedule(self, execution: int, now_s: float) -> None:
        """Let an execution begin when all that its GPUs have to do before it has ended."""
        replica = self.replica[execution]
        work = self._service[execution] / self._speed[replica]
        slot_end = self._slot_end[replica]
        start = max(now_s, min(slot_end), self._rival_end[replica])
        in_service = 1 + sum(end > start for end in slot_end)
        self.start[execution] = start
        self.end_s[execution] = start + work * self._slowdown[replica][in_service - 1]
        self._occupy(execution)
        self.expect(self.end_s[execution], execution)

    def _occupy(self, execution: int) -> None:
        replica, end = self.replica[execution], self.end_s[execution]
        slot_end = self._slot_end[replica]
        slot_end[slot_end.index(min(slot_end))] = end
        for p in self._rivals[replica]:
            self._rival_end[p] = max(self._rival_end[p], end)

    def _arrived(self, execution: int) -> None:
        """Count the data of an execution as travelling no more."""
        replica = self.replica[execution]
        work = self._service[execution] / self._speed[replica]
        for p in (replica, *self._rivals[replica]):
            self._coming[p] -= 1
            # Nothing is exactly nothing, whatever was rounded on the way.
            self._coming_s[p] = self._coming_s[p] - work if self._coming[p] else 0.0
        self._travels[execution] = False

    def end(self, now_s: float) -> int:
        """Take the execution that ends now off its replica's count."""
        execution = KnownEnds.end(self, now_s)
        replica = self.replica[execution]
        self.view.unfinished[replica] -= 1
        self._stretch(replica)
        return execution

    def take_away(self, replicas: Sequence[int], cut: Sequence[int], now_s: float) -> None:
        """Schedule anew what has not begun: those before it may be gone.

        Parameters
        ----------
        replicas : sequence of int
            Those that go.
        cut : sequence of int
            Executions routed to them that have not ended, ascending.
        now_s : float
            Simulated time.
        """
        for e in cut:
            if self._travels[e]:
                self._arrived(e)
        lost = set(cut)
        self._committed = [e for e in self._committed if e not in lost]
        self.forget()
        idle = [float(p - self.problem.n_replicas) for p in range(self.problem.n_replicas)]
        self._slot_end = [[idle[p]] * self._slots[p] for p in range(len(idle))]
        self._rival_end = idle
        for e in self._committed:
            if self.start[e] > now_s:
                self._schedule(e, now_s)
                continue
            self._occupy(e)
            if self.end_s[e] > now_s:
                self.expect(self.end_s[e], e)
        for p in replicas:
            self.view.unfinished[p] = 0
            self._stretch(p)
        for p, since in self._back_s.items():
            self._slot_end[p] = [max(end, since) for end in self._slot_end[p]]
        # Of the others nothing has changed, and what is said of them still holds.
        for p in {q for r in replicas for q in self._beside(r)}:
            self._free(p, now_s)

    def _beside(self, replica: int) -> set[int]:
        """Replicas that feel what another one does: its neighbours, their neighbours, and so on."""
        found, new = {replica}, [replica]
        while new:
            new = [q for p in new for q in self._rivals[p] if q not in found]
            found.update(new)
        return found

    def give_back(self, replicas: Sequence[int], now_s: float) -> None:
        """Let replicas be idle from now on."""
        for p in replicas:
            self._back_s[p] = now_s
            self._slot_end[p] = [now_s] * self._slots[p]
            self._free(p, now_s)

    def _free(self, p: int, now_s: float) -> None:
        free = max(min(self._slot_end[p]), self._rival_end[p])
        if self._coming[p]:
            free = max(free, now_s) + self._coming_s[p]
        self.view.free_s[p] = free
