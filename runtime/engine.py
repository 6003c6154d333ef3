"""Runs the compiled event loop in chunks, and reports progress between them."""

from __future__ import annotations

from placement.support.compilation import announced
from runtime import kernel
from runtime.arrays import Problem
from runtime.layout import make_state, make_tables
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
    tables = make_tables(problem)
    state = make_state(problem, tables)
    total = len(problem.service_s)
    limit = chunk
    with announced("the event loop"):
        while not kernel.advance(tables, state, POLICIES[policy], _network(problem), limit):
            limit += chunk
            if progress:
                progress(int(state.tally[kernel.COMMITTED]), total, float(state.clock[0]))
    return Course(replica=state.replica, ready_s=state.ready, start_s=state.start, end_s=state.end)


def _network(problem: Problem) -> int:
    if not problem.has_network:
        return kernel.NO_NETWORK
    odd = (problem.parent_intra_s > problem.parent_inter_s).any()
    return kernel.ODD_NETWORK if odd else kernel.NETWORK
