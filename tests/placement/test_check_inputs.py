"""A plan held against config, requests and cluster: what differs is named."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from placement.check import check, check_cluster
from placement.files.config_file import read_config
from placement.files.request_file import read_requests
from placement.problem.cluster import Cluster, GpuSharing, Network
from placement.problem.model_rules import ModelRules
from placement.problem.outcome import SolveOptions
from placement.problem.plan import Plan
from placement.problem.plan_building import build_plan
from placement.problem.rules import Rules
from placement.problem.trace import Trace
from placement.problem.workload import Node
from placement.solve import solve
from tests.placement.two_workflows import result_of, workload
from tests.runtime.cases import trace_of


@pytest.fixture(scope="module")
def plan() -> Plan:
    return build_plan(result_of(SolveOptions(time_limit_s=5)), workload())


def steady_trace(seconds: float = 0.3) -> Trace:
    """The traffic that the plan was made for: a common request a second, one in a hundred rare."""
    workflow = np.array([0] * 100 + [1])
    return trace_of(workload(), np.linspace(0.0, 100.0, 101), workflow, np.full(201, seconds))


def test_inputs_are_looked_at_where_they_are_given(plan: Plan) -> None:
    """Both or neither; the traffic of the plan holds, and what differs is named."""
    assert check(plan) == []
    assert check(plan, workload(), steady_trace()) == []
    with pytest.raises(ValueError, match="a trace is missing"):
        check(plan, workload())
    with pytest.raises(ValueError, match="a workload is missing"):
        check(plan, trace=steady_trace())
    slower = check(plan, workload(), steady_trace(0.4))
    assert slower == [
        f"workflow {w}: its service times are not the trace's" for w in ("common", "rare")
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: replace(w, models=w.models[::-1]), "models: the plan and the config list"),
        (
            lambda w: replace(w, models=(replace(w.models[0], memory_gb=41.0), *w.models[1:])),
            "models: GPUs or memory of a are not",
        ),
        (
            lambda w: replace(w, models=(*w.models[:2], replace(w.models[2], gpus_required=2))),
            "models: GPUs or memory of c are not",
        ),
        (lambda w: replace(w, workflows=w.workflows[::-1]), "workflows: the plan and the config"),
        (
            lambda w: replace(
                w,
                workflows=(
                    replace(w.workflows[0], nodes=(Node("x", 0), Node("q", 1))),
                    w.workflows[1],
                ),
            ),
            "workflows: the plan and the config",
        ),
        (
            lambda w: replace(w, workflows=(replace(w.workflows[0], edges=()), w.workflows[1])),
            "workflow common: its links are not",
        ),
        (
            lambda w: replace(
                w, workflows=(w.workflows[0], replace(w.workflows[1], nodes=(Node("z", 1),)))
            ),
            "workflow rare: its nodes call other models",
        ),
    ],
)
def test_another_config_is_told_apart(plan: Plan, change: Any, said: str) -> None:
    """By models, their sizes, workflows, nodes, what they call, and links."""
    other = change(workload())
    trace = steady_trace()
    if said.startswith("workflows: the plan") and other.workflows[0].id == "rare":
        trace = replace(trace, workflow=1 - trace.workflow)
    assert any(fault.startswith(said) for fault in check(plan, other, trace))


def test_rules_that_tell_servers_apart_leave_them_those_of_the_file(plan: Plan) -> None:
    """A pin makes a server a type of its own: the hardware is compared, what differs said."""
    asked = Cluster.homogeneous(4, 2)
    kind = asked.server_types[0]
    pinned = replace(kind, name="server[1]", count=1, pinned=(("a", 0),), excluded_gpus=(1,))
    ruled = Cluster((replace(kind, name="server[0]", count=1), pinned))
    stated = replace(plan, instance=replace(plan.instance, cluster=ruled))
    assert check_cluster(stated, asked) == check_cluster(plan, asked) == []
    for other in (
        Cluster.homogeneous(6, 2),
        Cluster.homogeneous(4, 4),
        Cluster.homogeneous(4, 2, 40.0),
        replace(asked, network=Network(inter_latency_s=1.0)),
        replace(asked, sharing=GpuSharing("serial")),
    ):
        assert len(check_cluster(stated, other)) == 1


def test_the_rules_of_the_config_stand_in_the_plan(plan: Plan) -> None:
    models = workload().models
    ruled = replace(workload(), models=(replace(models[0], rules=ModelRules(2)), *models[1:]))
    fault = "rules: min_replicas of model a stands in the config, and not in the plan"
    assert fault in check(plan, ruled, steady_trace())


@pytest.mark.parametrize("alone", [{"exclusive": True}, {"max_models_per_gpu": 1}])
def test_an_adapter_alone_on_its_gpu_is_the_config_s(alone: dict[str, Any], tmp_path: Path) -> None:
    """It brings its base along there, in the plan as in the comparison with the config."""
    plain = {"name": "m", "gpus_required": 1, "load_time_seconds": 1, "inference_time_mean": 0.3}
    adapter = {"base_model": "base", "adapter_gb": 4}
    models = {"base": {**plain, "memory_gb": 16}, "legal": {**plain, **adapter}}
    flows = {"w": {"nodes": [{"id": "x", "model": "legal"}]}}
    (tmp_path / "c.json").write_text(json.dumps({"models": models, "workflows": flows}))
    (tmp_path / "r.yaml").write_text("rates: {w: 0.5}")
    read = read_config(tmp_path / "c.json")
    trace = read_requests(tmp_path / "r.yaml", read)
    options = SolveOptions(method="greedy")
    found = solve(read, trace, Cluster.homogeneous(2, 2), options, rules=Rules(**alone))
    assert found.instance.memory_per_gpu_gb.tolist() == [16.0, 20.0]
    assert check(found, read, trace) == []
