"""Bounds on the worth of a server's contents, against a linear program of the tests' own."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from placement.verify.content_bounds import Listing, Priced
from placement.verify.matrix_program import Clock
from placement.verify.scaled_problem import Scaled
from placement.verify.valid_rows import Prices, prices_of
from tests.placement.heuristics.cases import random_instance
from tests.placement.verify.worth import Content, worth

SEEDS = range(6)


@cache
def priced(seed: int) -> tuple[Listing, Prices, np.ndarray]:
    """All contents of a server, drawn multipliers, and the exact worth of each content."""
    instance = random_instance(seed, servers=3, gpus=4, models=4, load=0.7)
    slow = tuple(replace(t, speed=(1.0, 0.7)[seed % 2]) for t in instance.cluster.server_types)
    instance = replace(instance, cluster=replace(instance.cluster, server_types=slow))
    scaled, rng = Scaled(instance), np.random.default_rng(seed)
    demand = {w.id: rng.normal(0.15, 0.15, len(w.node_model)).tolist() for w in instance.workflows}
    prices = prices_of(scaled, [], {"demand": demand})
    listing = Listing(scaled, 0)
    exact = [worth(scaled, 0, prices, laid_out(listing, n)) for n in listing.counts.tolist()]
    return listing, prices, np.array(exact)


def laid_out(listing: Listing, counts: list[int]) -> Content:
    """Exclusive blocks side by side: where they stand does not matter."""
    content, at = [], 0
    for m, n in zip(listing.models, counts, strict=True):
        for _ in range(n):
            content.append((m, at))
            at += int(listing.scaled.gpus[m])
    return tuple(content)


@pytest.mark.parametrize("seed", SEEDS)
def test_any_multipliers_bound_the_worth_and_the_best_attain_it(seed: int) -> None:
    """Weak and strong duality, content by content."""
    listing, prices, exact = priced(seed)
    rng = np.random.default_rng(seed)
    for _ in range(5):
        sigma = rng.exponential(0.2, len(listing.models))
        assert (listing.bound(prices, sigma, slice(None)) >= exact - 1e-9).all()
    every = np.arange(len(listing.counts))
    best = listing.multipliers(prices, every, Clock(None), "HiGHS")
    for row in every:
        sigma = np.nan_to_num(best[row])
        bound = listing.bound(prices, sigma, every[row : row + 1])[0]
        assert bound == pytest.approx(exact[row], abs=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_highest_is_that_of_the_best_content(seed: int) -> None:
    """Neither below, which would be no bound, nor above, which would be a weak one."""
    listing, prices, exact = priced(seed)
    found = Priced(listing, prices, Clock(None), "HiGHS").highest()
    assert found == pytest.approx(exact.max(), abs=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_above_a_level_are_those_whose_worth_is(seed: int) -> None:
    """All of them and no others, at any level; given up where they are too many."""
    listing, prices, exact = priced(seed)
    for quantile in (0.0, 0.3, 0.8, 1.0):
        level = float(np.quantile(exact, quantile)) + 1e-4
        wanted = np.flatnonzero(exact > level)
        for among in (None, exact > np.median(exact)):
            mine = wanted if among is None else wanted[among[wanted]]
            whole = Priced(listing, prices, Clock(None), "HiGHS")
            found = whole.above(level, len(mine), among)
            assert found is not None
            np.testing.assert_array_equal(np.sort(found), mine)
            if len(mine):
                few = Priced(listing, prices, Clock(None), "HiGHS")
                assert few.above(level, len(mine) - 1, among) is None


def test_maximal_contents_take_no_further_replica() -> None:
    """The GPUs left are fewer than any model needs."""
    listing, _, _ = priced(0)
    gpus = listing.scaled.types[0].gpus
    need = [int(listing.scaled.gpus[m]) for m in listing.models]
    for counts, full in zip(listing.counts.tolist(), listing.maximal(), strict=True):
        left = gpus - sum(n * k for n, k in zip(counts, need, strict=True))
        assert full == (left < min(need))
