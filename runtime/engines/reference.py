"""The runtime in plain Python: the specification, and the oracle of the compiled loops."""

from __future__ import annotations

import numpy as np

from runtime.arrays import Problem
from runtime.engines.events import ProgressCallback, run_events
from runtime.engines.serial import SerialReplicas
from runtime.engines.sliced import SlicedReplicas
from runtime.policies import RoutingPolicy
from runtime.result import Course


def run_reference(
    problem: Problem, policy: RoutingPolicy, progress: ProgressCallback | None = None
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
    run_events(problem, replicas, progress)
    return Course(
        replica=np.array(replicas.replica, dtype=np.int32),
        ready_s=np.array(replicas.ready, dtype=np.float64),
        start_s=np.array(replicas.start, dtype=np.float64),
        end_s=np.array(replicas.end_s, dtype=np.float64),
    )
