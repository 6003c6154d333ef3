"""What whole replicas weigh at least that do their model's work, without a solver.

A solver's tolerances are absolute, and weights and speeds that a file or a cluster name may be far
below them: of weights of 1e-8 any plan is the lightest to it. Here only comparisons count, and the
error of floats.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

from placement.verify.matrix_program import Clock

STEPS = 200_000
"""Partial covers that are looked at; then what the lightest of those left must weigh counts."""

FLOAT_ERROR = 1e-9
"""Relative weight that is left out of account, far more than floats lose."""


@dataclass(frozen=True)
class Kind:
    """Replicas of one server type: what each weighs and does, and how many there can be."""

    weight: float
    speed: float
    most: int


def least_weight(kinds: Sequence[Kind], work: float, clock: Clock) -> float:
    """At most what any whole numbers of replicas weigh that do the work; infinite if none do.

    Branch and bound, the least bound first: type by type, of least weight a speed first.

    Parameters
    ----------
    kinds : sequence of Kind
        Of speeds above 0 and weights of at least 0.
    work : float
        Above 0.
    clock : Clock
        Seconds left.

    Raises
    ------
    OutOfTime
    """
    order = sorted(kinds, key=lambda k: k.weight / k.speed)

    def relaxed(i: int, left: float) -> float:
        """Weight of the rest where parts of replicas count, from the i-th type on."""
        cost = 0.0
        for kind in order[i:]:
            if left <= 0:
                break
            n = min(float(kind.most), left / kind.speed)
            cost += n * kind.weight
            left -= kind.most * kind.speed
        return cost if left <= 0 else math.inf

    # What is known of a branch: its bound, the type to choose a number for, the number and whether
    # smaller ones follow it, the work left and the weight before it.
    heap: list[tuple[float, int, int, bool, float, float]] = []

    def offer(i: int, n: int, falls: bool, left: float, cost: float) -> None:
        rest = left - n * order[i].speed
        bound = cost + n * order[i].weight + relaxed(i + 1, rest)
        if n >= 0 and bound < math.inf:
            heapq.heappush(heap, (bound, i, n, falls, left, cost))

    def branch(i: int, left: float, cost: float) -> None:
        # The bound is convex in the number and least where the work ends: one beyond, then down.
        # What a quotient rounds to may leave a little: then one beyond it ends the work, too.
        most = min(order[i].most, math.floor(left / order[i].speed))
        offer(i, most, True, left, cost)
        if most < order[i].most and most * order[i].speed < left:
            offer(i, most + 1, False, left, cost)

    if order:
        branch(0, work, 0.0)
    for step in range(STEPS):
        if not heap:
            return math.inf
        bound, i, n, falls, left, cost = heap[0]
        rest = left - n * order[i].speed
        if rest <= 0:
            return bound * (1 - FLOAT_ERROR)
        heapq.heappop(heap)
        if falls:
            offer(i, n - 1, True, left, cost)
        if i + 1 < len(order):
            branch(i + 1, rest, cost + n * order[i].weight)
        if step % 1_000 == 0:
            clock.check()
    return heap[0][0] * (1 - FLOAT_ERROR) if heap else math.inf
