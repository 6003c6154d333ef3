"""What the routing policies see of a live run: the replicas that answer, and their backlogs.

The policies of `runtime.policies` are used as they are. In a simulation the view knows when a call
in service will end; here it knows how long calls are expected to take, which of them have been
sent, and which replicas have stopped answering.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from runtime.arrays import Problem
from runtime.live.gpu_time import Neighbours
from runtime.policies import View


class LiveView(View):
    """A view whose `replicas` are those that may be called now."""

    __slots__ = ("_may_serve",)

    def __init__(
        self,
        problem: Problem,
        replica_of: list[int],
        end_s: list[float],
        may_serve: Callable[[int], bool],
    ) -> None:
        super().__init__(problem, replica_of, end_s)
        self._may_serve = may_serve

    def replicas(self) -> Sequence[int]:
        """Replicas of the node's model that may be called, ascending; all where none may."""
        every = super().replicas()
        return [p for p in every if self._may_serve(p)] or every


class Backlog:
    """Keeps the estimates of a view, by the rules of the simulator, from calls as they come.

    A replica with fewer unfinished calls than places is free since its last call came or ended.
    Else it will be when the first call that was sent is expected to be answered and those that
    wait have been served as a full batch serves them. Unfinished calls of neighbours on its GPUs
    make it slower.

    Parameters
    ----------
    problem : Problem
        In seconds of the wall clock.
    view : View
        Its `free_s`, `stretch`, `share` and `unfinished` are kept.
    """

    def __init__(self, problem: Problem, view: View) -> None:
        replicas = range(problem.n_replicas)
        self._view = view
        self._problem = problem
        self._service: list[float] = problem.service_s.tolist()
        self._speed: list[float] = problem.replica_speed.tolist()
        self._slots: list[int] = problem.replica_slots.tolist()
        self._slowdown: list[list[float]] = problem.slowdown.tolist()
        self._neighbours = Neighbours(problem)
        self._changed_s = list(view.free_s)
        self._queued = [0 for _ in replicas]
        self._queued_s = [0.0 for _ in replicas]
        self._expected_end_s: list[dict[int, float]] = [{} for _ in replicas]
        view.share = self._neighbours.share
        self.estimate(replicas, 0.0)

    def queue(self, execution: int, replica: int, now_s: float) -> None:
        """Take note that the view's execution was routed to a replica, and waits there.

        Parameters
        ----------
        execution, replica : int
            The call, and where it waits.
        now_s : float
            Seconds since the run began.
        """
        if len(self._problem.prefix_s):
            whole = float(self._problem.service_s[execution])
            self._service[execution] = whole - self._view.saved_s(replica)
        self._queued[replica] += 1
        self._queued_s[replica] += self._full_s(execution, replica)
        self._changed_s[replica] = now_s
        self._view.unfinished[replica] += 1
        if self._view.unfinished[replica] == 1:
            self._neighbours.come(replica)

    def withdraw(self, execution: int, replica: int) -> None:
        """Take note that an execution waits there no longer, and is not sent."""
        self._dequeue(execution, replica)
        self._leave(replica)

    def send(self, execution: int, replica: int, now_s: float) -> None:
        """Take note that an execution that waited has been sent.

        Parameters
        ----------
        execution, replica : int
            The call, and where it goes.
        now_s : float
            Seconds since the run began.
        """
        self._dequeue(execution, replica)
        sent = self._expected_end_s[replica]
        slowdown = self._slowdown[replica][min(len(sent), self._slots[replica] - 1)]
        pace = self._view.share[replica] * self._speed[replica]
        sent[execution] = now_s + self._service[execution] * slowdown / pace

    def finish(self, execution: int, replica: int, now_s: float) -> None:
        """Take note that a call has ended, well or not.

        Parameters
        ----------
        execution, replica : int
            The call, and where it was.
        now_s : float
            Seconds since the run began.
        """
        del self._expected_end_s[replica][execution]
        self._changed_s[replica] = now_s
        self._leave(replica)

    def estimate(self, replicas: Sequence[int], now_s: float) -> None:
        """Bring the view up to date on some replicas."""
        view = self._view
        for p in replicas:
            company = min(view.unfinished[p], self._slots[p] - 1)
            view.stretch[p] = self._slowdown[p][company] / (view.share[p] * self._speed[p])
            free_s = self._changed_s[p]
            if view.unfinished[p] >= self._slots[p]:
                sent = self._expected_end_s[p]
                free_s = max(now_s, min(sent.values())) if sent else now_s
                free_s += self._queued_s[p] / view.share[p]
            view.free_s[p] = free_s

    def _dequeue(self, execution: int, replica: int) -> None:
        self._queued[replica] -= 1
        self._queued_s[replica] -= self._full_s(execution, replica)
        if not self._queued[replica]:
            self._queued_s[replica] = 0.0  # no dust of rounding

    def _leave(self, replica: int) -> None:
        self._view.unfinished[replica] -= 1
        if not self._view.unfinished[replica]:
            self._neighbours.go(replica)

    def _full_s(self, execution: int, replica: int) -> float:
        """Seconds of a full replica that an execution takes."""
        slots = self._slots[replica]
        return (
            self._service[execution]
            / self._speed[replica]
            * self._slowdown[replica][slots - 1]
            / slots
        )
