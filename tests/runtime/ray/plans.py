"""Plans with replicas where a test wants them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from placement.files.config_file import read_config
from placement.files.plan_file import write_plan
from placement.files.request_file import read_requests
from placement.problem.cluster import Cluster
from placement.problem.instance_building import build_instance
from placement.problem.outcome import SolveOptions
from placement.problem.plan import Plan
from placement.problem.plan_building import build_plan
from placement.problem.solution import Placement, evaluate
from placement.programs.routing import best_routing
from placement.solve import solve_instance
from placement.solver.milp import SolverSettings


def plan_with(
    config: Path, requests: Path, cluster: Cluster, seats: list[tuple[str, int, int]]
) -> Plan:
    """Route the traffic of a trace over replicas given as model, server and first GPU."""
    workload = read_config(config)
    instance = build_instance(workload, read_requests(requests, workload), cluster)
    models, servers, starts = zip(*seats, strict=True)
    placement = Placement.sorted(
        np.array([workload.model_index[m] for m in models]), np.array(servers), np.array(starts)
    )
    result = solve_instance(instance, SolveOptions(method="greedy"))
    solution = best_routing(replace(instance, load_cap=10.0), placement, SolverSettings())
    assert solution is not None
    result = replace(result, solution=solution, evaluation=evaluate(instance, solution))
    return build_plan(result, workload)


def written(path: Path, plan: Plan) -> Path:
    write_plan(path, plan)
    return path
