"""What a trace asks for, and what one server can and cannot hold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from placement.patterns.pattern import lay_out
from placement.problem.cluster import Cluster, FloatArray, IntArray, ServerType
from placement.problem.instance import Instance
from placement.problem.instance_building import build_instance
from placement.problem.space import can_hold
from placement.problem.trace import Demand, Trace, measure_demand
from placement.problem.variants import as_run
from placement.problem.workload import Workload
from placement.support.described import Described, Facts
from placement.support.equality import ByContent

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Holding:
    """Whether one server of a type can hold a workflow whole.

    Parameters
    ----------
    workflow : int
    server_type : str
    gpus, memory_gb : int, float
        What one replica of each of its models takes in sum.
    exclusive, shared : bool
        Whether they fit side by side, and whether they fit when GPUs are shared by memory.
    servers_for_load : float
        Servers that its offered load would keep busy all the time.
    """

    workflow: int
    server_type: str
    gpus: int
    memory_gb: float
    exclusive: bool
    shared: bool
    servers_for_load: float


@dataclass(frozen=True, eq=False, repr=False)
class Analysis(ByContent, Described):
    """Patterns of a trace.

    Parameters
    ----------
    workload : Workload
        Models and workflows that the indices below are of.
    demand : Demand
        Requests, rates and mean service times of each workflow.
    executions : int64, shape (M,)
        Node executions per model (usage).
    requests_with : int64, shape (M,)
        Requests that call each model at least once.
    cooccurrence : int64, shape (M, M)
        Pairs of nodes of one request by their models, over all requests; symmetric, a pair of
        nodes of the same model counts once on the diagonal.
    edges : int64, shape (M, M)
        Edges over all requests from a node of the row's model to one of the column's.
    offered_load : float64, shape (M,)
        GPU-erlangs: lambda t k.
    holdings : tuple of Holding
        Of each workflow on each server type: whether one server holds it whole.
    """

    workload: Workload
    demand: Demand
    executions: IntArray
    requests_with: IntArray
    cooccurrence: IntArray
    edges: IntArray
    offered_load: FloatArray
    holdings: tuple[Holding, ...]

    @property
    def headline(self) -> str:
        """What was asked for, and how much work that is."""
        return (
            f"{int(self.demand.requests.sum()):,} requests over {self.demand.span_s:,.1f} s, "
            f"{self.offered_load.sum():.2f} GPUs busy all the time"
        )

    def facts(self) -> Facts:
        """Offered load of each model, and the rate of each workflow."""
        models = sorted(range(len(self.workload.models)), key=lambda m: -self.offered_load[m])
        return [
            (
                f"model {self.workload.models[m].id}",
                f"{self.executions[m]:,} executions, {self.offered_load[m]:.3f} GPU-erlangs",
            )
            for m in models
        ] + [
            (f"workflow {flow.id}", f"{requests:,} requests, {rate:.4g}/s")
            for flow, requests, rate in zip(
                self.workload.workflows, self.demand.requests, self.demand.rate, strict=True
            )
        ]

    def model_frame(self) -> pl.DataFrame:
        """Give one row for each model.

        Returns
        -------
        polars.DataFrame
            ``model``, ``executions``, ``requests`` (those that call it), ``gpus_required`` and
            ``offered_load`` in GPU-erlangs.
        """
        import polars as pl  # a fifth of a second that only tables need

        models = self.workload.models
        return pl.DataFrame(
            {
                "model": [m.id for m in models],
                "executions": self.executions,
                "requests": self.requests_with,
                "gpus_required": [m.gpus_required for m in models],
                "offered_load": self.offered_load,
            }
        )


def analyze(workload: Workload, trace: Trace, cluster: Cluster) -> Analysis:
    """Count a trace, and hold its workflows against the servers of a cluster.

    Parameters
    ----------
    workload : Workload
        Models and workflows.
    trace : Trace
        The requests.
    cluster : Cluster
        Its server types are what the workflows are held against.

    Returns
    -------
    Analysis
    """
    workload = as_run(workload, trace)
    demand = measure_demand(workload, trace)
    n = len(workload.models)
    executions = np.zeros(n, dtype=np.int64)
    requests_with = np.zeros(n, dtype=np.int64)
    pairs = np.zeros((n, n), dtype=np.int64)
    edges = np.zeros((n, n), dtype=np.int64)
    for w, flow in enumerate(workload.workflows):
        count = int(demand.requests[w])
        models = [v.model for v in flow.nodes]
        for m in models:
            executions[m] += count
        for m in set(models):
            requests_with[m] += count
        for a, b in combinations(models, 2):
            pairs[a, b] += count
            if a != b:
                pairs[b, a] += count
        for e in workload.crossing_edges(w):
            edges[models[e.source], models[e.target]] += count
    instance = build_instance(workload, demand, cluster)
    return Analysis(
        workload=workload,
        demand=demand,
        executions=executions,
        requests_with=requests_with,
        cooccurrence=pairs,
        edges=edges,
        offered_load=instance.offered_load,
        holdings=tuple(_holdings(instance)),
    )


def _holdings(instance: Instance) -> list[Holding]:
    found = []
    k, memory = instance.gpus_required, instance.memory_per_gpu_gb
    alone = replace(instance, exclusive=True)
    speeds = [_mean_speeds(instance, kind) for kind in instance.cluster.server_types]
    for w, flow in enumerate(instance.workflows):
        models = sorted({int(m) for m in flow.node_model})
        wanted = dict.fromkeys(models, 1)
        busy = flow.rate * flow.work_s * k[flow.node_model]
        for t, server in enumerate(instance.cluster.server_types):
            load = float((busy / speeds[t][flow.node_model]).sum())
            fits = all(can_hold(instance, m, server) for m in models)
            found.append(
                Holding(
                    workflow=w,
                    server_type=server.name,
                    gpus=int(k[models].sum()),
                    memory_gb=float((k * memory)[models].sum()),
                    exclusive=fits and len(lay_out(alone, t, wanted).content) == len(models),
                    shared=fits and len(lay_out(instance, t, wanted).content) == len(models),
                    servers_for_load=load / max(1, server.usable_gpus),
                )
            )
    return found


def _mean_speeds(instance: Instance, kind: ServerType) -> FloatArray:
    """Speed of each model on the GPUs of a type, in the mean where they differ, shape (M,)."""
    if not kind.paced:
        return instance.speeds_of(kind)
    usable = [g for g in range(kind.gpus) if g not in kind.excluded_gpus]
    each = np.array([kind.speeds_of(name) for name in instance.model_ids])
    return np.asarray(each[:, usable or slice(None)].mean(axis=1))
