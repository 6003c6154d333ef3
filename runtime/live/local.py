"""A server a replica on this machine: emulated ones, and real small models where there are some."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
import yaml
from aiohttp import web

from placement.files.atomic import write_atomically
from placement.problem.cluster import Cluster
from placement.problem.plan import Plan
from placement.problem.solution import Placement
from placement.problem.trace import Trace
from placement.problem.workload import Model, Workload
from runtime.arrays import Problem, build_problem
from runtime.live.answers import ServiceTimes, how_called, inferring, made_up
from runtime.live.emulation import Emulator
from runtime.live.inference import Device, Engine, load_engine
from runtime.live.inference.own_process import OwnProcess
from runtime.live.replies import Answer, Asked
from runtime.live.server import AT_ONCE_S, ReplicaServer
from runtime.simulate import match_plan


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
                        self._answer(p, model),
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
            "models": {
                m.id: how_called(m, self._engines.get(p)) for p, m in enumerate(self._models)
            },
            "replicas": [{"replica": p, "url": s.url} for p, s in enumerate(self.servers)],
        }

    def _answer(self, replica: int, model: Model) -> Answer:
        if replica in self._engines:
            return inferring(self._engines[replica], model.max_concurrency)

        async def answer(asked: Asked) -> Any:
            await self.emulator.serve(replica, *self._times.of(model.id, asked))
            return made_up(model.id, asked)

        return answer


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


def load_engines(problem: Problem, device: Device | None) -> Mapping[int, Engine]:
    """Load what really infers, for every replica of which there is something.

    On GPUs each replica has a process of its own: in one they would wait for its Python and its
    stream rather than share a GPU.

    Raises
    ------
    ValueError
        With a sentence on what must be installed.
    ChildProcessError
        Where a process ended before its model was there.
    """
    if device is None:
        return {}
    models = problem.workload.models
    gpus = problem.replica_first_gpu.tolist()
    if device == "gpu":
        loads = [
            partial(load_engine, models[m], device, gpu)
            for m, gpu in zip(problem.placement.model, gpus, strict=True)
        ]
        processes = [OwnProcess(load) for load in loads]
        for process, m in zip(processes, problem.placement.model, strict=True):
            try:
                process.wait()
            except RuntimeError as error:
                raise ChildProcessError(
                    f"model {models[m].id!r}: {error} while it was loaded; where nothing else is "
                    "said, see whether the machine and its GPU have memory for all replicas"
                ) from None
        return dict(enumerate(processes))
    found = {}
    for p, m in enumerate(problem.placement.model):
        engine = load_engine(models[m], device, gpus[p])
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
    return idle_problem(workload, plan.cluster, placement)


def idle_problem(workload: Workload, cluster: Cluster, placement: Placement) -> Problem:
    """Lay out replicas, without any request.

    Parameters
    ----------
    workload : Workload
    cluster : Cluster
    placement : Placement
        In its canonical order, by the models of `workload`.
    """
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
    return build_problem(workload, trace, cluster, placement, "online", target, np.zeros(nodes))
