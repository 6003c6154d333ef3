"""What a plan says of other inputs, and its shares as rates and back."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from placement.problem.cluster import Cluster
from placement.problem.instance_building import build_instance
from placement.problem.outcome import SolveOptions
from placement.problem.plan import Plan
from placement.problem.plan_building import build_plan
from placement.problem.trace import Trace
from placement.problem.workload import Edge, Model, Node, Workflow, Workload
from placement.solve import solve_instance
from tests.runtime.cases import trace_of

WORKLOAD = Workload(
    tuple(
        Model(m, m, 40.0 * k, k, 0.0, inference_time_mean_s=0.3) for m, k in (("a", 1), ("b", 2))
    ),
    (
        Workflow("both", "B", (Node("x", 0), Node("y", 1)), (Edge(0, 1),)),
        Workflow("single", "S", (Node("z", 0),), ()),
    ),
)


@cache
def made() -> tuple[Plan, Trace]:
    rng = np.random.default_rng(0)
    workflow = np.tile([0, 1], 30)
    trace = trace_of(WORKLOAD, np.arange(60.0), workflow, rng.uniform(0.2, 0.4, 90))
    instance = build_instance(WORKLOAD, trace, Cluster.homogeneous(8, 4))
    result = solve_instance(instance, SolveOptions(method="greedy"))
    return build_plan(result, WORKLOAD), trace


def with_model(m: int, **changes: object) -> Workload:
    models = list(WORKLOAD.models)
    models[m] = replace(models[m], **changes)  # type: ignore[arg-type]
    return replace(WORKLOAD, models=tuple(models))


def test_a_plan_serves_the_trace_it_was_made_for() -> None:
    """And models that have become smaller."""
    plan, trace = made()
    assert plan.mismatches(WORKLOAD, trace) == []
    assert plan.mismatches(with_model(1, memory_gb=60.0), trace) == []


@pytest.mark.parametrize(
    ("workload", "said"),
    [
        (with_model(0, id="other"), ["places model 'a', which the config does not have"]),
        (
            with_model(0, gpus_required=2),
            ["has blocks of 1 GPUs for model 'a', which now needs 2"],
        ),
        (
            with_model(0, memory_gb=41.0),
            ["has room for 40 GB a GPU of model 'a', which now takes 41"],
        ),
        (
            with_model(1, gpus_required=1, memory_gb=99.0),
            ["has blocks of 2 GPUs for model 'b', which now needs 1"],
        ),
    ],
)
def test_models_that_changed_are_named(workload: Workload, said: list[str]) -> None:
    """By the first that is wrong of each: blocks, then memory; a hair more memory is none."""
    plan, trace = made()
    found = plan.mismatches(workload, trace)
    assert found[: len(said)] == said
    assert plan.mismatches(with_model(0, memory_gb=40.0 * (1 + 1e-9)), trace) == []


def test_what_is_called_and_not_placed_is_counted() -> None:
    """With the requests that call it, unless the plan says that it has dropped the workflow."""
    plan, trace = made()
    more = replace(
        WORKLOAD,
        models=(*WORKLOAD.models, Model("c", "c", 1.0, 1, 0.0)),
        workflows=(
            WORKLOAD.workflows[0],
            replace(WORKLOAD.workflows[1], nodes=(Node("z", 2),)),
        ),
    )
    wanted = "holds no replica of c, which 30 requests to workflow 'single' call"
    assert plan.mismatches(more, trace) == [wanted]
    assert replace(plan, dropped=("single",)).mismatches(more, trace) == []
    silent = replace(trace, workflow=np.zeros_like(trace.workflow))
    assert plan.mismatches(more, silent) == []


def test_shares_are_the_rates_of_the_solution() -> None:
    """Of every node they add up to the workflow's rate, where its model has a replica."""
    plan, _ = made()
    flows = plan.solution().flows
    for w, flow in enumerate(plan.instance.workflows):
        for v, m in enumerate(flow.node_model.tolist()):
            mine = (flows.workflow == w) & (flows.node == v)
            assert flows.rate[mine].sum() == pytest.approx(flow.rate)
            held = plan.placement.server[plan.placement.model == m]
            assert set(flows.server[mine].tolist()) <= set(held.tolist())
