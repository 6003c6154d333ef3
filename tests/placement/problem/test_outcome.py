"""The options of a solve check themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from placement.problem.outcome import LARGEST_SEED, SolveOptions


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"method": "ilq"}, "SolveOptions: method is 'ilq'; did you mean 'ilp'"),
        ({"form": "big"}, "SolveOptions: form is 'big'; take one of auto, compact, patterns"),
        ({"mode": None}, "SolveOptions: mode is None; take one of online, offline"),
        ({"max_utilization": 0}, "max_utilization is 0; give it a number above 0"),
        ({"max_utilization": float("inf")}, "max_utilization is inf; give it a number above 0"),
        ({"headroom_slack": -0.1}, "headroom_slack is -0.1; give it a number of at least 0"),
        ({"time_limit_s": float("nan")}, "time_limit_s is nan; give it a number of at least 0"),
        ({"time_limit_s": "60"}, "time_limit_s is '60'; give it a number"),
        ({"gap": 2}, "gap is 2; give it a number of at least 0 and at most 1"),
        ({"threads": 0}, "threads is 0; give it a whole number of at least 1"),
        ({"threads": True}, "threads is True; give it a whole number"),
        ({"seed": LARGEST_SEED + 1}, "seed is 2147483648; give it a whole number .* at most"),
        ({"balance_tolerance": -1}, "balance_tolerance is -1; give it a number of at least 0"),
    ],
)
def test_a_wrong_option_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    """It says which field, what it is and what it may be."""
    with pytest.raises(ValueError, match=sentence):
        SolveOptions(**fields)


def test_numbers_of_numpy_are_numbers() -> None:
    """What a loop over an array gives is accepted as Python's own is."""
    options = SolveOptions(gap=np.float64(0.1), seed=np.int64(3), threads=None, time_limit_s=None)
    assert (options.gap, options.seed) == (0.1, 3)
