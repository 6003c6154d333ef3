"""The arrays of the compiled engine, and how a problem is laid out in them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from placement.problem.cluster import FloatArray, IntArray
from runtime.arrays import NOWHERE, BoolArray, Int32Array, Problem


class Tables(NamedTuple):
    """What never changes: `Problem`'s arrays, and where the state of each replica is kept.

    Leaves of model m's tree are grouped by server: ``server_node[m, s]`` is the node above the
    replicas on server s (0 where there are none), ``leaf_replica`` the replica of each leaf.
    """

    arrival: FloatArray
    workflow: IntArray
    offset: IntArray
    service: FloatArray
    servable: BoolArray
    first_node: IntArray
    node_model: IntArray
    child_start: IntArray
    child: IntArray
    parent_start: IntArray
    parent: IntArray
    intra: FloatArray
    inter: FloatArray
    source_start: IntArray
    source: IntArray
    model: IntArray
    server: IntArray
    speed: FloatArray
    slowdown: FloatArray
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


class State(NamedTuple):
    """What a run changes: results and bookkeeping by execution, slots, replicas, queues.

    `tree` holds when each replica is free, or its unfinished executions under least-loaded.
    """

    replica: Int32Array
    ready: FloatArray
    start: FloatArray
    end: FloatArray
    missing: np.ndarray[tuple[int], np.dtype[np.int16]]
    node: Int32Array
    request: Int32Array
    following: Int32Array
    slot_end: FloatArray
    slot_head: Int32Array
    slot_tail: Int32Array
    rival_end: FloatArray
    tree: FloatArray
    event_time: FloatArray
    event_slot: Int32Array
    ready_time: FloatArray
    ready_item: Int32Array
    tally: IntArray
    clock: FloatArray


def make_tables(problem: Problem) -> Tables:
    """Lay out what the loop reads."""
    slots = problem.replica_slots
    trees = _grow_trees(problem)
    return Tables(
        arrival=_fixed(problem.arrival_s),
        workflow=_fixed(problem.workflow),
        offset=_fixed(problem.offset),
        service=_fixed(problem.service_s),
        servable=_fixed(problem.servable),
        first_node=_fixed(problem.first_node),
        node_model=_fixed(problem.node_model),
        child_start=_fixed(problem.child_start),
        child=_fixed(problem.child),
        parent_start=_fixed(problem.parent_start),
        parent=_fixed(problem.parent),
        intra=_fixed(problem.parent_intra_s),
        inter=_fixed(problem.parent_inter_s),
        source_start=_fixed(problem.source_start),
        source=_fixed(problem.source),
        model=_fixed(problem.placement.model),
        server=_fixed(problem.replica_server),
        speed=_fixed(problem.replica_speed),
        slowdown=_fixed(problem.slowdown),
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


def make_state(problem: Problem, tables: Tables) -> State:
    """Lay out what the loop changes, before anything has happened."""
    n = len(problem.service_s)
    replicas, slots = problem.n_replicas, len(tables.slot_replica)
    tree = np.full(len(tables.leaf_replica), np.inf)
    tree[tables.leaf_replica >= 0] = 0.0
    for base, size in zip(tables.tree_start[:-1].tolist(), tables.tree_size.tolist(), strict=True):
        for i in range(size - 1, 0, -1):
            tree[base + i] = min(tree[base + 2 * i], tree[base + 2 * i + 1])
    leaves = int(_power_of_two(np.array([slots]))[0])
    return State(
        replica=np.empty(n, dtype=np.int32),
        ready=np.empty(n),
        start=np.empty(n),
        end=np.empty(n),
        missing=np.empty(n, dtype=np.int16),
        node=np.empty(n, dtype=np.int32),
        request=np.empty(n, dtype=np.int32),
        following=np.empty(n, dtype=np.int32),
        slot_end=np.zeros(slots),
        slot_head=np.full(slots, NOWHERE, dtype=np.int32),
        slot_tail=np.full(slots, NOWHERE, dtype=np.int32),
        rival_end=np.zeros(replicas),
        tree=tree,
        event_time=np.full(2 * leaves, np.inf),
        event_slot=np.zeros(2 * leaves, dtype=np.int32),
        # Room for all at one instant; the system gives memory only for what is touched.
        ready_time=np.empty(n + 1),
        ready_item=np.empty(n + 1, dtype=np.int32),
        tally=np.zeros(4, dtype=np.int64),
        clock=np.full(1, -np.inf),
    )


def _fixed(array: np.ndarray[Any, Any]) -> Any:
    """View an array as contiguous and read-only, so that the loop is compiled for one type."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
