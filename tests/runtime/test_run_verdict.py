"""The verdict on a run, and figures for each workflow, against queues that are known."""

from __future__ import annotations

import numpy as np
import pytest

from placement.problem.cluster import Cluster
from placement.problem.names import Mode
from placement.problem.solution import Placement
from placement.problem.workload import Edge, Node, Workflow, Workload
from runtime.metrics import measure, workflow_metrics
from runtime.result import RunResult
from runtime.run_verdict import run_verdict, workflow_stretch
from runtime.simulate import Dispatch, simulate_placement
from tests.runtime.cases import model, trace_of

WORKLOAD = Workload(
    (model("a"), model("b")),
    (
        Workflow("one", "one", (Node("x", 0),)),
        Workflow("two", "two", (Node("x", 0), Node("y", 1)), (Edge(0, 1),)),
        Workflow("beside", "beside", (Node("x", 0), Node("y", 1))),
        Workflow("never", "never", (Node("x", 0),)),
    ),
)
CLUSTER = Cluster.homogeneous(3, 1)
PLACED = Placement.sorted(np.array([0, 1]), np.array([0, 1]), np.array([0, 0]))


def run(
    arrival_s: np.ndarray, workflow: int | list[int], service_s: float, mode: Mode = "online"
) -> RunResult:
    """Requests of the workflows, every call as long."""
    kinds = np.broadcast_to(workflow, len(arrival_s))
    nodes = sum(len(WORKLOAD.workflows[w].nodes) for w in kinds)
    trace = trace_of(WORKLOAD, arrival_s, kinds, np.full(nodes, service_s))
    return simulate_placement(
        WORKLOAD, trace, CLUSTER, PLACED, dispatch=Dispatch(mode=mode, policy="earliest")
    )


def poisson(rate: float, n: int = 4_000) -> np.ndarray:
    """Arrival times, the first at 0."""
    gaps = np.random.default_rng(1).exponential(1 / rate, n)
    return np.cumsum(gaps) - gaps[0]


@pytest.mark.parametrize(
    ("load", "level", "words"),
    [(0.3, "good", "queues stay short"), (0.9, "fair", "wait"), (1.3, "poor", "queues grow")],
)
def test_queues_decide(load: float, level: str, words: str) -> None:
    """M/D/1: the mean wait is load / (2 (1 - load)) services, more than one from 2/3 on."""
    result = run(poisson(load), 0, 1.0)
    verdict = run_verdict(result, measure(result))
    assert verdict.level == level
    assert words in verdict.headline


def test_offline_queues_say_nothing() -> None:
    """All at once is what was asked for."""
    result = run(poisson(1.3), 0, 1.0, "offline")
    assert run_verdict(result, measure(result)).level == "good"


def test_the_remarks_are_of_the_run() -> None:
    """Model a is on the busiest GPU; the third GPU serves nothing; figures are as known."""
    result = run(poisson(0.9), [0] * 3_000 + [1] * 1_000, 1.0)
    verdict = run_verdict(result, measure(result), "measured")
    text = " ".join(r.text for r in verdict.remarks)
    assert "busiest: GPU 0 of server 0" in text
    assert "most of it for a" in text
    assert "1 of 3 GPUs served nothing" in text
    assert {r.known for r in verdict.remarks} == {"measured"}


@pytest.mark.parametrize(
    ("workflow", "arrivals", "stretch"),
    [
        (0, [0.0, 10.0], 1.0),
        (0, [0.0, 0.0], 1.5),  # 1 s and 2 s for calls of 1 s
        (1, [0.0, 10.0], 1.0),  # two calls one after the other take what they take alone
        (1, [0.0, 0.0], 1.25),  # 2 s and 3 s for 2 s
        (2, [0.0, 10.0], 1.0),  # side by side
    ],
)
def test_stretch_is_latency_over_the_longest_path(
    workflow: int, arrivals: list[float], stretch: float
) -> None:
    """Worked out by hand; what was never asked for has none."""
    found = workflow_stretch(run(np.array(arrivals), workflow, 1.0))
    assert found[workflow] == pytest.approx(stretch)
    assert np.isnan(found[3])


def test_workflows_add_up_to_the_run() -> None:
    """Requests, those kept whole and latencies of the workflows are those of the run."""
    kinds = np.random.default_rng(2).integers(3, size=500).tolist()
    result = run(poisson(0.5, 500), kinds, 1.0)
    m, parts = measure(result), workflow_metrics(result)
    assert [w.workflow_id for w in parts] == ["one", "two", "beside"]
    assert [w.requests for w in parts] == np.bincount(kinds).tolist()
    assert sum(w.completed for w in parts) == m.completed_requests
    whole = sum(w.server_efficiency / 100 * w.completed for w in parts)
    assert whole == pytest.approx(m.intra_server_workflows)
    assert parts[0].server_efficiency == 100
    assert parts[1].server_efficiency == 0
    mean = sum(w.latency.mean * w.completed for w in parts) / m.completed_requests
    assert mean == pytest.approx(m.request_latency.mean)
    assert max(w.latency.max for w in parts) == m.request_latency.max
