"""The front door of live runs: a trace over a plan, served by real servers."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

from placement.problem.trace import Trace
from runtime.arrays import Problem
from runtime.engines.events import ProgressCallback
from runtime.live.calls import CallMaker
from runtime.live.endpoints import Endpoints
from runtime.live.executor import Executor, Tally
from runtime.live.inputs import RequestInput
from runtime.live.journal import SYNC_S, Journal
from runtime.live.station import Patience
from runtime.live.transport import HttpTransport, Transport
from runtime.policies import RoutingPolicy
from runtime.result import RunResult


@dataclass(frozen=True)
class LiveRun:
    """What came of a live run.

    Parameters
    ----------
    run : RunResult
        As of a simulation; a request that failed, or was not begun, has not run whole.
    tally : Tally
        Failures, retries, circuits.
    drained : bool
        Whether the run was asked to end early.
    """

    run: RunResult
    tally: Tally
    drained: bool


class Drain:
    """Asks a live run to end early, from any thread and at any time."""

    def __init__(self) -> None:
        self.asked = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._executor: Executor | None = None

    def interrupt(self) -> None:
        """Let no further request begin."""
        self.asked = True
        if self._loop is not None and self._executor is not None:
            self._loop.call_soon_threadsafe(self._executor.drain)

    def bind(self, executor: Executor) -> None:
        """Know whom to ask; whoever was asked before is asked now."""
        self._loop = asyncio.get_running_loop()
        self._executor = executor
        if self.asked:
            self._loop.call_soon(executor.drain)


@dataclass(frozen=True)
class Followed:
    """Who hears of a live run, and may end it early.

    Parameters
    ----------
    drain : Drain
        By which the run may be asked to end early.
    progress : callable, optional
        Called with executions answered, their total, and the seconds since the run began.
    """

    drain: Drain = field(default_factory=Drain)
    progress: ProgressCallback | None = None


def scaled(trace: Trace, *, arrivals: float = 1.0, service: float = 1.0) -> Trace:
    """Stretch a trace: the time between requests, and the time that calls are expected to take.

    Parameters
    ----------
    trace : Trace
        As it was read.
    arrivals, service : float
        Factors; 1 changes nothing.
    """
    if arrivals == 1.0 and service == 1.0:
        return trace
    return replace(trace, arrival_s=trace.arrival_s * arrivals, service_s=trace.service_s * service)


def execute(
    problem: Problem,
    policy: RoutingPolicy,
    endpoints: Endpoints,
    inputs: Sequence[RequestInput],
    *,
    patience: Patience | None = None,
    journal: Journal | None = None,
    followed: Followed | None = None,
    transport: Transport | None = None,
) -> LiveRun:
    """Run every request of a problem on real servers.

    Parameters
    ----------
    problem, policy : Problem, RoutingPolicy
        From `runtime.simulate.prepare_run`, of a trace in seconds of the wall clock.
    endpoints : Endpoints
        Where each replica is served.
    inputs : sequence of RequestInput, length R
    patience : Patience, optional
        How failures are borne.
    journal : Journal, optional
        Where what is done is taken down; what it holds already is not done again.
    followed : Followed, optional
        Who hears of the run, and may end it early.
    transport : Transport, optional
        Carries the calls in place of HTTP.

    Returns
    -------
    LiveRun

    Raises
    ------
    OSError
        Where the journal cannot be written.
    ValueError
        Where the policy chooses a wrong replica.
    """
    followed = followed or Followed()
    drain = followed.drain

    def make(carrier: Transport) -> Executor:
        run_id = secrets.token_hex(8) if journal is None else journal.run_id
        return Executor(
            problem,
            policy,
            CallMaker(problem, endpoints, inputs, run_id),
            carrier,
            patience=patience,
            recorder=journal,
            past=None if journal is None else journal.past,
            progress=followed.progress,
        )

    async def run() -> LiveRun:
        async with AsyncExitStack() as stack:
            carrier = transport
            if carrier is None:
                http = HttpTransport(endpoints.keys, endpoints.trust)
                carrier = await stack.enter_async_context(http)
            executor = make(carrier)
            drain.bind(executor)
            if journal is not None:
                stack.push_async_callback(_stop, asyncio.ensure_future(_keep_safe(journal.sync)))
            course = await executor.run()
            return LiveRun(
                run=RunResult(
                    replica=course.replica,
                    ready_s=course.ready_s,
                    start_s=course.start_s,
                    end_s=course.end_s,
                    problem=problem,
                    scheduler="static",
                    routing=policy.name,
                    simulated=False,
                ),
                tally=executor.tally,
                drained=drain.asked,
            )

    return asyncio.run(run())


async def _keep_safe(sync: Callable[[], None]) -> None:
    """Make the journal safe on disk now and then, beside the event loop."""
    while True:
        await asyncio.sleep(SYNC_S)
        await asyncio.to_thread(sync)


async def _stop(task: asyncio.Future[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
