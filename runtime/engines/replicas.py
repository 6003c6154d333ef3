"""What all stations of a static plan share: routing, and what routers are told of the replicas."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.arrays import NOWHERE, Problem
from runtime.outages import Turn
from runtime.policies import RoutingPolicy, View


class Replicas:
    """Replicas that never move, and a policy that routes to them.

    Arrays by execution: `replica`, `ready`, `start`, `end`. A subclass says what a call that was
    routed to a replica makes of the estimates that the next decision is based on. `interrupted`
    holds execution, replica, time and seconds in service of every call that an outage ended.
    """

    def __init__(self, problem: Problem, policy: RoutingPolicy) -> None:
        n = int(problem.offset[-1])
        self.problem = problem
        self._policy = policy
        self._service: list[float] = problem.service_s.tolist()  # less what a prefix saves
        self._prefill: list[float] = problem.prefill_s.tolist()  # likewise
        self._speed: list[float] = problem.replica_speed.tolist()
        self._slots: list[int] = problem.replica_slots.tolist()
        self._slowdown: list[list[float]] = problem.slowdown.tolist()
        self._rivals = [
            problem.rival[a:b].tolist()
            for a, b in zip(problem.rival_start, problem.rival_start[1:], strict=False)
        ]
        self.replica = [NOWHERE] * n
        self.ready = [float("nan")] * n
        self.start = [float("nan")] * n
        self.end_s = [float("nan")] * n
        self.view = View(problem, replica_of=self.replica, end_s=self.end_s)
        self.interrupted: list[tuple[int, int, float, float]] = []

    def route(self, execution: int, request: int, node: int, now_s: float) -> float:
        """Ask the policy for a replica; return when the execution's data is there.

        Infinity where the node's model has no replica left.

        Parameters
        ----------
        execution, request, node : int
            The call: its number, its request, and its node in the workflow.
        now_s : float
            Simulated time.

        Raises
        ------
        ValueError
            Where the policy returns what is no replica of the node's model.
        """
        view = self.view
        view.now_s, view.execution, view.request, view.node = now_s, execution, request, node
        view.model = int(view.problem.node_model[node])
        if not view.replicas():
            return float("inf")
        chosen = int(self._policy.choose(view))
        if chosen not in view.replicas():
            raise ValueError(
                f"the routing policy {self._policy.name!r} chose replica {chosen} for model "
                f"{view.problem.workload.models[view.model].id!r}, whose replicas are "
                f"{list(view.replicas())}"
            )
        view.note_session(chosen)
        if saved := view.saved_s(chosen):
            self._save(execution, saved)
        data_s = view.data_arrival_s(view.server(chosen))
        self.replica[execution] = chosen
        view.unfinished[chosen] += 1
        self.routed(execution, chosen, now_s, travels=data_s > now_s)
        return data_s

    def _save(self, execution: int, saved_s: float) -> None:
        """Take off an execution what its replica has read before."""
        self._service[execution] -= saved_s
        if self._prefill:
            self._prefill[execution] = max(0.0, self._prefill[execution] - saved_s)

    def _save_nothing(self, execution: int) -> None:
        """Let an execution take all its time again, for it will be routed anew."""
        self._service[execution] = float(self.problem.service_s[execution])
        if self._prefill:
            self._prefill[execution] = float(self.problem.prefill_s[execution])

    def pass_by(self, execution: int, now_s: float, end_s: float) -> None:
        """Take note of a step that needs no GPU.

        Parameters
        ----------
        execution : int
        now_s : float
            When it begins.
        end_s : float
            When it will have ended.
        """
        self.replica[execution] = self.problem.n_replicas - 1
        self.ready[execution] = self.start[execution] = now_s
        self.end_s[execution] = end_s

    def routed(self, execution: int, replica: int, now_s: float, *, travels: bool) -> None:
        """Take note that an execution will come to a replica, at once or when its data is there.

        Parameters
        ----------
        execution, replica : int
            The call, and where it goes.
        now_s : float
            Simulated time.
        travels : bool
            Its data is still on the way.
        """
        raise NotImplementedError

    def turn(self, turn: Turn) -> list[int]:
        """Let replicas go and come back; return the executions that were interrupted, ascending.

        Parameters
        ----------
        turn : Turn
            What ends at its instant has ended.
        """
        view, gone, now_s = self.view, set(turn.gone), turn.time_s
        view.lose((*turn.closed, *turn.gone))
        view.regain(turn.back, now_s)
        if not gone:
            self.give_back(turn.back, now_s)
            return []
        cut = [e for e, p in enumerate(self.replica) if p in gone and not self.end_s[e] <= now_s]
        for e in cut:
            served = max(0.0, now_s - self.start[e]) if self.start[e] <= now_s else 0.0
            self.interrupted.append((e, self.replica[e], now_s, served))
            view.sent_s[e] = now_s
        self.take_away(turn.gone, cut, now_s)
        for e in cut:
            self.replica[e] = NOWHERE
            self.ready[e] = self.start[e] = self.end_s[e] = float("nan")
            self._save_nothing(e)
        self.give_back(turn.back, now_s)
        return cut

    def take_away(self, replicas: Sequence[int], cut: Sequence[int], now_s: float) -> None:
        """Forget all that replicas had to do; it is gone from their neighbours' GPUs, too.

        Parameters
        ----------
        replicas : sequence of int
            Those that go.
        cut : sequence of int
            Executions routed to them that have not ended, ascending.
        now_s : float
            Simulated time.
        """
        raise NotImplementedError

    def give_back(self, replicas: Sequence[int], now_s: float) -> None:
        """Let replicas be idle from now on."""
        raise NotImplementedError

    def _stretch(self, replica: int) -> None:
        """Estimate how much longer than its service time one more call would take once begun."""
        view = self.view
        company = min(view.unfinished[replica], self._slots[replica] - 1)
        pace = view.share[replica] * self._speed[replica]
        view.stretch[replica] = self._slowdown[replica][company] / pace
