"""The lightest whole numbers that do some work, against all of them."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from placement.patterns.cover_rows import Covering
from placement.verify import least_cover
from placement.verify.least_cover import Kind, least_weight
from placement.verify.matrix_program import Clock, OutOfTime


def drawn(seed: int) -> tuple[list[Kind], float, float]:
    """Types by weight, speed and number; work; and what covers weigh at least, by trying all.

    Weights and speeds lie up to nine powers of ten apart, or are equal or 0.
    """
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 5))
    most = rng.integers(0, 6, n)
    weight = rng.choice([0.0, 0.3, 0.5, 1.0], n) * 10.0 ** rng.integers(-9, 1, n)
    speed = rng.choice([0.35, 0.6, 1.0, 1.0, 1.8], n) * 10.0 ** (
        rng.integers(-9, 1, n) * (seed % 2)
    )
    work = float(rng.uniform(0.05, 1.05) * (speed @ most)) or 1.0
    every = np.array(list(product(*(range(k + 1) for k in most))))
    covers = every[every @ speed >= work]
    least = float((covers @ weight).min()) if len(covers) else np.inf
    return [Kind(*k) for k in zip(weight, speed.tolist(), most.tolist(), strict=True)], work, least


@pytest.mark.parametrize("steps", [least_cover.STEPS, 1, 4])
def test_nothing_that_does_the_work_weighs_less(
    steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And something weighs as much, unless the steps end first: then it is a bound all the same."""
    monkeypatch.setattr(least_cover, "STEPS", steps)
    exact = 0
    for seed in range(300):
        kinds, work, least = drawn(seed)
        found = least_weight(kinds, work, Clock(None))
        assert found <= least
        exact += found == pytest.approx(least, rel=1e-6)
    assert exact == 300 if steps > 4 else exact < 300


def test_a_quotient_that_is_rounded_to_a_whole_number_may_not_be_enough() -> None:
    """Of work just beyond what n replicas do one more does it, where others weigh far more."""
    pairs = ((n, x / 1000) for n in range(3, 9) for x in range(1, 2000))
    n, speed = next((n, v) for n, v in pairs if math.nextafter(n * v, math.inf) / v == n)
    work = math.nextafter(n * speed, math.inf)
    kinds = [Kind(1.0, speed, 9), Kind(100.0, speed / 10, 9)]
    assert least_weight(kinds, work, Clock(None)) == pytest.approx(n + 1)
    covering = Covering((speed, speed / 10), (9, 9), work)
    assert covering.lightest((1.0, 100.0)) == (n + 1, (n + 1, 0))


def test_time_ends_it() -> None:
    """Nothing is known then, and nothing is said."""
    with pytest.raises(OutOfTime):
        least_weight([Kind(1.0, 1.0, 5)] * 3, 7.5, Clock(0.0))
    assert least_weight([], 1.0, Clock(None)) == np.inf
