"""A server a replica on this machine: emulated ones, and real small models where there are some."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import yaml
from aiohttp import web

from placement.files.atomic import write_atomically
from placement.problem.plan import Plan
from placement.problem.trace import Trace, prefill_times
from placement.problem.workload import Model, Workload
from runtime.arrays import Problem, build_problem
from runtime.live.emulation import Emulator
from runtime.live.inference import Device, Engine, load_engine
from runtime.live.kinds import KIND_OF_TYPE
from runtime.live.server import AT_ONCE_S, Answer, Asked, ReplicaServer
from runtime.simulate import match_plan

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478da63"
    "fcffff3f030005fe02fea73581e40000000049454e44ae426082"
)
"""A PNG of one pixel."""

ECHOED = 200
"""Characters of a call's text that an emulated model says back."""

DIMENSIONS = 8
"""Of an emulated embedding."""


@dataclass(frozen=True)
class LocalSettings:
    """How replicas are served on this machine.

    Parameters
    ----------
    host : str
        Address to listen on.
    first_port : int
        Of replica 0, the next for replica 1 and so on; 0 takes any that are free.
    time_scale : float
        Seconds that a second of the trace takes on an emulated replica.
    """

    host: str = "127.0.0.1"
    first_port: int = 0
    time_scale: float = 1.0


class ServiceTimes:
    """How long an emulated call takes: what the trace says of it, else what the config says.

    Raises
    ------
    ValueError
        With a sentence, where neither says it.
    """

    def __init__(self, workload: Workload, trace: Trace | None, models: Iterable[Model]) -> None:
        self._known = {} if trace is None else _times_of(workload, trace)
        self._of_model = {
            m.id: (m.service_time_s or 0.0, 0.0 if m.chunked_prefill else m.prefill_time_s)
            for m in workload.models
        }
        for model in models:
            if trace is None and model.service_time_s is None:
                raise ValueError(
                    f"nothing says how long model {model.id!r} takes; give its "
                    "inference_time_mean in the config, or a trace with --requests"
                )

    def of(self, model: str, asked: Asked) -> tuple[float, float]:
        """Seconds of one call at speed 1, and of its prefill among them."""
        known = self._known.get((asked.request_id, asked.node_id))
        return self._of_model[model] if known is None else known


def _times_of(workload: Workload, trace: Trace) -> dict[tuple[str, str], tuple[float, float]]:
    known = {}
    names = [[node.id for node in flow.nodes] for flow in workload.workflows]
    service, prefill = trace.service_s.tolist(), prefill_times(workload, trace).tolist()
    for r, (first, w) in enumerate(
        zip(trace.offset.tolist(), trace.workflow.tolist(), strict=False)
    ):
        for v, name in enumerate(names[w]):
            known[trace.request_ids[r], name] = service[first + v], prefill[first + v]
    return known


class LocalCluster:
    """The servers of all replicas of a plan; to be made inside a running event loop.

    Parameters
    ----------
    problem : Problem
        Its replicas are served.
    times : ServiceTimes
    settings : LocalSettings
    engines : mapping
        Really inferring models by replica; all others are emulated.
    """

    def __init__(
        self,
        problem: Problem,
        times: ServiceTimes,
        settings: LocalSettings | None = None,
        engines: Mapping[int, Engine] | None = None,
    ) -> None:
        self.settings = settings or LocalSettings()
        self._times = times
        self._engines = engines or {}
        models = problem.workload.models
        self._models = [models[m] for m in problem.placement.model]
        self.emulator = Emulator(problem, time_scale=self.settings.time_scale)
        self.servers: list[ReplicaServer] = []
        try:
            for p, model in enumerate(self._models):
                port = self.settings.first_port and self.settings.first_port + p
                self.servers.append(
                    ReplicaServer(
                        model.id,
                        self._infer(p, model) if p in self._engines else self._emulate(p, model.id),
                        host=self.settings.host,
                        port=port,
                    )
                )
        except OSError as error:
            raise ValueError(
                f"{self.settings.host}, port {port}: {error.strerror}; choose another --port"
            ) from None

    async def __aenter__(self) -> LocalCluster:
        for server in self.servers:
            await server.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        for server in self.servers:
            if server.alive:
                await server.kill()

    def endpoints(self) -> dict[str, Any]:
        """Give what the endpoints file of `execute` holds."""
        scale = self.settings.time_scale
        return {
            **({} if scale == 1.0 else {"time_scale": scale}),
            "models": {m.id: self._call(p, m) for p, m in enumerate(self._models)},
            "replicas": [{"replica": p, "url": s.url} for p, s in enumerate(self.servers)],
        }

    def _call(self, replica: int, model: Model) -> dict[str, Any]:
        """How a model is called, by what serves it."""
        engine = self._engines.get(replica)
        if engine is None:
            return {"kind": KIND_OF_TYPE.get((model.type or "").lower(), "chat")}
        call: dict[str, Any] = {"kind": engine.kind}
        if engine.body:
            call["body"] = dict(engine.body)
        if engine.output is not None:
            call["output"] = engine.output
        return call

    def _infer(self, replica: int, model: Model) -> Answer:
        """Infer in threads of the replica's own, as many as it takes calls at once."""
        threads = ThreadPoolExecutor(model.max_concurrency, f"replica-{replica}")
        engine = self._engines[replica]

        async def answer(asked: Asked) -> Any:
            return await asyncio.get_running_loop().run_in_executor(threads, engine.answer, asked)

        return answer

    def _emulate(self, replica: int, model: str) -> Answer:
        async def answer(asked: Asked) -> Any:
            await self.emulator.serve(replica, *self._times.of(model, asked))
            return made_up(model, asked)

        return answer


def made_up(model: str, asked: Asked) -> Any:
    """Answer as a model would in form: text that says the call back, a vector, a picture."""
    text = asked.text[:ECHOED]
    match asked.kind:
        case "embeddings":
            weights = [0] * DIMENSIONS
            for i, byte in enumerate(text.encode()):
                weights[i % DIMENSIONS] += byte
            length = sum(w * w for w in weights) ** 0.5 or 1.0
            return [w / length for w in weights]
        case "images":
            return PIXEL
        case "json":
            return {"model": model, "output": text}
        case _:
            return f"[{model}] {text}"


class Admin:
    """A server that kills and lists replicas, for tests and drills; on this machine only.

    A web page cannot reach it: it asks for a header that pages may not send unasked.
    """

    HEADER = "X-Gswarm-Admin"

    def __init__(self, cluster: LocalCluster) -> None:
        self._cluster = cluster
        self.url = ""
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Admin:
        app = web.Application()
        app.router.add_get("/replicas", self._list)
        app.router.add_post("/replicas/{replica}/kill", self._kill)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=AT_ONCE_S)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def _list(self, request: web.Request) -> web.Response:
        rows = [
            {"replica": p, "model": s.model, "url": s.url, "alive": s.alive, "served": s.served}
            for p, s in enumerate(self._cluster.servers)
        ]
        return web.json_response({"replicas": rows})

    async def _kill(self, request: web.Request) -> web.Response:
        if self.HEADER not in request.headers:
            return web.json_response({"error": f"send the header {self.HEADER}"}, status=403)
        name = request.match_info["replica"]
        servers = self._cluster.servers
        if not name.isdecimal() or int(name) >= len(servers):
            return web.json_response({"error": f"there is no replica {name!r}"}, status=404)
        await servers[int(name)].kill()
        return web.json_response({"killed": int(name)})


def write_endpoints(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Write an endpoints file, whole or not at all.

    Raises
    ------
    OSError
    """
    write_atomically(path, yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True))


async def serve(
    problem: Problem,
    times: ServiceTimes,
    settings: LocalSettings,
    engines: Mapping[int, Engine],
    ready: Callable[[LocalCluster, Admin], None],
) -> None:
    """Serve every replica until the task is cancelled; `ready` is told when all answer.

    Parameters
    ----------
    problem : Problem
        Replicas and their models.
    times : ServiceTimes
        Seconds that each call takes.
    settings : LocalSettings
        Address, ports and time scale.
    engines : mapping
        What infers, by model; the others only wait.
    ready : callable
        Called once, with the cluster and its control server.
    """
    cluster = LocalCluster(problem, times, settings, engines)
    async with cluster, Admin(cluster) as admin:
        ready(cluster, admin)
        await asyncio.Event().wait()


def load_engines(problem: Problem, device: Device | None) -> dict[int, Engine]:
    """Load what really infers, for every replica of which there is something.

    Raises
    ------
    ValueError
        With a sentence on what must be installed.
    """
    if device is None:
        return {}
    models = problem.workload.models
    found = {}
    for p, m in enumerate(problem.placement.model):
        engine = load_engine(models[m], device, int(problem.replica_first_gpu[p]))
        if engine is not None:
            found[p] = engine
    return found


def served_problem(workload: Workload, plan: Plan) -> Problem:
    """Lay out the replicas of a plan, without any request.

    Raises
    ------
    ValueError
        Where plan and workload do not belong together.
    """
    placement, _ = match_plan(plan, workload)
    nothing = np.zeros(0)
    trace = Trace(
        request_ids=(),
        arrival_s=nothing,
        workflow=nothing.astype(np.int64),
        service_s=nothing,
        offset=np.zeros(1, dtype=np.int64),
        start=datetime(2025, 1, 1, tzinfo=UTC),
    )
    nodes = sum(len(flow.nodes) for flow in workload.workflows)
    target = nothing.astype(np.int32)
    return build_problem(
        workload, trace, plan.cluster, placement, "online", target, np.zeros(nodes)
    )
