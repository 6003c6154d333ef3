"""Runs the compiled event loop: lays out its arrays, and reports progress between chunks."""

from __future__ import annotations

from typing import Any

import numpy as np

from runtime import kernel
from runtime.problem import Problem
from runtime.reference import ProgressCallback
from runtime.result import Course

CHUNK = 500_000
"""Executions between two reports of progress."""

POLICIES = {
    "plan": kernel.PLAN,
    "locality": kernel.LOCALITY,
    "earliest": kernel.EARLIEST,
    "least-loaded": kernel.LEAST_LOADED,
}


def run_compiled(
    problem: Problem,
    policy: str,
    progress: ProgressCallback | None = None,
    *,
    chunk: int = CHUNK,
) -> Course:
    """Simulate a static plan under a built-in routing policy.

    Gives the course of `runtime.reference.run_reference` to the last bit; `chunk` changes when
    `progress` is called and nothing else.
    """
    tables = _tables(problem)
    state = _state(problem, tables)
    kernel.open_request(tables, state)
    total = len(problem.service_s)
    limit = chunk
    while not kernel.advance(tables, state, POLICIES[policy], problem.has_network, limit):
        limit += chunk
        if progress:
            progress(int(state.tally[kernel.COMMITTED]), total)
    return Course(replica=state.replica, ready_s=state.ready, start_s=state.start, end_s=state.end)


def _tables(problem: Problem) -> kernel.Tables:
    model = problem.placement.model
    counts = np.diff(problem.model_start)
    # Trees are full: the number of leaves is the next power of two.
    size = np.array([1 << (int(c) - 1).bit_length() if c else 1 for c in counts], dtype=np.int64)
    place = np.empty(problem.n_replicas, dtype=np.int64)
    place[problem.model_replica] = np.arange(problem.n_replicas)
    leaf = np.column_stack((model, size[model] + place - problem.model_start[model]))
    slots = problem.replica_slots
    return kernel.Tables(
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
        model_start=_fixed(problem.model_start),
        model_replica=_fixed(problem.model_replica),
        local_start=_fixed(problem.local_start),
        server=_fixed(problem.replica_server),
        speed=_fixed(problem.replica_speed),
        slowdown=_fixed(problem.slowdown),
        rival_start=_fixed(problem.rival_start),
        rival=_fixed(problem.rival),
        target=_fixed(problem.target),
        patience=_fixed(problem.patience_s),
        slot_start=_fixed(np.concatenate(([0], np.cumsum(slots)))),
        slot_replica=_fixed(np.repeat(np.arange(problem.n_replicas), slots)),
        tree_start=_fixed(np.concatenate(([0], np.cumsum(2 * size)))),
        tree_size=_fixed(size),
        leaf=_fixed(leaf.astype(np.int64)),
    )


def _state(problem: Problem, tables: kernel.Tables) -> kernel.State:
    n = len(problem.service_s)
    replicas, slots = problem.n_replicas, len(tables.slot_replica)
    tree = np.full(int(tables.tree_start[-1]), np.inf)
    tree[tables.tree_start[tables.leaf[:, 0]] + tables.leaf[:, 1]] = 0.0
    for base, size in zip(tables.tree_start[:-1], tables.tree_size, strict=True):
        for i in range(int(size) - 1, 0, -1):
            tree[base + i] = min(tree[base + 2 * i], tree[base + 2 * i + 1])
    in_transit = n if problem.has_network else 0
    return kernel.State(
        replica=np.empty(n, dtype=np.int32),
        ready=np.empty(n),
        start=np.empty(n),
        end=np.empty(n),
        missing=np.empty(n, dtype=np.int16),
        node=np.empty(n, dtype=np.int32),
        request=np.empty(n, dtype=np.int32),
        following=np.empty(n, dtype=np.int32),
        slot_end=np.zeros(slots),
        slot_head=np.full(slots, -1, dtype=np.int32),
        slot_tail=np.full(slots, -1, dtype=np.int32),
        rival_end=np.zeros(replicas),
        free=np.zeros(replicas),
        unfinished=np.zeros(replicas, dtype=np.int64),
        tree=tree,
        heap_time=np.empty(slots + 1),
        heap_slot=np.empty(slots + 1, dtype=np.int32),
        # Room for all at one instant; the system gives memory only for what is touched.
        transit_time=np.empty(in_transit + 1),
        transit=np.empty(in_transit + 1, dtype=np.int32),
        instant=np.empty(n + 1, dtype=np.int32),
        tally=np.zeros(6, dtype=np.int64),
        clock=np.full(1, -np.inf),
    )


def _fixed(array: np.ndarray[Any, Any]) -> Any:
    """View an array as contiguous and read-only, so that the loop is compiled for one type."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
