"""What all stations of a static plan share: routing, and what routers are told of the replicas."""

from __future__ import annotations

from runtime.arrays import NOWHERE, Problem
from runtime.policies import RoutingPolicy, View


class Replicas:
    """Replicas that never move, and a policy that routes to them.

    Arrays by execution: `replica`, `ready`, `start`, `end`. A subclass says what a call that was
    routed to a replica makes of the estimates that the next decision is based on.
    """

    def __init__(self, problem: Problem, policy: RoutingPolicy) -> None:
        n = int(problem.offset[-1])
        self.problem = problem
        self._policy = policy
        self._service: list[float] = problem.service_s.tolist()
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

    def route(self, execution: int, request: int, node: int, now_s: float) -> float:
        """Ask the policy for a replica; return when the execution's data is there.

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
        chosen = int(self._policy.choose(view))
        if chosen not in view.replicas():
            raise ValueError(
                f"the routing policy {self._policy.name!r} chose replica {chosen} for model "
                f"{view.problem.workload.models[view.model].id!r}, whose replicas are "
                f"{list(view.replicas())}"
            )
        data_s = view.data_arrival_s(view.server(chosen))
        self.replica[execution] = chosen
        view.unfinished[chosen] += 1
        self.routed(execution, chosen, now_s, travels=data_s > now_s)
        return data_s

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

    def _stretch(self, replica: int) -> None:
        """Estimate how much longer than its service time one more call would take once begun."""
        view = self.view
        company = min(view.unfinished[replica], self._slots[replica] - 1)
        pace = view.share[replica] * self._speed[replica]
        view.stretch[replica] = self._slowdown[replica][company] / pace
