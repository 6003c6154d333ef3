"""What stayed on one GPU, against plain loops over sets of GPUs."""

from __future__ import annotations

import numpy as np
import pytest

from placement.problem.cluster import Cluster
from placement.problem.solution import Placement
from placement.problem.workload import Edge, Node, Workflow, Workload
from runtime.gpu_hops import GpuHops, gpu_hops
from runtime.metrics import measure
from runtime.result import RunResult
from runtime.simulate import simulate_placement
from tests.runtime.cases import model, run_case, trace_of


def naive(run: RunResult) -> GpuHops:
    """Request by request and edge by edge."""
    problem = run.problem
    whole = hops = stays = 0
    moved = 0.0

    def gpus(e: int) -> set[int]:
        p = run.replica[e]
        first = int(problem.replica_first_gpu[p])
        return set(range(first, first + int(problem.replica_gpus[p])))

    for r in np.flatnonzero(run.completed):
        workflow = problem.workload.workflows[problem.workflow[r]]
        base = int(problem.offset[r])
        served = [
            gpus(base + v)
            for v, n in enumerate(workflow.nodes)
            if problem.workload.models[n.model].on_gpus
        ]
        whole += not served or bool(set.intersection(*served))
        for e in workflow.edges:
            u, v = base + e.source, base + e.target
            servers = {int(problem.replica_server[run.replica[x]]) for x in (u, v)}
            if not e.carries or -1 in servers:
                continue
            stays += bool(gpus(u) & gpus(v))
            if len(servers) == 1 and not gpus(u) & gpus(v):
                hops += 1
                moved += e.payload_mb
    return GpuHops(int(run.completed.sum()), whole, hops, stays, moved)


def test_hops_are_those_of_plain_loops() -> None:
    """With blocks, shared GPUs, steps without one, and edges that carry nothing."""
    seen = np.zeros(3, dtype=int)
    for seed in range(700, 800):
        run = run_case(seed, "earliest", "reference", steps=True)
        found = gpu_hops(run)
        assert found == naive(run)
        crossed = measure(run).cross_server_communications
        edges = sum(
            len(run.problem.workload.crossing_edges(int(w)))
            for w in run.problem.workflow[run.completed]
        )
        total = found.cross_gpu_communications + found.intra_gpu_communications + crossed
        assert total == edges
        seen += [
            found.cross_gpu_communications > 0,
            found.intra_gpu_communications > 0,
            crossed > 0,
        ]
    assert (seen > 10).all()


@pytest.mark.parametrize(
    ("start", "hops", "efficiency"), [((0, 0, 1), 1, 0.0), ((0, 0, 0), 0, 100.0)]
)
def test_a_chain_hops_where_its_blocks_have_nothing_in_common(
    start: tuple[int, ...], hops: int, efficiency: float
) -> None:
    """a and b on GPU 0, c beside them or on GPU 1: the second edge moves its 30 MB there."""
    nodes = tuple(Node(name, m) for m, name in enumerate("abc"))
    flow = Workflow("w", "w", nodes, (Edge(0, 1, 10.0), Edge(1, 2, 30.0)))
    workload = Workload(tuple(model(name) for name in "abc"), (flow,))
    trace = trace_of(workload, np.zeros(1), np.zeros(1, dtype=int), np.ones(3))
    placement = Placement.of([(m, 0, i) for m, i in enumerate(start)])
    run = simulate_placement(workload, trace, Cluster.homogeneous(2, 2), placement)
    found = gpu_hops(run)
    assert (found.cross_gpu_communications, found.hop_mb) == (hops, 30.0 * hops)
    assert found.gpu_efficiency == efficiency
