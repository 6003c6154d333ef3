"""Workflows, prices and one type of server as flat arrays: what compiled pricing runs on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from placement.problem.blocks import BoolArray, gpu_rooms_gb
from placement.problem.cluster import FloatArray, IntArray
from placement.problem.instance import Instance
from placement.problem.shared_capacity import MOST_TOGETHER, can_load, kept_at_least
from placement.problem.space import models_that_fit
from placement.programs.flows import keepable


class FlatFlows(NamedTuple):
    """Active workflows end to end, N nodes in all; sets of nodes of one are bit masks.

    Parameters
    ----------
    node_ptr : int64, shape (W + 1,)
        Where the nodes of each workflow begin.
    node_model, node_flow : int64, shape (N,)
        Model of each node, and its workflow.
    node_work : float64, shape (N,)
    rate : float64, shape (W,)
    table_ptr : int64, shape (W + 1,)
        Where each workflow's table over its sets of nodes begins.
    part_ptr : int64, shape (W + 1,)
        Where what can be kept of each workflow begins.
    part_set : int64, shape (P,)
        Nodes that must be together.
    part_worth : float64, shape (P,)
        What a unit kept is worth.
    model_ptr : int64, shape (M + 1,)
        Where the nodes of each model begin in `model_node`.
    model_node : int64, shape (N,)
    gpus_required : int64, shape (M,)
    memory_gb : float64, shape (M,)
        On each GPU of a block.
    share : float64, shape (M,)
        Load that a replica may have to carry: all work of its model, and at most the cap.
    """

    node_ptr: IntArray
    node_model: IntArray
    node_flow: IntArray
    node_work: FloatArray
    rate: FloatArray
    table_ptr: IntArray
    part_ptr: IntArray
    part_set: IntArray
    part_worth: FloatArray
    model_ptr: IntArray
    model_node: IntArray
    gpus_required: IntArray
    memory_gb: FloatArray
    share: FloatArray


class FlatServer(NamedTuple):
    """A server of one type.

    Parameters
    ----------
    room_gb : float64, shape (G,)
    cap : float
        Work that one GPU does at most.
    kept : float64, shape (Q,)
        Part of the cap that 0, 1, 2, ... loaded replicas bear on one GPU; the last is for more.
    counted : bool, shape (M,)
        Models whose replicas can be loaded.
    per_gpu : int
        Most replicas on one GPU.
    counts : bool
        Only the numbers of replicas matter: blocks can be laid end to end.
    """

    room_gb: FloatArray
    cap: float
    kept: FloatArray
    counted: BoolArray
    per_gpu: int
    counts: bool


class FlatPrices(NamedTuple):
    """What sets of nodes, and replicas, are worth at some duals.

    Parameters
    ----------
    worth : float64, shape (T,)
        Of a unit of rate of each set of nodes, by `FlatFlows.table_ptr`.
    best : float64, shape (T,)
        Of its best subset, the empty one included.
    subset : int64, shape (T,)
        Which that is.
    bonus : float64, shape (M,)
        Of a replica.
    second : float64, shape (1,)
        What a GPU-second costs in `paid`: any price of 0 and more.
    paid : float64, shape (T,)
        As `best`, less what its work costs.
    """

    worth: FloatArray
    best: FloatArray
    subset: IntArray
    bonus: FloatArray
    second: FloatArray
    paid: FloatArray


class Groups(NamedTuple):
    """Models that are worth having together: single ones, ends of a link, whole workflows.

    Parameters
    ----------
    ptr : int64, shape (B + 1,)
        Where the models of each group begin.
    model : int64
    flow_ptr : int64, shape (W + 1,)
        Where the groups of each workflow begin in `flow_group`.
    flow_group : int64
    model_ptr : int64, shape (M + 1,)
        Where the workflows of each model begin in `model_flow`.
    model_flow : int64
    """

    ptr: IntArray
    model: IntArray
    flow_ptr: IntArray
    flow_group: IntArray
    model_ptr: IntArray
    model_flow: IntArray


def flat_flows(instance: Instance) -> FlatFlows:
    """Lay the active workflows of a normalized instance end to end."""
    flows = [instance.workflows[w] for w in instance.active_workflows]
    nodes = np.array([len(f.node_model) for f in flows])
    node_ptr = starts_of(nodes)
    node_model = np.concatenate([f.node_model for f in flows]).astype(np.int64)
    parts = [[p for p in keepable(instance, w) if p.worth > 0] for w in instance.active_workflows]
    models = len(instance.model_ids)
    by_model = np.argsort(node_model, kind="stable")
    return FlatFlows(
        node_ptr=node_ptr,
        node_model=node_model,
        node_flow=np.repeat(np.arange(len(flows)), nodes),
        node_work=np.concatenate([f.work_s for f in flows]).astype(np.float64),
        rate=np.array([f.rate for f in flows], dtype=np.float64),
        table_ptr=starts_of(1 << nodes),
        part_ptr=starts_of(np.array([len(of) for of in parts])),
        part_set=np.array([_mask(p.nodes) for of in parts for p in of], dtype=np.int64),
        part_worth=np.array([p.worth for of in parts for p in of], dtype=np.float64),
        model_ptr=np.searchsorted(node_model[by_model], np.arange(models + 1)).astype(np.int64),
        model_node=by_model.astype(np.int64),
        gpus_required=instance.gpus_required.astype(np.int64),
        memory_gb=instance.memory_per_gpu_gb.astype(np.float64),
        share=np.minimum(instance.model_work, instance.load_cap),
    )


def flat_server(instance: Instance, kind: int) -> FlatServer:
    """Describe a server of a type; rates are at speed 1, so its GPUs do so much more."""
    server = instance.cluster.server_types[kind]
    models = range(len(instance.model_ids))
    return FlatServer(
        room_gb=gpu_rooms_gb(server),
        cap=instance.load_cap * server.speed,
        kept=np.array(kept_at_least(instance, MOST_TOGETHER)),
        counted=np.array(
            [can_load(instance, m, float(instance.speeds[kind, m])) for m in models],
            dtype=np.bool_,
        ),
        per_gpu=instance.models_per_gpu,
        counts=instance.counts_suffice,
    )


def groups_of(instance: Instance, kind: int) -> Groups:
    """Models of links and workflows that may fit on a server of a type, and each model alone."""
    server = instance.cluster.server_types[kind]
    fitting = set(models_that_fit(instance, server))
    found: dict[tuple[int, ...], int] = {(m,): g for g, m in enumerate(sorted(fitting))}
    of_flow: list[list[int]] = []
    flows_of: list[list[int]] = [[] for _ in instance.model_ids]
    for i, w in enumerate(instance.active_workflows):
        flow = instance.workflows[w]
        calls: list[int] = flow.node_model.tolist()
        linked = [[calls[u], calls[v]] for u, v in flow.links.tolist()]
        mine = []
        for models in (*([m] for m in calls), *linked, calls):
            group = tuple(sorted(set(models)))
            if fitting.issuperset(group) and _may_fit(instance, kind, group):
                mine.append(found.setdefault(group, len(found)))
        of_flow.append(list(dict.fromkeys(mine)))
        for m in sorted(set(flow.node_model.tolist())):
            flows_of[m].append(i)
    return Groups(*_rows(found), *_rows(of_flow), *_rows(flows_of))


def groups_left(instance: Instance, kind: int, flows: FlatFlows) -> Groups:
    """As `groups_of`, of the workflows in `flows`, by what each can keep.

    Parameters
    ----------
    instance : Instance
        With the server type.
    kind : int
        Number of that type.
    flows : FlatFlows
        What is left of its workflows.
    """
    server = instance.cluster.server_types[kind]
    fitting = set(models_that_fit(instance, server))
    gpus, apart = instance.gpus_required.tolist(), instance.models_per_gpu == 1
    called = sorted(fitting.intersection(flows.node_model.tolist()))
    found: dict[tuple[int, ...], int] = {(m,): g for g, m in enumerate(called)}
    of_flow: list[list[int]] = []
    flows_of: list[list[int]] = [[] for _ in instance.model_ids]
    for w in range(len(flows.rate)):
        calls = flows.node_model[flows.node_ptr[w] : flows.node_ptr[w + 1]].tolist()
        parts = flows.part_set[flows.part_ptr[w] : flows.part_ptr[w + 1]].tolist()
        kept = ([m for v, m in enumerate(calls) if s >> v & 1] for s in parts)
        mine = []
        for models in (*([m] for m in calls), *kept):
            group = tuple(sorted(set(models)))
            if fitting.issuperset(group) and not (
                apart and sum(gpus[m] for m in group) > server.gpus
            ):
                mine.append(found.setdefault(group, len(found)))
        of_flow.append(list(dict.fromkeys(mine)))
        for m in sorted(set(calls)):
            flows_of[m].append(w)
    return Groups(*_rows(found), *_rows(of_flow), *_rows(flows_of))


def _may_fit(instance: Instance, kind: int, group: tuple[int, ...]) -> bool:
    server = instance.cluster.server_types[kind]
    taken = sum(int(instance.gpus_required[m]) for m in group)
    return taken <= server.gpus if instance.models_per_gpu == 1 else True


def _mask(nodes: Iterable[int]) -> int:
    return sum(1 << v for v in set(nodes))


def starts_of(sizes: IntArray) -> IntArray:
    """Where each of so many begins, and where the last ends, shape (n + 1,)."""
    return np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)


def _rows(lists: Iterable[Sequence[int]]) -> tuple[IntArray, IntArray]:
    held = list(lists)
    flat = [i for row in held for i in row]
    return starts_of(np.array([len(row) for row in held])), np.array(flat, dtype=np.int64)
