"""Whatever things are called, what is written can be read, and means the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from placement.check import check_plan
from placement.files.cluster_file import read_cluster
from placement.files.config_file import read_config
from placement.files.plan_file import read_plan, write_plan
from placement.files.request_file import read_requests
from placement.files.syntax.yaml_writer import quote
from placement.generate.synthetic import SyntheticTrace, write_config
from placement.generate.trace_writer import write_requests
from placement.problem.cluster import Cluster, ServerType
from placement.problem.instance_building import build_instance
from placement.problem.outcome import SolveOptions
from placement.problem.plan import Plan
from placement.problem.plan_building import build_plan
from placement.problem.trace import measure_demand
from placement.problem.workload import Edge, Model, Node, Workflow, Workload
from placement.solve import solve_instance
from tests.placement.names import HARD, several

FEW = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def workload_of(names: list[str]) -> Workload:
    """Two models and two workflows under six names."""
    models = tuple(Model(n, n, 30.0, 1, 0.0, inference_time_mean_s=1.0) for n in names[:2])
    nodes = (Node(names[0], 0), Node(names[1], 1))
    flows = (
        Workflow(names[2], names[2], nodes, (Edge(0, 1),)),
        Workflow(names[3], names[3], (Node(names[4], 1),)),
    )
    return Workload(models, flows)


def trace_of(workload: Workload) -> SyntheticTrace:
    service = (np.array([[0.00001, 2.0], [0.5, 1e7]]), np.array([[0.25]]))
    return SyntheticTrace(workload, np.array([0.0, 1.0, 2.5]), np.array([0, 1, 0]), service)


def plan_of(names: list[str]) -> Plan:
    workload = workload_of(names)
    types = (ServerType(names[0], 1, 2, 80.0), ServerType(names[5], 1, 1, 40.0))
    demand = measure_demand(workload, _read_back(workload))
    instance = build_instance(workload, demand, Cluster(types))
    return build_plan(solve_instance(instance, SolveOptions(method="greedy")), workload)


def _read_back(workload: Workload) -> Any:
    from tests.runtime.cases import trace_of as plain_trace

    flows = np.array([0, 1, 0])
    return plain_trace(workload, np.array([0.0, 9.0, 20.0]), flows, np.ones(5))


def same_plan(one: Plan, other: Plan) -> None:
    assert other.model_ids == one.model_ids
    assert other.workflow_ids == one.workflow_ids
    assert other.node_ids == one.node_ids
    assert other.cluster == one.cluster
    assert (other.placement.model == one.placement.model).all()
    assert other.intact


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
@given(names=several(6))
@FEW
def test_a_plan_can_be_read_whatever_its_names_are(
    names: list[str], suffix: str, tmp_path: Path
) -> None:
    """Models, workflows, nodes and server types of any script, 500 characters long, escaped."""
    plan = plan_of(names)
    write_plan(tmp_path / f"plan{suffix}", plan)
    again = read_plan(tmp_path / f"plan{suffix}")
    same_plan(plan, again)
    assert check_plan(again) == []


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_every_hard_name_comes_back(suffix: str, tmp_path: Path) -> None:
    """The ones that broke a file before, one after the other."""
    for i in range(0, len(HARD), 6):
        plan = plan_of([HARD[i + j - len(HARD)] for j in range(6)])
        write_plan(tmp_path / f"plan{suffix}", plan)
        same_plan(plan, read_plan(tmp_path / f"plan{suffix}"))


@given(text=st.one_of(several(1).map(lambda names: names[0]), st.text(max_size=5)))
@FEW
def test_a_quoted_text_is_the_same_for_json_and_for_yaml(text: str) -> None:
    """By readers of other people; no character is left that YAML allows only escaped."""
    assume_whole = text.encode(errors="replace").decode()
    written = quote(assume_whole)
    assert json.loads(written) == assume_whole
    assert yaml.load(written, Loader=yaml.CSafeLoader) == assume_whole
    assert written.isprintable() or not assume_whole.isprintable()


def test_half_a_character_is_refused_in_words(tmp_path: Path) -> None:
    """No file can hold it, so none is written."""
    plan = plan_of(["a", "b", "w\ud83e", "v", "c", "t"])
    for suffix in (".yaml", ".json"):
        with pytest.raises(ValueError, match="half a surrogate pair"):
            write_plan(tmp_path / f"plan{suffix}", plan)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["yaml", "json", "jsonl", "csv", "parquet"])
@given(names=several(6))
@FEW
def test_a_trace_can_be_read_whatever_its_names_are(
    names: list[str], form: str, tmp_path: Path
) -> None:
    """Workflows and nodes in every format that `generate` writes."""
    workload = workload_of(names)
    path = tmp_path / f"requests.{form}"
    write_requests(path, trace_of(workload))
    found = read_requests(path, workload)
    assert found.workflow.tolist() == [0, 1, 0]
    assert found.service_s.tolist() == [0.00001, 2.0, 0.25, 0.5, 1e7]


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
@given(names=several(6))
@FEW
def test_configs_and_clusters_can_be_read_whatever_their_names_are(
    names: list[str], suffix: str, tmp_path: Path
) -> None:
    """As the writer of synthetic configs and any other YAML writer leaves them."""
    model = {"name": names[2], "memory_gb": 1, "gpus_required": 1, "load_time_seconds": 0}
    config = {
        "models": dict.fromkeys(names[:2], model),
        "workflows": {
            names[3]: {
                "nodes": [{"id": n, "model": m} for n, m in zip(names[3:5], names, strict=False)],
                "edges": [{"from": names[3], "to": names[4]}],
            }
        },
    }
    path = tmp_path / f"config{suffix}"
    write_config(path, config)
    workload = read_config(path)
    assert [m.id for m in workload.models] == names[:2]
    assert [n.id for n in workload.workflows[0].nodes] == names[3:5]
    write_config(path, {"server_types": {names[5]: {"count": 1, "gpus": 1}}})
    assert [t.name for t in read_cluster(path).server_types] == names[5:]
