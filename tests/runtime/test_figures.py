from collections import Counter
from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest

from runtime.figures import (
    completed,
    edge_traffic,
    gpu_busy,
    latency_percentile,
    makespan,
    model_pairs,
    request_latency,
    server_efficiency,
)
from runtime.scene import Executions, Scene
from tests.runtime.scenes import make_scene


@pytest.fixture(params=[0, 1, 2])
def scene(request) -> Scene:
    made = make_scene(3, requests=40, seed=request.param, keep=0.6)
    replica = made.run.replica.copy()
    replica[made.trace.offset[5]] = -1  # one request fails
    nothing = np.where(replica < 0, np.nan, 0.0)
    run = Executions(replica, made.run.start_s + nothing, made.run.end_s + nothing)
    return replace(made, run=run)


def requests_of(scene: Scene) -> list[list[int]]:
    offset = scene.trace.offset
    return [list(range(a, b)) for a, b in pairwise(offset)]


def server_of(scene: Scene, row: int) -> int:
    replica = scene.run.replica[row]
    return -1 if replica < 0 else int(scene.plan.placement.server[replica])


def test_latency_counts_from_release_to_the_last_end(scene):
    """A request's latency is its last end less its release, and NaN where a node never ran."""
    expected = [
        np.nan
        if any(scene.run.replica[i] < 0 for i in rows)
        else max(scene.run.end_s[i] for i in rows) - scene.release_s[r]
        for r, rows in enumerate(requests_of(scene))
    ]
    np.testing.assert_allclose(request_latency(scene), expected)
    assert np.isnan(expected).sum() == 1 == (~completed(scene)).sum()
    known = sorted(x for x in expected if not np.isnan(x))
    assert latency_percentile(scene, 50) == pytest.approx(np.median(known))


def test_server_efficiency_counts_whole_requests(scene):
    """A completed request counts where all its nodes ran on one server; a failed one never."""
    done = [rows for rows in requests_of(scene) if all(scene.run.replica[i] >= 0 for i in rows)]
    whole = [rows for rows in done if len({server_of(scene, i) for i in rows}) == 1]
    assert server_efficiency(scene) == pytest.approx(len(whole) / len(done))


def test_traffic_counts_every_edge_that_ran(scene):
    """Edges between two servers are counted one by one, and an edge of a failed node is none."""
    expected: Counter[tuple[int, int]] = Counter()
    for r, rows in enumerate(requests_of(scene)):
        for edge in scene.workload.workflows[scene.trace.workflow[r]].edges:
            ends = server_of(scene, rows[edge.source]), server_of(scene, rows[edge.target])
            if min(ends) >= 0:
                expected[ends] += 1
    source, target, count = edge_traffic(scene)
    found = dict(zip(zip(source.tolist(), target.tolist(), strict=True), count, strict=True))
    assert found == expected


def test_pairs_are_symmetric_and_counted_once(scene):
    """Two calls of one request are one pair, kept where both ran on one server."""
    size = len(scene.workload.models)
    together, kept = np.zeros((size, size)), np.zeros((size, size))
    for r, rows in enumerate(requests_of(scene)):
        nodes = scene.workload.workflows[scene.trace.workflow[r]].nodes
        for u, v in combinations(range(len(nodes)), 2):
            here = server_of(scene, rows[u]) == server_of(scene, rows[v]) >= 0
            for cell in {(nodes[u].model, nodes[v].model), (nodes[v].model, nodes[u].model)}:
                together[cell] += 1
                kept[cell] += here
    pairs = model_pairs(scene)
    np.testing.assert_array_equal(pairs.together, together)
    np.testing.assert_array_equal(pairs.kept, kept)


def test_busy_share_adds_up_every_overlap(scene):
    """Each bin of each GPU holds the seconds that its replicas' executions overlap it."""
    edges, busy = gpu_busy(scene, 7)
    assert edges[-1] == makespan(scene) == np.nanmax(scene.run.end_s)
    expected = np.zeros_like(busy)
    for i, replica in enumerate(scene.run.replica):
        if replica < 0:
            continue
        first, k = scene.plan.first_gpu[replica], scene.replica_gpus[replica]
        for b, (low, high) in enumerate(pairwise(edges)):
            overlap = min(scene.run.end_s[i], high) - max(scene.run.start_s[i], low)
            expected[first : first + k, b] += max(0.0, overlap) / (high - low)
    np.testing.assert_allclose(busy, expected, atol=1e-9)


def test_batched_executions_count_once():
    """Executions that overlap on one replica keep its GPUs busy once, not twice."""
    scene = make_scene(1, requests=1)
    run = Executions(np.zeros(3, np.int64), np.array([0.0, 1.0, 6.0]), np.array([4.0, 3.0, 10.0]))
    edges, busy = gpu_busy(replace(scene, run=run), 1)
    assert edges.tolist() == [0.0, 10.0]
    first = int(scene.plan.first_gpu[0])
    assert busy[first, 0] == pytest.approx(0.8)


def test_a_run_of_nothing_has_no_length():
    """Where no node ran there is no makespan, no busy time and no percentile."""
    scene = make_scene(1, requests=2)
    n = scene.trace.n_executions
    scene = replace(scene, run=Executions(np.full(n, -1), np.full(n, np.nan), np.full(n, np.nan)))
    assert makespan(scene) == 0.0 == server_efficiency(scene)
    assert not gpu_busy(scene, 3)[1].any()
    assert np.isnan(latency_percentile(scene, 99))
