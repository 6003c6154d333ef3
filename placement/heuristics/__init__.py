"""Placement methods without a solver, by the name that `--method` takes."""

from __future__ import annotations

from functools import partial
from typing import Protocol

from placement.heuristics.compiled_search import at_hand
from placement.heuristics.greedy import greedy
from placement.heuristics.local_search import local_search
from placement.heuristics.random import random_placement
from placement.heuristics.server_greedy import server_greedy
from placement.heuristics.tiling import repeated_greedy
from placement.params.search_params import DEFAULTS, SearchParams
from placement.problem.instance import Instance
from placement.problem.solution import Placement
from placement.solver.budget import Budget


class Heuristic(Protocol):
    """A method: an instance, a seed, a budget and parameters in, a placement out."""

    def __call__(
        self,
        instance: Instance,
        seed: int,
        budget: Budget | None,
        params: SearchParams = DEFAULTS,
        /,
    ) -> Placement:
        """Place every used model."""


def _greedy(
    instance: Instance,
    seed: int,
    budget: Budget | None,
    params: SearchParams = DEFAULTS,
    *,
    affinity: bool,
) -> Placement:
    return greedy(instance, affinity=affinity, params=params)


def _greedy_servers(
    instance: Instance, seed: int, budget: Budget | None, params: SearchParams = DEFAULTS
) -> Placement:
    if at_hand(budget or Budget()):
        return repeated_greedy(instance, params, server_greedy)
    return greedy(instance, params=params)


def _local_search(
    instance: Instance, seed: int, budget: Budget | None, params: SearchParams = DEFAULTS
) -> Placement:
    return local_search(instance, seed=seed, budget=budget, params=params)


def _random(
    instance: Instance, seed: int, budget: Budget | None, params: SearchParams = DEFAULTS
) -> Placement:
    return random_placement(instance, seed=seed, params=params)


HEURISTICS: dict[str, Heuristic] = {
    "greedy": partial(_greedy, affinity=True),
    "greedy-servers": _greedy_servers,
    "greedy-no-affinity": partial(_greedy, affinity=False),
    "local-search": _local_search,
    "random": _random,
}
"""Name -> function of (instance, seed, budget, parameters)."""

SEES_CAP = frozenset({"local-search", "greedy", "greedy-servers", "greedy-no-affinity"})
"""Methods whose placement depends on the cap on GPU loads."""
