"""Runs against servers of a test's own: inputs, servers, and commands as processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import yaml
from click.testing import Result

from placement.files.config_file import read_config
from placement.files.plan_file import read_plan
from placement.files.request_file import read_requests
from runtime.live.answers import ServiceTimes
from runtime.live.local import LocalCluster, LocalSettings, served_problem
from tests.cli.inputs import gswarm, solve_plan, write_inputs
from tests.runtime.live.servers import answering, beside

SCALE = 0.002
ROOT = Path(__file__).parents[2]

Inputs = dict[str, Path]


def inputs_in(folder: Path) -> Inputs:
    """Write a config, a trace and a plan of it into a folder."""
    config, requests = write_inputs(folder, requests=40)
    return {"plan": solve_plan(folder, config, requests), "config": config, "requests": requests}


def line(inputs: Inputs, endpoints: Path, *more: object) -> list[str]:
    files = [str(word) for name, path in inputs.items() for word in (f"--{name}", path)]
    return [
        "execute", *files, "--endpoints", str(endpoints), "--time-scale", str(SCALE),
        "--mode", "offline", *map(str, more),
    ]  # fmt: skip


def execute(inputs: Inputs, endpoints: Path, *more: object) -> Result:
    return gswarm(*line(inputs, endpoints, *more))


@contextmanager
def emulated(inputs: Inputs, path: Path, scale: float = SCALE) -> Iterator[tuple[Any, Any]]:
    """Emulated servers of all replicas, and their endpoints in a file."""
    workload = read_config(inputs["config"])
    problem = served_problem(workload, read_plan(inputs["plan"]))
    times = ServiceTimes(workload, read_requests(inputs["requests"], workload), workload.models)

    @asynccontextmanager
    async def make() -> AsyncIterator[LocalCluster]:
        async with LocalCluster(problem, times, LocalSettings(time_scale=scale)) as cluster:
            yield cluster

    with beside(make) as (other, cluster):
        path.write_text(yaml.safe_dump(cluster.endpoints()))
        yield other, cluster


@contextmanager
def counted(inputs: Inputs, path: Path, answers: list[Any]) -> Iterator[Any]:
    """Servers of the test's own, one a replica, and their endpoints in a file."""
    with beside(lambda: answering(answers)) as (other, servers):
        entries = [{"replica": p, "url": s.url} for p, s in enumerate(servers)]
        path.write_text(yaml.safe_dump({"replicas": entries}))
        yield other, servers


def replicas(inputs: Inputs) -> int:
    return len(json.loads(inputs["plan"].read_text())["replicas"])


def numbered_nodes(inputs: Inputs) -> list[tuple[str, str]]:
    """Request and node of every execution, by its number."""
    flows = json.loads(inputs["config"].read_text())["workflows"]
    records = [json.loads(text) for text in inputs["requests"].read_text().splitlines()]
    return [
        (r["request_id"], node["id"]) for r in records for node in flows[r["workflow_id"]]["nodes"]
    ]


def every_node(inputs: Inputs) -> set[tuple[str, str]]:
    return set(numbered_nodes(inputs))


def journaled(path: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in path.read_bytes().split(b"\n")[1:-1]]


class Process:
    """The command in a process of its own."""

    def __init__(self, arguments: list[str], **options: Any) -> None:
        code = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_DFL)\n{RUN}"
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, **options,
        )  # fmt: skip

    def end(self, number: int) -> tuple[int, str, str]:
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err


RUN = "from cli.entry import main\nmain()\n"
