"""A list of replicas in place of a plan: routed by the linear program, judged and simulated."""

from __future__ import annotations

from pathlib import Path

import pytest

from placement.files.config_file import read_config
from placement.files.placement_file import is_placement, read_placement
from placement.files.request_file import read_requests
from placement.own_placement import missing_models, plan_of
from placement.problem.cluster import Cluster
from placement.problem.violations import violations
from placement.support.faults import InputError
from runtime.simulate import simulate

CONFIG = """
models:
  A: {name: A, memory_gb: 8, gpus_required: 1, load_time_seconds: 5, inference_time_mean: 0.4}
  B: {name: B, memory_gb: 8, gpus_required: 2, load_time_seconds: 5, inference_time_mean: 0.6}
workflows:
  w: {nodes: [{id: a, model: A}, {id: b, model: B}], edges: [{from: a, to: b}]}
"""
RATES = "rates: {w: 1.0}\nseconds: 100\n"


def inputs(tmp_path: Path, placement: str) -> Path:
    (tmp_path / "c.yaml").write_text(CONFIG)
    (tmp_path / "r.yaml").write_text(RATES)
    (tmp_path / "p.yaml").write_text(placement)
    return tmp_path / "p.yaml"


@pytest.mark.parametrize(
    ("replicas", "whole"),
    [
        ("[{model: A, server: 0, gpus: [0]}, {model: B, server: 0, gpus: [0, 1]}]", 1.0),
        ("[{model: A, server: 0, gpus: [1]}, {model: B, server: 1, gpus: [2, 3]}]", 0.0),
        ("[{model: A, server: 0, gpus: [1]}, {model: B, server: 1, gpus: [0, 1]}]", 0.0),
    ],
)
def test_a_list_of_replicas_is_a_plan(tmp_path: Path, replicas: str, whole: float) -> None:
    """GPUs by their numbers in the cluster or in the server; it holds, and runs as expected."""
    path = inputs(tmp_path, f"replicas: {replicas}")
    assert is_placement(path)
    workload = read_config(tmp_path / "c.yaml")
    trace = read_requests(tmp_path / "r.yaml", workload)
    placement, cluster = read_placement(path, workload)
    plan = plan_of(placement, workload, trace, cluster)
    assert plan.certificate.objective == pytest.approx(whole)
    assert violations(plan.instance, plan.solution()) == []
    run = simulate(workload, trace, plan, policy="plan")
    assert run.metrics.server_efficiency == pytest.approx(100 * whole)


def test_what_no_placement_is_is_said(tmp_path: Path) -> None:
    """Unknown models, servers that there are not, blocks that are none, models that are missing."""
    workload = read_config(inputs(tmp_path, "").parent / "c.yaml")
    path = inputs(
        tmp_path,
        "replicas: [{model: a, server: 0, gpus: [0]}, {model: B, server: 0, gpus: [1]},"
        " {model: A, server: 7, gpus: [0]}]",
    )
    with pytest.raises(InputError) as found:
        read_placement(path, workload, Cluster.homogeneous(2, 2))
    for part in ("did you mean 'A'", "a replica takes 2 consecutive GPUs", "has 1 servers"):
        assert part in str(found.value)
    path = inputs(tmp_path, "replicas: [{model: A, server: 0, gpus: [0]}]")
    placement, _ = read_placement(path, workload)
    trace = read_requests(tmp_path / "r.yaml", workload)
    assert missing_models(placement, workload, trace) == ["B"]
