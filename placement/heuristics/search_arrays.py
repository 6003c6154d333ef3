"""An instance and a placement as flat arrays: what the compiled heuristics run on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from placement.problem.blocks import BoolArray
from placement.problem.cluster import FloatArray, IntArray
from placement.problem.instance import Instance
from placement.problem.shared_capacity import MOST_TOGETHER, can_load, kept_at_least
from placement.problem.solution import Placement

RARE = 1e-3
"""Least weight of a node left unserved, over that of an average one."""


class Demands(NamedTuple):
    """Active workflows end to end, richest in locality per GPU-second first.

    Parameters
    ----------
    node_ptr, link_ptr : int64, shape (W + 1,)
        Where the nodes and links of each workflow begin.
    node_model, node_work : shape (sum of V,)
    link_u, link_v : int64, shape (sum of E,)
        Ends of each link, as positions in `node_model`.
    rate, whole_value : float64, shape (W,)
        lambda_w, and the value of a unit of rate of the whole workflow.
    link_value : float64, shape (sum of E,)
        Value of a unit of rate of each link kept.
    missing : float64, shape (W,)
        Share of all node executions that a unit of rate of one node is.
    gpus_required : int64, shape (M,)
    load_cap : float
    counted : bool, shape (M,)
        Models whose replicas can be loaded, on some server.
    kept : float64, shape (Q,)
        Part of the cap that 0, 1, 2, ... of these bear on one GPU together; the last is for more.
    """

    node_ptr: IntArray
    node_model: IntArray
    node_work: FloatArray
    link_ptr: IntArray
    link_u: IntArray
    link_v: IntArray
    rate: FloatArray
    whole_value: FloatArray
    link_value: FloatArray
    missing: FloatArray
    gpus_required: IntArray
    load_cap: float
    counted: BoolArray
    kept: FloatArray


class Servers(NamedTuple):
    """GPUs and speed of each server, and the replicas laid out on it.

    Parameters
    ----------
    gpus : int64, shape (S,)
    speed : float64, shape (S, M, P)
        By the first GPU of a replica's block, or P = 1 where that is of no account.
    size : int64, shape (S,)
        Replicas on each server.
    model, start : int64, shape (S, K)
        Model and first GPU of each replica; the first `size` entries of a row count.
    """

    gpus: IntArray
    speed: FloatArray
    size: IntArray
    model: IntArray
    start: IntArray


def flatten_demand(instance: Instance) -> Demands:
    """Lay the active workflows end to end for the compiled kernels."""
    k = instance.gpus_required
    types = instance.cluster.server_types
    slowest = np.min([instance.slowest_of(kind) for kind in types], axis=0).tolist()
    order = richest_first(instance)
    flows = [instance.workflows[w] for w in order]
    node_ptr = np.cumsum([0] + [len(f.node_model) for f in flows]).astype(np.int64)
    link_ptr = np.cumsum([0] + [len(f.links) for f in flows]).astype(np.int64)
    links = [f.links + base for f, base in zip(flows, node_ptr, strict=False)]
    ends = np.concatenate(links) if links else np.zeros((0, 2), dtype=np.int64)
    rate = np.array([f.rate for f in flows])
    unit = np.array([f.unit for f in flows])
    nodes = np.diff(node_ptr)
    # A rare workflow must be served too, whatever little it is worth.
    share = np.maximum(rate * unit / (rate * unit * nodes).sum(), RARE / nodes.sum())
    return Demands(
        node_ptr=node_ptr,
        node_model=np.concatenate([f.node_model for f in flows]).astype(np.int64),
        node_work=np.concatenate([f.work_s for f in flows]).astype(np.float64),
        link_ptr=link_ptr,
        link_u=np.ascontiguousarray(ends[:, 0]).astype(np.int64),
        link_v=np.ascontiguousarray(ends[:, 1]).astype(np.int64),
        rate=rate,
        whole_value=np.array([_value(instance, w) for w in order]),
        link_value=np.concatenate(
            [instance.locality_weights(w)[1] * instance.workflows[w].link_weights for w in order]
            or [np.zeros(0)]
        ),
        missing=share / rate,
        gpus_required=k,
        load_cap=instance.load_cap,
        counted=np.array(
            [can_load(instance, m, slowest[m]) for m in range(len(k))], dtype=np.bool_
        ),
        kept=np.array(kept_at_least(instance, MOST_TOGETHER)),
    )


def _value(instance: Instance, w: int) -> float:
    """Locality of a unit of rate of a workflow that is kept whole."""
    whole, link = instance.locality_weights(w)
    return whole + link * float(instance.workflows[w].link_weights.sum())


def richest_first(instance: Instance) -> list[int]:
    """Order the active workflows, richest in locality per GPU-second first."""
    k = instance.gpus_required

    def density(w: int) -> float:
        f = instance.workflows[w]
        gpu_seconds = float((f.work_s * k[f.node_model]).sum())
        return _value(instance, w) / max(gpu_seconds, 1e-300)

    return sorted(instance.active_workflows, key=lambda w: -density(w))


def lay_out(instance: Instance, placement: Placement, width: int = 0) -> Servers:
    """Arrays of the placement, one row a server, with room for `width` replicas.

    Parameters
    ----------
    instance : Instance
        With the cluster.
    placement : Placement
        In its canonical order.
    width : int
        Replicas that a row has room for at least.
    """
    cluster = instance.cluster
    size = np.bincount(placement.server, minlength=cluster.n_servers).astype(np.int64)
    width = max(width, int(size.max(initial=1)))
    model = np.zeros((cluster.n_servers, width), dtype=np.int64)
    start = np.zeros((cluster.n_servers, width), dtype=np.int64)
    # The canonical order of a placement is by server, so positions restart with each server.
    column = np.arange(placement.n_replicas) - np.repeat(np.cumsum(size) - size, size)
    model[placement.server, column] = placement.model
    start[placement.server, column] = placement.start
    speed = np.ascontiguousarray(instance.speed_table[cluster.server_type])
    return Servers(cluster.server_gpus, speed, size, model, start)
