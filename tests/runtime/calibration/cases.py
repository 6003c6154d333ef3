"""Runs of the simulator as if they were real: what a calibration has to find out is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from placement.problem.cluster import Cluster, GpuSharing
from placement.problem.solution import Placement
from placement.problem.trace import Trace, prefill_times
from placement.problem.workload import Edge, Model, Node, Workflow, Workload
from runtime.calibration.observed import Observed
from runtime.result import RunResult
from runtime.simulate import simulate_placement

START = datetime(2026, 1, 1, tzinfo=UTC)


def workload(**chat: object) -> Workload:
    """Three models of one GPU and one of two, in two workflows."""
    models = (
        replace(Model("chat", "chat", 20.0, 1, 0.0), **chat),  # type: ignore[arg-type]
        Model("paint", "paint", 20.0, 1, 0.0),
        Model("rank", "rank", 10.0, 1, 0.0),
        Model("big", "big", 30.0, 2, 0.0),
    )
    return Workload(
        models,
        (
            Workflow("a", "a", (Node("x", 0), Node("y", 1)), (Edge(0, 1),)),
            Workflow("b", "b", (Node("x", 2), Node("y", 0), Node("z", 3)), (Edge(0, 1),)),
        ),
    )


def trace(
    of: Workload, seed: int, requests: int = 400, rate: float = 0.9, workflows: int = 2
) -> Trace:
    """Poisson arrivals over the first workflows; every call with a time of its own."""
    rng = np.random.default_rng(seed)
    workflow = rng.integers(0, workflows, requests)
    sizes = np.array([len(w.nodes) for w in of.workflows])[workflow]
    arrival = np.cumsum(rng.exponential(1 / rate, requests))
    return Trace(
        request_ids=[f"r{i}" for i in range(requests)],
        arrival_s=arrival - arrival[0],
        workflow=workflow.astype(np.int64),
        service_s=rng.uniform(0.2, 1.0, int(sizes.sum())),
        offset=np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
        start=START,
    )


def two_gpus(sharing: GpuSharing) -> tuple[Cluster, Placement]:
    """One server of two GPUs: chat on both, paint on one, rank on the other, big across."""
    cluster = replace(Cluster.homogeneous(2, 2, 200.0), sharing=sharing)
    model, start = np.array([0, 0, 1, 2, 3]), np.array([0, 1, 0, 1, 0])
    return cluster, Placement.sorted(model, np.zeros(5, dtype=np.int64), start)


def as_log(run: RunResult, expected: Trace, of: Workload) -> Observed:
    """What a log of the run would show to whoever expects the times of `expected`."""
    problem = run.problem
    execution = np.flatnonzero(run.ran)
    return Observed(
        execution=execution,
        replica=run.replica[execution].astype(np.int64),
        start_s=run.start_s[execution],
        end_s=run.end_s[execution],
        alone_s=expected.service_s[execution],
        prefill_s=prefill_times(of, expected)[execution],
        prefill_part=np.ones(len(execution)),
        model=problem.placement.model,
        first_gpu=problem.replica_first_gpu.astype(np.int64),
        gpus=problem.replica_gpus.astype(np.int64),
    )


def real_run(
    of: Workload, sharing: GpuSharing, seed: int, **more: float
) -> tuple[RunResult, Trace]:
    """A run by the laws of `of` and `sharing`."""
    cluster, placement = two_gpus(sharing)
    asked = trace(of, seed, **more)  # type: ignore[arg-type]
    return simulate_placement(of, asked, cluster, placement), asked
