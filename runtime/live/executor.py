"""A live run: requests arrive, their nodes are released one after the other, outputs go on.

It follows the rules of the simulator (docs/simulator.md): a node is released when its last
parent has been answered, and the policy gives it a replica at that moment.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from placement.problem.cluster import IntArray
from placement.support.equality import ByContent
from runtime.arrays import NOWHERE, Problem
from runtime.engines.events import ProgressCallback
from runtime.live.calls import CallMaker
from runtime.live.journal import Done, Failed, Past
from runtime.live.station import Clock, Patience, Station
from runtime.live.templates import TemplateError
from runtime.live.transport import CallError, Transport
from runtime.policies import RoutingPolicy
from runtime.result import Course

BREATH = 500
"""Requests that are let in at one instant before answers are looked at."""


class Recorder(Protocol):
    """Takes down what has been done, as `runtime.live.journal.Journal` does."""

    def add(self, line: Done | Failed) -> None:
        """Take down one line."""
        ...


@dataclass(frozen=True, eq=False)
class Tally(ByContent):
    """What a run has seen that no simulation has.

    Parameters
    ----------
    failed : dict
        Why an execution failed for good, by its number.
    unbegun : int
        Requests of which no call was sent, as the run was asked to end.
    resumed : int
        Executions that an earlier part of the run had done.
    calls_of, faults_of, opened_of : list of int, length P
        Calls, failed calls and opened circuits of each replica.
    """

    failed: dict[int, str] = field(default_factory=dict)
    unbegun: int = 0
    resumed: int = 0
    calls_of: list[int] = field(default_factory=list)
    faults_of: list[int] = field(default_factory=list)
    opened_of: list[int] = field(default_factory=list)


class Executor:
    """One live run; `run` does it, `drain` asks it to end early.

    To be made inside a running event loop.

    Parameters
    ----------
    problem : Problem
        In seconds of the wall clock since the run's beginning.
    policy : RoutingPolicy
    calls : CallMaker
    transport : Transport
    patience : Patience, optional
        How failures are borne.
    recorder : Recorder, optional
    past : Past, optional
        What an earlier part of the run has done.
    progress : callable, optional
        Called with executions answered, their total, and the seconds since the run began.
    """

    def __init__(
        self,
        problem: Problem,
        policy: RoutingPolicy,
        calls: CallMaker,
        transport: Transport,
        *,
        patience: Patience | None = None,
        recorder: Recorder | None = None,
        past: Past | None = None,
        progress: ProgressCallback | None = None,
    ) -> None:
        self._problem = problem
        self._calls = calls
        self._transport = transport
        self._recorder = recorder
        self._past = past or Past()
        self._progress = progress
        self._clock = Clock(self._past.at_s)
        self._station = Station(
            problem,
            policy,
            self._send,
            patience=patience or Patience(),
            clock=self._clock,
            answered=self._answered,
            failed=self._failed,
        )
        self._offset = problem.offset.tolist()
        self._request_of = np.repeat(
            np.arange(len(problem.workflow)), np.diff(problem.offset)
        ).tolist()
        self._first_node = problem.first_node[problem.workflow].tolist()
        self._arrival_s = problem.arrival_s.tolist()
        self._children = _slices(problem.child_start, problem.child)
        self._parents = _slices(problem.parent_start, problem.parent)
        self._missing: dict[int, int] = {}
        self._outputs: dict[int, dict[int, Any]] = {}
        self._on_their_way: dict[int, int] = {}
        self._failures: dict[int, str] = {}
        self._failed_requests: set[int] = set()
        self._done = 0
        self._resumed = 0
        self._arrived = False
        self._draining = False
        self._finished = asyncio.Event()
        self._steps: set[asyncio.Task[None]] = set()

    async def run(self) -> Course:
        """Serve every request; return when and where every execution ran.

        Raises
        ------
        OSError
            Where the journal cannot be written.
        ValueError
            Where the policy chooses a wrong replica.
        """
        arrivals = asyncio.ensure_future(self._arrive())
        broken = asyncio.ensure_future(self._station.broken())
        finished = asyncio.ensure_future(self._finished.wait())
        self._arrivals = arrivals
        try:
            waiting = {arrivals, broken, finished}
            while not finished.done():
                over, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in over:
                    if not task.cancelled():
                        task.result()
        finally:
            ended = (arrivals, broken, finished, *self._steps)
            for task in ended:
                task.cancel()
            await asyncio.gather(*ended, return_exceptions=True)
            await self._station.close()
        return self._course()

    def drain(self) -> None:
        """Begin no further request; those of which a call was sent are served to their end."""
        if self._draining:
            return
        self._draining = True
        self._arrived = True
        self._arrivals.cancel()
        for execution in self._station.withdraw_unbegun():
            self._leave(self._request_of[execution])
        self._check_end()

    @property
    def tally(self) -> Tally:
        """What has been seen so far."""
        problem, station = self._problem, self._station
        servable = int(problem.servable[problem.workflow].sum())
        return Tally(
            failed=dict(self._failures),
            unbegun=servable - len(station.begun),
            resumed=self._resumed,
            calls_of=list(station.calls_of),
            faults_of=list(station.faults_of),
            opened_of=station.opened_of,
        )

    def _course(self) -> Course:
        station = self._station
        end_s = np.array(station.end_s, dtype=np.float64)
        ran = ~np.isnan(end_s)
        return Course(
            replica=np.where(ran, station.replica, NOWHERE).astype(np.int32),
            ready_s=np.where(ran, station.ready_s, np.nan),
            start_s=np.where(ran, station.start_s, np.nan),
            end_s=end_s,
        )

    # -- requests ---------------------------------------------------------------------------

    async def _arrive(self) -> None:
        """Let every request in at its time."""
        problem = self._problem
        since_breath = 0
        for request, w in enumerate(problem.workflow.tolist()):
            if not problem.servable[w]:
                continue
            wait_s = self._arrival_s[request] - self._clock.now_s()
            since_breath += 1
            if wait_s > 0 or since_breath == BREATH:
                since_breath = 0
                await asyncio.sleep(max(wait_s, 0.0))
            self._admit(request)
        self._arrived = True
        self._check_end()

    def _admit(self, request: int) -> None:
        """Take a request up where it is: at its beginning, or where an earlier part left it."""
        first = self._offset[request]
        executions = range(first, self._offset[request + 1])
        self._on_their_way[request] = 1  # until all that can be released has been
        self._outputs[request] = {}
        for v, parents in enumerate(self._parents_of(request)):
            self._missing[first + v] = len(parents)
        for execution in executions:
            if execution in self._past.done:
                self._take_over(self._past.done[execution])
            if execution in self._past.failed:
                self._station.begun.add(request)
                self._note_failure(execution, self._past.failed[execution].failed)
        for execution in executions:
            if execution not in self._past.done and not self._missing[execution]:
                self._release(execution)
        self._leave(request)

    def _take_over(self, done: Done) -> None:
        execution, station = done.execution, self._station
        station.replica[execution] = done.replica
        station.ready_s[execution] = done.ready_s
        station.start_s[execution] = done.start_s
        station.end_s[execution] = done.end_s
        station.begun.add(self._request_of[execution])
        self._resumed += 1
        self._hand_on(execution, done.output)

    def _release(self, execution: int) -> None:
        """Give an execution that waits for nothing to the replicas."""
        request = self._request_of[execution]
        if request in self._failed_requests:
            return
        if self._draining and request not in self._station.begun:
            return
        first = self._offset[request]
        parents = self._parents_of(request)[execution - first]
        ready_s = max(
            (self._station.end_s[first + u] for u in parents), default=self._arrival_s[request]
        )
        self._on_their_way[request] += 1
        node = self._first_node[request] + execution - first
        if self._problem.node_step[node]:
            step = asyncio.ensure_future(self._pass_by(execution, ready_s))
            self._steps.add(step)
            step.add_done_callback(self._steps.discard)
        else:
            self._station.submit(execution, request, node, ready_s)

    async def _pass_by(self, execution: int, ready_s: float) -> None:
        """Let a step that needs no GPU take its time: nobody is called for it."""
        station = self._station
        station.begun.add(self._request_of[execution])
        station.replica[execution] = self._problem.n_replicas - 1
        station.ready_s[execution] = station.start_s[execution] = ready_s
        end_s = ready_s + float(self._problem.service_s[execution])
        await asyncio.sleep(max(0.0, end_s - self._clock.now_s()))
        station.end_s[execution] = max(end_s, self._clock.now_s())
        self._answered(execution, None)

    def _leave(self, request: int) -> None:
        """Take note that one execution of a request is no longer on its way."""
        self._on_their_way[request] -= 1
        if not self._on_their_way[request]:
            del self._on_their_way[request]
            del self._outputs[request]
            for execution in range(self._offset[request], self._offset[request + 1]):
                del self._missing[execution]
            self._check_end()

    def _check_end(self) -> None:
        if self._arrived and not self._on_their_way:
            self._finished.set()

    def _parents_of(self, request: int) -> list[list[int]]:
        first = self._first_node[request]
        nodes = self._offset[request + 1] - self._offset[request]
        return self._parents[first : first + nodes]

    # -- executions -------------------------------------------------------------------------

    async def _send(self, execution: int, replica: int) -> Any:
        request = self._request_of[execution]
        try:
            call = self._calls.make(execution, request, replica, self._outputs[request])
        except TemplateError as error:
            raise CallError(f"the body: {error}", retryable=False) from None
        return await self._transport.send(call)

    def _answered(self, execution: int, output: Any) -> None:
        station = self._station
        if self._recorder is not None:
            self._recorder.add(
                Done(
                    execution=execution,
                    replica=station.replica[execution],
                    ready_s=station.ready_s[execution],
                    start_s=station.start_s[execution],
                    end_s=station.end_s[execution],
                    tries=station.tries.get(execution, 0),
                    output=output,
                )
            )
        for child in self._hand_on(execution, output):
            self._release(child)
        self._leave(self._request_of[execution])

    def _hand_on(self, execution: int, output: Any) -> list[int]:
        """Keep an output for the children; return those that now wait for nothing."""
        request = self._request_of[execution]
        first = self._offset[request]
        self._outputs[request][execution] = output
        self._done += 1
        if self._progress:
            self._progress(self._done, self._offset[-1], self._clock.now_s())
        free = []
        for child in self._children[self._first_node[request] + execution - first]:
            self._missing[first + child] -= 1
            if not self._missing[first + child]:
                free.append(first + child)
        return free

    def _failed(self, execution: int, reason: str) -> None:
        if self._recorder is not None:
            tries, at_s = self._station.tries[execution], self._clock.now_s()
            self._recorder.add(Failed(execution=execution, at_s=at_s, tries=tries, failed=reason))
        self._note_failure(execution, reason)
        self._leave(self._request_of[execution])

    def _note_failure(self, execution: int, reason: str) -> None:
        self._failures[execution] = reason
        self._failed_requests.add(self._request_of[execution])


def _slices(starts: IntArray, values: IntArray) -> list[list[int]]:
    return [values[a:b].tolist() for a, b in pairwise(starts.tolist())]
