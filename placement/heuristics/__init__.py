"""Placement methods without a solver, by the name that `--method` takes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from placement.heuristics.greedy import greedy
from placement.heuristics.local_search import local_search
from placement.heuristics.random import random_placement
from placement.problem.instance import Instance
from placement.problem.solution import Placement
from placement.solver.budget import Budget

Heuristic = Callable[[Instance, int, Budget | None], Placement]


def _greedy(instance: Instance, seed: int, budget: Budget | None, *, affinity: bool) -> Placement:
    return greedy(instance, affinity=affinity)


def _local_search(instance: Instance, seed: int, budget: Budget | None) -> Placement:
    return local_search(instance, seed=seed, budget=budget)


def _random(instance: Instance, seed: int, budget: Budget | None) -> Placement:
    return random_placement(instance, seed=seed)


HEURISTICS: dict[str, Heuristic] = {
    "greedy": partial(_greedy, affinity=True),
    "greedy-no-affinity": partial(_greedy, affinity=False),
    "local-search": _local_search,
    "random": _random,
}
"""Name -> function of (instance, seed, budget)."""

SEES_CAP = frozenset({"local-search", "greedy", "greedy-no-affinity"})
"""Methods whose placement depends on the cap on GPU loads."""
