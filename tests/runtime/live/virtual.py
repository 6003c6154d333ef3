"""An event loop whose clock jumps to the next timer, and servers that exist in it alone."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import numpy as np

from placement.problem.cluster import Cluster
from placement.problem.solution import Placement
from placement.problem.workload import Node, Workflow, Workload
from runtime.arrays import Problem
from runtime.live.calls import Call, CallMaker
from runtime.live.emulation import Emulator
from runtime.live.endpoints import Endpoint, Endpoints
from runtime.live.executor import Executor
from runtime.live.inputs import NOTHING
from runtime.policies import RoutingPolicy
from runtime.simulate import Dispatch, prepare_run
from tests.runtime.cases import Case, chain, model, trace_of


class _Jump(selectors.SelectSelector):
    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0)
        if not events and timeout is None:
            raise RuntimeError("everything waits, and nothing will happen")
        if not events and timeout:
            self.loop.now_s = self.loop._scheduled[0]._when  # type: ignore[attr-defined]
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time passes only where everybody waits for it, and then at once."""

    def __init__(self) -> None:
        selector = _Jump()
        super().__init__(selector)
        selector.loop = self
        self.now_s = 0.0

    def time(self) -> float:
        return self.now_s


def run_virtually(main: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end in virtual time."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        loop.close()


def bare_endpoints(problem: Problem) -> Endpoints:
    """Endpoints that lead nowhere."""
    return Endpoints(
        tuple(
            Endpoint(p, f"http://{p}", "chat", "m", {"text": "${text}"}, "", None, 60.0)
            for p in range(problem.n_replicas)
        ),
        {},
    )


def execution_of(call: Call) -> int:
    return int(call.headers["Idempotency-Key"].rpartition("-")[2])


class FunctionTransport:
    """Carries calls to a function of execution and replica."""

    def __init__(self, answer: Callable[[int, int], Awaitable[Any]]) -> None:
        self._answer = answer
        self.sent: list[tuple[int, int]] = []

    async def send(self, call: Call) -> Any:
        execution, replica = execution_of(call), call.endpoint.replica
        self.sent.append((execution, replica))
        return await self._answer(execution, replica)


def emulated(problem: Problem) -> FunctionTransport:
    """Servers that take the time of the simulator's law; to be made inside the loop."""
    emulator = Emulator(problem)

    async def answer(execution: int, replica: int) -> str:
        prefill_s = problem.prefill_s[execution] if len(problem.prefill_s) else 0.0
        await emulator.serve(replica, float(problem.service_s[execution]), float(prefill_s))
        return f"output {execution}"

    return FunctionTransport(answer)


def make_executor(
    problem: Problem, policy: RoutingPolicy, transport: FunctionTransport, **options: Any
) -> Executor:
    calls = CallMaker(problem, bare_endpoints(problem), [NOTHING] * len(problem.workflow), "run")
    return Executor(problem, policy, calls, transport, **options)


def problem_of(case: Case, policy: str) -> tuple[Problem, Any]:
    return prepare_run(
        case.workload, case.trace, case.cluster, case.placement, case.routing,
        dispatch=Dispatch(mode=case.mode, policy=policy),
    )  # fmt: skip


def two_replicas(requests: int, *, slots: int = 1, gap_s: float = 1.0) -> tuple[Problem, Any]:
    """A workflow of two calls to one model, which has a replica on each of two servers."""
    slowdown = (1.0,) * slots
    flow = Workflow("chain", "chain", (Node("a", 0), Node("b", 0)), chain(2).edges)
    workload = Workload((model("m", slowdown=slowdown),), (flow,))
    trace = trace_of(
        workload,
        gap_s * np.arange(requests),
        np.zeros(requests, dtype=int),
        np.full(2 * requests, 0.4),
    )
    cluster = Cluster.homogeneous(2, 1, 80.0)
    placement = Placement.sorted(np.array([0, 0]), np.array([0, 1]), np.array([0, 0]))
    return prepare_run(workload, trace, cluster, placement, dispatch=Dispatch(policy="earliest"))
