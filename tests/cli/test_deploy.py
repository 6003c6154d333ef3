"""Over Ray, on a cluster of two nodes with two GPUs each that are none: all in one module, for it
takes a quarter of a minute to start.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from placement.files.config_file import read_config
from placement.files.plan_file import read_plan
from placement.files.request_file import read_requests
from placement.problem.cluster import Cluster
from runtime.live.backoff import RetryParams
from runtime.live.execute import Followed, execute
from runtime.live.inputs import read_inputs
from runtime.live.station import Patience
from runtime.metrics import measure
from runtime.simulate import Dispatch, match_plan, prepare_run
from tests.cli.inputs import gswarm, write_inputs
from tests.cli.live_runs import ROOT
from tests.runtime.ray.plans import plan_with, written

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'gswarm-place[ray]'")

from ray.cluster_utils import Cluster as LocalRay  # noqa: E402

from runtime.ray.actor_calls import ActorTransport, endpoints_of  # noqa: E402
from runtime.ray.connection import connected  # noqa: E402
from runtime.ray.deploy import state_of  # noqa: E402
from runtime.ray.spread import spread_over  # noqa: E402

CONFIG = {
    "models": {
        "reader": {"name": "Reader", "memory_gb": 30, "gpus_required": 1, "load_time_seconds": 1,
                   "inference_time_mean": 0.2},
        "pair": {"name": "Pair", "memory_gb": 40, "gpus_required": 2, "load_time_seconds": 1,
                 "inference_time_mean": 0.2},
        "wide": {"name": "Wide", "memory_gb": 55, "gpus_required": 1, "load_time_seconds": 1,
                 "inference_time_mean": 0.2},
    },
    "workflows": {
        "chain": {
            "name": "Chain",
            "nodes": [{"id": m, "model": m, "inputs": [], "outputs": []}
                      for m in ("reader", "pair", "wide")],
            "edges": [{"from": "reader", "to": "pair"}, {"from": "pair", "to": "wide"}],
        },
    },
}  # fmt: skip
SEATS = [("reader", 0, 0), ("pair", 1, 0), ("wide", 1, 0), ("reader", 1, 1)]
"""When server 1 is lost, `pair` and `wide` fit beside the reader of server 0, its own does not."""
ALONE = [("pair", 0, 0), ("wide", 0, 0), ("reader", 0, 1)]
OWN = """
import os

class Own:
    def __init__(self, model):
        self.name = model.id

    def answer(self, asked):
        return f"{self.name} on GPU {os.environ['CUDA_VISIBLE_DEVICES']}"
"""
REQUESTS = 60
SCALE = 0.01


class Rig:
    """The cluster, whose second node comes and goes."""

    def __init__(self) -> None:
        common = {"num_cpus": 2, "num_gpus": 2, "node_ip_address": "127.0.0.1"}
        head = {**common, "include_dashboard": False, "labels": {"gswarm-server": "0"}}
        self.cluster = LocalRay(initialize_head=True, head_node_args=head)
        self.common = common
        self.second: Any = None
        self.come()

    def come(self) -> None:
        labels = {"gswarm-server": "1"}
        self.second = self.cluster.add_node(wait=True, labels=labels, **self.common)

    def go(self) -> None:
        self.cluster.remove_node(self.second, allow_graceful=False)


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    rig = Rig()
    try:
        with connected(rig.cluster.address):
            yield rig
    finally:
        rig.cluster.shutdown()


def inputs_in(
    folder: Path, seats: list[tuple[str, int, int]] = SEATS, gpus: int = 4
) -> dict[str, Path]:
    config, requests = folder / "config.yaml", folder / "requests.jsonl"
    config.write_text(yaml.safe_dump(CONFIG))
    lines = [
        {"request_id": f"r{i}", "timestamp": f"2026-01-01T00:00:{i:02}", "workflow_id": "chain",
         "node_execution_times": dict.fromkeys(CONFIG["models"], 0.1 + 0.01 * i)}
        for i in range(REQUESTS)
    ]  # fmt: skip
    requests.write_text("\n".join(map(json.dumps, lines)))
    plan = plan_with(config, requests, Cluster.homogeneous(gpus, 2, 80.0), seats)
    return {"plan": written(folder / "plan.yaml", plan), "config": config, "requests": requests}


def said(*arguments: object, code: int = 0) -> Any:
    done = gswarm(*map(str, arguments), "--json")
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


def free_gpus() -> float:
    return float(ray.available_resources().get("GPU", 0.0))


def where(rows: list[dict[str, Any]]) -> list[tuple[str, int | None, str | None]]:
    return [(r["state"], r["server"], r.get("visible")) for r in rows]


def test_the_same_bytes_with_ray_and_without(rig: Rig, tmp_path: Path) -> None:
    """`simulate --repeat` and `compare`, but for the seconds that solves took."""
    config, requests = write_inputs(tmp_path, requests=40)
    plan = tmp_path / "plan.json"
    files = ["--config", str(config), "--requests", str(requests)]
    assert gswarm("solve", *files, "--gpus", "8", "-o", str(plan), "-q").exit_code == 0
    run = ["simulate", *files, "--plan", str(plan), "--repeat", "5", "--json"]
    over = ["--ray", rig.cluster.address]
    assert gswarm(*run, *over).stdout_bytes == gswarm(*run).stdout_bytes
    row = ["compare", *files, "--gpus", "8", "--methods", "greedy", "--repeat", "2"]
    found = [said(*row), said(*row, *over)]
    for rows in found:
        for entry in rows["rows"]:
            entry["solve_seconds"] = None
    assert found[0]["rows"]
    assert found[0] == found[1]


def test_an_error_in_a_task_is_the_error(rig: Rig) -> None:
    """Results come in order up to it, and what comes behind is not waited for."""

    def half(n: int) -> int:
        if n % 2:
            raise ValueError(f"{n} is odd")
        return n // 2

    with spread_over(rig.cluster.address) as spread:
        assert list(spread(half, range(0, 20, 2))) == list(range(10))
        results = spread(half, [4, 2, 3, 8])
        assert [next(results), next(results)] == [2, 1]
        with pytest.raises(ValueError, match=r"^3 is odd$"):
            next(results)


def test_a_cluster_too_small_is_told_what_it_lacks(rig: Rig, tmp_path: Path) -> None:
    """And nothing is reserved; neither is it after a model that does not load."""
    inputs = inputs_in(tmp_path, [*SEATS, ("wide", 2, 0)], gpus=6)
    line = ["deploy", "--ray", rig.cluster.address, "--config", inputs["config"], "--plan"]
    done = gswarm(*map(str, [*line, inputs["plan"]]))
    assert done.exit_code == 1
    assert "1 more node with 2 free GPUs needed for type 'server' (servers 2)" in done.stderr
    inputs = inputs_in(tmp_path, ALONE, gpus=2)
    bad = tmp_path / "bad.py"
    bad.write_text("class Bad:\n    def __init__(self, model):\n        raise OSError('no disk')\n")
    done = gswarm(*map(str, [*line, inputs["plan"]]), "--own", f"pair={bad}:Bad")
    assert done.exit_code == 1
    assert "(pair): " in done.stderr
    assert "raised OSError: no disk" in done.stderr
    assert free_gpus() == 4


def test_what_is_shown_for_ray_runs(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deployed, called and taken down as the document shows it, on two nodes of two GPUs."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_ADDRESS", rig.cluster.address)
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "running.md").read_text(), re.DOTALL)
    lines = [shlex.split(line) for block in blocks for line in block.splitlines()]
    shown = [words[1:] for words in lines if words[0] != "ray" and {"ray.yaml", "auto"} & {*words}]
    assert [words[0] for words in shown] == ["solve", "deploy", "execute", "deploy"]
    for words in shown:
        done = gswarm(*words)
        assert done.exit_code == 0, done.output
        assert words[0] != "execute" or "500 completed, 0 failed" in done.output
    assert free_gpus() == 4


def test_a_plan_survives_the_loss_of_a_node(rig: Rig, tmp_path: Path) -> None:
    """Deployed, called while a node dies, placed anew where there is room, whole once it is back.

    Every request completes; figures and log are those of a run over HTTP.
    """
    inputs = inputs_in(tmp_path)
    own = tmp_path / "own.py"
    own.write_text(OWN)
    over = ["--ray", rig.cluster.address]
    files = [word for name, path in inputs.items() for word in (f"--{name}", path)]
    line = ["deploy", *over, *files, "--time-scale", SCALE, "--own", f"wide={own}:Own"]
    first = said(*line)["replicas"]
    assert where(first) == [
        ("serving", 0, "0"), ("serving", 1, "0,1"), ("serving", 1, "0"), ("serving", 1, "1"),
    ]  # fmt: skip
    assert free_gpus() == 0  # whole servers, whatever the plan leaves idle
    again = gswarm(*map(str, line))
    assert again.exit_code == 2
    assert "is there already" in again.stderr

    os.kill(first[0]["pid"], signal.SIGKILL)
    while state_of("gswarm-place").replicas[0].get("pid") in (None, first[0]["pid"]):
        pass  # a process that ends is started again where it stood

    workload = read_config(inputs["config"])
    trace = read_requests(inputs["requests"], workload)
    plan = read_plan(inputs["plan"])
    problem, policy = prepare_run(
        workload,
        trace,
        plan.cluster,
        *match_plan(plan, workload),
        dispatch=Dispatch(mode="offline", policy="plan"),
    )
    deaths = []

    def kill(done: int, total: int, now_s: float | None = None, /) -> None:
        if done >= total // 3 and not deaths:
            deaths.append(done)
            rig.go()

    live = execute(
        problem, policy, endpoints_of(state_of("gswarm-place"), problem, 60.0),
        read_inputs(inputs["requests"], trace.request_ids),
        patience=Patience(retry=RetryParams(retries=50), give_up_s=300.0),
        followed=Followed(progress=kill), transport=ActorTransport("gswarm-place"),
    )  # fmt: skip
    assert deaths
    metrics = measure(live.run)
    assert (metrics.completed_requests, metrics.failed_requests) == (REQUESTS, 0)
    assert not live.tally.failed
    assert sum(live.tally.faults_of) > 0

    status = said("deploy", *over, "--status", code=1)
    moved = status["replicas"]
    assert where(moved) == [
        ("serving", 0, "0"), ("serving", 0, "0,1"), ("serving", 0, "1"), ("missing", None, None),
    ]  # fmt: skip
    assert [r["moved"] for r in moved] == [False, True, True, False]
    (lack,) = status["missing"]
    assert lack.startswith("replica 3 (reader): needs a GPU with 30 GB free, and")
    assert "1 more node with 2 free GPUs needed" in lack

    rig.come()
    while not state_of("gswarm-place").is_whole:
        pass
    assert where(list(state_of("gswarm-place").replicas))[3] == ("serving", 1, "1")
    journal = tmp_path / "answers.jsonl"
    done = gswarm(
        "execute", *map(str, [*over, *files, "--time-scale", SCALE, "--journal", journal]), "--json"
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["live"]["calls_that_failed"] == 0
    assert "2 replicas do not stand where the plan has them" not in done.stdout
    answers = {line.get("output") for line in map(json.loads, journal.read_text().splitlines())}
    assert "wide on GPU 1" in answers
    assert said("deploy", *over, "--down") == {"name": "gswarm-place", "was_there": True}
    assert said("deploy", *over, "--down")["was_there"] is False
    assert free_gpus() == 4
