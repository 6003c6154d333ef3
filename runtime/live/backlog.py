"""What the routing policies see of a live run: the replicas that answer, and their backlogs.

The policies of `runtime.policies` are used as they are. In a simulation the view knows when every
call will end; here it knows how long calls are expected to take, which of them have been sent, and
which replicas have stopped answering.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from runtime.arrays import Problem
from runtime.policies import View


class LiveView(View):
    """A view whose `replicas` are those that may be called now."""

    __slots__ = ("_may_serve",)

    def __init__(
        self,
        problem: Problem,
        free_s: list[float],
        unfinished: list[int],
        replica_of: list[int],
        end_s: list[float],
        may_serve: Callable[[int], bool],
    ) -> None:
        super().__init__(problem, replica_of, end_s)
        self.free_s, self.unfinished = free_s, unfinished
        # A call is expected to take as long as in a full batch, like those of the backlog.
        full = problem.slowdown[range(problem.n_replicas), problem.replica_slots - 1]
        self.stretch = (full / problem.replica_speed).tolist()
        self._may_serve = may_serve

    def replicas(self) -> Sequence[int]:
        """Replicas of the node's model that may be called, ascending; all where none may."""
        every = super().replicas()
        return [p for p in every if self._may_serve(p)] or every


class Backlog:
    """Expected seconds of the work that each replica has not finished.

    Parameters
    ----------
    problem : Problem
        In seconds of the wall clock.
    """

    def __init__(self, problem: Problem) -> None:
        replicas = range(problem.n_replicas)
        self._service: list[float] = problem.service_s.tolist()
        self._speed: list[float] = problem.replica_speed.tolist()
        self._slots: list[int] = problem.replica_slots.tolist()
        self._factor = [
            float(problem.slowdown[p, slots - 1]) for p, slots in enumerate(self._slots)
        ]
        self._rivals = [
            problem.rival[problem.rival_start[p] : problem.rival_start[p + 1]].tolist()
            for p in replicas
        ]
        self._queued_s = [0.0 for _ in replicas]
        self._queued = [0 for _ in replicas]
        self._sent: list[dict[int, float]] = [{} for _ in replicas]
        self._idle_since_s = [float(p - problem.n_replicas) for p in replicas]
        self.free_s = list(self._idle_since_s)

    def queue(self, execution: int, replica: int) -> None:
        """Take note that an execution waits at a replica."""
        self._queued[replica] += 1
        self._queued_s[replica] += self._expected(execution, replica)

    def leave(self, execution: int, replica: int) -> None:
        """Take note that an execution no longer waits there."""
        self._queued[replica] -= 1
        self._queued_s[replica] -= self._expected(execution, replica)
        if not self._queued[replica]:
            self._queued_s[replica] = 0.0  # no dust of rounding

    def send(self, execution: int, replica: int, now_s: float) -> None:
        """Take note that an execution has been sent."""
        self._sent[replica][execution] = now_s + self._expected(execution, replica)

    def finish(self, execution: int, replica: int, now_s: float) -> None:
        """Take note that a call has ended, well or not."""
        del self._sent[replica][execution]
        for p in (replica, *self._rivals[replica]):
            self._idle_since_s[p] = now_s

    def estimate(self, replicas: Sequence[int], now_s: float) -> None:
        """Set `free_s` of some replicas: when each could start one more, or since when it can."""
        for p in replicas:
            wait_s = self._wait_s(p, now_s) + sum(self._wait_s(q, now_s) for q in self._rivals[p])
            self.free_s[p] = now_s + wait_s if wait_s > 0 else self._idle_since_s[p]

    def _wait_s(self, replica: int, now_s: float) -> float:
        """Expected seconds until a replica that shares its GPUs with no other has a place free."""
        slots, sent = self._slots[replica], self._sent[replica]
        if len(sent) < slots:
            return 0.0
        first = max(0.0, min(sent.values()) - now_s)
        return first + self._queued_s[replica] / slots

    def _expected(self, execution: int, replica: int) -> float:
        return self._service[execution] / self._speed[replica] * self._factor[replica]
