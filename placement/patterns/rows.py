"""Rows of the master on how many servers hold what: rounding cuts and branching decisions."""

from __future__ import annotations

import math
from dataclasses import dataclass

from placement.instance import Instance
from placement.patterns.pattern import Pattern

ROUNDING = 1e-5
"""Relative work that a rounding cut leaves out of account: above any tolerance of a plan."""


@dataclass(frozen=True)
class CountRow:
    """least <= sum over servers of weight[type] * feature(content) <= most.

    Parameters
    ----------
    models : tuple of int
        One model, or two.
    threshold : int
        0: the feature is the number of replicas of the model; j >= 1: it is 1 on a server with
        at least j replicas of each of the models.
    weight : tuple of float
        By server type.
    least, most : float
        One of them is infinite.
    """

    models: tuple[int, ...]
    threshold: int
    weight: tuple[float, ...]
    least: float = -math.inf
    most: float = math.inf

    @property
    def feature(self) -> tuple[tuple[int, ...], int]:
        """What is counted."""
        return self.models, self.threshold

    @property
    def at_least(self) -> bool:
        """Whether it is a lower limit."""
        return math.isfinite(self.least)

    @property
    def limit(self) -> float:
        """The finite one of `least` and `most`."""
        return self.least if self.at_least else self.most

    def coefficient(self, pattern: Pattern) -> float:
        """Contribution of one server with this content."""
        counts = pattern.counts()
        held = min(counts.get(m, 0) for m in self.models)
        feature = held if self.threshold == 0 else float(held >= self.threshold)
        return self.weight[pattern.kind] * feature

    def signed(self, dual: float) -> float:
        """Drop a multiplier of the wrong sign: it would prove nothing."""
        return min(dual, 0.0) if self.at_least else max(dual, 0.0)


def rounding_rows(instance: Instance) -> tuple[CountRow, ...]:
    """Whole replicas that each model's work needs (Chvátal-Gomory rounding).

    A replica on a server of speed v does at most cap * v of the work of its model, so
    sum_t v_t N[m,t] >= work_m / cap over the replicas N[m,t] on servers of type t. Dividing by
    any d > 0 and rounding the coefficients up, then the right-hand side, keeps every whole
    solution; d is each speed in turn.
    """
    types = instance.cluster.server_types
    found: dict[CountRow, None] = {}
    for m in instance.used_models:
        work = float(instance.model_work[m]) / instance.load_cap * (1 - ROUNDING)
        for d in sorted({t.speed for t in types}):
            weight = tuple(float(math.ceil(t.speed / d - 1e-9)) for t in types)
            found[CountRow((m,), 0, weight, least=max(1.0, math.ceil(work / d)))] = None
    return tuple(found)
