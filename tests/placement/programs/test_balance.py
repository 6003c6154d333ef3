"""Loads made more even at no cost of locality."""

from __future__ import annotations

import numpy as np

from placement.problem.outcome import SolveOptions
from placement.solve import solve_instance
from tests.placement.cases import case


def test_balance_gives_up_no_locality_and_evens_the_loads() -> None:
    """Objective 3 lowers the variance of GPU loads, never the locality beyond its tolerance."""
    lower = 0
    for seed in range(12):
        instance = case(seed, exclusive=seed % 2 == 0)
        plain = solve_instance(instance, SolveOptions(balance=False, form="compact", gap=0.0))
        even = solve_instance(instance, SolveOptions(balance=True, form="compact", gap=0.0))
        assert even.evaluation.objective >= plain.evaluation.objective * (1 - 2e-5)
        # The tangents stand for the square to within (cap / 16)^2 / 4 a GPU.
        slack = (even.instance.load_cap / 16) ** 2 / 4 + 1e-6
        assert np.mean(even.evaluation.gpu_load**2) <= (
            np.mean(plain.evaluation.gpu_load**2) + slack
        )
        lower += np.var(even.evaluation.gpu_load) < np.var(plain.evaluation.gpu_load) - 1e-6
    assert lower > 0
