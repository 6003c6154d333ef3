"""The fields that the design fixes: `--json`, the execution log, and the console report."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.inputs import EXECUTION, SUMMARY, gswarm, solve_plan, write_inputs

SOLVE = {
    "method", "status", "objective", "best_bound", "gap", "server_efficiency", "edge_locality",
    "headroom", "max_utilization", "seconds", "gpus", "servers", "replicas",
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("run")
    config, requests = write_inputs(folder)
    plan, log = solve_plan(folder, config, requests), folder / "static_execution_log.json"
    inputs = ("--config", config, "--requests", requests)
    shown = gswarm("simulate", "--plan", plan, *inputs, "--log", log)
    said = gswarm("simulate", "--plan", plan, *inputs, "--json")
    both = ("--plan", plan, *inputs, "--locality", "gpu")
    assert shown.exit_code == said.exit_code == 0, shown.output
    return {
        "hops": (gswarm("simulate", *both).output, gswarm("simulate", *both, "--json").output),
        "console": shown.output,
        "summary": json.loads(said.output)["summary"],
        "log": json.loads(log.read_text()),
        "plan": json.loads(Path(plan).read_text()),
        "requests": [json.loads(line) for line in requests.read_text().splitlines()],
        "config": json.loads(config.read_text()),
    }


@pytest.mark.parametrize("method", ["ilp", "greedy", "local-search"])
def test_solve_json_has_every_field(method: str, tmp_path: Path) -> None:
    """Fractions of 1, sound against each other, and the figures of the plan that was written."""
    config, requests = write_inputs(tmp_path, requests=30)
    done = gswarm(
        "solve", "--config", config, "--requests", requests, "--gpus", "8", "--method", method,
        "--time-limit", "2", "-o", tmp_path / "plan.json", "--json",
    )  # fmt: skip
    said = json.loads(done.output)
    assert set(said) >= SOLVE
    plan = json.loads((tmp_path / "plan.json").read_text())
    for name in ("server_efficiency", "edge_locality"):
        assert 0 <= said[name] <= 1 + 1e-9
        assert said[name] == pytest.approx(plan["expected"][name])
    half = 0.5 * said["server_efficiency"] + 0.5 * said["edge_locality"]
    assert said["objective"] == pytest.approx(half)
    assert said["objective"] <= said["best_bound"] + 1e-9
    assert said["gap"] == pytest.approx(said["best_bound"] / said["objective"] - 1, abs=1e-9)
    assert said["headroom"] == pytest.approx(1 / said["max_utilization"])
    assert (said["method"], said["gpus"], said["servers"]) == (method, 8, 2)
    assert said["replicas"] == len(plan["replicas"])
    assert said["seconds"] > 0


def test_simulate_json_has_every_field(run: dict[str, Any]) -> None:
    """Names of section 8, and the distribution of request latencies."""
    summary = run["summary"]
    assert set(summary) >= SUMMARY
    assert set(summary["request_latency"]) == {"mean", "median", "p99", "min", "max"}
    assert summary["completed_requests"] == summary["total_requests"] == len(run["requests"])
    assert summary["simulate"] is True
    assert (summary["mode"], summary["gpus"], summary["gpus_per_server"]) == (
        "online",
        [*range(8)],
        4,
    )
    assert run["log"]["summary"] == summary


def test_the_log_has_every_field_and_gives_the_summary_back(run: dict[str, Any]) -> None:
    """Every metric recomputed from the executions of the log alone, without this project's code."""
    log, summary = run["log"], run["summary"]
    assert set(log) == {"summary", "gpu_assignments", "server_assignments", "executions"}
    rows = log["executions"]
    assert all(set(row) == EXECUTION for row in rows)
    assert len(rows) == summary["total_nodes_executed"]
    flows = run["config"]["workflows"]
    for row in rows:
        assert row["gpu_ids"][0] == row["gpu_id"]
        k = run["config"]["models"][row["model_name"]]["gpus_required"]
        assert row["gpu_ids"] == list(range(row["gpu_id"], row["gpu_id"] + k))
        assert row["end_time"] - row["start_time"] == pytest.approx(row["execution_time"])
        assert row["switch_time"] == 0
    servers: dict[str, dict[str, int]] = {}
    finish: Counter[str] = Counter()
    for row in rows:
        servers.setdefault(row["request_id"], {})[row["node_id"]] = row["server_id"]
        finish[row["request_id"]] = max(finish[row["request_id"]], row["end_time"])
    whole = sum(len(set(at.values())) == 1 for at in servers.values())
    assert summary["intra_server_workflows"] == whole
    assert summary["inter_server_workflows"] == len(servers) - whole
    assert summary["server_efficiency"] == pytest.approx(100 * whole / len(servers))
    crossings = sum(
        servers[r["request_id"]][e["from"]] != servers[r["request_id"]][e["to"]]
        for r in run["requests"]
        for e in flows[r["workflow_id"]]["edges"]
    )
    assert summary["cross_server_communications"] == crossings
    makespan = max(finish.values())
    assert summary["makespan"] == pytest.approx(makespan)
    assert summary["throughput"] == pytest.approx(len(servers) / makespan)
    busy = np.zeros(8)
    for row in rows:
        busy[row["gpu_ids"]] += row["execution_time"]
    share = 100 * busy / makespan
    assert summary["utilization_variance"] == pytest.approx(share.var())
    for gpu, said in log["gpu_assignments"].items():
        assert set(said) == {"server_id", "assigned_models", "utilization"}
        assert said["utilization"] == pytest.approx(share[int(gpu)])
        held = [r["model"] for r in run["plan"]["replicas"] if int(gpu) in r["gpus"]]
        assert sorted(said["assigned_models"]) == sorted(held)
    for server, said in log["server_assignments"].items():
        assert said["gpu_ids"] == list(range(4 * int(server), 4 * int(server) + 4))
        held = {r["model"] for r in run["plan"]["replicas"] if r["server"] == int(server)}
        assert set(said["models"]) == held
    waits = [row["waiting_time"] for row in rows]
    assert summary["avg_waiting_time"] == pytest.approx(np.mean(waits))
    assert summary["p99_waiting_time"] == pytest.approx(np.percentile(waits, 99))


def test_hops_between_gpus_are_counted_where_asked_for(run: dict[str, Any]) -> None:
    """The same summary, and beside it what stayed on one GPU; the console says it, too."""
    text, summary = run["hops"][0], json.loads(run["hops"][1])["summary"]
    assert run["summary"].items() <= summary.items()
    edges = summary["total_requests"] and sum(
        len(run["config"]["workflows"][r["workflow_id"]]["edges"]) for r in run["requests"]
    )
    stayed, hopped = (summary[f"{w}_gpu_communications"] for w in ("intra", "cross"))
    assert stayed + hopped + summary["cross_server_communications"] == edges
    flat = re.sub(r"\s+", " ", text)
    assert f"edges on one GPU {stayed:,} hops between GPUs {hopped:,} edges" in flat


def test_the_console_shows_every_metric_of_the_summary(run: dict[str, Any]) -> None:
    """Each figure of the original's output stands in the report, as the summary has it."""
    text, summary, log = run["console"], run["summary"], run["log"]
    flat = re.sub(r"\s+", " ", text)
    latency = summary["request_latency"]
    waiting, response = summary["node_waiting"], summary["node_response"]
    for words in (
        f"{summary['completed_requests']:,} completed, 0 failed",
        f"node executions {summary['total_nodes_executed']:,}",
        f"makespan {summary['makespan']:,.3f} s",
        f"{summary['throughput']:,.3f} requests/s, {summary['node_throughput']:,.3f} nodes/s",
        f"server efficiency {summary['server_efficiency']:.2f}%",
        f"intra-server workflows {summary['intra_server_workflows']:,}",
        f"inter-server workflows {summary['inter_server_workflows']:,}",
        f"cross-server comm. {summary['cross_server_communications']:,}",
        f"average utilization {summary['average_utilization']:.2f}%",
        f"utilization variance {summary['utilization_variance']:.2f}",
        "model switches 0",
        "overhead 0.00%",
        *(
            f"{name} " + " ".join(f"{d[k]:,.3f}" for k in ("mean", "median", "p99", "min", "max"))
            for name, d in (
                ("request latency", latency),
                ("node waiting", waiting),
                ("node response", response),
            )
        ),
    ):
        assert words in flat, words
    executions: Counter[int] = Counter()
    busy: Counter[int] = Counter()
    for row in log["executions"]:
        for gpu in row["gpu_ids"]:
            executions[gpu] += 1
            busy[gpu] += row["execution_time"]
    for gpu, said in log["gpu_assignments"].items():
        share = f"{said['utilization']:.1f}%"
        line = f"{gpu} {said['server_id']} {executions[int(gpu)]} {busy[int(gpu)]:,.1f} {share}"
        assert line in flat, line
