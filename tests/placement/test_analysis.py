"""The analysis of a trace against counting it request by request."""

from collections import Counter
from datetime import datetime
from itertools import combinations, product

import numpy as np
import pytest

from placement.analysis import analyze
from placement.problem.cluster import Cluster, ServerType
from placement.problem.trace import Trace
from placement.problem.workload import Edge, Model, Node, Workflow, Workload


def random_workload(rng: np.random.Generator) -> Workload:
    """Up to five models of one to three GPUs, up to three workflows that may repeat a model."""
    models = tuple(
        Model(f"m{m}", f"M{m}", float(rng.integers(5, 120)), int(rng.integers(1, 4)), 1.0)
        for m in range(int(rng.integers(1, 6)))
    )
    flows = []
    for w in range(int(rng.integers(1, 4))):
        nodes = tuple(
            Node(f"n{v}", int(rng.integers(len(models)))) for v in range(int(rng.integers(1, 5)))
        )
        edges = tuple(
            Edge(u, v) for u, v in combinations(range(len(nodes)), 2) if rng.random() < 0.5
        )
        flows.append(Workflow(f"w{w}", f"W{w}", nodes, edges))
    return Workload(models, tuple(flows))


def random_trace(rng: np.random.Generator, workload: Workload) -> Trace:
    workflow = rng.integers(0, len(workload.workflows), int(rng.integers(2, 40)))
    sizes = [len(workload.workflows[w].nodes) for w in workflow]
    offset = np.concatenate(([0], np.cumsum(sizes)))
    arrival = np.cumsum(rng.exponential(1.0, len(workflow)))
    return Trace(
        [str(i) for i in range(len(workflow))],
        arrival - arrival[0],
        workflow,
        rng.uniform(0.1, 5.0, int(offset[-1])),
        offset,
        datetime(2026, 1, 1),
    )


@pytest.mark.parametrize("seed", range(25))
def test_counts_and_loads_are_those_of_going_through_the_requests(seed: int) -> None:
    """Usage, frequencies, pairs, edges, rates, means and GPU-erlangs, one request at a time."""
    rng = np.random.default_rng(seed)
    workload = random_workload(rng)
    trace = random_trace(rng, workload)
    found = analyze(workload, trace, Cluster.homogeneous(8, 4))
    usage, requests, pairs, edges = Counter(), Counter(), Counter(), Counter()
    gpu_seconds: Counter[int] = Counter()
    for r, w in enumerate(trace.workflow):
        flow = workload.workflows[w]
        models = [n.model for n in flow.nodes]
        usage.update(models)
        requests.update(set(models))
        for u, v in combinations(range(len(models)), 2):
            # Symmetric: both directions, the diagonal once.
            pairs.update({(models[u], models[v]), (models[v], models[u])})
        for e in flow.edges:
            edges[models[e.source], models[e.target]] += 1
        for v, m in enumerate(models):
            gpu_seconds[m] += (
                trace.service_s[trace.offset[r] + v] * workload.models[m].gpus_required
            )
    n = len(workload.models)
    np.testing.assert_array_equal(found.executions, [usage[m] for m in range(n)])
    np.testing.assert_array_equal(found.requests_with, [requests[m] for m in range(n)])
    for a, b in product(range(n), repeat=2):
        assert found.cooccurrence[a, b] == pairs[a, b]
        assert found.edges[a, b] == edges[a, b]
    erlangs = np.array([gpu_seconds[m] for m in range(n)]) / trace.span_s
    np.testing.assert_allclose(found.offered_load, erlangs)


def fits(workload: Workload, models: list[int], server: ServerType, *, exclusive: bool) -> bool:
    """Whether one replica of each model fits on one server: every start of every block tried."""
    blocks = [workload.models[m] for m in models]
    starts = [range(server.gpus - b.gpus_required + 1) for b in blocks]
    for choice in product(*starts):
        memory = np.zeros(server.gpus)
        count = np.zeros(server.gpus)
        for block, start in zip(blocks, choice, strict=True):
            memory[start : start + block.gpus_required] += block.memory_per_gpu_gb
            count[start : start + block.gpus_required] += 1
        if (memory <= server.gpu_memory_gb).all() and (not exclusive or count.max() <= 1):
            return True
    return False


@pytest.mark.parametrize("seed", range(40))
def test_what_one_server_holds_is_what_some_layout_holds(seed: int) -> None:
    """Shared and exclusive, against all layouts; GPUs, memory and load are sums."""
    rng = np.random.default_rng(1000 + seed)
    workload = random_workload(rng)
    trace = random_trace(rng, workload)
    cluster = Cluster(
        (
            ServerType("small", 2, 2, 40.0),
            ServerType("large", 1, int(rng.integers(3, 6)), 80.0, 2.0),
        )
    )
    found = analyze(workload, trace, cluster)
    assert len(found.holdings) == 2 * len(workload.workflows)
    for h in found.holdings:
        flow = workload.workflows[h.workflow]
        server = next(t for t in cluster.server_types if t.name == h.server_type)
        models = sorted({n.model for n in flow.nodes})
        assert h.gpus == sum(workload.models[m].gpus_required for m in models)
        assert h.memory_gb == pytest.approx(sum(workload.models[m].memory_gb for m in models))
        assert h.exclusive == fits(workload, models, server, exclusive=True), (models, server)
        assert h.shared == fits(workload, models, server, exclusive=False), (models, server)
        mine = np.flatnonzero(trace.workflow == h.workflow)
        gpu_seconds = sum(
            trace.service_s[trace.offset[r] + v] * workload.models[n.model].gpus_required
            for r in mine
            for v, n in enumerate(flow.nodes)
        )
        busy = gpu_seconds / trace.span_s / (server.gpus * server.speed)
        assert h.servers_for_load == pytest.approx(busy)
