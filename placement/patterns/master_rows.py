"""Rows of the master on how many servers hold what: rounding cuts and branching decisions."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass

from placement.patterns.pattern import Pattern
from placement.problem.instance import Instance
from placement.programs.least_replicas import whole_replicas


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
    def feature(self) -> Hashable:
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

    @property
    def unit(self) -> float:
        """What a multiplier is multiplied with where it is stored."""
        return self.limit or 1.0

    def weight_on(self, kind: int) -> float:
        """What one of the feature contributes on a server of a type."""
        return self.weight[kind]

    def coefficient(self, pattern: Pattern) -> float:
        """Contribution of one server with this content."""
        counts = pattern.counts()
        held = min(counts.get(m, 0) for m in self.models)
        feature = held if self.threshold == 0 else float(held >= self.threshold)
        return self.weight_on(pattern.kind) * feature

    def signed(self, dual: float) -> float:
        """Drop a multiplier of the wrong sign: it would prove nothing."""
        return min(dual, 0.0) if self.at_least else max(dual, 0.0)


def rounding_rows(instance: Instance) -> tuple[CountRow, ...]:
    """Whole replicas that each model's work needs, as rows of the master."""
    return tuple(
        CountRow((m,), 0, weight, least=least) for m, weight, least in whole_replicas(instance)
    )
