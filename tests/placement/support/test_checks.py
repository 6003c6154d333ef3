"""Fields of dataclasses that are refused, at the very edge of what is allowed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from placement.support.checks import check_choice, check_number, check_whole


@dataclass
class Asked:
    value: Any


@pytest.mark.parametrize("value", [2, 2.0, 5, 3.7])
def test_numbers_within_are_taken(value: float) -> None:
    """Both ends are."""
    check_number(Asked(value), "value", 2, 5)


@pytest.mark.parametrize("value", [1.999, 5.001, True, "3", None, float("nan"), float("inf")])
def test_other_numbers_are_refused(value: object) -> None:
    """So is what is no number, and what only counts as one."""
    with pytest.raises(ValueError, match=r"Asked: value is .*; give it a number of at least 2 and"):
        check_number(Asked(value), "value", 2, 5)


def test_the_low_end_may_be_too_little() -> None:
    """And there may be no high end."""
    with pytest.raises(ValueError, match=r"a number above 0$"):
        check_number(Asked(0), "value", 0, above_low=True)
    check_number(Asked(1e-9), "value", 0, above_low=True)
    check_number(Asked(1e300), "value", 0, above_low=True)


@pytest.mark.parametrize("value", [1, 3])
def test_whole_numbers_within_are_taken(value: int) -> None:
    """Both ends are, and without a high end any above."""
    check_whole(Asked(value), "value", 1, 3)
    check_whole(Asked(10**30), "value", 1)


@pytest.mark.parametrize("value", [0, 4, 2.0, True, "2", None])
def test_other_whole_numbers_are_refused(value: object) -> None:
    """A float is none, whatever its value."""
    with pytest.raises(ValueError, match=r"a whole number of at least 1 and at most 3$"):
        check_whole(Asked(value), "value", 1, 3)
    with pytest.raises(ValueError, match=r"a whole number of at least 5$"):
        check_whole(Asked(value), "value", 5)


def test_an_unknown_name_gets_the_nearest_or_all() -> None:
    """As far as it is text."""
    check_choice(Asked("greedy"), "value", ["greedy", "ilp"])
    with pytest.raises(ValueError, match="did you mean 'greedy'"):
        check_choice(Asked("gredy"), "value", ["greedy", "ilp"])
    for value in ("zzz", 3, None):
        with pytest.raises(ValueError, match="take one of greedy, ilp"):
            check_choice(Asked(value), "value", ["greedy", "ilp"])
