"""What replicas that share a GPU in time slices may carry together: known here and nowhere else.

Under ``time-sliced`` each of the n replicas on a GPU that have a call in service gets its part of
what is left after slicing (docs/simulator.md, "Time slices"). The work that waits for a GPU shrinks
while they proceed, together, at more than they are asked for, whichever of them have work. So busy
fractions that add up to less than

    kappa(S) = the least total pace of any of the loaded replicas S, and at most 1

can be borne, whatever the laws of arrivals and services: where the calls of all occupy the GPU all
the time, kappa is the least of eta(2) ... eta(n); with `gpu_fraction` the paces are those of
`gpu_sharing`, of the replicas with the largest fractions. A replica alone may use the GPU in full,
and idle ones cost nothing. What sharing gains, as where hosts leave gaps, is not counted: a GPU is
never worth more than one. The load of a GPU is its busy fractions over kappa.

Under ``serial``, and where GPUs are exclusive, kappa is 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np

from placement.problem.blocks import BoolArray
from placement.problem.cluster import FloatArray, GpuSharing, IntArray, ServerType
from placement.problem.gpu_sharing import paces
from placement.problem.instance import LIGHT, Instance
from placement.problem.space import largest_room_gb

MOST_TOGETHER = 24
"""Replicas on a GPU beyond which their paces are no longer worked out, but bounded."""

Kept = tuple[float, ...]
"""kappa for 0, 1, 2, ... replicas."""


def loses_by_sharing(instance: Instance) -> bool:
    """Whether replicas that share a GPU may get less of it together than one alone."""
    sharing = instance.cluster.sharing
    return (
        sharing.mode == "time-sliced"
        and instance.models_per_gpu > 1
        and min(sharing.efficiency, default=1.0) < 1.0
    )


def can_load(instance: Instance, m: int, speed: float) -> bool:
    """Whether a replica of a model can be loaded at all on GPUs of this speed.

    Parameters
    ----------
    instance : Instance
        Says how much work its model has.
    m : int
        The model.
    speed : float
        Of the model there: its work is at most this much less load.
    """
    return float(instance.model_work[m] / speed) > LIGHT * instance.load_floor


def kept_by(instance: Instance, models: Sequence[int]) -> float:
    """kappa of loaded replicas of these models on one GPU."""
    if len(models) < 2 or not loses_by_sharing(instance):
        return 1.0
    fractions = sorted((instance.fraction(m) for m in models), reverse=True)
    return _least_pace(tuple(fractions), instance.cluster.sharing)


def standing_kept(instance: Instance, kind: ServerType, held: Sequence[tuple[int, int]]) -> float:
    """kappa of replicas that stand on one GPU, if all that can are loaded.

    Parameters
    ----------
    instance : Instance
        Says how GPUs are shared.
    kind : ServerType
        Type of the server.
    held : sequence of (model, first GPU)
        The replicas.
    """
    if not loses_by_sharing(instance):
        return 1.0
    return kept_by(
        instance, [m for m, i in held if can_load(instance, m, instance.speed_on(kind, m, i))]
    )


def most_together(instance: Instance, kind: ServerType) -> int:
    """Loaded replicas that fit on one GPU of a type at most.

    Those of one model on k GPUs begin at different ones, so k of them. What has least to do is
    loaded on the slowest block, if at all.
    """
    speed = instance.slowest_of(kind)
    memory = sorted(
        need
        for m in instance.used_models
        if can_load(instance, m, float(speed[m]))
        for need in [float(instance.memory_per_gpu_gb[m])] * int(instance.gpus_required[m])
    )
    fit = sum(total <= largest_room_gb(kind) for total in accumulate(memory))
    return min(fit, instance.models_per_gpu)


def kept_at_most(instance: Instance, most: int) -> Kept:
    """Bound kappa for 0 to `most` loaded replicas from above: for what must hold of every plan."""
    fractions = [instance.fraction(m) for m in instance.used_models]
    return _levels(min(fractions, default=1.0), instance, most)


def kept_at_least(instance: Instance, most: int) -> Kept:
    """Bound kappa for 0 to `most` replicas from below: for what is to be a plan."""
    fractions = [instance.fraction(m) for m in instance.used_models]
    return _levels(max(fractions, default=1.0), instance, most)


def _levels(fraction: float, instance: Instance, most: int) -> Kept:
    if not loses_by_sharing(instance):
        return (1.0,) * (most + 1)
    sharing = instance.cluster.sharing
    return (1.0, *(_least_pace((fraction,) * n, sharing) for n in range(1, most + 1)))


def loss_per_replica(instance: Instance, kind: ServerType) -> float:
    """Part d of a GPU that each loaded replica beyond the first takes off it, at the least.

    n of them carry at most 1 - d (n - 1) of the cap, so those of G GPUs, C in sum over the GPUs
    that each covers, carry at most G - d (C - G). It is 0 where a replica may stand idle for a
    reason: nothing follows from how many stand. A row on it has no variables of its own, which the
    many programs that price a server are better off without; `sliced_gpus` says more.
    """
    if not (loses_by_sharing(instance) and instance.idle_are_spare):
        return 0.0
    kept = kept_at_most(instance, most_together(instance, kind))
    return min(((1 - kept[n]) / (n - 1) for n in range(2, len(kept))), default=0.0)


@dataclass(frozen=True)
class SlicedGpus:
    """What GPUs with two or more loaded replicas bear at most, for rows over counts.

    Let a loaded replica that shares none of its GPUs with another stand *alone*, and G' be the GPUs
    that no such replica covers. On each of these the loads add up to at most `pair`: also where
    only one is loaded there, for its block shares another GPU and carries no more than that.

    Parameters
    ----------
    pair : float
        Part of the cap that loaded replicas carry together where there are two, at the most.
    further : float
        Part that each beyond the second takes off, at the least.
    most : int
        Loaded replicas that fit on a GPU.
    """

    pair: float
    further: float
    most: int


def sliced_gpus(instance: Instance, kind: ServerType) -> SlicedGpus | None:
    """What sharing takes off the GPUs of a server type; None where it takes nothing.

    `further` is 0, and nothing follows from how many stand, where a replica may be idle for a
    reason (`Instance.idle_are_spare`).
    """
    if not loses_by_sharing(instance):
        return None
    most = most_together(instance, kind)
    kept = kept_at_most(instance, max(2, most))
    if kept[2] >= 1:
        return None
    further = min(((kept[2] - kept[n]) / (n - 2) for n in range(3, most + 1)), default=0.0)
    return SlicedGpus(kept[2], further if instance.idle_are_spare else 0.0, most)


@lru_cache(maxsize=4_096)
def _least_pace(fractions: tuple[float, ...], sharing: GpuSharing) -> float:
    """Least total pace of any of these replicas, the largest fractions first, and at most 1.

    Fewer of the same fraction, or as many of smaller ones, may go slower or faster together; the
    least is always among those with the largest fractions.
    """
    n = len(fractions)
    if fractions[-1:] == (1.0,) or n > MOST_TOGETHER:
        return min([1.0, *(sharing.kept(k) for k in range(2, n + 1))])
    kept = [sharing.kept(k) for k in range(n + 1)]
    return min([1.0, *(sum(paces(fractions[:k], kept)) for k in range(2, n + 1))])


def over_gpus(
    instance: Instance, model: IntArray, first: IntArray, value: FloatArray
) -> FloatArray:
    """Sum of a value of each replica over the GPUs of its block, shape (N,).

    Parameters
    ----------
    instance : Instance
        With the cluster of N GPUs.
    model, first : int64, shape (R,)
        Model of each replica, and the number of its first GPU in the cluster.
    value : float64, shape (R,)
        What each replica brings to every GPU of its block.
    """
    # A block adds its value where it starts and takes it off behind its end.
    step = np.zeros(instance.cluster.n_gpus + 1)
    np.add.at(step, first, value)
    np.add.at(step, first + instance.gpus_required[model], -value)
    return np.cumsum(step)[:-1]


def is_loaded(instance: Instance, load: float) -> bool:
    """Whether a replica of this busy fraction is loaded and not idle."""
    return load > LIGHT * instance.load_floor


def loaded(instance: Instance, load: FloatArray) -> BoolArray:
    """Which replicas, of these busy fractions, are loaded and not idle."""
    return np.asarray(load > LIGHT * instance.load_floor)


def kept_on_gpus(
    instance: Instance, model: IntArray, first: IntArray, carrying: BoolArray
) -> FloatArray:
    """kappa on every GPU for the replicas that carry load, shape (N,).

    Parameters
    ----------
    instance : Instance
        With the cluster of N GPUs.
    model, first : int64, shape (R,)
        As for `over_gpus`.
    carrying : bool, shape (R,)
        Those that count.
    """
    kept = np.ones(instance.cluster.n_gpus)
    if not loses_by_sharing(instance):
        return kept
    mine = np.flatnonzero(carrying)
    order = np.argsort(first[mine], kind="stable")
    begin = first[mine][order]
    end = begin + instance.gpus_required[model[mine]][order]
    if (begin[1:] >= end[:-1]).all():  # none shares a GPU, of which there may be millions
        return kept
    number = np.rint(over_gpus(instance, model[mine], first[mine], np.ones(len(mine))))
    fractions = {instance.fraction(m) for m in np.unique(model[mine]).tolist()}
    if len(fractions) <= 1:
        levels = _levels(min(fractions, default=1.0), instance, int(number.max(initial=0)))
        return np.array(levels)[number.astype(np.int64)]
    here: dict[int, list[int]] = {int(g): [] for g in np.flatnonzero(number > 1)}
    for r in mine.tolist():
        m = int(model[r])
        for g in range(int(first[r]), int(first[r] + instance.gpus_required[m])):
            if g in here:
                here[g].append(m)
    for g, models in here.items():
        kept[g] = kept_by(instance, models)
    return kept
