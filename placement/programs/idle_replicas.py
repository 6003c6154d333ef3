"""Replicas without load: which to leave out, and which must stay idle where sharing loses.

Replicas that share a GPU in time slices keep less of it together than one alone, and idle ones cost
nothing (`placement.problem.shared_capacity`). Programs count all that may carry load as loaded. So
they are told which may not.
"""

from __future__ import annotations

import numpy as np

from placement.problem.blocks import BoolArray
from placement.problem.cluster import FloatArray
from placement.problem.instance import Instance
from placement.problem.shared_capacity import can_load, kept_on_gpus, loaded, loses_by_sharing
from placement.problem.solution import TOLERANCE, Placement, Solution, first_gpus, gpu_loads


def busy_replicas(instance: Instance, solution: Solution) -> Solution:
    """Leave out the replicas without load, but for one of each used model."""
    placement = solution.placement
    kept = solution.load > TOLERANCE * max(1.0, instance.load_cap)
    for m in instance.used_models:
        mine = np.flatnonzero(placement.model == m)
        if not kept[mine].any():
            kept[mine[:1]] = True
    return Solution(placement.only(kept), solution.flows, solution.load[kept])


def loaded_placement(instance: Instance, solution: Solution) -> tuple[Placement, BoolArray]:
    """The placement of a solution, without idle replicas where these would count as loaded.

    Those stay that are no spares (`Instance.idle_are_spare`).

    Returns
    -------
    placement : Placement
        R replicas.
    carrying : bool, shape (R,)
        Which of them may carry load.
    """
    placement = solution.placement
    if not loses_by_sharing(instance):
        return placement, np.ones(placement.n_replicas, dtype=np.bool_)
    mine = carries(instance, placement, solution.load)
    if not instance.idle_are_spare:
        return placement, mine
    return placement.only(mine), mine[mine]


def may_carry(instance: Instance, placement: Placement, solution: Solution) -> BoolArray | None:
    """Which replicas of a placement may carry load so that a solution keeps the cap as it is.

    Where a GPU carries more than all that stand there could carry together, those that are idle
    stay so. None where all may carry load.

    Parameters
    ----------
    solution : Solution
        Its replicas are some of the placement's.
    """
    if not loses_by_sharing(instance):
        return None
    load_at = dict(zip(solution.placement.replicas(), solution.load.tolist(), strict=True))
    load = np.array([load_at.get(replica, 0.0) for replica in placement.replicas()])
    first = first_gpus(instance, placement)
    kept = kept_on_gpus(instance, placement.model, first, _counted(instance, placement))
    tight = gpu_loads(instance, placement, load) > instance.load_cap * kept
    before = np.concatenate(([0], np.cumsum(tight)))
    touches = before[first + instance.gpus_required[placement.model]] > before[first]
    carrying: BoolArray = carries(instance, placement, load) | ~touches
    return None if carrying.all() else carrying


def carries(instance: Instance, placement: Placement, load: FloatArray) -> BoolArray:
    """Which replicas are loaded, beside those of models of which none ever is, shape (R,).

    Parameters
    ----------
    instance : Instance
        Says how much work each model has.
    placement : Placement
        R replicas.
    load : float64, shape (R,)
        Busy fraction of each.
    """
    busy = loaded(instance, load)
    seen = np.zeros(len(instance.model_ids), dtype=np.bool_)
    seen[placement.model[busy]] = True
    carrying: BoolArray = busy | ~seen[placement.model] | ~_counted(instance, placement)
    return carrying


def _counted(instance: Instance, placement: Placement) -> BoolArray:
    """Which replicas can be loaded at all."""
    speed = instance.speed_at(placement.model, placement.server, placement.start)
    pairs = zip(placement.model.tolist(), speed.tolist(), strict=True)
    return np.array([can_load(instance, m, v) for m, v in pairs], dtype=np.bool_)
