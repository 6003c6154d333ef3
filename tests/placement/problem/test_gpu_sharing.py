"""What each of the replicas that share a GPU gets of it, by queueing theory."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.validation import repairmen
from placement.problem.cluster import GpuSharing
from placement.problem.gpu_sharing import paces
from tests.runtime.simpy_sliced import chain_pace

EVEN = (1.0,) * 9


@pytest.mark.parametrize("fraction", [0.3, 0.583, 1.0])
def test_equal_fractions_are_the_repairman_s_by_mean_value_analysis(fraction: float) -> None:
    """n equal replicas proceed at X(n) / n."""
    for n in range(1, 8):
        np.testing.assert_allclose(paces([fraction] * n, EVEN), repairmen(n, fraction) / n)


def test_published_throughputs_follow_from_one_fraction() -> None:
    """Two to four processes of a speech model gave 1.47, 1.65 and 1.73 of one: u = 0.583."""
    for n, published in ((2, 1.47), (3, 1.65), (4, 1.73)):
        assert sum(paces([0.583] * n, EVEN)) == pytest.approx(published, rel=0.016)


def test_unequal_fractions_are_those_of_the_markov_chain() -> None:
    """The product form gives what the balance of all states gives, for any mix and efficiency."""
    rng = np.random.default_rng(0)
    for _ in range(60):
        n = int(rng.integers(1, 6))
        fractions = tuple(rng.choice([1.0, 0.9, 0.5, 0.2], n).tolist())
        kept = (1.0, 1.0, *(rng.uniform(0.6, 1.0, n)))
        expected = [chain_pace(i, fractions, kept) for i in range(n)]
        np.testing.assert_allclose(paces(fractions, kept), expected, rtol=1e-9)


def test_full_occupation_is_an_even_share_of_what_is_kept() -> None:
    """With gpu_fraction 1 each of n gets eta(n) / n, to the last bit, with a hundred too."""
    kept = [GpuSharing(efficiency=(0.95, 0.9, 0.8)).kept(n) for n in range(101)]
    for n in (1, 2, 3, 4, 5, 100):
        assert paces([1.0] * n, kept) == [kept[n] / n] * n
    assert kept[:6] == [1.0, 1.0, 0.95, 0.9, 0.8, 0.8]
