"""The replicas of a live run: their queues, the calls under way, and what happens when one fails.

A replica's queue is first come first served, with at most its `max_concurrency` calls under way.
A call that fails leaves its replica, waits, and is routed anew. A replica that keeps failing is
left alone for a while; those who waited there are routed anew at once where another replica of the
model answers. Where none has answered for `Patience.give_up_s`, whoever waits has failed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from runtime.arrays import NOWHERE, Problem
from runtime.live.backlog import Backlog, LiveView
from runtime.live.backoff import RetryParams
from runtime.live.breaker import Breaker, BreakerParams
from runtime.live.transport import CallError
from runtime.policies import RoutingPolicy

NAN = float("nan")

Send = Callable[[int, int], Awaitable[Any]]
"""``send(execution, replica)`` gives the output, or raises `CallError`."""


@dataclass(frozen=True)
class Patience:
    """How failures are borne.

    Parameters
    ----------
    retry : RetryParams
        Of single calls.
    breaker : BreakerParams
        Of replicas.
    give_up_s : float
        Seconds without any answering replica of a model after which its calls fail: a server
        that restarts loads its model in this time, and nobody waits for ever.
    """

    retry: RetryParams = field(default_factory=RetryParams)
    breaker: BreakerParams = field(default_factory=BreakerParams)
    give_up_s: float = 60.0


class Clock:
    """Seconds since a run began, by the clock of the event loop.

    Parameters
    ----------
    at_s : float
        What it shows now; a run that goes on does not count the time between.
    """

    def __init__(self, at_s: float = 0.0) -> None:
        self._zero_s = asyncio.get_running_loop().time() - at_s

    def now_s(self) -> float:
        """Tell the time."""
        return asyncio.get_running_loop().time() - self._zero_s


class Station:
    """The replicas of a plan, called by whatever `send` is.

    Parameters
    ----------
    problem : Problem
        In seconds of the wall clock.
    policy : RoutingPolicy
    send : callable
        Sends the call of an execution to a replica.
    answered, failed : callable
        Told of every execution that was answered, with its output, and of every one that failed
        for good, with the reason.

    Attributes
    ----------
    replica, ready_s, start_s, end_s : list, length N
        As in `runtime.result.Course`, of what has been answered or is on its way.
    begun : set of int
        Requests of which a call was sent.
    tries : dict
        Calls sent for each execution that is on its way.
    calls_of, faults_of : list of int, length P
        Calls sent to each replica, and those of them that failed.
    """

    def __init__(
        self,
        problem: Problem,
        policy: RoutingPolicy,
        send: Send,
        *,
        patience: Patience,
        clock: Clock,
        answered: Callable[[int, Any], None],
        failed: Callable[[int, str], None],
    ) -> None:
        n, replicas = int(problem.offset[-1]), range(problem.n_replicas)
        self._problem = problem
        self._policy = policy
        self._send = send
        self._patience = patience
        self._clock = clock
        self._on_answer = answered
        self._on_failure = failed
        self._slots = problem.replica_slots.tolist()
        self._of_model = [
            problem.model_replica[a:b].tolist()
            for a, b in zip(problem.model_start, problem.model_start[1:], strict=False)
        ]
        self._model = problem.placement.model.tolist()
        self._queue: list[deque[int]] = [deque() for _ in replicas]
        self._in_service = [0 for _ in replicas]
        self._breaker = [Breaker(patience.breaker) for _ in replicas]
        self._retrial: list[asyncio.TimerHandle | None] = [None for _ in replicas]
        self._backing_off: dict[int, asyncio.TimerHandle] = {}
        self._silent: dict[int, asyncio.TimerHandle | None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.replica = [NOWHERE] * n
        self.ready_s, self.start_s, self.end_s = [NAN] * n, [NAN] * n, [NAN] * n
        self.begun: set[int] = set()
        self.tries: dict[int, int] = {}
        self.calls_of = [0 for _ in replicas]
        self.faults_of = [0 for _ in replicas]
        self._request: dict[int, tuple[int, int]] = {}
        self._view = LiveView(
            problem,
            replica_of=self.replica,
            end_s=self.end_s,
            may_serve=lambda p: not self._breaker[p].wait_s(clock.now_s()),
        )
        self._backlog = Backlog(problem, self._view)
        self._broken = asyncio.get_running_loop().create_future()

    @property
    def opened_of(self) -> list[int]:
        """How often the circuit of each replica has opened."""
        return [b.opened for b in self._breaker]

    async def broken(self) -> None:
        """Wait for a fault of the run itself, such as a full disk, and raise it."""
        await self._broken

    async def close(self) -> None:
        """Break off all that is under way."""
        timers = [*self._retrial, *self._backing_off.values(), *self._silent.values()]
        for timer in timers:
            if timer is not None:
                timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._broken.cancel()

    def submit(self, execution: int, request: int, node: int, ready_s: float) -> None:
        """Take an execution whose data are there.

        Parameters
        ----------
        execution, request : int
            The call: its number, and its request.
        node : int
            Template number of its node.
        ready_s : float
            Seconds since the run began.
        """
        self.ready_s[execution] = ready_s
        self._request[execution] = request, node
        self.tries[execution] = 0
        self._route(execution)

    def withdraw_unbegun(self) -> list[int]:
        """Take back, and return, the executions of requests of which no call was sent."""
        taken = []
        for replica, queue in enumerate(self._queue):
            kept: deque[int] = deque()
            for execution in queue:
                if self._request[execution][0] in self.begun:
                    kept.append(execution)
                else:
                    self._unqueue(execution, replica)
                    self._forget(execution)
                    taken.append(execution)
            self._queue[replica] = kept
        return taken

    # -- routing ----------------------------------------------------------------------------

    def _route(self, execution: int) -> None:
        """Ask the policy for a replica, and wait there."""
        view, now_s = self._view, self._clock.now_s()
        view.now_s, view.execution = now_s, execution
        view.request, view.node = self._request[execution]
        view.model = int(self._problem.node_model[view.node])
        self._backlog.estimate(self._of_model[view.model], now_s)
        replica = int(self._policy.choose(view))
        if replica not in self._of_model[view.model]:
            raise ValueError(
                f"the routing policy {self._policy.name!r} chose replica {replica} for model "
                f"{self._problem.workload.models[view.model].id!r}, whose replicas are "
                f"{self._of_model[view.model]}"
            )
        view.note_session(replica)
        self.replica[execution] = replica
        self._backlog.queue(execution, replica, now_s)
        self._queue[replica].append(execution)
        self._pump(replica)

    def _unqueue(self, execution: int, replica: int) -> None:
        self._backlog.withdraw(execution, replica)
        self.replica[execution] = NOWHERE

    def _pump(self, replica: int) -> None:
        """Send what the replica has room for."""
        queue, breaker = self._queue[replica], self._breaker[replica]
        while queue and self._in_service[replica] < self._slots[replica]:
            wait_s = breaker.wait_s(self._clock.now_s())
            if wait_s:
                if not self._divert(replica) and wait_s < float("inf"):
                    self._try_later(replica, wait_s)
                return
            self._start(queue.popleft(), replica)

    def _divert(self, replica: int) -> bool:
        """Route anew who waits at a replica that is left alone, if another one answers."""
        model, now_s = self._model[replica], self._clock.now_s()
        if all(self._breaker[p].wait_s(now_s) for p in self._of_model[model]):
            return False
        waiting = list(self._queue[replica])
        self._queue[replica].clear()
        for execution in waiting:
            self._unqueue(execution, replica)
        for execution in waiting:
            self._route(execution)
        return True

    def _try_later(self, replica: int, wait_s: float) -> None:
        def again() -> None:
            self._retrial[replica] = None
            self._pump(replica)

        if self._retrial[replica] is None:
            self._retrial[replica] = self._later(wait_s, again)

    # -- calls ------------------------------------------------------------------------------

    def _start(self, execution: int, replica: int) -> None:
        now_s = self._clock.now_s()
        self._backlog.send(execution, replica, now_s)
        self._breaker[replica].send()
        self._in_service[replica] += 1
        self.calls_of[replica] += 1
        self.tries[execution] += 1
        self.begun.add(self._request[execution][0])
        self.start_s[execution] = now_s
        task = asyncio.get_running_loop().create_task(self._serve(execution, replica))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def _serve(self, execution: int, replica: int) -> None:
        try:
            output = await self._send(execution, replica)
        except CallError as error:
            self._leave(execution, replica)
            self._fail(execution, replica, error)
        else:
            self._leave(execution, replica)
            self._succeed(execution, replica, output)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None and not self._broken.done():
            self._broken.set_exception(task.exception())  # type: ignore[arg-type]

    def _later(self, wait_s: float, action: Callable[[], None]) -> asyncio.TimerHandle:
        """Do something later; a fault in it breaks the run, as one in a task does."""

        def act() -> None:
            try:
                action()
            except Exception as error:
                if not self._broken.done():
                    self._broken.set_exception(error)

        return asyncio.get_running_loop().call_later(wait_s, act)

    def _leave(self, execution: int, replica: int) -> None:
        self._backlog.finish(execution, replica, self._clock.now_s())
        self._in_service[replica] -= 1

    def _succeed(self, execution: int, replica: int, output: Any) -> None:
        self.end_s[execution] = self._clock.now_s()
        came_back = self._breaker[replica].is_open
        self._breaker[replica].succeed()
        silent = self._silent.pop(self._model[replica], None)
        if silent is not None:
            silent.cancel()
        self._pump(replica)  # who waited goes before those whom this answer releases
        if came_back:
            for other in self._of_model[self._model[replica]]:
                if self._breaker[other].is_open:
                    self._divert(other)
        self._on_answer(execution, output)
        self._forget(execution)

    def _fail(self, execution: int, replica: int, error: CallError) -> None:
        self.start_s[execution] = NAN
        self.replica[execution] = NOWHERE
        self.faults_of[replica] += 1
        if error.at_fault:
            self._breaker[replica].fail(self._clock.now_s())
            if self._breaker[replica].is_open:
                self._divert(replica)
                self._notice_silence(self._model[replica])
        retry, tries = self._patience.retry, self.tries[execution]
        if not error.retryable or tries > retry.retries:
            after = f" ({tries} tries)" if tries > 1 else ""
            self._give_up(execution, f"replica {replica}: {error}{after}")
        else:

            def again() -> None:
                del self._backing_off[execution]
                self._route(execution)

            wait_s = retry.wait_s(execution, tries, error.wait_s)
            self._backing_off[execution] = self._later(wait_s, again)
        self._pump(replica)

    def _notice_silence(self, model: int) -> None:
        """Begin to count the time in which no replica of a model answers."""
        if model in self._silent or not all(
            self._breaker[p].is_open for p in self._of_model[model]
        ):
            return
        name, limit_s = self._problem.workload.models[model].id, self._patience.give_up_s

        def give_up() -> None:
            for replica in self._of_model[model]:
                waiting = list(self._queue[replica])
                self._queue[replica].clear()
                for execution in waiting:
                    self._unqueue(execution, replica)
                    reason = f"no replica of model {name!r} has answered for {limit_s:g} s"
                    self._give_up(execution, reason)
            self._silent[model] = self._later(limit_s, give_up)

        self._silent[model] = self._later(limit_s, give_up)

    def _give_up(self, execution: int, reason: str) -> None:
        self._on_failure(execution, reason)
        self._forget(execution)

    def _forget(self, execution: int) -> None:
        del self._request[execution]
        del self.tries[execution]
