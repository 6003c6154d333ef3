"""`serve-local` as a whole: where it serves, what it kills, how it ends."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from runtime.live.server import ReplicaServer
from tests.cli.inputs import gswarm
from tests.cli.live_runs import (
    SCALE,
    Inputs,
    Process,
    every_node,
    execute,
    inputs_in,
)
from tests.runtime.live.servers import Counting, dies


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return inputs_in(tmp_path_factory.mktemp("inputs"))


@pytest.mark.skipif(sys.platform == "win32", reason="signals of another kind")
def test_serve_local_says_where_it_serves_and_kills_on_demand(
    inputs: Inputs, tmp_path: Path
) -> None:
    """Its endpoints file is taken as it is; a killed replica answers nobody."""
    endpoints = tmp_path / "e.yaml"
    arguments = ["serve-local", "--plan", inputs["plan"], "--config", inputs["config"],
                 "--time-scale", SCALE, "-o", endpoints, "--json"]  # fmt: skip
    process = Process([*map(str, arguments)])
    assert process.process.stdout is not None
    text = ""
    while not text.endswith("}\n") or text.count("{") != text.count("}"):
        part = process.process.stdout.readline()
        assert part, process.wait()
        text += part
    said = json.loads(text)

    async def admin(method: str, path: str, **headers: str) -> tuple[int, Any]:
        import aiohttp

        async with (
            aiohttp.ClientSession() as session,
            session.request(method, said["admin"] + path, headers=headers) as answer,
        ):
            return answer.status, await answer.json()

    try:
        assert execute(inputs, endpoints, "--quiet").exit_code == 0
        assert asyncio.run(admin("POST", "/replicas/0/kill"))[0] == 403
        mark = {"X-Gswarm-Admin": "1"}
        assert asyncio.run(admin("POST", "/replicas/99/kill", **mark))[0] == 404
        assert asyncio.run(admin("POST", "/replicas/0/kill", **mark)) == (200, {"killed": 0})
        rows = asyncio.run(admin("GET", "/replicas"))[1]["replicas"]
        assert [r["alive"] for r in rows] == [False] + [True] * (len(rows) - 1)
        assert sum(r["served"] for r in rows) == len(every_node(inputs))
        assert all(r["url"].startswith("http://127.0.0.1:") for r in rows)
    finally:
        code, _, err = process.end(signal.SIGINT)
    assert (code, err) == (130, "interrupted\n")


def test_a_port_that_is_taken_is_said() -> None:
    """With what to do; nothing stays open."""
    first = ReplicaServer("m", Counting())
    with pytest.raises(OSError):
        ReplicaServer("m", Counting(), port=first.port)
    asyncio.run(first.kill())


@pytest.mark.skipif(sys.platform == "win32", reason="signals of another kind")
def test_a_model_whose_process_dies_while_it_is_loaded_is_named(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work failed, and that in a sentence; nothing is served."""
    monkeypatch.setattr("runtime.live.local.load_engine", dies)
    endpoints = tmp_path / "e.yaml"
    done = gswarm("serve-local", "--plan", inputs["plan"], "--config", inputs["config"],
                  "--real", "gpu", "-o", endpoints)  # fmt: skip
    assert done.exit_code == 1
    assert "error: model " in done.stderr
    assert "(code -9) while it was loaded" in done.stderr
    assert "internal" not in done.stderr
    assert not endpoints.exists()
