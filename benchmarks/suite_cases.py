"""The cases of the comparison: workloads x clusters x load x sharing x mode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from placement.files.cluster_file import read_cluster
from placement.files.config_file import read_config
from placement.files.request_file import read_requests
from placement.generate.arrivals import arrival_times
from placement.generate.synthetic import (
    synthetic_config,
    synthetic_trace,
    write_config,
)
from placement.generate.trace_writer import write_requests
from placement.problem.cluster import Cluster
from placement.problem.instance_building import build_instance
from placement.problem.names import Mode, SharingMode
from placement.problem.trace import Trace, measure_demand
from placement.problem.workload import Workload

CONFIGS = Path(__file__).parents[1] / "configs"
HETEROGENEOUS = "heterogeneous"
SYNTHETIC_REQUESTS = 2_000


@dataclass(frozen=True)
class Case:
    """One row of the table of cases.

    Parameters
    ----------
    workload : str
        A shipped config by its stem, or ``synthetic-M-W``: M models, W workflows.
    cluster : str
        ``GPUs/GPUs per server`` of 80 GB each, or `HETEROGENEOUS` for the shipped cluster file.
    load : float or None
        Offered load over the cluster's capacity; None offline, where only the mix counts.
    exclusive : bool
        A GPU holds at most one replica.
    gpu_sharing : str
        How a GPU serves several replicas.
    """

    workload: str
    cluster: str
    mode: Mode
    load: float | None
    exclusive: bool
    gpu_sharing: SharingMode = "time-sliced"

    @property
    def name(self) -> str:
        """Name in tables."""
        load = "offline" if self.load is None else f"load {self.load:g}"
        sharing = "exclusive" if self.exclusive else "sharing"
        if self.gpu_sharing != "time-sliced":
            sharing = self.gpu_sharing
        return f"{self.workload} {self.cluster} {sharing} {load}"


PLACES = (
    ("small", "8/4"),
    ("small", "16/4"),
    ("multimodal", "32/8"),
    ("multimodal", "64/8"),
    ("multimodal", HETEROGENEOUS),
    ("synthetic-8-4", "32/8"),
    ("synthetic-16-12", "64/8"),
)
QUICK_PLACES = PLACES[:1] + PLACES[2:3] + PLACES[5:6]
LOADS = (0.3, 0.6, 0.9, 1.2, 1.5)
QUICK_LOADS = (0.3, 0.9)


def suite(*, quick: bool, sharings: Sequence[SharingMode] = ("time-sliced",)) -> Iterator[Case]:
    """List every case, in order; those with exclusive GPUs once, for nothing is shared there."""
    for case in _cases(quick=quick):
        for i, mode in enumerate(sharings):
            if i == 0 or not case.exclusive:
                yield replace(case, gpu_sharing=mode)


def _cases(*, quick: bool) -> Iterator[Case]:
    for workload, cluster in QUICK_PLACES if quick else PLACES:
        for exclusive in (False, True):
            for load in QUICK_LOADS if quick else LOADS:
                yield Case(workload, cluster, "online", load, exclusive)
            yield Case(workload, cluster, "offline", None, exclusive)


def cluster_of(case: Case) -> Cluster:
    """Build the case's cluster."""
    if case.cluster == HETEROGENEOUS:
        cluster = read_cluster(CONFIGS / "heterogeneous_cluster.yaml")
    else:
        gpus, per_server = map(int, case.cluster.split("/"))
        cluster = Cluster.homogeneous(gpus, per_server)
    return replace(cluster, sharing=replace(cluster.sharing, mode=case.gpu_sharing))


def inputs_of(case: Case) -> tuple[Workload, Trace, Cluster]:
    """Read workload and trace; time is stretched so that the trace has the case's load.

    Capacity is the sum of the GPUs' speeds: at load 1 every GPU would be busy all the time if
    blocks and memory cost nothing.
    """
    workload, trace = _read(case.workload)
    cluster = cluster_of(case)
    if case.load is None:
        return workload, trace, cluster
    instance = build_instance(workload, measure_demand(workload, trace), cluster)
    capacity = sum(t.count * t.gpus * t.speed for t in cluster.server_types)
    stretch = float(instance.offered_load.sum()) / (case.load * capacity)
    return workload, replace(trace, arrival_s=trace.arrival_s * stretch), cluster


@cache
def _read(name: str) -> tuple[Workload, Trace]:
    if not name.startswith("synthetic-"):
        workload = read_config(CONFIGS / f"{name}.yaml")
        requests = next(iter(sorted(CONFIGS.glob(f"{name}_requests.*"))))
        return workload, read_requests(requests, workload)
    models, workflows = map(int, name.split("-")[1:])
    with TemporaryDirectory() as folder:
        config, requests = Path(folder) / "config.json", Path(folder) / "requests.parquet"
        write_config(config, synthetic_config(models, workflows, seed=models, largest_block=4))
        workload = read_config(config)
        arrivals = arrival_times("bursty", SYNTHETIC_REQUESTS, 1.0, seed=models, burstiness=2.0)
        mix = np.random.default_rng(models).dirichlet(np.full(workflows, 3.0))
        write_requests(requests, synthetic_trace(workload, arrivals, seed=models, mix=mix))
        return workload, read_requests(requests, workload)
