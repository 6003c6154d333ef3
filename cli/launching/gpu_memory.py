"""What part of a GPU each replica may take, so that all that share it start and have a cache."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from cli.formats.slots import Slot

TAKEN = 0.9
"""Part of a GPU that its servers may take together, vLLM's own default for one: the rest is for
what each process needs beside weights and cache."""

STATIC = 0.8
"""The same where a server counts weights and cache alone, and activations come on top (SGLang)."""


@dataclass(frozen=True)
class MemoryPart:
    """What one replica may take.

    Parameters
    ----------
    of_gpu : float
        Fraction of each of its GPUs.
    of_free : float
        Fraction of what its GPUs have free when those before it have taken their part; weights
        and cache alone.
    is_short : bool
        Whether it is less than the plan reckons with.
    """

    of_gpu: float
    of_free: float
    is_short: bool


def memory_parts(slots: Sequence[Slot]) -> list[MemoryPart]:
    """Share out the memory of every GPU in proportion to what the plan puts there.

    Parameters
    ----------
    slots : sequence of Slot
        All replicas of a plan; on a GPU they start in this order.

    Returns
    -------
    list of MemoryPart
        In the order of `slots`. On no GPU the parts add up to more than `TAKEN`. A replica on
        several GPUs has one part on all of them: that of the fullest.
    """
    stated: dict[tuple[int, int], float] = defaultdict(float)
    for slot in slots:
        for number in slot.local_gpus:
            stated[slot.server, number] += slot.memory_share
    taken: dict[tuple[int, int], float] = defaultdict(float)
    parts = []
    for slot in slots:
        gpus = [(slot.server, gpu) for gpu in slot.local_gpus]
        fullest = max(stated[gpu] for gpu in gpus)
        share = slot.memory_share / fullest if slot.memory_share else 0.0
        free = min(1 - taken[gpu] for gpu in gpus)
        parts.append(
            MemoryPart(_down(TAKEN * share), _down(STATIC * share / free), fullest > TAKEN)
        )
        for gpu in gpus:
            taken[gpu] += STATIC * share
    return parts


def _down(fraction: float) -> float:
    """Round to what is written, never up."""
    return math.floor(fraction * 1e4) / 1e4
