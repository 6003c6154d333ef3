"""Small inputs on disk for tests of commands."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result

from cli.main import main

HOSTILE_MODEL = "it's <b>$HOME</b>"
SUMMARY = {
    "total_requests", "completed_requests", "total_nodes_executed", "mode", "simulate", "gpus",
    "gpus_per_server", "makespan", "total_model_switches", "total_switch_time",
    "avg_waiting_time", "p99_waiting_time", "avg_response_time", "p99_response_time",
    "avg_request_response_time", "p99_request_response_time", "server_efficiency",
    "intra_server_workflows", "inter_server_workflows", "cross_server_communications",
    "utilization_variance", "throughput", "request_latency",
}  # fmt: skip
"""Fields that the summary of a run has at least."""
EXECUTION = {
    "request_id", "workflow_id", "node_id", "model_name", "gpu_id", "gpu_ids", "server_id",
    "start_time", "end_time", "execution_time", "estimated_time", "switch_time", "waiting_time",
}  # fmt: skip
"""Fields of an execution in a log."""


def gswarm(*arguments: str | Path) -> Result:
    """Run one command of the tool."""
    return CliRunner().invoke(main, [str(a) for a in arguments])


def write_inputs(folder: Path, *, requests: int = 60, seed: int = 0) -> tuple[Path, Path]:
    """Write a config of three models and two workflows, and a trace.

    One model has a hostile name.
    """
    models = {
        "big": {"memory_gb": 60, "gpus_required": 2, "inference_time_mean": 2.0},
        "small": {"memory_gb": 20, "gpus_required": 1, "inference_time_mean": 1.0},
        HOSTILE_MODEL: {"memory_gb": 10, "gpus_required": 1, "inference_time_mean": 0.5},
    }
    chains = {"chat": ["big", "small"], "search": ["small", HOSTILE_MODEL, "big"]}
    config = {
        "models": {m: {"name": m, "load_time_seconds": 1, **v} for m, v in models.items()},
        "workflows": {
            w: {
                "name": w,
                "nodes": [{"id": f"n{i}", "model": m} for i, m in enumerate(chain)],
                "edges": [{"from": f"n{i}", "to": f"n{i + 1}"} for i in range(len(chain) - 1)],
            }
            for w, chain in chains.items()
        },
    }
    rng = np.random.default_rng(seed)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    lines = []
    for r in range(requests):
        at += timedelta(seconds=float(rng.exponential(1.0)))
        name = ("chat", "search")[int(rng.integers(2))]
        times = {f"n{i}": float(rng.uniform(0.5, 2)) for i in range(len(chains[name]))}
        lines.append(
            json.dumps(
                {
                    "request_id": f"r{r}",
                    "timestamp": at.isoformat(),
                    "workflow_id": name,
                    "node_execution_times": times,
                }
            )
        )
    paths = folder / "config.json", folder / "requests.jsonl"
    paths[0].write_text(json.dumps(config))
    paths[1].write_text("\n".join(lines))
    return paths


def solve_plan(folder: Path, config: Path, requests: Path, *, method: str = "greedy") -> Path:
    """Solve for two servers of four GPUs."""
    plan = folder / f"{method}.json"
    done = gswarm(
        "solve", "--config", config, "--requests", requests, "--gpus", "8", "--method", method,
        "--history", folder / "history.json", "-o", plan, "--quiet",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return plan
