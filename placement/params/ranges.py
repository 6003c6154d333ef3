"""Parameters that check themselves: every field has a range, and leaving it is a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Annotated, Any, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Range:
    """Finite numbers from `low` to `high`.

    Parameters
    ----------
    low, high : float
        Least and greatest value.
    above : bool
        Whether `low` itself is too little.
    """

    low: float
    high: float = math.inf
    above: bool = False

    def holds(self, value: Real) -> bool:
        """Whether a number is in it."""
        number = float(value)
        low = number > self.low if self.above else number >= self.low
        return math.isfinite(number) and low and number <= self.high

    def __str__(self) -> str:
        sign = ">" if self.above else ">="
        if math.isinf(self.high):
            return f" {sign} {self.low:g}"
        return f", {self.low:g} {sign.replace('>', '<')} x <= {self.high:g}"


Count = Annotated[int, Range(1)]
"""How many of something, at least one."""

Whole = Annotated[int, Range(0)]
"""How many of something, or none."""

Part = Annotated[float, Range(0, 1, above=True)]
"""A part of a whole that is not nothing: of the time left, of a number of moves."""

Fraction = Annotated[float, Range(0, 1)]
"""Any part of a whole; a relative gap; a probability."""

Positive = Annotated[float, Range(0, above=True)]
"""A number above 0."""

Factor = Annotated[float, Range(1)]
"""A factor that makes nothing smaller."""

Ratio = Annotated[float, Range(1, above=True)]
"""A factor that makes something larger."""

Wholes = tuple[Count, ...]
Factors = tuple[Factor, ...]
Parts = tuple[Part, ...]
Positives = tuple[Positive, ...]


@dataclass(frozen=True)
class Kind:
    """What a field may hold: one number of a range, or a tuple of such."""

    whole: bool
    range: Range
    several: bool

    def __str__(self) -> str:
        number = f"{'int' if self.whole else 'float'}{self.range}"
        return f"tuple of {number}" if self.several else number

    def refuses(self, value: object) -> str | None:
        """Say what to give in place of a value; None where the value may be."""
        if not self.several:
            return None if self._holds(value) else f"give it {self._wanted}"
        if isinstance(value, Sequence) and value and all(self._holds(v) for v in value):
            return None
        return f"give it a list, not empty, each of which is {self._wanted}"

    def _holds(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, Integral if self.whole else Real):
            return False
        return self.range.holds(value)

    @property
    def _wanted(self) -> str:
        least = f"{'above' if self.range.above else 'of at least'} {self.range.low:g}"
        most = "" if math.isinf(self.range.high) else f" and at most {self.range.high:g}"
        return f"a {'whole ' if self.whole else ''}number {least}{most}"


def kinds(params: type) -> dict[str, Kind]:
    """What each field of a class of parameters may hold, in order."""
    hints = get_type_hints(params, include_extras=True)
    return {f.name: _kind(hints[f.name]) for f in fields(params)}


def _kind(hint: Any) -> Kind:
    several = get_origin(hint) is tuple
    number, limits = get_args(get_args(hint)[0] if several else hint)
    return Kind(number is int, limits, several)


class Params:
    """Base of frozen dataclasses of parameters: a field is checked by its annotated range.

    Raises
    ------
    ValueError
        Where a field is out of its range.
    """

    def __post_init__(self) -> None:
        for name, kind in kinds(type(self)).items():
            value = getattr(self, name)
            mend = kind.refuses(value)
            if mend is not None:
                raise ValueError(f"{type(self).__name__}: {name} is {value!r}; {mend}")
            if kind.several and not isinstance(value, tuple):
                object.__setattr__(self, name, tuple(value))
