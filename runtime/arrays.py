"""What the engines read: workload, trace, cluster and replicas as flat arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from placement.problem.cluster import Cluster, FloatArray, IntArray, Network
from placement.problem.names import Mode
from placement.problem.solution import Placement
from placement.problem.trace import Trace, prefill_times
from placement.problem.workload import Edge, Workload
from placement.support.equality import ByContent

Int32Array = NDArray[np.int32]
BoolArray = NDArray[np.bool_]
NOWHERE = -1
"""No server, no replica."""
LARGEST_TRACE = 2**31 - 1
"""Executions are numbered with 32 bits."""


@dataclass(frozen=True, eq=False)
class Problem(ByContent):
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
    session : int64, shape (R,) or (0,)
        Number of the session of each request, -1 for none; empty where there is none at all.
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
    node_step : bool, shape (V,)
        Whether a template node needs no GPU. Such steps "run" on the last of the replicas, which
        is on no server and has no GPU, whenever they are ready and however many they are.
    child_start, child : int64, shapes (V + 1,) and (E,)
        Children of template node v, as positions inside its workflow, ascending.
    parent_start, parent : int64, shapes (V + 1,) and (E,)
        Parents of template node v, likewise.
    parent_intra_s, parent_inter_s : float64, shape (E,)
        Seconds for the data of each parent to arrive, inside a server and across servers.
    parent_prefix : float64, shape (E,)
        Part of the node's prefill that is saved on the replica that ran the parent.
    source_start, source : int64, shapes (W + 1,) and (nodes without parents,)
        Nodes of workflow w that wait for nothing, as positions inside it, ascending.
    model_start, model_replica : int64, shapes (M + 1,) and (P,)
        Replicas of each model, ascending.
    local_start : int64, shape (M, S + 1)
        Replicas of model m on server s are
        ``model_replica[local_start[m, s] : local_start[m, s + 1]]``.
    replica_server, replica_first_gpu, replica_gpus : int64, shape (P,)
        Server of each replica, its first GPU by the cluster's number, its number of GPUs.
    replica_speed : float64, shape (P,)
        Speed of the replica's server.
    replica_slots : int64, shape (P,)
        Most executions in service at once on the replica.
    slowdown : float64, shape (P, most slots)
        Slowdown of a replica by the number in service, less one.
    replica_fraction : float64, shape (P,)
        ``gpu_fraction`` of the replica's model.
    kept : float64, shape (most replicas on a GPU + 1,)
        What n replicas that share a GPU get of it together: eta(n).
    prefill_s : float64, shape (N,) or (0,)
        Part of each service time in which the others of the replica stand still, at speed 1;
        empty where no batching replica has any.
    prefix_s : float64, shape (N,) or (0,)
        Prefill of each execution, of which a shared prefix saves a part, at speed 1; empty where
        no edge has one.
    rival_start, rival : int64, shapes (P + 1,) and (pairs,)
        Other replicas that share a GPU with replica p, ascending.
    target : int32, shape (N,)
        Server that the plan's shares give to each execution, or `NOWHERE`.
    patience_s : float64, shape (V,)
        How much later than elsewhere a node may start at home before locality routing spills it.
    """

    workload: Workload
    trace: Trace
    cluster: Cluster
    placement: Placement
    mode: Mode
    arrival_s: FloatArray
    workflow: IntArray
    session: IntArray
    offset: IntArray
    service_s: FloatArray
    servable: BoolArray
    first_node: IntArray
    node_model: IntArray
    node_step: BoolArray
    child_start: IntArray
    child: IntArray
    parent_start: IntArray
    parent: IntArray
    parent_intra_s: FloatArray
    parent_inter_s: FloatArray
    parent_prefix: FloatArray
    source_start: IntArray
    source: IntArray
    model_start: IntArray
    model_replica: IntArray
    local_start: IntArray
    replica_server: IntArray
    replica_first_gpu: IntArray
    replica_gpus: IntArray
    replica_speed: FloatArray
    replica_slots: IntArray
    slowdown: FloatArray
    replica_fraction: FloatArray
    kept: FloatArray
    prefill_s: FloatArray
    prefix_s: FloatArray
    rival_start: IntArray
    rival: IntArray
    target: Int32Array
    patience_s: FloatArray

    @property
    def n_replicas(self) -> int:
        """Number of replicas P."""
        return len(self.replica_server)

    @cached_property
    def has_network(self) -> bool:
        """Whether any edge takes time."""
        return bool((self.parent_intra_s > 0).any() or (self.parent_inter_s > 0).any())

    @property
    def shares_gpus(self) -> bool:
        """Whether some GPU is covered by more than one replica."""
        return bool(len(self.rival))

    @cached_property
    def call_work(self) -> FloatArray:
        """Seconds of a full replica that a call of one second takes, shape (P,)."""
        full = self.slowdown[np.arange(self.n_replicas), self.replica_slots - 1]
        return np.asarray(full / (self.replica_slots * self.replica_speed))

    @property
    def sliced(self) -> bool:
        """Whether some replica's pace changes while it serves, so that ends are not foreseen."""
        time_sliced = self.cluster.sharing.mode == "time-sliced"
        return time_sliced and (self.shares_gpus or self.batches)

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
    patience_s: FloatArray,
) -> Problem:
    """Flatten a workload, a trace and a placement.

    Parameters
    ----------
    workload : Workload
        Models and workflows.
    trace : Trace
        Requests with the service time of each of E executions.
    cluster : Cluster
        Servers, network, and how GPUs are shared.
    placement : Placement
        Replicas in the order of server and first GPU.
    mode : {'online', 'offline'}
        Whether arrival times count, or all requests are there at time 0.
    target : int32, shape (E,)
        Server that the plan gives each execution, from `shares.assign_targets`.
    patience_s : float64, shape (M,)
        Seconds of backlog at home, by model, beyond which `locality` spills.

    Raises
    ------
    ValueError
        Where the placement is not in its canonical order (ties would depend on it), or the trace
        has more executions than can be numbered.
    """
    if trace.n_executions > LARGEST_TRACE:
        raise ValueError(
            f"the trace has {trace.n_executions:,} node executions, at most {LARGEST_TRACE:,} "
            "can be simulated at once; split it"
        )
    model, server = placement.model, placement.server
    order = np.lexsort((placement.start, server))
    if not np.array_equal(order, np.arange(len(order))):
        raise ValueError(
            "the replicas are not in the order of server and first GPU; "
            "build them with Placement.sorted"
        )
    counts = placement.replicas_per_model(len(workload.models))
    model_replica = np.argsort(model, kind="stable").astype(np.int64)
    model_start = _starts(counts)
    local_start = np.empty((len(workload.models), cluster.n_servers + 1), dtype=np.int64)
    for m in range(len(workload.models)):
        mine = server[model_replica[model_start[m] : model_start[m + 1]]]
        local_start[m] = model_start[m] + np.searchsorted(mine, np.arange(cluster.n_servers + 1))
    absent = counts == 0
    child_start, child, _ = _neighbours(workload, of="source")
    parent_start, parent, moved = _neighbours(workload, of="target")
    shared = np.array([e.shared_prefix if e else 0.0 for e in moved], dtype=np.float64)
    prefix_s = prefill_times(workload, trace, chunked=True) if shared.any() else np.zeros(0)
    sources = [
        sorted(set(range(len(w.nodes))) - {e.target for e in w.edges}) for w in workload.workflows
    ]
    network = cluster.network
    node_step = np.array(
        [not workload.models[n.model].on_gpus for w in workload.workflows for n in w.nodes],
        dtype=bool,
    )
    models = [workload.models[m] for m in model]
    slots = np.array([m.max_concurrency for m in models], dtype=np.int64)
    slowdown = np.ones((len(models), int(slots.max(initial=1))))
    for p, m in enumerate(models):
        slowdown[p, : len(m.slowdown)] = m.slowdown
        slowdown[p, len(m.slowdown) :] = m.slowdown[-1]
    first_gpu = cluster.first_gpu[server] + placement.start
    gpus = np.array([m.gpus_required for m in models], dtype=np.int64)
    speed = replica_speeds(cluster, [m.id for m in models], placement, gpus)
    fraction = np.array([m.gpu_fraction for m in models], dtype=np.float64)
    if node_step.any():  # one more, of no GPU and on no server, for the steps without one
        server, first_gpu = np.append(server, NOWHERE), np.append(first_gpu, cluster.n_gpus)
        gpus, slots = np.append(gpus, 0), np.append(slots, 1)
        speed, fraction = np.append(speed, 1.0), np.append(fraction, 1.0)
        slowdown = np.vstack([slowdown, np.ones(slowdown.shape[1])])
    rival_start, rival = _rivals(first_gpu, gpus)
    crowd = int(np.bincount(covered_gpus(first_gpu, gpus), minlength=1).max())
    prefill_s = np.zeros(0)
    if any(m.max_concurrency > 1 for m in models) and cluster.sharing.mode == "time-sliced":
        prefill_s = prefill_times(workload, trace)
        prefill_s = prefill_s if prefill_s.any() else np.zeros(0)
    return Problem(
        workload=workload,
        trace=trace,
        cluster=cluster,
        placement=placement,
        mode=mode,
        arrival_s=np.zeros_like(trace.arrival_s) if mode == "offline" else trace.arrival_s,
        workflow=np.asarray(trace.workflow, dtype=np.int64),
        session=np.zeros(0, dtype=np.int64) if trace.sessions is None else trace.sessions,
        offset=np.asarray(trace.offset, dtype=np.int64),
        service_s=trace.service_s,
        servable=np.array(
            [
                not absent[[n.model for n in w.nodes if workload.models[n.model].on_gpus]].any()
                for w in workload.workflows
            ],
            dtype=bool,
        ),
        first_node=_starts([len(w.nodes) for w in workload.workflows]),
        node_model=np.array([n.model for w in workload.workflows for n in w.nodes], dtype=np.int64),
        node_step=node_step,
        child_start=child_start,
        child=child,
        parent_start=parent_start,
        parent=parent,
        parent_intra_s=_delays(network, moved, same_server=True),
        parent_inter_s=_delays(network, moved, same_server=False),
        parent_prefix=shared,
        source_start=_starts([len(s) for s in sources]),
        source=np.array([v for s in sources for v in s], dtype=np.int64),
        model_start=model_start,
        model_replica=model_replica,
        local_start=local_start,
        replica_server=server,
        replica_first_gpu=first_gpu,
        replica_gpus=gpus,
        replica_speed=speed,
        replica_slots=slots,
        slowdown=slowdown,
        replica_fraction=fraction,
        kept=np.array([cluster.sharing.kept(n) for n in range(crowd + 1)]),
        prefill_s=prefill_s,
        prefix_s=prefix_s if prefix_s.any() else np.zeros(0),
        rival_start=rival_start,
        rival=rival,
        target=target,
        patience_s=patience_s,
    )


def replica_speeds(
    cluster: Cluster, names: Sequence[str], placement: Placement, gpus: IntArray
) -> FloatArray:
    """Speed of each replica, at the pace of the slowest of its GPUs, shape (R,).

    Parameters
    ----------
    cluster : Cluster
    names : sequence of str
        Id of the model of each replica.
    placement : Placement
        R replicas.
    gpus : int64, shape (R,)
        GPUs of the block of each.
    """
    speed = cluster.gpu_speed[cluster.first_gpu[placement.server]]
    if cluster.paced or any(t.model_speeds for t in cluster.server_types):
        kinds = [cluster.server_types[t] for t in cluster.server_type[placement.server]]
        blocks = zip(kinds, names, placement.start.tolist(), gpus.tolist(), strict=True)
        speed = np.array([t.block_speed(name, i, k) for t, name, i, k in blocks])
    return np.asarray(speed, dtype=np.float64)


def _starts(counts: Sequence[int] | IntArray) -> IntArray:
    return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)


def _delays(network: Network, moved: list[Edge | None], *, same_server: bool) -> FloatArray:
    """Seconds that the payload of each edge takes; none where nothing moves."""
    return np.array(
        [network.delay_s(e.payload_mb, same_server=same_server) if e else 0.0 for e in moved]
    )


def _neighbours(workload: Workload, *, of: str) -> tuple[IntArray, IntArray, list[Edge | None]]:
    """Children (`of="source"`) or parents of every template node, and the edges to them.

    None stands for an edge over which nothing moves: one end is a step without a GPU, or was not
    run.
    """
    counts: list[int] = []
    far: list[int] = []
    moved: list[Edge | None] = []
    for w, workflow in enumerate(workload.workflows):
        moving = set(workload.crossing_edges(w))
        for v in range(len(workflow.nodes)):
            mine = sorted(
                (
                    (e.target if of == "source" else e.source, e)
                    for e in workflow.edges
                    if (e.source if of == "source" else e.target) == v
                ),
                key=itemgetter(0),
            )
            counts.append(len(mine))
            far += [other for other, _ in mine]
            moved += [e if e in moving else None for _, e in mine]
    return _starts(counts), np.array(far, dtype=np.int64), moved


def covered_gpus(first_gpu: IntArray, gpus: IntArray) -> IntArray:
    """GPU numbers of every block, end to end."""
    within = np.arange(gpus.sum()) - np.repeat(np.cumsum(gpus) - gpus, gpus)
    return np.asarray(np.repeat(first_gpu, gpus) + within)


def _rivals(first_gpu: IntArray, gpus: IntArray) -> tuple[IntArray, IntArray]:
    """Pairs of replicas on one GPU; in canonical order first GPUs never decrease."""
    end = first_gpu + gpus
    pairs: list[set[int]] = [set() for _ in first_gpu]
    open_: list[int] = []
    for p in range(len(first_gpu)):
        open_ = [q for q in open_ if end[q] > first_gpu[p]]
        for q in open_:
            pairs[p].add(q)
            pairs[q].add(p)
        open_.append(p)
    rival = np.array([q for mine in pairs for q in sorted(mine)], dtype=np.int64)
    return _starts([len(mine) for mine in pairs]), rival
