"""The simulator against a real GPU that four computing models shared (data kept outside)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from placement.problem.cluster import Cluster, FloatArray, GpuSharing, Network, ServerType
from placement.problem.solution import Placement
from placement.problem.trace import Trace
from placement.problem.workload import Edge, Model, Node, Workflow, Workload
from runtime.metrics import request_latency
from runtime.simulate import Dispatch, simulate_placement

MEASURED = Path(__file__).parents[3] / "shared" / "data" / "h100" / "one_gpu.json"
RUNS = (
    ("load40", "fifo"), ("load70", "fifo"), ("offline", "fifo"),
    ("load40", "free"), ("load70", "free"), ("offline", "free"),
    ("load70", "batch"), ("load120", "batch"), ("offline", "batch"),
)  # fmt: skip
MOST_AT_ONCE = 16


def build_workload(data: dict[str, Any], *, batch: bool) -> Workload:
    """Take the workflows, and for the batching model what one step costs by sequences."""
    chat = data["calibration"]["chat"]
    steps = {int(k.removeprefix("step")): s for k, s in chat.items() if k.startswith("step")}
    at_once = np.arange(1, MOST_AT_ONCE + 1)
    table = np.interp(at_once, sorted(steps), [steps[n] / steps[1] for n in sorted(steps)])
    batching = {
        "max_concurrency": MOST_AT_ONCE,
        "slowdown": tuple(table.tolist()),
        "prefill_time_s": chat["prefill"],
    }
    models = tuple(
        Model(name, name, 1.0, 1, 1.0, **(batching if batch and name == "chat" else {}))
        for name in data["calibration"]
    )
    index = {m.id: i for i, m in enumerate(models)}
    flows = []
    for name, nodes in data["workflows"].items():
        place = {node: v for v, node in enumerate(nodes)}
        edges = [Edge(place[u], place[v]) for v, (_, parents) in nodes.items() for u in parents]
        calls = tuple(Node(node, index[model]) for node, (model, _) in nodes.items())
        flows.append(Workflow(name, name, calls, tuple(edges)))
    return Workload(models, tuple(flows))


def latencies(data: dict[str, Any], run: dict[str, Any]) -> tuple[FloatArray, FloatArray]:
    """Simulated and real latency of each request."""
    workload = build_workload(data, batch=run["variant"] == "batch")
    rows = run["rows"]
    workflow = np.array([workload.workflow_index[row["workflow_id"]] for row in rows])
    nodes = [workload.workflows[w].nodes for w in workflow]
    arrival = np.array([row["arrival"] for row in rows])
    trace = Trace(
        request_ids=[row["request_id"] for row in rows],
        arrival_s=arrival - arrival[0],
        workflow=workflow,
        service_s=np.array(
            [row["alone"][n.id] for row, mine in zip(rows, nodes, strict=True) for n in mine]
        ),
        offset=np.concatenate(([0], np.cumsum([len(mine) for mine in nodes]))),
        start=datetime(2026, 1, 1, tzinfo=UTC),
    )
    sharing = GpuSharing("serial" if run["variant"] == "fifo" else "time-sliced")
    cluster = Cluster((ServerType("h100", 1, 1, 80.0),), Network(), sharing)
    everything = np.arange(len(workload.models))
    placement = Placement.sorted(everything, np.zeros_like(everything), np.zeros_like(everything))
    done = simulate_placement(
        workload,
        trace,
        cluster,
        placement,
        dispatch=Dispatch(policy="earliest"),
        engine="reference",
    )
    real = [max(end for _, end in row["real"].values()) - row["arrival"] for row in rows]
    return request_latency(done), np.array(real)


@pytest.mark.skipif(not MEASURED.exists(), reason="the measurements are not beside this checkout")
@pytest.mark.parametrize(("label", "variant"), RUNS)
def test_a_real_gpu_is_predicted(label: str, variant: str) -> None:
    """With nothing fitted: each request's latency within 6 % in the mean, the P99 within 10 %."""
    data = json.loads(MEASURED.read_text())
    (run,) = [r for r in data["runs"] if (r["label"], r["variant"]) == (label, variant)]
    simulated, real = latencies(data, run)
    assert np.abs(simulated / real - 1).mean() < 0.06
    assert np.percentile(simulated, 99) == pytest.approx(np.percentile(real, 99), rel=0.1)
