"""A plan of one of the examples, for tests of its file."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from placement.files.config_file import read_config
from placement.files.request_file import read_requests
from placement.problem.cluster import Cluster
from placement.problem.instance_building import build_instance
from placement.problem.outcome import SolveOptions
from placement.problem.plan import Plan
from placement.problem.plan_building import build_plan
from placement.problem.rules import Rules
from placement.problem.trace import Trace, measure_demand
from placement.problem.workload import Workload
from placement.solve import solve_instance

CONFIGS = Path(__file__).parents[3] / "configs"


def multimodal() -> tuple[Workload, Trace]:
    """What the plan is made for."""
    workload = read_config(CONFIGS / "multimodal.yaml")
    return workload, read_requests(CONFIGS / "multimodal_requests.jsonl", workload)


@cache
def tight_plan() -> Plan:
    """Exclusive and tight, and no small gap asked for: its bound comes from duals, above it."""
    workload, trace = multimodal()
    instance = build_instance(
        workload, measure_demand(workload, trace), Cluster.homogeneous(32, 8), Rules(exclusive=True)
    )
    result = solve_instance(instance, SolveOptions(gap=0.5, form="patterns"))
    return build_plan(result, workload, inputs={"config": "0" * 64})
