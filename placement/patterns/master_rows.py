"""Rows of the master on what its servers hold: one protocol, and the rows that count replicas.

Master, pricing, bounds and certificates ask a row the same few things, whatever it is: a count of
replicas (`CountRow`: whole replicas needed, branching decisions) or a cut on what is kept
(`rounding_cuts`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pulp

from placement.patterns.pattern import Pattern
from placement.patterns.pricing.features import Features
from placement.problem.instance import Instance
from placement.problem.placement_rules import NO_LIMIT
from placement.programs.flows import Part
from placement.programs.least_replicas import whole_replicas


class Row(ABC):
    """least <= [kept rate of a part] + sum over servers of weight * feature(content) <= most.

    One of `least` and `most` is infinite. A row looks at the replicas of `models` alone.

    Attributes
    ----------
    models : tuple of int
    """

    models: tuple[int, ...]

    @property
    def kept(self) -> Part | None:
        """The part whose kept rate, over all servers, is in the row."""
        return None

    @property
    @abstractmethod
    def feature(self) -> Hashable:
        """What is counted on a server: rows of one feature share its variable in pricing."""

    @property
    def counted(self) -> int | None:
        """The model whose replicas are the feature, where it is nothing else."""
        return None

    @property
    @abstractmethod
    def at_least(self) -> bool:
        """Whether it is a lower limit."""

    @property
    @abstractmethod
    def limit(self) -> float:
        """The finite one of `least` and `most`."""

    @property
    @abstractmethod
    def unit(self) -> float:
        """What a multiplier is multiplied with where it is stored."""

    @property
    @abstractmethod
    def limits_replicas(self) -> bool:
        """Whether one more replica on a server may break it."""

    @abstractmethod
    def weight_on(self, kind: int) -> float:
        """What one of the feature contributes on a server of a type."""

    @abstractmethod
    def coefficient(self, pattern: Pattern) -> float:
        """Contribution of one server with this content, but for what it keeps."""

    @abstractmethod
    def feature_of(self, counts: np.ndarray, kind: int) -> np.ndarray:
        """The feature of many contents of servers of a type, shape (R,).

        Parameters
        ----------
        counts : int, shape (R, len(models))
            Replicas of each of the row's models.
        """

    @abstractmethod
    def variable(self, features: Features) -> pulp.LpVariable:
        """The feature as a variable of a program over the counts of a server."""

    @abstractmethod
    def named(self, instance: Instance) -> dict[str, object] | None:
        """Name the row so that it can be made anew; None where every solve makes it."""

    def signed(self, dual: float) -> float:
        """Drop a multiplier of the wrong sign: it would prove nothing."""
        return min(dual, 0.0) if self.at_least else max(dual, 0.0)


@dataclass(frozen=True)
class CountRow(Row):
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
    def counted(self) -> int | None:
        """The model, where its replicas count."""
        return self.models[0] if self.threshold == 0 else None

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

    @property
    def limits_replicas(self) -> bool:
        """Whether one more replica on a server may break it."""
        return not self.at_least

    def weight_on(self, kind: int) -> float:
        """What one of the feature contributes on a server of a type."""
        return self.weight[kind]

    def coefficient(self, pattern: Pattern) -> float:
        """Contribution of one server with this content."""
        counts = pattern.counts()
        held = min(counts.get(m, 0) for m in self.models)
        feature = held if self.threshold == 0 else float(held >= self.threshold)
        return self.weight_on(pattern.kind) * feature

    def feature_of(self, counts: np.ndarray, kind: int) -> np.ndarray:
        """Replicas of the model, or whether there are enough of each."""
        if self.threshold == 0:
            return np.asarray(counts[:, 0])
        return np.asarray((counts >= self.threshold).all(axis=1))

    def variable(self, features: Features) -> pulp.LpVariable:
        """The feature as a variable of a program over the counts of a server."""
        if self.threshold == 0:
            return features.count[self.models[0]]
        return features.at_least_of_each(self.models, self.threshold)

    def named(self, instance: Instance) -> dict[str, object] | None:
        """None: those of every plan follow from the instance, branching stores its own."""
        return None


def rounding_rows(instance: Instance) -> tuple[CountRow, ...]:
    """Whole replicas that each model's work needs, as rows of the master."""
    return tuple(
        CountRow((m,), 0, weight, least=least) for m, weight, least in whole_replicas(instance)
    )


def rule_rows(instance: Instance) -> tuple[CountRow, ...]:
    """Rules on the numbers of replicas of the used models, as rows of the master."""
    wanted, rows = instance.requirements, []
    one = (1.0,) * len(instance.cluster.server_types)
    for m in instance.used_models if wanted is not None else ():
        assert wanted is not None
        if wanted.least[m] > 1:
            rows.append(CountRow((m,), 0, one, least=float(wanted.least[m])))
        if wanted.most[m] < NO_LIMIT:
            rows.append(CountRow((m,), 0, one, most=float(wanted.most[m])))
        if wanted.spread[m] > 1:
            rows.append(CountRow((m,), 1, one, least=float(wanted.spread[m])))
    return tuple(rows)


def standing_rows(instance: Instance) -> tuple[CountRow, ...]:
    """Rows that every plan keeps: whole replicas, and the rules."""
    return (*rounding_rows(instance), *rule_rows(instance))
