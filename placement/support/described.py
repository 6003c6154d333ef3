"""Results that print themselves: a line, a summary for terminals, a table for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from placement.support.escaping import visible

Facts = list[tuple[str, str]]
"""What there is to say of a result: names and values, in order."""


class Described:
    """Base of results that say in words what they are.

    A class gives its `headline` and its `facts`; a dataclass needs ``repr=False`` beside it.
    """

    __slots__ = ()

    @property
    def headline(self) -> str:
        """What it is, in half a line."""
        raise NotImplementedError

    def facts(self) -> Facts:
        """Names and values of what there is to say, in order."""
        raise NotImplementedError

    def summary(self) -> str:
        """Lay the facts out as text, one a line."""
        facts = [(visible(name), visible(value)) for name, value in self.facts()]
        width = max((len(name) for name, _ in facts), default=0)
        return "\n".join(f"{name:{width}}  {value}" for name, value in facts)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {visible(self.headline)}>"

    def _repr_html_(self) -> str:
        """Lay the facts out as a table: what notebooks show."""
        head = escape(f"{type(self).__name__}: {visible(self.headline)}")
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(visible(name))}</th>"
            f"<td style='text-align:left'>{escape(visible(value))}</td></tr>"
            for name, value in self.facts()
        )
        return f"<table><caption>{head}</caption>{rows}</table>"


def percent(value: float, digits: int = 1) -> str:
    """Write a fraction as a percentage."""
    return f"{100 * value:.{digits}f}%"


def counted(number: int, noun: str) -> str:
    """Write a number of things, e.g. ``1 server`` and ``1,024 GPUs``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[str], most: int) -> str:
    """Write the first names of many, e.g. ``a, b and 3 more``."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
