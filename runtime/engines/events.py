"""The event loop in plain Python, and what it asks of the place where executions are served.

- A node is *released* when its last parent has finished (a node without parents when its request
  arrives). At that instant it is routed.
- A step that needs no GPU begins when it is released, and ends after its time.
- Any other is *committed* where it was routed to when its data has arrived there: at once without a
  network.
- At one instant, what ends comes first, then outages, then commitments and releases by number of
  the execution (request by request in order of arrival, nodes in the order of the workflow).
- An outage interrupts all calls that were routed to the replicas it takes. They are routed anew at
  that instant and begin from nothing. Where no replica of a model is left, a call to it fails, and
  with it its request: nothing of it is routed any more, and what was routed is served to its end.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from runtime.arrays import NOWHERE, Problem

PROGRESS_EVERY = 20_000
NEVER = float("inf")

Interruption = tuple[float, Callable[[], list[int]]]
"""An instant, and what happens then; it gives the executions to be routed anew."""


class ProgressCallback(Protocol):
    """Takes the executions committed so far, their total, and the simulated time if it is one."""

    def __call__(self, done: int, total: int, now_s: float | None = None, /) -> None:
        """Take the latest count."""
        ...


class Station(Protocol):
    """Where executions are served: replicas of a plan, or GPUs that switch models."""

    def route(self, execution: int, request: int, node: int, now_s: float) -> float:
        """Choose where an execution will run; return when its data is there.

        Infinity where nothing is left that could serve it.

        Parameters
        ----------
        execution, request, node : int
            The call: its number, its request, and its node in the workflow.
        now_s : float
            Simulated time, at which all its parents have ended.
        """
        ...

    def commit(self, execution: int, now_s: float) -> None:
        """Queue an execution whose data is there."""
        ...

    def next_s(self) -> float:
        """Return when something ends next; infinity where nothing is in service."""
        ...

    def end(self, now_s: float) -> int:
        """Take the first of what ends now; return the execution that is done, or `NOWHERE`."""
        ...

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
        ...


class KnownEnds:
    """The end of every execution is known when it is committed: the first is kept in a heap."""

    def __init__(self) -> None:
        self._ends: list[tuple[float, int]] = []

    def forget(self) -> None:
        """Expect nothing."""
        self._ends = []

    def expect(self, end_s: float, execution: int) -> None:
        """Let an execution end at a time."""
        heapq.heappush(self._ends, (end_s, execution))

    def next_s(self) -> float:
        """Return when the next execution ends."""
        return self._ends[0][0] if self._ends else float("inf")

    def end(self, now_s: float) -> int:
        """Take the execution that ends now; ties: the lowest."""
        return heapq.heappop(self._ends)[1]


def run_events(
    problem: Problem,
    station: Station,
    progress: ProgressCallback | None = None,
    turns: Sequence[Interruption] = (),
) -> list[int]:
    """Run every servable request of the problem through a station, event by event.

    Parameters
    ----------
    problem : Problem
        Requests, their workflows, and when they come.
    station : Station
        Chooses and serves; told of every event in the order of time, then of number.
    progress : callable, optional
        Told now and then how many executions of how many are committed, and the simulated time.
    turns : sequence of (float, callable)
        When replicas go and come back, ascending, and what to call then: it gives the executions
        that were interrupted.

    Returns
    -------
    list of int
        Requests that failed, ascending.
    """
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
    step, service = problem.node_step.tolist(), problem.service_s.tolist()

    ready: list[tuple[float, int]] = []
    missing = [0] * offset[-1]
    for request, arrival in enumerate(problem.arrival_s.tolist()):
        w = workflow[request]
        if servable[w]:
            nodes = range(first_node[w], first_node[w + 1])
            for execution, node in enumerate(nodes, start=offset[request]):
                missing[execution] = indegree[node]
                if not missing[execution]:
                    ready.append((arrival, execution))
    heapq.heapify(ready)

    def release_children(done: int, now_s: float) -> None:
        request = request_of[done]
        first = offset[request]
        for child in children[first_node[workflow[request]] + done - first]:
            waiting = first + child
            missing[waiting] -= 1
            if not missing[waiting]:
                heapq.heappush(ready, (now_s, waiting))

    routed = [False] * offset[-1]
    travels: dict[int, float] = {}
    failed: set[int] = set()
    coming = list(reversed(turns))
    committed = 0
    while True:
        end_s = station.next_s()
        now_s = min(end_s, ready[0][0]) if ready else end_s
        if now_s == NEVER:
            return sorted(failed)
        if coming and coming[-1][0] <= now_s and coming[-1][0] < end_s:
            now_s, interrupt = coming.pop()
            for execution in interrupt():
                routed[execution] = False
                travels.pop(execution, None)
                heapq.heappush(ready, (now_s, execution))
            continue
        if end_s == now_s:
            done = station.end(now_s)
            if done != NOWHERE:
                release_children(done, now_s)
            continue
        _, execution = heapq.heappop(ready)
        request = request_of[execution]
        node = first_node[workflow[request]] + execution - offset[request]
        if not routed[execution]:
            routed[execution] = True
            if request in failed:
                continue
            if step[node]:
                data_s = now_s + service[execution]
                station.pass_by(execution, now_s, data_s)
            else:
                data_s = station.route(execution, request, node, now_s)
            if data_s == NEVER:
                failed.add(request)
                continue
            if data_s > now_s:
                travels[execution] = data_s
                heapq.heappush(ready, (data_s, execution))
                continue
        elif travels.get(execution) != now_s:
            continue  # it was on its way to a replica that has gone
        else:
            del travels[execution]
        if step[node]:
            release_children(execution, now_s)
        else:
            station.commit(execution, now_s)
        committed += 1
        if progress and not committed % PROGRESS_EVERY:
            progress(committed, len(missing), now_s)
