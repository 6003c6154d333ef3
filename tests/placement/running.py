"""Plans of one workload for the same servers: one that runs, and others to come to."""

from __future__ import annotations

from functools import cache

from benchmarks.instances import cluster_of, mixed_cluster, problem
from placement.migration import Block
from placement.problem.outcome import SolveOptions
from placement.problem.plan import Plan
from placement.problem.plan_building import build_plan
from placement.solve import solve_instance


@cache
def plan(seed: int, servers: int = 4, *, exclusive: bool = True, mixed: bool = False) -> Plan:
    """A greedy or random plan; of one model and workflow list whatever the seed."""
    cluster = mixed_cluster(servers) if mixed else cluster_of(servers)
    instance, workload = problem(6, 4, cluster, exclusive=exclusive, seed=1, load=0.5)
    method = "greedy" if seed == 0 else "random"
    options = SolveOptions(method=method, seed=seed)
    return build_plan(solve_instance(instance, options), workload)


def memory_gb(plan: Plan, block: Block) -> float:
    m = plan.model_ids.index(block.model)
    return block.gpus * float(plan.instance.memory_per_gpu_gb[m])
