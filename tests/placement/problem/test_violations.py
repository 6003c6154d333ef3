"""What keeps every rule has no violation; every rule broken alone is said."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from placement.problem.cluster import Cluster, ServerType
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.solution import Flows, Placement, Solution
from placement.problem.violations import violations
from tests.placement.problem.cases import chain, instance, two_servers


def test_a_feasible_solution_has_no_violation() -> None:
    """The base case keeps every rule."""
    assert violations(instance(), two_servers()) == []


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"load_cap": 0.1}, "exceeds the cap"),
        ({"memory_per_gpu_gb": np.array([10.0, 81.0])}, "81 GB placed"),
        ({"gpus_required": np.array([1, 4])}, "leaves"),
        ({"exclusive": True, "gpus_required": np.array([2, 2])}, "at most 1"),
        ({"workflows": (chain(rate=2.0),)}, "served of"),
        ({"workflows": (chain(work_s=0.3),)}, "carried by its replicas"),
        (
            {"cluster": Cluster((ServerType("s", 2, 4, 80.0, speed=2.0),))},
            "carried by its replicas",
        ),
    ],
)
def test_every_broken_rule_is_said(changes: dict[str, object], word: str) -> None:
    """Each rule of the program, broken alone, gives a sentence that names it."""
    faults = violations(instance(**changes), two_servers())
    assert any(word in fault for fault in faults), faults


def test_a_used_model_without_replica_is_said() -> None:
    """Coverage: every used model has a replica."""
    solution = two_servers()
    keep = solution.placement.model == 0
    bare = solution.placement.only(keep)
    faults = violations(instance(), replace(solution, placement=bare, load=solution.load[keep]))
    assert faults == ["model b: used, but without a replica"]


def test_a_large_cluster_takes_memory_by_its_gpus_not_by_models_times_servers() -> None:
    """A few replicas on a million servers: what is empty costs a few numbers a server."""
    models, servers = 400, 1_000_000
    flow = WorkflowDemand("w", 1.0, np.arange(2), np.ones(2), np.array([[0, 1]]))
    instance = Instance(
        tuple(f"m{i}" for i in range(models)), np.ones(models, dtype=np.int64), np.ones(models),
        (flow,), Cluster.homogeneous(servers, 1), load_cap=1.0,
    )  # fmt: skip
    first, second = np.array([0, 1]), np.array([0, servers - 1])
    placement = Placement(first, second, np.zeros(2, dtype=np.int64))
    flows = Flows(np.zeros(2, dtype=np.int64), first, second, np.ones(2))
    tracemalloc.start()
    assert violations(instance, Solution(placement, flows, np.ones(2))) == []
    wrong = violations(instance, Solution(placement, flows, np.array([1.0, 0.5])))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert wrong == [
        f"model m1 on server {servers - 1}: 1 busy seconds per second routed there, "
        "0.5 carried by its replicas"
    ]
    assert peak < 200 * servers
