"""Rows on whole replicas of one model, against every number of them that does its work."""

from __future__ import annotations

from itertools import product

import numpy as np
import pulp
import pytest

from placement.patterns.cover_rows import Covering, broken_covers, covering_of
from placement.problem.normalization import normalize
from placement.solver.budget import Budget
from tests.placement.heuristics.cases import random_instance

Numbers = tuple[int, ...]


def drawn(seed: int) -> tuple[Covering, list[Numbers]]:
    """Numbers of two to four types by some speeds, and all of them that cover."""
    rng = np.random.default_rng(seed)
    kinds = int(rng.integers(2, 5))
    speed = tuple(rng.choice([0.35, 0.6, 1.0, 1.4, 1.8], kinds).tolist())
    most = tuple(rng.integers(0, 6, kinds).tolist())
    covering = Covering(speed, most, float(rng.uniform(0.1, 6.0)))
    every = product(*(range(n + 1) for n in most))
    covers = [n for n in every if np.dot(n, speed) >= covering.work]
    return covering, covers


def is_mean(numbers: list[float], covers: list[Numbers]) -> bool:
    """Whether some mean of the covers is nowhere above the numbers, by a program of its own."""
    problem = pulp.LpProblem("mean", pulp.LpMinimize)
    part = [pulp.LpVariable(f"p{i}", 0) for i in range(len(covers))]
    above = pulp.LpVariable("above", 0)
    problem += above
    problem += pulp.lpSum(part) == 1
    for t, n in enumerate(numbers):
        problem += pulp.lpSum(c[t] * p for c, p in zip(covers, part, strict=True)) <= n + above
    problem.solve(pulp.HiGHS(msg=False))
    return bool(above.value() < 1e-3)


@pytest.mark.parametrize("seed", range(40))
def test_the_lightest_cover_is_that_of_all_of_them(seed: int) -> None:
    """For any weights, also where some weigh nothing or nothing covers."""
    covering, covers = drawn(seed)
    rng = np.random.default_rng([seed, 1])
    for _ in range(20):
        weight = np.round(rng.uniform(0, 1, len(covering.speed)) * rng.integers(0, 2), 2)
        least, found = covering.lightest(weight.tolist())
        assert least == pytest.approx(min((float(weight @ n) for n in covers), default=np.inf))
        assert not covers or found in covers


@pytest.mark.parametrize("seed", range(40))
def test_numbers_are_separated_where_they_are_no_mean_of_covers(seed: int) -> None:
    """All covers weigh more by the weights found; where none are, the numbers are a mean."""
    covering, covers = drawn(seed)
    if not covers:
        return
    rng = np.random.default_rng([seed, 2])
    for _ in range(5):
        # Near the row on the work, where it is decided.
        numbers = rng.uniform(0, 1, len(covering.speed)) * np.array(covering.most)
        numbers *= covering.work / max(1e-9, float(numbers @ covering.speed)) * rng.uniform(1, 1.4)
        facet = covering.facet(numbers.tolist(), Budget())
        if facet is None:
            assert is_mean(numbers.tolist(), covers)
        else:
            assert min(facet) >= 0
            assert min(float(np.dot(facet, n)) for n in covers) > float(np.dot(facet, numbers))


def test_rows_say_more_than_rounding_and_hold_for_all_that_serves() -> None:
    """Of an instance of two speeds: what is broken is by model, and whole numbers keep it."""
    rows = 0
    for seed in range(6):
        instance = normalize(random_instance(seed, models=4, load=0.6, mixed_types=True))
        kinds = range(len(instance.cluster.server_types))
        found = {m: covering_of(instance, m) for m in instance.used_models}
        rng = np.random.default_rng(seed)
        numbers = {(m, t): float(rng.uniform(0, 2)) for m in instance.used_models for t in kinds}
        for row in broken_covers(instance, numbers, Budget()):
            (m,) = row.models
            assert found[m] is not None
            covering, fits = found[m]
            weight = [row.weight[t] for t in fits]
            every = product(*(range(min(n, 12) + 1) for n in covering.most))
            covers = (n for n in every if np.dot(n, covering.speed) >= covering.work)
            least = min(float(np.dot(weight, n)) for n in covers)
            assert row.limit == pytest.approx(least)
            assert sum(row.weight[t] * numbers[m, t] for t in kinds) < least
            assert row.named(instance)["model"] == instance.model_ids[m]
            rows += 1
    assert rows >= 6
