"""The runtime in plain Python: the specification, and the oracle of the compiled loops."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from runtime.arrays import Problem
from runtime.engines.events import ProgressCallback, run_events
from runtime.engines.replicas import Replicas
from runtime.engines.serial import SerialReplicas
from runtime.engines.sliced import SlicedReplicas
from runtime.outages import Interruptions, Outage, Turn, turns
from runtime.policies import RoutingPolicy
from runtime.result import Course


def run_reference(
    problem: Problem,
    policy: RoutingPolicy,
    progress: ProgressCallback | None = None,
    outages: Sequence[Outage] = (),
    changes: Sequence[Turn] = (),
) -> Course:
    """Simulate a static plan under a routing policy.

    Parameters
    ----------
    problem : Problem
        Executions, replicas and GPUs as flat arrays.
    policy : RoutingPolicy
        Built in, or the user's own.
    progress : callable, optional
        Told now and then how many executions of how many are committed, and the simulated time.
    outages : sequence of Outage
        Servers and GPUs of the problem's cluster that are lost on the way.
    changes : sequence of Turn
        Replicas that come and go for another reason; none of them that an outage takes.

    Returns
    -------
    Course
        Replica and times of every execution; NaN where a request cannot be served.

    Raises
    ------
    ValueError
        Where the policy returns what is no replica of the node's model.
    """
    kind = SlicedReplicas if problem.sliced else SerialReplicas
    replicas = kind(problem, policy)
    both = sorted([*turns(problem, outages), *changes], key=lambda turn: turn.time_s)
    moments = [(turn.time_s, partial(replicas.turn, turn)) for turn in both]
    failed = run_events(problem, replicas, progress, moments)
    cut = bool(outages or changes)
    return Course(
        replica=np.array(replicas.replica, dtype=np.int32),
        ready_s=np.array(replicas.ready, dtype=np.float64),
        start_s=np.array(replicas.start, dtype=np.float64),
        end_s=np.array(replicas.end_s, dtype=np.float64),
        interruptions=_interruptions(problem, replicas, outages, failed) if cut else None,
    )


def _interruptions(
    problem: Problem, replicas: Replicas, outages: Sequence[Outage], failed: list[int]
) -> Interruptions:
    lost = np.zeros(len(problem.workflow), dtype=np.bool_)
    lost[failed] = True
    columns = list(zip(*replicas.interrupted, strict=True)) or [(), (), (), ()]
    return Interruptions(
        outages=tuple(outages),
        failed=lost,
        execution=np.array(columns[0], dtype=np.int64),
        replica=np.array(columns[1], dtype=np.int32),
        time_s=np.array(columns[2], dtype=np.float64),
        lost_s=np.array(columns[3], dtype=np.float64),
    )
