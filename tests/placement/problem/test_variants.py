"""Variants of a workflow against the same graph written out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from placement.files.config_file import read_config
from placement.files.request_file import read_requests
from placement.problem.cluster import Cluster
from placement.problem.trace import Trace, measure_demand
from placement.problem.variants import as_run, variant
from placement.problem.workload import Edge, Node, Workflow, Workload
from placement.solve import solve
from placement.support.faults import InputError
from runtime.simulate import simulate

MODELS = {
    name: {
        "name": name, "memory_gb": 10, "gpus_required": k, "load_time_seconds": 1,
        "inference_time_mean": 2,
    }
    for name, k in (("route", 1), ("draft", 1), ("large", 2), ("tool", 0))
}  # fmt: skip
NODES = [{"id": name, "model": name} for name in MODELS]
DIAMOND = [("route", "draft"), ("route", "large"), ("draft", "tool"), ("large", "tool")]


def read(tmp_path: Path, nodes: list[dict[str, str]], edges: list[tuple[str, str]],
         times: list[dict[str, object]]) -> tuple[Workload, Trace]:  # fmt: skip
    """Write a config and a trace, and read them back."""
    flow = {"nodes": nodes, "edges": [{"from": a, "to": b, "payload_mb": 8} for a, b in edges]}
    (tmp_path / "c.json").write_text(json.dumps({"models": MODELS, "workflows": {"w": flow}}))
    rows = [
        {"request_id": i, "timestamp": f"2026-01-01T00:00:{i:02}", "workflow_id": "w",
         "node_execution_times": t}
        for i, t in enumerate(times)
    ]  # fmt: skip
    (tmp_path / "r.json").write_text(json.dumps(rows))
    workload = read_config(tmp_path / "c.json")
    return workload, read_requests(tmp_path / "r.json", workload)


def test_steps_run_as_often_as_the_request_says() -> None:
    """Repeats are a chain; what is left out leaves its order behind, and no data."""
    names = "abcd"
    flow = Workflow(
        "w", "w", tuple(Node(n, i) for i, n in enumerate(names)),
        (Edge(0, 1, 5.0), Edge(1, 2, 6.0), Edge(2, 3, 7.0), Edge(0, 3, 8.0, shared_prefix=0.5)),
    )  # fmt: skip
    found = variant(flow, (2, 0, 0, 1))
    assert [n.id for n in found.nodes] == ["a", "a#2", "d"]
    assert set(found.edges) == {Edge(0, 1), Edge(1, 2, 8.0, shared_prefix=0.5)}
    found = variant(flow, (1, 0, 1, 3))
    assert [n.id for n in found.nodes] == ["a", "c", "d", "d#2", "d#3"]
    assert set(found.edges) == {
        Edge(0, 1, carries=False), Edge(1, 2, 7.0), Edge(0, 2, 8.0, shared_prefix=0.5),
        Edge(2, 3), Edge(3, 4),
    }  # fmt: skip
    assert variant(flow, (1, 1, 1, 1)) is flow


def test_a_variant_is_placed_and_runs_as_its_graph_written_out(tmp_path: Path) -> None:
    """Null, lists and steps without a GPU, against a config that has just these nodes."""
    odd = {"route": 1, "draft": [2, 3], "large": None, "tool": 4}
    workload, trace = read(tmp_path, NODES, DIAMOND, [odd] * 8)
    plain = {"route": 1, "draft": 2, "again": 3, "tool": 4}
    nodes = [
        {"id": "route", "model": "route"}, {"id": "draft", "model": "draft"},
        {"id": "again", "model": "draft"}, {"id": "tool", "model": "tool"},
    ]  # fmt: skip
    edges = [("route", "draft"), ("draft", "again"), ("again", "tool")]
    other, written = read(tmp_path, nodes, edges, [plain] * 8)
    cluster = Cluster.homogeneous(2, 2)
    one, two = solve(workload, trace, cluster), solve(other, written, cluster)
    assert one.certificate.objective == two.certificate.objective == pytest.approx(1.0)
    assert one.expected["max_utilization"] == pytest.approx(two.expected["max_utilization"])
    runs = simulate(workload, trace, one), simulate(other, written, two)
    np.testing.assert_array_equal(runs[0].end_s, runs[1].end_s)
    assert runs[0].metrics.total_nodes_executed == 8 * 4
    # The tool is on no GPU: it is not placed, and nothing waits for it or crosses.
    assert "tool" not in {one.model_ids[m] for m in one.placement.model}
    tools = runs[0].problem.node_step[runs[0].problem.first_node[1] + np.tile(np.arange(4), 8)]
    np.testing.assert_array_equal(runs[0].start_s[tools], runs[0].ready_s[tools])
    np.testing.assert_array_equal(runs[0].served, ~tools)


def test_variants_of_two_traces_are_counted_once(tmp_path: Path) -> None:
    """A second trace knows those of the first, and adds its own behind them."""
    first = {"route": 1, "draft": None, "large": 3, "tool": 4}
    workload, trace = read(tmp_path, NODES, DIAMOND, [first, {}])
    workload = as_run(workload, trace)
    assert [w.id for w in workload.workflows] == ["w", "w (draft not run)"]
    second = {"route": 1, "draft": 2, "large": None, "tool": 4}
    read(tmp_path, NODES, DIAMOND, [second, first])
    other = read_requests(tmp_path / "r.json", workload)
    both = as_run(workload, other)
    assert [w.id for w in both.workflows] == ["w", "w (draft not run)", "w (large not run)"]
    assert measure_demand(both, other).requests.tolist() == [0, 1, 1]
    assert measure_demand(both, trace).requests.tolist() == [1, 1, 0]


def test_a_request_that_runs_nothing_is_a_fault(tmp_path: Path) -> None:
    """It would be served by nobody."""
    with pytest.raises(InputError, match="says of every node that it did not run"):
        read(tmp_path, NODES, DIAMOND, [dict.fromkeys(MODELS)])
    with pytest.raises(InputError, match=r"node_execution_times\.draft"):
        read(tmp_path, NODES, DIAMOND, [{"draft": [1, -2]}])
