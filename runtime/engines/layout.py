"""The arrays of the compiled engine, and how a problem is laid out in them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from placement.problem.cluster import FloatArray, IntArray
from runtime.arrays import NOWHERE, BoolArray, Int32Array, Problem, covered_gpus
from runtime.engines.kernel.sliced_loop import CHANGED, PREFILL_HEAD, SHARE, WAIT_HEAD, WAIT_TAIL


class Tables(NamedTuple):
    """What never changes: `Problem`'s arrays, and where the state of each replica is kept.

    Leaves of model m's tree are grouped by server: ``server_node[m, s]`` is the node above the
    replicas on server s (0 where there are none), ``leaf_replica`` the replica of each leaf.
    Replicas of a GPU stand in the order of their fractions, ``part[n]`` is eta(n) / n.
    """

    arrival: FloatArray
    workflow: IntArray
    session: IntArray
    offset: IntArray
    service: FloatArray
    servable: BoolArray
    first_node: IntArray
    node_model: IntArray
    node_step: BoolArray
    child_start: IntArray
    child: IntArray
    parent_start: IntArray
    parent: IntArray
    intra: FloatArray
    inter: FloatArray
    shared: FloatArray
    source_start: IntArray
    source: IntArray
    tree_base: IntArray
    server: IntArray
    speed: FloatArray
    slots: IntArray
    slowdown: FloatArray
    call_work: FloatArray
    prefill: FloatArray
    prefix: FloatArray
    fraction: FloatArray
    kept: FloatArray
    part: FloatArray
    first_gpu: IntArray
    gpus: IntArray
    gpu_start: IntArray
    gpu_replica: IntArray
    rival_start: IntArray
    rival: IntArray
    target: Int32Array
    patience: FloatArray
    slot_start: IntArray
    slot_replica: IntArray
    tree_start: IntArray
    tree_size: IntArray
    server_node: Int32Array
    leaf: Int32Array
    leaf_replica: Int32Array


class SerialState(NamedTuple):
    """What a serial run changes: results and bookkeeping by execution, slots, replicas, queues.

    `free` and `cost` hold what routers are told, in the trees of `Tables`.
    """

    replica: Int32Array
    ready: FloatArray
    start: FloatArray
    end: FloatArray
    missing: np.ndarray[tuple[int], np.dtype[np.int16]]
    node: Int32Array
    request: Int32Array
    following: Int32Array
    ready_time: FloatArray
    ready_item: Int32Array
    tally: IntArray
    clock: FloatArray
    free: FloatArray
    cost: FloatArray
    stack: IntArray
    saved: FloatArray
    session_server: IntArray
    unfinished: IntArray
    slot_end: FloatArray
    slot_head: Int32Array
    slot_tail: Int32Array
    rival_end: FloatArray
    coming: IntArray
    coming_s: FloatArray
    event_time: FloatArray
    event_slot: Int32Array


class SlicedState(NamedTuple):
    """What a time-sliced run changes; the first fields are those of `SerialState`.

    `tag` and `serving` hold the calls in service, a heap a replica; the columns of `work` and
    `calls`, of shape (P, 8), are named in `runtime.engines.kernel.sliced_loop`.
    """

    replica: Int32Array
    ready: FloatArray
    start: FloatArray
    end: FloatArray
    missing: np.ndarray[tuple[int], np.dtype[np.int16]]
    node: Int32Array
    request: Int32Array
    following: Int32Array
    ready_time: FloatArray
    ready_item: Int32Array
    tally: IntArray
    clock: FloatArray
    free: FloatArray
    cost: FloatArray
    stack: IntArray
    saved: FloatArray
    session_server: IntArray
    tag: FloatArray
    serving: Int32Array
    work: FloatArray
    calls: IntArray
    gpu_busy: IntArray
    gpu_active: IntArray
    chance: FloatArray
    ends: FloatArray


def make_tables(problem: Problem) -> Tables:
    """Lay out what the loop reads."""
    slots = problem.replica_slots
    trees = _grow_trees(problem)
    gpus = problem.cluster.n_gpus
    covered = covered_gpus(problem.replica_first_gpu, problem.replica_gpus)
    holder = np.repeat(np.arange(problem.n_replicas), problem.replica_gpus)
    return Tables(
        arrival=_fixed(problem.arrival_s),
        workflow=_fixed(problem.workflow),
        session=_fixed(problem.session),
        offset=_fixed(problem.offset),
        service=_fixed(problem.service_s),
        servable=_fixed(problem.servable),
        first_node=_fixed(problem.first_node),
        node_model=_fixed(problem.node_model),
        node_step=_fixed(problem.node_step),
        child_start=_fixed(problem.child_start),
        child=_fixed(problem.child),
        parent_start=_fixed(problem.parent_start),
        parent=_fixed(problem.parent),
        intra=_fixed(problem.parent_intra_s),
        inter=_fixed(problem.parent_inter_s),
        shared=_fixed(problem.parent_prefix),
        source_start=_fixed(problem.source_start),
        source=_fixed(problem.source),
        tree_base=_fixed(np.append(trees.start[problem.placement.model], 0)[: problem.n_replicas]),
        server=_fixed(problem.replica_server),
        speed=_fixed(problem.replica_speed),
        slots=_fixed(slots),
        slowdown=_fixed(problem.slowdown),
        call_work=_fixed(problem.call_work),
        prefill=_fixed(problem.prefill_s),
        prefix=_fixed(problem.prefix_s),
        fraction=_fixed(problem.replica_fraction),
        kept=_fixed(problem.kept),
        part=_fixed(problem.kept / np.maximum(1, np.arange(len(problem.kept)))),
        first_gpu=_fixed(problem.replica_first_gpu),
        gpus=_fixed(problem.replica_gpus),
        gpu_start=_fixed(np.concatenate(([0], np.cumsum(np.bincount(covered, minlength=gpus))))),
        gpu_replica=_fixed(holder[np.lexsort((holder, problem.replica_fraction[holder], covered))]),
        rival_start=_fixed(problem.rival_start),
        rival=_fixed(problem.rival),
        target=_fixed(problem.target),
        patience=_fixed(problem.patience_s),
        slot_start=_fixed(np.concatenate(([0], np.cumsum(slots)))),
        slot_replica=_fixed(np.repeat(np.arange(problem.n_replicas), slots)),
        tree_start=_fixed(trees.start),
        tree_size=_fixed(trees.size),
        server_node=_fixed(trees.server_node),
        leaf=_fixed(trees.leaf),
        leaf_replica=_fixed(trees.leaf_replica),
    )


class _Trees(NamedTuple):
    """Shapes: `start` (M + 1,), `size` (M,), `server_node` (M, S), `leaf` (P,), the last (all,)."""

    start: IntArray
    size: IntArray
    server_node: Int32Array
    leaf: Int32Array
    leaf_replica: Int32Array


def _grow_trees(problem: Problem) -> _Trees:
    """Lay out one full tree a model, in which every server has a subtree of one common size."""
    models, servers = len(problem.model_start) - 1, problem.local_start.shape[1] - 1
    on_server = np.diff(problem.local_start, axis=1)
    width = _power_of_two(on_server.max(axis=1, initial=1))
    size = width * _power_of_two((on_server > 0).sum(axis=1))
    start = np.concatenate(([0], np.cumsum(2 * size))).astype(np.int64)
    server_node = np.zeros((models, servers), dtype=np.int32)
    leaf = np.zeros(problem.n_replicas, dtype=np.int32)
    leaf_replica = np.full(int(start[-1]), NOWHERE, dtype=np.int32)
    for m in range(models):
        at = np.flatnonzero(on_server[m])
        server_node[m, at] = size[m] // width[m] + np.arange(len(at))
        for s in at:
            mine = problem.model_replica[problem.local_start[m, s] : problem.local_start[m, s + 1]]
            leaf[mine] = server_node[m, s] * width[m] + np.arange(len(mine))
            leaf_replica[start[m] + leaf[mine]] = mine
    return _Trees(start, size, server_node, leaf, leaf_replica)


def _power_of_two(least: IntArray) -> IntArray:
    """Give the lowest powers of two that are no less than each number (and than 1)."""
    return np.array([1 << max(0, int(n) - 1).bit_length() for n in least], dtype=np.int64)


def make_serial_state(problem: Problem, tables: Tables, *, load: bool) -> SerialState:
    """Lay out what the serial loop changes, before anything has happened.

    Parameters
    ----------
    problem : Problem
        What is to be run.
    tables : Tables
        Made from it.
    load : bool
        The policy looks at what one more call would cost, not at when it would end.
    """
    replicas, slots = problem.n_replicas, len(tables.slot_replica)
    leaves = int(_power_of_two(np.array([slots]))[0])
    idle = _never_used(replicas)
    return SerialState(
        **_common(problem, tables, load=load),
        unfinished=np.zeros(replicas, dtype=np.int64),
        slot_end=np.repeat(idle, problem.replica_slots),
        slot_head=np.full(slots, NOWHERE, dtype=np.int32),
        slot_tail=np.full(slots, NOWHERE, dtype=np.int32),
        rival_end=idle.copy(),
        coming=np.zeros(replicas, dtype=np.int64),
        coming_s=np.zeros(replicas),
        event_time=np.full(2 * leaves, np.inf),
        event_slot=np.zeros(2 * leaves, dtype=np.int32),
    )


def make_sliced_state(problem: Problem, tables: Tables, *, load: bool) -> SlicedState:
    """Lay out what the time-sliced loop changes, before anything has happened.

    Parameters
    ----------
    problem : Problem
        What is to be run.
    tables : Tables
        Made from it.
    load : bool
        The policy looks at what one more call would cost, not at when it would end.
    """
    replicas, slots, gpus = problem.n_replicas, len(tables.slot_replica), problem.cluster.n_gpus
    leaves = int(_power_of_two(np.array([replicas]))[0])
    work, calls = np.zeros((replicas, 8)), np.zeros((replicas, 8), dtype=np.int64)
    work[:, SHARE] = 1.0
    work[:, CHANGED] = _never_used(replicas)
    calls[:, [PREFILL_HEAD, WAIT_HEAD, WAIT_TAIL]] = NOWHERE
    return SlicedState(
        **_common(problem, tables, load=load),
        tag=np.zeros(slots),
        serving=np.zeros(slots, dtype=np.int32),
        work=work,
        calls=calls,
        gpu_busy=np.zeros(gpus, dtype=np.int64),
        gpu_active=np.zeros(gpus, dtype=np.int64),
        chance=np.zeros(len(problem.kept) + 1),
        ends=np.full(2 * leaves, np.inf),
    )


def _common(problem: Problem, tables: Tables, *, load: bool) -> dict[str, Any]:
    """What every loop changes; `load`: whether `cost` is the load of a replica, or its stretch."""
    n, replicas = len(problem.service_s), problem.n_replicas
    alone: FloatArray = problem.call_work if load else np.divide(1.0, problem.replica_speed)
    return {
        "replica": np.empty(n, dtype=np.int32),
        "ready": np.empty(n),
        "start": np.empty(n),
        "end": np.empty(n),
        "missing": np.empty(n, dtype=np.int16),
        "node": np.empty(n, dtype=np.int32),
        "request": np.empty(n, dtype=np.int32),
        "following": np.empty(n, dtype=np.int32),
        # Room for all at one instant; the system gives memory only for what is touched.
        "ready_time": np.empty(n + 1),
        "ready_item": np.empty(n + 1, dtype=np.int32),
        "tally": np.zeros(4, dtype=np.int64),
        "clock": np.full(1, -np.inf),
        "free": _tree(tables, _never_used(replicas)),
        "cost": _tree(tables, alone),
        "stack": np.zeros(64, dtype=np.int64),
        "saved": np.zeros(len(problem.prefix_s)),
        "session_server": np.full(int(problem.session.max(initial=-1)) + 1, NOWHERE, np.int64),
    }


def _never_used(replicas: int) -> FloatArray:
    """Since when replicas are idle that nothing has come to: the lowest the longest."""
    return np.arange(replicas, dtype=np.float64) - replicas


def _tree(tables: Tables, value: FloatArray) -> FloatArray:
    """Trees of minima over a value of each replica."""
    tree = np.full(len(tables.leaf_replica), np.inf)
    held = tables.leaf_replica >= 0
    tree[held] = value[tables.leaf_replica[held]]
    for base, size in zip(tables.tree_start[:-1].tolist(), tables.tree_size.tolist(), strict=True):
        for i in range(size - 1, 0, -1):
            tree[base + i] = min(tree[base + 2 * i], tree[base + 2 * i + 1])
    return tree


def _fixed(array: np.ndarray[Any, Any]) -> Any:
    """View an array as contiguous and read-only, so that the loop is compiled for one type."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
