"""What operators demand of a placement beyond memory and sharing, by the names that they use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np

from placement.problem.cluster import IntArray
from placement.problem.model_rules import ModelRules
from placement.problem.names import Spares
from placement.problem.workload import Workload
from placement.support.equality import ByContent

NO_LIMIT = 1_000_000_000
"""More replicas than any cluster holds."""


@dataclass(frozen=True, eq=False)
class PlacementRules(ByContent):
    """The rules of a file of rules, or of a plan.

    Parameters
    ----------
    excluded_gpus : tuple of (server, tuple of int)
        GPUs of a server on which no replica may stand, by their number in the server.
    models : dict of str to ModelRules
        Rules of the models by their ids.
    domains : tuple of (str, tuple of tuple of int)
        By server type: groups of GPUs within which a block must stay.
    spares : {"few", "none", "fill"}
        Replicas beyond those that cap and locality need: where they even the loads, not one, or as
        many as there is memory for.
    pack : bool
        The fewest GPUs that keep the target are used.
    """

    excluded_gpus: tuple[tuple[int, tuple[int, ...]], ...] = ()
    models: Mapping[str, ModelRules] = field(default_factory=dict)
    domains: tuple[tuple[str, tuple[tuple[int, ...], ...]], ...] = ()
    spares: Spares = "few"
    pack: bool = False

    @property
    def on_numbers(self) -> PlacementRules:
        """The rules on numbers of replicas: the others are in the servers, once applied."""
        models = {name: r.on_numbers for name, r in self.models.items()}
        models = {k: r for k, r in models.items() if r != ModelRules()}
        return PlacementRules(models=models, spares=self.spares, pack=self.pack)

    def single(self) -> Iterator[tuple[str, str, object]]:
        """Each rule on a model: its id, the key and the value."""
        for name, rules in self.models.items():
            for f in fields(rules):
                value = getattr(rules, f.name)
                if value is not None:
                    yield name, f.name, value

    def without(self, name: str, key: str) -> PlacementRules:
        """All but one of the rules on models."""
        changed = replace(self.models[name], **{key: None})
        return replace(self, models={**self.models, name: changed})


def merged_rules(workload: Workload, rules: PlacementRules) -> PlacementRules:
    """Rules on models of the config and of a file of rules, where the file counts more."""
    mine = {m.id: rules.models.get(m.id, ModelRules()).over(m.rules) for m in workload.models}
    return replace(rules, models={k: r for k, r in mine.items() if r != ModelRules()})


@dataclass(frozen=True, eq=False)
class Requirements(ByContent):
    """Rules on the numbers of replicas, by model; arrays of shape (M,).

    Parameters
    ----------
    least, most : int64
        Replicas in all.
    spread : int64
        Least number of servers with a replica.
    """

    least: IntArray
    most: IntArray
    spread: IntArray


def no_requirements(n_models: int) -> Requirements:
    """One replica of each model, and no more rules."""
    ones = np.ones(n_models, dtype=np.int64)
    return Requirements(ones, np.full(n_models, NO_LIMIT), ones)


def requirements_of(rules: PlacementRules, model_ids: Sequence[str]) -> Requirements | None:
    """The rules as arrays; None where there is none on a model."""
    if not any(True for _ in rules.single()):
        return None
    each = [rules.models.get(name, ModelRules()) for name in model_ids]
    return Requirements(
        np.array([r.min_replicas or 1 for r in each], dtype=np.int64),
        np.array([r.max_replicas or NO_LIMIT for r in each], dtype=np.int64),
        np.array([r.spread or 1 for r in each], dtype=np.int64),
    )
