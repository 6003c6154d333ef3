"""Runs the compiled event loops in chunks, and reports progress between them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from placement.support.compilation import announced
from runtime.arrays import Problem
from runtime.engines.events import ProgressCallback
from runtime.engines.kernel import choices, serial_loop, sliced_loop
from runtime.engines.kernel.releases import COMMITTED
from runtime.engines.layout import (
    SerialState,
    SlicedState,
    make_serial_state,
    make_sliced_state,
    make_tables,
)
from runtime.result import Course

REPORTED_EXECUTIONS = 500_000
"""Executions between two reports of progress."""

POLICIES = {
    "plan": choices.PLAN,
    "locality": choices.LOCALITY,
    "earliest": choices.EARLIEST,
    "least-loaded": choices.LEAST_LOADED,
    "sticky": choices.STICKY,
}


def run_compiled(
    problem: Problem,
    policy: str,
    progress: ProgressCallback | None = None,
    *,
    chunk: int = REPORTED_EXECUTIONS,
) -> Course:
    """Simulate a static plan under a built-in routing policy.

    Parameters
    ----------
    problem : Problem
        Executions, replicas and GPUs as flat arrays.
    policy : str
        Key of `POLICIES`.
    progress : callable, optional
        Told between two chunks how many executions of how many are committed, and the time.
    chunk : int
        Executions between two reports; changes nothing else.

    Returns
    -------
    Course
        That of `runtime.engines.reference.run_reference`, to the last bit.
    """
    state, advance = _prepare(problem, policy)
    total = len(problem.service_s)
    limit = chunk
    with announced("the event loop"):
        while not advance(limit):
            limit += chunk
            if progress:
                progress(int(state.tally[COMMITTED]), total, float(state.clock[0]))
    return Course(replica=state.replica, ready_s=state.ready, start_s=state.start, end_s=state.end)


def _prepare(
    problem: Problem, policy: str
) -> tuple[SerialState | SlicedState, Callable[[int], bool]]:
    tables, number, network = make_tables(problem), POLICIES[policy], _network(problem)
    by_load = number == choices.LEAST_LOADED
    if problem.sliced:
        fractions = bool((problem.replica_fraction < 1).any())
        shared = make_sliced_state(problem, tables, load=by_load)
        return shared, lambda limit: sliced_loop.advance(
            tables, shared, number, network, fractions, limit
        )
    own = make_serial_state(problem, tables, load=by_load)
    alike = not problem.batches and len(np.unique(problem.replica_speed)) < 2
    counted = by_load or problem.batches
    return own, lambda limit: serial_loop.advance(
        tables, own, number, network, alike, counted, limit
    )


def _network(problem: Problem) -> int:
    if not problem.has_network:
        return choices.NO_NETWORK
    odd = (problem.parent_intra_s > problem.parent_inter_s).any()
    return choices.ODD_NETWORK if odd else choices.NETWORK
