"""A common workflow and a rare one on four GPUs, solved: what `check` is tried on."""

from __future__ import annotations

import numpy as np

from placement.problem.cluster import Cluster
from placement.problem.instance_building import build_instance
from placement.problem.names import Objective
from placement.problem.outcome import SolveOptions, SolveResult
from placement.problem.rules import Rules
from placement.problem.trace import Demand
from placement.problem.workload import Edge, Model, Node, Workflow, Workload
from placement.solve import solve_instance

RATES = np.array([1.0, 0.01])


def workload() -> Workload:
    """A common workflow of two steps and a rare one of one step, on three models."""
    models = tuple(Model(m, m, 40.0, 1, 0.0, inference_time_mean_s=0.3) for m in "abc")
    common = Workflow("common", "C", (Node("x", 0), Node("y", 1)), (Edge(0, 1),))
    rare = Workflow("rare", "R", (Node("z", 2),), ())
    return Workload(models, (common, rare))


def result_of(
    options: SolveOptions, *, rate: float = 1.0, objective: Objective = "mixed"
) -> SolveResult:
    """Solve for two servers of two GPUs."""
    requests, seconds = np.array([1, 1]), (np.full(2, 0.3), np.full(1, 0.3))
    demand = Demand(requests, RATES * rate, seconds, 1.0)
    cluster = Cluster.homogeneous(4, 2)
    return solve_instance(build_instance(workload(), demand, cluster, Rules(objective)), options)
