"""Fields of an input that nothing reads: one warning for each, however often it occurs."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from placement.support.faults import Fault, Spot, nearest, with_lines

NOTES = ("x-", "_", "$")
"""How names begin that are meant for people and other tools (``$schema``, ``x-defaults``)."""

SHOWN_FIELDS = 10
"""Fields named one by one; a file of another tool may hold any number."""


class InputWarning(UserWarning):
    """Part of an input that has no effect, or is taken otherwise than it is written."""


def warn_each(path: str | os.PathLike[str], found: list[Fault]) -> None:
    """Give an `InputWarning` for each of the first `SHOWN_FIELDS`, and one for the rest."""
    for fault in with_lines(found[:SHOWN_FIELDS]):
        warnings.warn(InputWarning(str(fault)), stacklevel=1)
    if more := len(found[SHOWN_FIELDS:]):
        text = f"{os.fspath(path)}: and {more:,} more of this kind"
        warnings.warn(InputWarning(text), stacklevel=1)


@dataclass
class _Unread:
    spot: str | Spot
    known: tuple[str, ...]
    times: int = 0


class UnreadFields:
    """The fields of one file that nothing reads, grouped by their place without its numbers."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path
        self.more = 0  # fields beyond the first, only counted
        self._found: dict[object, _Unread] = {}

    def add(
        self,
        group: object,
        spot: Callable[[], str | Spot],
        known: Iterable[str] = (),
        times: int = 1,
    ) -> None:
        """Note a field.

        Parameters
        ----------
        group : hashable
            Equal for fields that are named together; its last part is the name of the field.
        spot : callable
            Gives where it stands.
        known : iterable of str
            Fields that are read there.
        times : int
        """
        name = str(group[-1]) if isinstance(group, tuple) else str(group)
        if name.startswith(NOTES):
            return
        found = self._found.get(group)
        if found is None:
            if len(self._found) >= SHOWN_FIELDS:
                self.more += times
                return
            found = self._found[group] = _Unread(spot(), tuple(known))
        found.times += times

    def warn(self) -> None:
        """Give an `InputWarning` for each field, in the order in which they were found."""
        faults = []
        for group, unread in self._found.items():
            name = str(group[-1]) if isinstance(group, tuple) else str(group)
            wrong = "nothing reads this field"
            if unread.times > 1:
                wrong += f" ({unread.times:,} times in all)"
            close = nearest(name, unread.known)
            mend = f"the nearest known one is {close!r}" if close else "it has no effect"
            faults.append(Fault(os.fspath(self.path), unread.spot, wrong, mend))
        warn_each(self.path, faults)
        if self.more:
            text = f"{os.fspath(self.path)}: and {self.more:,} more fields that nothing reads"
            warnings.warn(InputWarning(text), stacklevel=1)
