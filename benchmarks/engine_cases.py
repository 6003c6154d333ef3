"""Clusters and traces of any size for the measurements of the engine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from placement.problem.cluster import Cluster, Network
from placement.problem.solution import Placement
from placement.problem.trace import Trace
from placement.problem.workload import Edge, Model, Node, Workflow, Workload

BLOCKS = (1, 1, 1, 1, 2, 1, 1, 2, 1, 1, 1, 4, 1, 2, 1, 1)
"""GPUs of a replica, model by model: 22 for one replica of each of 16 models."""
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Case:
    """What `runtime.simulate.simulate` takes, and what to call it."""

    name: str
    workload: Workload
    trace: Trace
    cluster: Cluster
    placement: Placement


@dataclass(frozen=True)
class Features:
    """What a case has beside models, workflows and servers.

    Parameters
    ----------
    network : bool
        Edges take time, and more of it across servers.
    shared : int
        Replicas that every GPU holds, and that share its time.
    concurrency : int
        Executions that a replica serves at once, each a fifth slower for every other.
    """

    network: bool = False
    shared: int = 1
    concurrency: int = 1


PLAIN = Features()


def make_case(
    gpus: int,
    gpus_per_server: int,
    requests: int,
    features: Features = PLAIN,
    *,
    models: int = len(BLOCKS),
    load: float = 0.7,
    seed: int = 0,
) -> Case:
    """Draw a case: six workflows of four to seven nodes over models with equally many replicas.

    Parameters
    ----------
    features : Features
        What else there is.
    load : float
        Offered load of the busiest model, as a fraction of its replicas' capacity.
    """
    rng = np.random.default_rng(seed)
    network, shared, concurrency = features.network, features.shared, features.concurrency
    workload = _workload(rng, models, concurrency, payload_mb=50.0 if network else 0.0)
    wires = Network(1e-5, 200.0, 1e-3, 5.0) if network else Network()
    cluster = replace(Cluster.homogeneous(gpus, gpus_per_server), network=wires)
    placement = _placement(workload, cluster, layers=shared)
    trace = _trace(rng, workload, placement, requests, load / shared)
    flags = [f"{gpus} GPUs", f"{cluster.n_servers} servers"]
    flags += ["network"] * network + [f"{shared} replicas a GPU"] * (shared > 1)
    flags += [f"{concurrency} at once"] * (concurrency > 1)
    return Case(", ".join(flags), workload, trace, cluster, placement)


def _workload(
    rng: np.random.Generator, models: int, concurrency: int, payload_mb: float
) -> Workload:
    slowdown = tuple(1 + 0.2 * n for n in range(concurrency))
    catalogue = tuple(
        Model(
            id=f"model-{m:02d}",
            name=f"Model {m}",
            memory_gb=10.0 * BLOCKS[m % len(BLOCKS)],
            gpus_required=BLOCKS[m % len(BLOCKS)],
            load_time_s=10.0,
            inference_time_mean_s=float(rng.uniform(0.5, 2.0)),
            max_concurrency=concurrency,
            slowdown=slowdown,
        )
        for m in range(models)
    )
    workflows = []
    for w in range(6):
        size = 4 + w % 4
        nodes = tuple(Node(f"n{v}", int(m)) for v, m in enumerate(rng.integers(models, size=size)))
        edges = tuple(
            Edge(int(u), v, payload_mb)
            for v in range(1, size)
            for u in sorted(rng.choice(v, min(v, int(rng.integers(1, 3))), replace=False))
        )
        workflows.append(Workflow(f"workflow-{w}", f"Workflow {w}", nodes, edges))
    return Workload(catalogue, tuple(workflows))


def _placement(workload: Workload, cluster: Cluster, layers: int) -> Placement:
    """Fill every server from its first GPU on, model after model, so that counts stay equal."""
    gpus = [m.gpus_required for m in workload.models]
    found: dict[tuple[int, int, int], None] = {}
    turn = 0
    for _ in range(layers):
        for s, size in enumerate(cluster.server_gpus.tolist()):
            at = 0
            while at < size:
                # One replica of a model on the same GPUs is enough.
                choice = (m % len(gpus) for m in range(turn, turn + len(gpus)))
                m = next((m for m in choice if (s, at, m) not in found), -1)
                if m < 0 or at + gpus[m] > size:
                    break
                found[s, at, m] = None
                at += gpus[m]
                turn += 1
    server, start, model = (np.array(column) for column in zip(*sorted(found), strict=True))
    return Placement.sorted(model, server, start)


def _trace(
    rng: np.random.Generator,
    workload: Workload,
    placement: Placement,
    requests: int,
    load: float,
) -> Trace:
    workflow = rng.integers(len(workload.workflows), size=requests)
    sizes = np.array([len(w.nodes) for w in workload.workflows])
    offset = np.concatenate(([0], np.cumsum(sizes[workflow]))).astype(np.int64)
    mean = np.array([m.inference_time_mean_s or 0.0 for m in workload.models])
    calls = np.zeros(len(mean))
    service = np.empty(int(offset[-1]))
    for w, flow in enumerate(workload.workflows):
        rows = offset[:-1][workflow == w]
        for v, node in enumerate(flow.nodes):
            service[rows + v] = rng.gamma(4.0, mean[node.model] / 4.0, len(rows))
            calls[node.model] += 1.0 / len(workload.workflows)
    busy = np.array([m.busy_factor for m in workload.models])
    replicas = placement.replicas_per_model(len(mean))
    rate = load / float((calls * mean * busy / replicas).max())
    gaps = rng.exponential(1.0 / rate, requests)
    gaps[0] = 0.0
    ids = [f"r{i}" for i in range(requests)]
    return Trace(ids, np.cumsum(gaps), workflow, service, offset, START)
