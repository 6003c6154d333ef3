"""A trace over a placement that changes on the way: plans in turn, replicas that come and go."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from placement.problem.changes import Change, Phase
from placement.problem.cluster import Cluster
from placement.problem.solution import Placement, Replica
from placement.problem.trace import Trace
from placement.problem.workload import Workload
from runtime.arrays import NOWHERE, build_problem
from runtime.engines.events import ProgressCallback
from runtime.engines.reference import run_reference
from runtime.outages import Turn
from runtime.policies import BUILT_IN
from runtime.resample import take
from runtime.run import Run
from runtime.shares import assign_targets
from runtime.simulate import Dispatch, finished_run, mean_request_s

BEFORE_ALL = -1.0
"""Second at which replicas that are loaded later are not there yet."""


def simulate_changing(
    workload: Workload,
    trace: Trace,
    cluster: Cluster,
    phases: Sequence[Phase],
    changes: Sequence[Change],
    *,
    dispatch: Dispatch | None = None,
    progress: ProgressCallback | None = None,
) -> Run:
    """Run every request of a trace, each routed by the plan in force when it arrives.

    Parameters
    ----------
    workload : Workload
    trace : Trace
    cluster : Cluster
    phases : sequence of Phase
        Ascending; the first from 0 on.
    changes : sequence of Change
        Of replicas, ascending; those of the first phase are there at the beginning.
    dispatch : Dispatch, optional
        Its outages are not looked at; the mode is online.
    progress : callable, optional
        As `simulate_placement` takes it.

    Returns
    -------
    Run
        Its replicas are all that ever stand; `interruptions` says which calls were cut short.

    Raises
    ------
    ValueError
        The policy is unknown.
    """
    dispatch = dispatch or Dispatch()
    policy = dispatch.policy
    if isinstance(policy, str):
        if policy not in BUILT_IN:
            raise ValueError(f"no routing policy {policy!r}; there are {', '.join(BUILT_IN)}")
        policy = BUILT_IN[policy]
    first = set(phases[0].placement.replicas())
    every = first | {r for change in changes for r in change.back}
    placement = Placement.of(every)
    target = np.full(trace.n_executions, NOWHERE, dtype=np.int32)
    begins = [phase.from_s for phase in phases]
    of = np.maximum(0, np.searchsorted(begins, trace.arrival_s, side="right") - 1)
    for p, phase in enumerate(phases):
        mine = np.flatnonzero(of == p)
        if len(mine):
            part = take(trace, mine, trace.arrival_s[mine])
            rows = np.concatenate([np.arange(trace.offset[r], trace.offset[r + 1]) for r in mine])
            target[rows] = assign_targets(workload, part, phase.placement, cluster, phase.routing)
    patience_s = dispatch.spill_patience * mean_request_s(workload, trace)
    problem = build_problem(workload, trace, cluster, placement, "online", target, patience_s)
    number = {replica: p for p, replica in enumerate(placement.replicas())}
    absent = tuple(sorted(number[r] for r in every - first))
    turns = [Turn(BEFORE_ALL, gone=absent, back=())] if absent else []

    def numbers(replicas: tuple[Replica, ...]) -> tuple[int, ...]:
        return tuple(sorted(number[r] for r in replicas))

    turns += [Turn(c.time_s, numbers(c.gone), numbers(c.back), numbers(c.closed)) for c in changes]
    course = run_reference(problem, policy, progress, changes=turns)
    return finished_run(problem, course, "static", policy.name)
