"""The whole chain on one real GPU: solve, serve, call, log; `benchmarks.hardware` judges the logs.

    python -m benchmarks.gpu_run [--emulated] [--requests N] [--out FILE]

To be run on a machine with a GPU and PyTorch. Three transformers with random weights share it, each
in a process of its own, as `serve-local --real gpu` serves them. First every model is called alone,
one call after the other; what half of its calls take is its time in the config, by which the loads
are meant. Then Poisson arrivals at two loads, and all requests at once. Five minutes on an H100;
`--emulated` tries the same without a GPU.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from placement.files.atomic import write_atomically

DATA = Path(__file__).parent / "data" / "gpu_run.json"
START = datetime(2026, 1, 1, tzinfo=UTC)
MODELS = {"writer": (2.0, 80, 0.3), "drafter": (1.0, 50, 0.1), "judge": (0.5, 20, 0.03)}
"""Gigabytes of weights, tokens of an answer, and seconds of a call before they are measured."""

WORKFLOWS = {
    "write": (("draft", "drafter"), ("text", "writer"), ("verdict", "judge")),
    "sketch": (("draft", "drafter"), ("verdict", "judge")),
    "text": (("text", "writer"),),
}
"""Chains of nodes: name and model of each."""

LOADS = {"load40": 0.4, "load70": 0.7}
ALONE = 8
"""Requests of each workflow from which the times alone are taken."""

READY_S = 180.0
"""For models to be loaded."""


def config(seconds: dict[str, float]) -> dict[str, Any]:
    """The config, with the seconds of a call of each model."""
    return {
        "models": {
            name: {
                "name": name,
                "type": "llm",
                "memory_gb": gigabytes,
                "gpus_required": 1,
                "load_time_seconds": 1.0,
                "inference_time_mean": seconds[name],
                "token_mean": tokens,
            }
            for name, (gigabytes, tokens, _) in MODELS.items()
        },
        "workflows": {
            name: {
                "name": name,
                "nodes": [
                    {"id": node, "model": model, "inputs": [before], "outputs": [node]}
                    for (node, model), before in zip(
                        chain, ("prompt", *(n for n, _ in chain)), strict=False
                    )
                ],
                "edges": [{"from": a, "to": b} for (a, _), (b, _) in pairwise(chain)],
            }
            for name, chain in WORKFLOWS.items()
        },
    }


def requests(arrivals_s: list[float], workflows: list[str]) -> list[dict[str, Any]]:
    """Rows of a trace."""
    return [
        {
            "request_id": f"q{i}",
            "timestamp": (START + timedelta(seconds=at)).isoformat(),
            "workflow_id": name,
            "input_data": {"prompt": f"Write a sentence about the number {i}."},
        }
        for i, (at, name) in enumerate(zip(arrivals_s, workflows, strict=True))
    ]


def poisson(count: int, load: float, seconds: dict[str, float], seed: int) -> list[dict[str, Any]]:
    """Workflows in equal parts at random instants.

    Parameters
    ----------
    count : int
        Of requests.
    load : float
        Seconds of work a second of the one GPU.
    seconds : dict
        Of a call of each model.
    seed : int
    """
    rng = np.random.default_rng(seed)
    work = {w: sum(seconds[model] for _, model in chain) for w, chain in WORKFLOWS.items()}
    gap_s = sum(work.values()) / len(work) / load
    arrivals = np.cumsum(rng.exponential(gap_s, count))
    names = [list(WORKFLOWS)[i] for i in rng.integers(len(WORKFLOWS), size=count)]
    return requests((arrivals - arrivals[0]).tolist(), names)


def gswarm(folder: Path, *words: str) -> list[str]:
    """A command of the tool on the files of the folder."""
    files = ["--plan", str(folder / "plan.yaml"), "--config", str(folder / "config.json")]
    return [sys.executable, "-m", "cli", *words, *files]


@contextmanager
def served(folder: Path, *, emulated: bool) -> Iterator[Path]:
    """Serve the plan of the folder; give the endpoints file."""
    endpoints = folder / "endpoints.yaml"
    device = [] if emulated else ["--real", "gpu"]
    command = gswarm(folder, "serve-local", *device, "--quiet", "-o", str(endpoints))
    server = subprocess.Popen(command)
    try:
        until = time.monotonic() + READY_S
        while not endpoints.exists():
            if server.poll() is not None or time.monotonic() > until:
                raise SystemExit("serve-local did not come up")
            time.sleep(0.1)
        yield endpoints
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)


def run(
    folder: Path, endpoints: Path, label: str, rows: list[dict[str, Any]], mode: str
) -> dict[str, Any]:
    """Execute a trace; give its requests and what the log has of every call.

    Parameters
    ----------
    folder : Path
        Of the plan and the config.
    endpoints : Path
        Where the replicas are served.
    label : str
        Name of the run.
    rows : list of dict
        Of the trace.
    mode : {"online", "offline"}
    """
    trace, log = folder / f"{label}.jsonl", folder / f"{label}.json"
    trace.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = gswarm(folder, "execute", "--requests", str(trace), "--endpoints", str(endpoints))
    subprocess.run([*command, "--mode", mode, "--log", str(log), "--quiet"], check=True)
    keep = (
        "request_id", "workflow_id", "node_id", "model_name", "gpu_ids", "server_id",
        "start_time", "end_time",
    )  # fmt: skip
    calls = json.loads(log.read_text())["executions"]
    return {
        "label": label,
        "mode": mode,
        "requests": [{k: v for k, v in row.items() if k != "input_data"} for row in rows],
        "executions": [{k: _micro(call[k]) for k in keep} for call in calls],
    }


def _micro(value: Any) -> Any:
    """To the microsecond, if it is a time."""
    return round(value, 6) if isinstance(value, float) else value


def seconds_alone(calls: list[dict[str, Any]]) -> dict[str, float]:
    """Median seconds of the calls of each model; the first may wait for kernels to be loaded."""
    taken: dict[str, list[float]] = {name: [] for name in MODELS}
    for call in calls:
        taken[call["model_name"]].append(call["end_time"] - call["start_time"])
    return {name: float(np.median(seconds)) for name, seconds in taken.items()}


def measure(folder: Path, count: int, *, emulated: bool) -> dict[str, Any]:
    """Run all of it in an empty folder.

    Parameters
    ----------
    folder : Path
    count : int
        Requests of each run but the first.
    emulated : bool
        Without a GPU.
    """
    guessed = {name: seconds for name, (_, _, seconds) in MODELS.items()}
    (folder / "config.json").write_text(json.dumps(config(guessed)))
    trace = folder / "solve.jsonl"
    trace.write_text("".join(json.dumps(r) + "\n" for r in poisson(60, 0.5, guessed, 0)))
    solve = [sys.executable, "-m", "cli", "solve", "--config", str(folder / "config.json")]
    one_gpu = ["--requests", str(trace), "--gpus", "1", "--gpus-per-server", "1", "--quiet"]
    subprocess.run([*solve, *one_gpu, "-o", str(folder / "plan.yaml")], check=True)
    with served(folder, emulated=emulated) as endpoints:
        names = list(WORKFLOWS) * ALONE
        sparse = requests([i * 2.0 * sum(guessed.values()) for i in range(len(names))], names)
        runs = [run(folder, endpoints, "alone", sparse, "online")]
        alone = seconds_alone(runs[0]["executions"])
        (folder / "config.json").write_text(json.dumps(config(alone)))
        for seed, (label, load) in enumerate(LOADS.items()):
            rows = poisson(count, load, alone, seed + 1)
            runs.append(run(folder, endpoints, label, rows, "online"))
        rows = poisson(count, 0.7, alone, 9)
        runs.append(run(folder, endpoints, "offline", rows, "offline"))
    return {"gpu": "emulated" if emulated else gpu_name(), "config": config(alone), "runs": runs}


def gpu_name() -> str:
    """What PyTorch calls the GPU."""
    import torch

    return str(torch.cuda.get_device_name(0))


def main() -> None:
    """Measure, and write what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--emulated", action="store_true", help="without a GPU, by the simulator")
    parser.add_argument("--requests", type=int, default=80, help="of each run (default 80)")
    parser.add_argument("--out", type=Path, default=DATA)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seen = measure(Path(folder), asked.requests, emulated=asked.emulated)
    write_atomically(asked.out, json.dumps(seen) + "\n")


if __name__ == "__main__":
    main()
