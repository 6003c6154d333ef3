"""Synthetic placement problems with exact rates, of any size: no trace has to be written."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from placement.files.config_file import read_config
from placement.generate.synthetic import rate_for_load, synthetic_config, write_config
from placement.problem.cluster import Cluster, ServerType
from placement.problem.instance import Instance
from placement.problem.instance_building import build_instance
from placement.problem.rules import Rules
from placement.problem.trace import Demand
from placement.problem.workload import Workload

GPUS_PER_SERVER = 8
GPU_MEMORY_GB = 80.0


def synthetic_workload(models: int, workflows: int, *, seed: int = 0) -> Workload:
    """Draw a config as `gswarm-place generate` does, through the reader that checks it."""
    config = synthetic_config(models, workflows, seed=seed, largest_block=GPUS_PER_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        write_config(path, config)
        return read_config(path)


def demand_for_load(workload: Workload, cluster: Cluster, load: float, *, seed: int = 0) -> Demand:
    """Rates of a seeded mix whose offered load is the fraction `load` of all GPU speeds."""
    mix = np.random.default_rng([seed, 3]).dirichlet(np.full(len(workload.workflows), 3.0))
    power = sum(t.count * t.gpus * t.speed for t in cluster.server_types)
    rate = mix * rate_for_load(workload, load, 1, mix) * power
    service = tuple(
        np.array([workload.models[n.model].service_time_s or 0.0 for n in w.nodes])
        for w in workload.workflows
    )
    return Demand(np.ceil(rate).astype(np.int64), rate, service, 1.0)


def cluster_of(servers: int) -> Cluster:
    """Identical servers with 8 GPUs of 80 GB."""
    return Cluster.homogeneous(servers * GPUS_PER_SERVER, GPUS_PER_SERVER, GPU_MEMORY_GB)


def mixed_cluster(servers: int) -> Cluster:
    """Three types: half with 8 GPUs of 80 GB, a third slower with 4 of 48 GB, the rest faster."""
    small, fast = servers // 3, servers // 6
    return Cluster(
        (
            ServerType("standard", servers - small - fast, 8, 80.0),
            ServerType("small", small, 4, 48.0, speed=0.6),
            ServerType("fast", fast, 8, 141.0, speed=1.8),
        )
    )


def problem(
    models: int,
    workflows: int,
    cluster: Cluster,
    *,
    load: float = 0.6,
    exclusive: bool = False,
    seed: int = 0,
) -> tuple[Instance, Workload]:
    """Synthetic workload under a load on a cluster."""
    workload = synthetic_workload(models, workflows, seed=seed)
    demand = demand_for_load(workload, cluster, load, seed=seed)
    return build_instance(workload, demand, cluster, Rules(exclusive=exclusive)), workload
