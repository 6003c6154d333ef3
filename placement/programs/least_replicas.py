"""Whole replicas that each model's work needs: Chvátal-Gomory rounding of its capacity row."""

from __future__ import annotations

import math

from placement.problem.instance import Instance

WORK_MARGIN = 1e-5
"""Relative work that is left out of account: above any tolerance of a plan."""


def whole_replicas(instance: Instance) -> list[tuple[int, tuple[float, ...], float]]:
    """Rows (m, weight, least): sum over types of weight[t] N[m,t] >= least for every plan.

    A replica on a server of speed v does at most cap * v of the work of its model, so
    sum_t v_t N[m,t] >= work_m / cap over the replicas N[m,t] on servers of type t. Dividing by
    any d > 0 and rounding the coefficients up, then the right-hand side, keeps every whole
    solution; d is each speed in turn.
    """
    rows: dict[tuple[int, tuple[float, ...], float], None] = {}
    for m in instance.used_models:
        work = float(instance.model_work[m])
        if work > 0:  # offline, the cap is 0 where nothing takes any time
            work = work / instance.load_cap * (1 - WORK_MARGIN)
        speeds = instance.speeds[:, m].tolist()
        for d in sorted(set(speeds)):
            weight = tuple(float(math.ceil(v / d - 1e-9)) for v in speeds)
            rows[m, weight, max(1.0, float(math.ceil(work / d)))] = None
    return list(rows)
