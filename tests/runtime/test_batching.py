"""What the placement reckons of a replica that batches is what the engine makes of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from placement.problem.cluster import Cluster, GpuSharing
from placement.problem.instance_building import build_instance
from placement.problem.names import SharingMode
from placement.problem.solution import Placement
from placement.problem.trace import measure_demand
from placement.problem.workload import Node, Workflow, Workload
from runtime.metrics import measure
from runtime.simulate import simulate_placement
from tests.runtime.cases import model, trace_of

TABLES = [(1.0,), (1.0, 1.2, 1.6, 2.0), (1.0, 1.9), (1.0, 1.2, 5.0), (1.0, 1.0, 1.0)]
REQUESTS = 2_000


@pytest.mark.parametrize("slowdown", TABLES)
@pytest.mark.parametrize("spread", [0.0, 0.5])
@pytest.mark.parametrize("sharing", ["serial", "time-sliced"])
def test_a_full_replica_is_as_busy_as_the_placement_reckons(
    slowdown: tuple[float, ...], spread: float, sharing: SharingMode
) -> None:
    """In overload the time of a replica is the work of the integer program, whatever the table."""
    workload = Workload((model("m", 1, slowdown),), (Workflow("w", "W", (Node("n", 0),)),))
    service = np.random.default_rng(3).uniform(1 - spread, 1 + spread, REQUESTS)
    arrivals = np.zeros(REQUESTS)
    trace = trace_of(workload, arrivals, np.zeros(REQUESTS, dtype=np.int64), service)
    cluster = replace(Cluster.homogeneous(1, 1), sharing=GpuSharing(sharing))
    one = Placement.sorted(np.array([0]), np.array([0]), np.array([0]))
    metrics = measure(simulate_placement(workload, trace, cluster, one, engine="compiled"))
    instance = build_instance(workload, measure_demand(workload, trace), cluster)
    # All at one instant: the rate counts requests, so the offered load is in seconds of the GPU.
    assert metrics.gpu_busy_s[0] == pytest.approx(instance.offered_load[0], rel=0.01)
