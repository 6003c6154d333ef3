"""Small plans with shared GPUs, hostile names and models of several kinds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from placement.files.config_file import read_config
from placement.files.plan_file import read_plan
from placement.problem.plan import Plan
from placement.problem.workload import Workload
from tests.cli.inputs import gswarm

HOSTILE = "a'b\" $(touch hit) `x` ${HOME} %i %% \\ {not} ; é\n#"

MODELS: dict[str, dict[str, Any]] = {
    "big": {"memory_gb": 60, "gpus_required": 2, "max_concurrency": 4, "type": "llm"},
    "small": {
        "memory_gb": 20,
        "gpus_required": 1,
        "serve": {"hf_id": "org/Small-7B", "args": ["--max-model-len", "8192"]},
    },
    HOSTILE: {"memory_gb": 5, "gpus_required": 1, "type": "embedding"},
    "painter": {
        "memory_gb": 10,
        "gpus_required": 1,
        "type": "diffusion",
        "serve": {
            "command": "paint --port {port} --json '{\"steps\": 30}' --load",
            "args": ["{model}"],
            "image": "registry.example/paint:1",
            "health": "/ready",
        },
    },
}


def write_case(
    folder: Path, models: dict[str, Any] | None = None, *, gpus: int = 4, per_server: int = 2
) -> dict[str, str]:
    """Solve a small case, and give the paths of plan, config and requests."""
    models = MODELS if models is None else models
    config = {
        "models": {
            name: {"name": name, "load_time_seconds": 1, "inference_time_mean": 1.0, **model}
            for name, model in models.items()
        },
        "workflows": {
            "all": {
                "nodes": [{"id": f"n{i}", "model": name} for i, name in enumerate(models)],
                "edges": [{"from": f"n{i}", "to": f"n{i + 1}"} for i in range(len(models) - 1)],
            }
        },
    }
    paths = {name: str(folder / f"{name}.json") for name in ("plan", "config", "requests")}
    Path(paths["config"]).write_text(json.dumps(config))
    requests = [
        {"request_id": f"r{i}", "timestamp": f"2026-01-01T00:00:{3 * i:02}Z", "workflow_id": "all"}
        for i in range(6)
    ]
    Path(paths["requests"]).write_text(json.dumps(requests))
    done = gswarm(
        "solve", "--config", paths["config"], "--requests", paths["requests"], "--gpus", str(gpus),
        "--gpus-per-server", str(per_server), "--method", "greedy", "-o", paths["plan"], "-q",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return paths


def read_case(paths: dict[str, str]) -> tuple[Plan, Workload]:
    return read_plan(paths["plan"]), read_config(paths["config"])
