"""What the engines read: workload, trace, cluster and replicas as flat arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from placement.cluster import Cluster, FloatArray, IntArray
from placement.solution import Placement
from placement.trace import Mode, Trace
from placement.workload import Workload

Int32Array = NDArray[np.int32]
NOWHERE = -1
"""No server, no replica."""


@dataclass(frozen=True)
class Problem:
    """One simulation, ready to run: a struct of arrays that both engines share.

    Nodes of all workflows are numbered through (their *template* number): workflow w owns
    ``first_node[w] : first_node[w + 1]``. Node executions are numbered request by request, as in
    `Trace.service_s`.

    Parameters
    ----------
    arrival_s : float64, shape (R,)
        Arrival of each request; all 0 offline.
    workflow : int64, shape (R,)
        Workflow of each request.
    offset : int64, shape (R + 1,)
        Request r owns the executions ``offset[r] : offset[r + 1]``.
    service_s : float64, shape (N,)
        Service time of each execution at speed 1.
    servable : bool, shape (W,)
        False for a workflow that calls a model without a replica: its requests fail.
    first_node : int64, shape (W + 1,)
        Template numbers of each workflow.
    node_model : int64, shape (V,)
        Model of each template node.
    child_start, child : int64, shapes (V + 1,) and (E,)
        Children of template node v, as positions inside its workflow, ascending.
    parent_start, parent : int64, shapes (V + 1,) and (E,)
        Parents of template node v, likewise.
    parent_intra_s, parent_inter_s : float64, shape (E,)
        Seconds for the data of each parent to arrive, inside a server and across servers.
    model_start, model_replica : int64, shapes (M + 1,) and (P,)
        Replicas of each model, ascending.
    replica_server, replica_first_gpu, replica_gpus : int64, shape (P,)
        Server of each replica, its first GPU by the cluster's number, its number of GPUs.
    replica_speed : float64, shape (P,)
        Speed of the replica's server.
    replica_slots : int64, shape (P,)
        Most executions in service at once on the replica.
    slowdown : float64, shape (P, most slots)
        Slowdown of a replica by the number in service, less one.
    target : int32, shape (N,)
        Server that the plan's shares give to each execution, or `NOWHERE`.
    """

    workload: Workload
    trace: Trace
    cluster: Cluster
    placement: Placement
    mode: Mode
    arrival_s: FloatArray
    workflow: IntArray
    offset: IntArray
    service_s: FloatArray
    servable: NDArray[np.bool_]
    first_node: IntArray
    node_model: IntArray
    child_start: IntArray
    child: IntArray
    parent_start: IntArray
    parent: IntArray
    parent_intra_s: FloatArray
    parent_inter_s: FloatArray
    model_start: IntArray
    model_replica: IntArray
    replica_server: IntArray
    replica_first_gpu: IntArray
    replica_gpus: IntArray
    replica_speed: FloatArray
    replica_slots: IntArray
    slowdown: FloatArray
    target: Int32Array

    @property
    def n_replicas(self) -> int:
        """Number of replicas P."""
        return len(self.replica_server)

    @cached_property
    def has_network(self) -> bool:
        """Whether any edge takes time."""
        return bool((self.parent_intra_s > 0).any() or (self.parent_inter_s > 0).any())

    @cached_property
    def shares_gpus(self) -> bool:
        """Whether some GPU is covered by more than one replica."""
        step = np.zeros(self.cluster.n_gpus + 1, dtype=np.int64)
        np.add.at(step, self.replica_first_gpu, 1)
        np.add.at(step, self.replica_first_gpu + self.replica_gpus, -1)
        return bool((np.cumsum(step) > 1).any())

    @cached_property
    def batches(self) -> bool:
        """Whether some replica serves more than one execution at once."""
        return bool((self.replica_slots > 1).any())


def build_problem(
    workload: Workload,
    trace: Trace,
    cluster: Cluster,
    placement: Placement,
    mode: Mode,
    target: Int32Array,
) -> Problem:
    """Flatten a workload, a trace and a placement; `target` comes from `routing.assign_targets`."""
    model = placement.model
    replicas = np.argsort(model, kind="stable").astype(np.int64)
    counts = placement.replicas_per_model(len(workload.models))
    node_model = np.array([n.model for w in workload.workflows for n in w.nodes], dtype=np.int64)
    first_node = _starts([len(w.nodes) for w in workload.workflows])
    absent = counts == 0
    servable = np.array(
        [not absent[[n.model for n in w.nodes]].any() for w in workload.workflows], dtype=bool
    )
    child_start, child, _ = _neighbours(workload, of="source")
    parent_start, parent, payload = _neighbours(workload, of="target")
    network = cluster.network
    models = [workload.models[m] for m in model]
    slots = np.array([m.max_concurrency for m in models], dtype=np.int64)
    slowdown = np.ones((len(models), int(slots.max(initial=1))))
    for p, m in enumerate(models):
        slowdown[p, : len(m.slowdown)] = m.slowdown
    speed = np.array([t.speed for t in cluster.server_types])[cluster.server_type]
    return Problem(
        workload=workload,
        trace=trace,
        cluster=cluster,
        placement=placement,
        mode=mode,
        arrival_s=np.zeros_like(trace.arrival_s) if mode == "offline" else trace.arrival_s,
        workflow=np.asarray(trace.workflow, dtype=np.int64),
        offset=np.asarray(trace.offset, dtype=np.int64),
        service_s=trace.service_s,
        servable=servable,
        first_node=first_node,
        node_model=node_model,
        child_start=child_start,
        child=child,
        parent_start=parent_start,
        parent=parent,
        parent_intra_s=np.array([network.delay_s(mb, same_server=True) for mb in payload]),
        parent_inter_s=np.array([network.delay_s(mb, same_server=False) for mb in payload]),
        model_start=_starts(counts),
        model_replica=replicas,
        replica_server=placement.server,
        replica_first_gpu=cluster.first_gpu[placement.server] + placement.start,
        replica_gpus=np.array([m.gpus_required for m in models], dtype=np.int64),
        replica_speed=speed[placement.server],
        replica_slots=slots,
        slowdown=slowdown,
        target=target,
    )


def _starts(counts: Sequence[int] | IntArray) -> IntArray:
    return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)


def _neighbours(workload: Workload, *, of: str) -> tuple[IntArray, IntArray, list[float]]:
    """Children (`of="source"`) or parents of every template node, and the payloads."""
    counts: list[int] = []
    far: list[int] = []
    payload: list[float] = []
    for workflow in workload.workflows:
        for v in range(len(workflow.nodes)):
            mine = sorted(
                (e.target if of == "source" else e.source, e.payload_mb)
                for e in workflow.edges
                if (e.source if of == "source" else e.target) == v
            )
            counts.append(len(mine))
            far += [other for other, _ in mine]
            payload += [mb for _, mb in mine]
    return _starts(counts), np.array(far, dtype=np.int64), payload
