"""Scenes made without a solver or a simulator: seeded placements, first-come first-served runs."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from placement.problem.cluster import Cluster
from placement.problem.instance_building import build_instance
from placement.problem.outcome import Certificate, Progress
from placement.problem.plan import Plan, Shares, WorkflowRouting
from placement.problem.solution import Placement
from placement.problem.trace import Trace, measure_demand
from placement.problem.workload import Edge, Model, Node, Workflow, Workload
from runtime.scene import Executions, Scene

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&"


def make_workload(models: int = 5, workflows: int = 3, *, first_model: str = "llm-70b") -> Workload:
    sizes = (4, 1, 2, 1, 1)
    return Workload(
        models=tuple(
            Model(
                id=first_model if m == 0 else f"model-{m}",
                name=f"Model {m}",
                memory_gb=20.0 * sizes[m % 5],
                gpus_required=sizes[m % 5],
                load_time_s=1.0,
                inference_time_mean_s=1.0 + m,
            )
            for m in range(models)
        ),
        workflows=tuple(
            Workflow(
                id=f"workflow-{w}",
                name=f"Workflow {w}",
                nodes=tuple(Node(f"n{v}", (w + v) % models) for v in range(3)),
                edges=(Edge(0, 1), Edge(1, 2)),
            )
            for w in range(workflows)
        ),
    )


def make_scene(
    servers: int = 2,
    *,
    workload: Workload | None = None,
    requests: int = 60,
    seed: int = 0,
    keep: float = 0.9,
    contents: int = 3,
    name: str = "ILP",
) -> Scene:
    """A request keeps to one server with probability `keep` wherever that holds the model."""
    workload = workload or make_workload()
    rng = np.random.default_rng(seed)
    cluster = Cluster.homogeneous(8 * servers, 8, 80.0)
    placement = _place(workload, servers, contents, rng)
    trace = _trace(workload, requests, servers, rng)
    run = _run(workload, trace, placement, servers, keep, rng)
    load = rng.uniform(0.2, 0.6, placement.n_replicas) / 2
    one = Shares(np.array([0]), np.array([1.0]))
    none = Shares(np.array([], dtype=np.int64), np.array([]))
    plan = Plan(
        instance=build_instance(workload, measure_demand(workload, trace), cluster),
        node_ids=tuple(tuple(n.id for n in w.nodes) for w in workload.workflows),
        placement=placement,
        load=load,
        routing=tuple(
            WorkflowRouting(one, tuple(none for _ in w.nodes)) for w in workload.workflows
        ),
        expected={
            "server_efficiency": keep, "edge_locality": keep, "csc_rate": 2 * (1 - keep),
            "max_utilization": 0.6, "headroom": 1.67,
        },
        certificate=Certificate(
            status="gap", method=name.lower(), form="patterns", solver="HiGHS", objective=keep,
            best_bound=min(1.0, keep + 0.01), gap=0.01 / keep, proof="Lagrangian bound.",
            load_cap=0.8, bottleneck_lower=0.5, bottleneck_upper=0.6, seconds=1.0, seed=0,
        ),
        inputs={"config": "0" * 64},
    )  # fmt: skip
    return Scene(name, plan, workload, trace, trace.arrival_s, run)


def make_history(steps: int = 30) -> tuple[Progress, ...]:
    decay = np.exp(-np.arange(steps) / 6)
    return (
        Progress("headroom", 0.1, None, None),
        *(
            Progress("locality", 0.3 * i, 0.9 - 0.4 * d, 0.91 + 0.09 * d)
            for i, d in enumerate(decay)
        ),
    )


def _place(workload: Workload, servers: int, contents: int, rng: np.random.Generator) -> Placement:
    rows = []
    models = len(workload.models)
    for s in range(servers):
        first = s % contents
        level = np.zeros(8)
        # Every content begins with another model, and all are used until memory is out.
        for m in [(first * 2 + i) % models for i in range(2 * models)]:
            k, memory = workload.models[m].gpus_required, workload.models[m].memory_per_gpu_gb
            starts = [i for i in range(9 - k) if (level[i : i + k] + memory <= 40).all()]
            if starts:
                i = min(starts, key=lambda i: (level[i : i + k].max(), i))
                level[i : i + k] += memory
                rows.append((m, s, i))
    model, server, start = np.array(rows).T
    return Placement.sorted(model, server, start)


def _trace(workload: Workload, requests: int, servers: int, rng: np.random.Generator) -> Trace:
    workflow = rng.integers(0, len(workload.workflows), requests)
    arrival = np.cumsum(rng.exponential(1.2 / servers, requests))
    nodes = np.array([len(workload.workflows[w].nodes) for w in workflow])
    service = np.concatenate(
        [
            [workload.models[n.model].service_time_s for n in workload.workflows[w].nodes]
            for w in workflow
        ]
    ) * rng.lognormal(-0.1, 0.5, int(nodes.sum()))
    return Trace(
        [f"r{i}" for i in range(requests)], arrival - arrival[0], workflow, service,
        np.concatenate(([0], np.cumsum(nodes))), datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def _run(
    workload: Workload,
    trace: Trace,
    placement: Placement,
    servers: int,
    keep: float,
    rng: np.random.Generator,
) -> Executions:
    gpus = np.array([m.gpus_required for m in workload.models])[placement.model]
    free = np.zeros(8 * servers)
    blocks = [
        slice(8 * int(s) + int(i), 8 * int(s) + int(i) + int(k))
        for s, i, k in zip(placement.server, placement.start, gpus, strict=True)
    ]
    replica = np.full(trace.n_executions, -1, dtype=np.int64)
    start, end = np.zeros(trace.n_executions), np.zeros(trace.n_executions)
    for r in range(trace.n_requests):
        ready, home = float(trace.arrival_s[r]), int(rng.integers(servers))
        for v, node in enumerate(workload.workflows[trace.workflow[r]].nodes):
            row = int(trace.offset[r]) + v
            able = np.flatnonzero(placement.model == node.model)
            near = able[placement.server[able] == home]
            if len(near) and rng.random() < keep:
                able = near
            chosen = min(able, key=lambda b: (free[blocks[b]].max(), b))
            replica[row] = chosen
            start[row] = max(ready, free[blocks[chosen]].max())
            end[row] = ready = start[row] + float(trace.service_s[row])
            free[blocks[chosen]] = ready
    return Executions(replica, start, end)
