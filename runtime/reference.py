"""The event-driven runtime in plain Python: readable, and the oracle of the compiled engine.

Semantics (docs/simulator.md, "What happens"):

- A node is *released* when its last parent has finished (a node without parents when its request
  arrives). At that instant the routing policy gives it a replica.
- It is *committed* to that replica when its data has arrived there: at once without a network.
- Every GPU serves what is committed to replicas on it in the order of commitment; nothing is
  preempted or overtaken. So an execution starts when, on every GPU of its replica, all that was
  committed earlier has ended: a block of GPUs is entered by all at once, and one that waits for a
  free block cannot starve.
- A replica that batches is the one exception: up to `max_concurrency` of *its* executions are in
  service at once. An execution that starts as the n-th in service takes ``slowdown[n - 1]`` times
  its service time, whatever joins or leaves later.
- At one instant, completions come first, then commitments and releases by number of the
  execution (request by request in order of arrival, nodes in the order of the workflow).
"""

from __future__ import annotations

import heapq
from typing import Protocol

import numpy as np

from runtime.arrays import NOWHERE, Problem
from runtime.policies import RoutingPolicy, View
from runtime.result import Course

COMPLETION, READY = 0, 1
"""Kinds of events, in their order at one instant."""

PROGRESS_EVERY = 20_000


class ProgressCallback(Protocol):
    """Takes the executions committed so far, their total, and the simulated time if it is one."""

    def __call__(self, done: int, total: int, now_s: float | None = None, /) -> None:
        """Take the latest count."""
        ...


class Station(Protocol):
    """Where executions are served: replicas of a plan, or GPUs that switch models."""

    def route(self, execution: int, request: int, node: int, now_s: float) -> float:
        """Choose where an execution will run; return when its data is there."""
        ...

    def commit(self, execution: int, now_s: float) -> float:
        """Queue an execution whose data is there; return when it will end."""
        ...

    def complete(self, execution: int) -> None:
        """Take note that an execution has ended."""
        ...


def run_events(
    problem: Problem, station: Station, progress: ProgressCallback | None = None
) -> None:
    """Run every servable request of the problem through a station, event by event."""
    workflow = problem.workflow.tolist()
    offset = problem.offset.tolist()
    first_node = problem.first_node.tolist()
    indegree = np.diff(problem.parent_start).tolist()
    children = [
        problem.child[a:b].tolist()
        for a, b in zip(problem.child_start, problem.child_start[1:], strict=False)
    ]
    request_of = np.repeat(np.arange(len(workflow)), np.diff(problem.offset)).tolist()
    servable = problem.servable.tolist()

    events: list[tuple[float, int, int]] = []
    missing = [0] * offset[-1]
    for request, arrival in enumerate(problem.arrival_s.tolist()):
        w = workflow[request]
        if servable[w]:
            nodes = range(first_node[w], first_node[w + 1])
            for execution, node in enumerate(nodes, start=offset[request]):
                missing[execution] = indegree[node]
                if not missing[execution]:
                    events.append((arrival, READY, execution))
    heapq.heapify(events)

    routed = [False] * offset[-1]
    committed = 0
    while events:
        now_s, kind, execution = heapq.heappop(events)
        request = request_of[execution]
        node = first_node[workflow[request]] + execution - offset[request]
        if kind == COMPLETION:
            station.complete(execution)
            for child in children[node]:
                waiting = offset[request] + child
                missing[waiting] -= 1
                if not missing[waiting]:
                    heapq.heappush(events, (now_s, READY, waiting))
            continue
        if not routed[execution]:
            routed[execution] = True
            data_s = station.route(execution, request, node, now_s)
            if data_s > now_s:
                heapq.heappush(events, (data_s, READY, execution))
                continue
        heapq.heappush(events, (station.commit(execution, now_s), COMPLETION, execution))
        committed += 1
        if progress and not committed % PROGRESS_EVERY:
            progress(committed, len(missing), now_s)


class Replicas:
    """A static plan: replicas that never move, and a policy that routes to them."""

    def __init__(self, problem: Problem, policy: RoutingPolicy) -> None:
        n, replicas = problem.offset[-1], range(problem.n_replicas)
        self._policy = policy
        self._service: list[float] = problem.service_s.tolist()
        self._speed: list[float] = problem.replica_speed.tolist()
        self._slowdown: list[list[float]] = problem.slowdown.tolist()
        self._rivals = [
            problem.rival[problem.rival_start[p] : problem.rival_start[p + 1]].tolist()
            for p in replicas
        ]
        self._slot_end = [[0.0] * int(slots) for slots in problem.replica_slots]
        self._rival_end = [0.0 for _ in replicas]
        self.replica = [NOWHERE] * n
        self.ready = [float("nan")] * n
        self.start = [float("nan")] * n
        self.end = [float("nan")] * n
        self._view = View(
            problem,
            free_s=[0.0 for _ in replicas],
            unfinished=[0 for _ in replicas],
            replica_of=self.replica,
            end_s=self.end,
        )

    def route(self, execution: int, request: int, node: int, now_s: float) -> float:
        """Ask the policy for a replica; return when the execution's data is there."""
        view = self._view
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
        return data_s

    def commit(self, execution: int, now_s: float) -> float:
        """Append an execution to the queues of its replica's GPUs; return when it will end."""
        replica = self.replica[execution]
        slot_end = self._slot_end[replica]
        earliest = min(slot_end)
        start = max(now_s, earliest, self._rival_end[replica])
        in_service = 1 + sum(end > start for end in slot_end)
        service = self._service[execution] / self._speed[replica]
        end = start + service * self._slowdown[replica][in_service - 1]
        slot_end[slot_end.index(earliest)] = end
        free = self._view.free_s
        free[replica] = max(min(slot_end), self._rival_end[replica])
        for rival in self._rivals[replica]:
            self._rival_end[rival] = max(self._rival_end[rival], end)
            free[rival] = max(free[rival], end)
        self.ready[execution], self.start[execution], self.end[execution] = now_s, start, end
        return end

    def complete(self, execution: int) -> None:
        """Take the execution off its replica's count."""
        self._view.unfinished[self.replica[execution]] -= 1


def run_reference(
    problem: Problem, policy: RoutingPolicy, progress: ProgressCallback | None = None
) -> Course:
    """Simulate a static plan under a routing policy.

    Raises
    ------
    ValueError
        Where the policy returns what is no replica of the node's model.
    """
    replicas = Replicas(problem, policy)
    run_events(problem, replicas, progress)
    return Course(
        replica=np.array(replicas.replica, dtype=np.int32),
        ready_s=np.array(replicas.ready, dtype=np.float64),
        start_s=np.array(replicas.start, dtype=np.float64),
        end_s=np.array(replicas.end, dtype=np.float64),
    )
