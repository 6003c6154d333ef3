"""Checks of the fields of a dataclass, each a sentence: where, what, and how to mend it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any


def check_choice(owner: Any, field: str, choices: Sequence[str]) -> None:
    """Refuse a name that is none of the known.

    Parameters
    ----------
    owner : object
        A dataclass; its class is named in the sentence.
    field : str
        Name of the field to look at.
    choices : sequence of str
        Names that it may have.

    Raises
    ------
    ValueError
    """
    value = getattr(owner, field)
    if value in choices:
        return
    near = get_close_matches(value, choices, 1) if isinstance(value, str) else []
    hint = f"did you mean {near[0]!r}? There are" if near else "take one of"
    raise _fault(owner, field, f"{hint} {', '.join(choices)}")


def check_number(
    owner: Any,
    field: str,
    low: float,
    high: float = math.inf,
    *,
    above_low: bool = False,
) -> None:
    """Refuse what is no finite number between two others.

    Parameters
    ----------
    owner : object
        A dataclass; its class is named in the sentence.
    field : str
        Name of the field to look at.
    low, high : float
        Least and greatest value.
    above_low : bool
        Whether `low` itself is too little.

    Raises
    ------
    ValueError
    """
    value = getattr(owner, field)
    if isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value):
        number = float(value)
        if (number > low if above_low else number >= low) and number <= high:
            return
    least = f"above {low:g}" if above_low else f"of at least {low:g}"
    most = "" if high == math.inf else f" and at most {high:g}"
    raise _fault(owner, field, f"give it a number {least}{most}")


def check_whole(owner: Any, field: str, low: int, high: int | None = None) -> None:
    """Refuse what is no whole number between two others.

    Parameters
    ----------
    owner : object
        A dataclass; its class is named in the sentence.
    field : str
        Name of the field to look at.
    low, high : int
        Least and greatest value; no `high` is no limit.

    Raises
    ------
    ValueError
    """
    value = getattr(owner, field)
    if isinstance(value, Integral) and not isinstance(value, bool):
        number = int(value)
        if number >= low and (high is None or number <= high):
            return
    most = "" if high is None else f" and at most {high}"
    raise _fault(owner, field, f"give it a whole number of at least {low}{most}")


def _fault(owner: Any, field: str, mend: str) -> ValueError:
    value = getattr(owner, field)
    return ValueError(f"{type(owner).__name__}: {field} is {value!r}; {mend}")
