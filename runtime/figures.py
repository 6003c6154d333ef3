"""Figures of a simulated run, recomputed from its node executions."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from placement.problem.cluster import FloatArray, IntArray
from placement.support.equality import ByContent
from runtime.arrays import covered_gpus
from runtime.scene import Scene


def executions_of(scene: Scene, workflow: int) -> tuple[IntArray, IntArray]:
    """Rows of one workflow's executions.

    Returns
    -------
    requests : int64, shape (K,)
    rows : int64, shape (K, V)
        Row in `Executions` of each node of each of these requests.
    """
    requests = np.flatnonzero(scene.trace.workflow == workflow)
    nodes = len(scene.workload.workflows[workflow].nodes)
    return requests, scene.trace.offset[requests][:, None] + np.arange(nodes)


def completed(scene: Scene) -> np.ndarray:
    """Whether every node of a request ran, bool of shape (R,)."""
    ran = scene.run.replica >= 0
    return np.asarray(np.logical_and.reduceat(ran, scene.trace.offset[:-1]))


def request_latency(scene: Scene) -> FloatArray:
    """Seconds from release to the end of the last node, NaN where a request failed, shape (R,)."""
    end = np.maximum.reduceat(scene.run.end_s, scene.trace.offset[:-1])
    return np.asarray(np.where(completed(scene), end - scene.release_s, np.nan))


def latency_percentile(scene: Scene, percentile: float) -> float:
    """Percentile of the completed requests' latency, linear between ranks; NaN of none."""
    latency = request_latency(scene)
    latency = latency[~np.isnan(latency)]
    return float(np.percentile(latency, percentile)) if len(latency) else float("nan")


def makespan(scene: Scene) -> float:
    """Second at which the last node ended."""
    ended = scene.run.end_s[scene.run.replica >= 0]
    return float(ended.max(initial=0.0))


def server_efficiency(scene: Scene) -> float:
    """Share of the completed requests whose nodes all ran on one server."""
    server, begin = scene.execution_server, scene.trace.offset[:-1]
    done = completed(scene)
    whole = np.minimum.reduceat(server, begin) == np.maximum.reduceat(server, begin)
    return float(whole[done].mean()) if done.any() else 0.0


@dataclass(frozen=True, eq=False)
class Pairs(ByContent):
    """Pairs of nodes of one request, by the models they call: int64 of shape (M, M), symmetric.

    `together` counts the pairs, `kept` those that ran on one server.
    """

    together: IntArray
    kept: IntArray


def model_pairs(scene: Scene) -> Pairs:
    """Count how often two models serve one request, and how often they did so on one server."""
    size = len(scene.workload.models)
    together = np.zeros((size, size), dtype=np.int64)
    kept = np.zeros_like(together)
    for w, workflow in enumerate(scene.workload.workflows):
        _, rows = executions_of(scene, w)
        server = scene.execution_server[rows]
        for u, v in combinations(range(len(workflow.nodes)), 2):
            a, b = workflow.nodes[u].model, workflow.nodes[v].model
            same = int(((server[:, u] == server[:, v]) & (server[:, u] >= 0)).sum())
            for cell in {(a, b), (b, a)}:
                together[cell] += len(rows)
                kept[cell] += same
    return Pairs(together, kept)


def edge_traffic(scene: Scene) -> tuple[IntArray, IntArray, IntArray]:
    """Count the workflow edges that ran between two servers.

    Returns
    -------
    source, target, count : int64, each of shape (F,)
        Ordered by source, then target; equal ends are edges that stayed on one server.
    """
    n_servers = scene.plan.cluster.n_servers
    keys = [np.zeros(0, dtype=np.int64)]
    for w, workflow in enumerate(scene.workload.workflows):
        _, rows = executions_of(scene, w)
        server = scene.execution_server[rows]
        for edge in workflow.edges:
            a, b = server[:, edge.source], server[:, edge.target]
            ran = (a >= 0) & (b >= 0)
            keys.append(a[ran] * n_servers + b[ran])
    key, count = np.unique(np.concatenate(keys), return_counts=True)
    return key // n_servers, key % n_servers, count


def gpu_busy(scene: Scene, bins: int) -> tuple[FloatArray, FloatArray]:
    """Busy share of every GPU over time.

    Executions that overlap, on one replica (batching) or on a GPU that several share, count once.

    Returns
    -------
    edges_s : float64, shape (bins + 1,)
        From 0 to the makespan.
    busy : float64, shape (N_gpus, bins)
    """
    horizon = makespan(scene)
    edges = np.linspace(0.0, horizon, bins + 1)
    plan = scene.plan
    if horizon <= 0:
        return edges, np.zeros((plan.cluster.n_gpus, bins))
    ran = np.flatnonzero(scene.run.replica >= 0)
    place = scene.run.replica[ran]
    sliced = plan.cluster.sharing.mode == "time-sliced"
    if sliced:
        blocks = plan.instance.gpus_required[plan.placement.model][place]
        ran, place = np.repeat(ran, blocks), covered_gpus(plan.first_gpu[place], blocks)
    places = plan.cluster.n_gpus if sliced else plan.placement.n_replicas
    place, start, end = _busy_periods(place, scene.run.start_s[ran], scene.run.end_s[ran])
    until = _time_after(place, start, edges, places) - _time_after(place, end, edges, places)
    passed = np.diff(until, axis=1)
    busy = (passed if sliced else scene.per_gpu(passed)) / (horizon / bins)
    return edges, np.clip(busy, 0.0, 1.0)


def _busy_periods(
    replica: IntArray, start: FloatArray, end: FloatArray
) -> tuple[IntArray, FloatArray, FloatArray]:
    order = np.lexsort((start, replica))
    replica, start, end = replica[order], start[order], end[order]
    begins = np.ones(len(replica), dtype=bool)
    reach = end.copy()
    for r_begin, r_end in _runs(replica):
        reach[r_begin:r_end] = np.maximum.accumulate(end[r_begin:r_end])
        begins[r_begin + 1 : r_end] = start[r_begin + 1 : r_end] > reach[r_begin : r_end - 1]
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(replica)) - 1
    return replica[first], start[first], reach[last]


def _runs(sorted_values: IntArray) -> list[tuple[int, int]]:
    cuts = np.flatnonzero(np.diff(sorted_values)) + 1
    bounds = [0, *cuts.tolist(), len(sorted_values)]
    return [(a, b) for a, b in pairwise(bounds) if b > a]


def _time_after(
    replica: IntArray, moment: FloatArray, edges: FloatArray, replicas: int
) -> FloatArray:
    # The sum of max(0, edge - moment) over a replica's moments, at every edge.
    column = np.searchsorted(edges, moment)
    count = np.zeros((replicas, len(edges)))
    total = np.zeros_like(count)
    inside = column < len(edges)
    np.add.at(count, (replica[inside], column[inside]), 1.0)
    np.add.at(total, (replica[inside], column[inside]), moment[inside])
    return np.asarray(np.cumsum(count, axis=1) * edges - np.cumsum(total, axis=1))
