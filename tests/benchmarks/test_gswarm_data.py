"""The page on the original's data lists what is lost, and not what is won."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gswarm_data import ROUTINGS, load, page
from placement.files.unread_fields import InputWarning


def row(case: str, method: str, **efficiency: float) -> dict[str, Any]:
    measured = {
        routing: {
            "server_efficiency": efficiency.get(routing, 50.0),
            "csc": 3,
            "utilization_variance": 4.0,
            "makespan_s": 100.0,
            "p99_s": 9.0,
        }
        for routing in ROUTINGS
    }
    return {
        "case": case, "gpus": 8, "gpus_per_server": 4, "mode": "online", "method": method,
        "objective": 1.0, "best_bound": 1.0, "status": "optimal", "max_utilization": 2.0,
        "replicas": 8, "solve_s": 1.0, **measured,
    }  # fmt: skip


def test_losses_are_listed_by_router() -> None:
    """A lower efficiency under `locality` counts, one under the blind `earliest` does not."""
    rows = [
        row("a", "ilp", plan=90.0, earliest=10.0),
        row("a", "greedy", plan=80.0, locality=60.0, earliest=99.0),
        row("b", "ilp", plan=90.0),
        row("b", "greedy", plan=80.0),
    ]
    listed = [line for line in page(rows).splitlines() if line.startswith("- ")]
    assert len(listed) == 1
    assert "a 8/4 online, greedy, router `locality`: 50.0 against 60.0" in listed[0]
    assert "In no case." in page(rows[2:])


def test_an_edge_that_begins_at_an_output_is_kept(tmp_path: Path) -> None:
    """The data are read as every command reads them: the edge begins at the node that makes it."""
    model = {"name": "M", "memory_gb": 8, "gpus_required": 1, "load_time_seconds": 1}
    nodes = [{"id": "a", "model": "m", "outputs": ["report"]}, {"id": "b", "model": "m"}]
    flow = {"name": "W", "nodes": nodes, "edges": [{"from": "report", "to": "b"}]}
    config = {"models": {"m": model}, "workflows": {"w": flow}}
    request = {
        "request_id": "r",
        "timestamp": "2025-01-01T00:00:00",
        "workflow_id": "w",
        "node_execution_times": {"a": 1.0, "b": 1.0},
    }
    (tmp_path / "case_config.json").write_text(json.dumps(config))
    (tmp_path / "case_requests.json").write_text(json.dumps([request]))
    with pytest.warns(InputWarning, match="'report' is no node but an output of 'a'"):
        workload, trace = load(tmp_path, "case")
    assert [(e.source, e.target) for e in workload.workflows[0].edges] == [(0, 1)]
    assert trace.n_requests == 1
