"""A chain of two models on two servers, small enough to judge by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from placement.problem.cluster import Cluster
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.solution import Flows, Placement, Solution


def chain(rate: float = 1.0, work_s: float = 0.25) -> WorkflowDemand:
    """A chain of two calls to two models."""
    return WorkflowDemand(
        id="chain",
        rate=rate,
        node_model=np.array([0, 1]),
        work_s=np.array([work_s, work_s]),
        links=np.array([[0, 1]]),
    )


def instance(**changes: object) -> Instance:
    base = Instance(
        model_ids=("a", "b"),
        gpus_required=np.array([1, 2]),
        memory_per_gpu_gb=np.array([10.0, 20.0]),
        workflows=(chain(),),
        cluster=Cluster.homogeneous(8, 4),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def two_servers(share_on_first: float = 0.75) -> Solution:
    """Both models on both servers; server 0 serves `share_on_first` of node 0, half of node 1."""
    p = share_on_first
    return Solution(
        placement=Placement.sorted(
            np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
        ),
        flows=Flows(
            workflow=np.zeros(4, dtype=np.int64),
            node=np.array([0, 0, 1, 1]),
            server=np.array([0, 1, 0, 1]),
            rate=np.array([p, 1 - p, 0.5, 0.5]),
        ),
        load=np.array([0.25 * p, 0.125, 0.25 * (1 - p), 0.125]),
    )
