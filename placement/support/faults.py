"""What is wrong with an input, in sentences that say how to mend it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Protocol

from placement.support.escaping import visible

SHOWN_FAULTS = 20
"""Faults reported one by one; a file of the wrong kind may hold a fault in every row."""

COMPARED_CHARACTERS = 100
COMPARED_NAMES = 2_000
"""What is looked at to find the nearest name: comparing takes the product of two lengths."""

Place = tuple[str | int, ...]


class LineFinder(Protocol):
    """What knows the lines of a document."""

    def lines(self, places: Collection[Place]) -> Mapping[Place, int]:
        """Find the line of each place, where it has one."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A place whose line is looked up when its fault is shown, with all others in one pass.

    Parameters
    ----------
    document : LineFinder
    place : tuple of str and int
    text : str
        How faults name it.
    """

    document: LineFinder
    place: Place
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with one file.

    Parameters
    ----------
    file : str
        The file as the user named it.
    key : str or Spot
        Where in the file: a key such as ``models.llm7b.memory_gb``, a row, or nothing.
    wrong, mend : str
        What is wrong, and what to do about it.
    """

    file: str
    key: str | Spot
    wrong: str
    mend: str

    def __str__(self) -> str:
        key = str(self.key)
        file = self.file if self.file.strip() else repr(self.file)
        place = f"{file}: {key}" if key else file
        return visible(f"{place}: {self.wrong}; {self.mend}")


class InputError(ValueError):
    """Bad input: every fault found, the first `SHOWN_FAULTS` of them in words.

    Parameters
    ----------
    faults : sequence of Fault
        What is shown.
    more : int
        Further faults that were only counted.
    """

    def __init__(self, faults: Iterable[Fault], more: int = 0) -> None:
        self.faults = tuple(faults)
        self.more = more
        lines = [str(f) for f in self.faults]
        if more:
            lines.append(f"{visible(self.faults[0].file)}: and {more} more; mend these first")
        super().__init__("\n".join(lines))


def input_error(file: str | os.PathLike[str], key: str, wrong: str, mend: str) -> InputError:
    """Build the error of a single fault.

    Parameters
    ----------
    file : path-like
        Where it is.
    key : str
        Its place in the file; empty where the whole file is meant.
    wrong : str
        What is wrong, as the end of a sentence that begins with the place.
    mend : str
        What to do about it.
    """
    return InputError([Fault(os.fspath(file), key, wrong, mend)])


@dataclass
class FaultList:
    """The faults of one file, collected so that they are reported together."""

    file: str | os.PathLike[str]
    faults: list[Fault] = field(default_factory=list)
    more: int = 0

    def __len__(self) -> int:
        return len(self.faults) + self.more

    def __bool__(self) -> bool:
        return bool(self.faults)

    @property
    def full(self) -> bool:
        """Whether further faults are only counted."""
        return len(self.faults) >= SHOWN_FAULTS

    def add(self, key: str | Spot, wrong: str, mend: str) -> None:
        """Note a fault; beyond the first `SHOWN_FAULTS` it is only counted.

        Where the sentence is dear, see first whether the list is `full`, and then `count`.

        Parameters
        ----------
        key : str or Spot
            Place in the file; a `Spot` finds its line only when it is shown.
        wrong : str
            What is wrong.
        mend : str
            What to do about it.
        """
        if self.full:
            self.more += 1
        else:
            self.faults.append(Fault(os.fspath(self.file), key, wrong, mend))

    def count(self, faults: int = 1) -> None:
        """Count faults of which nothing is shown, as the list is full."""
        self.more += faults

    def raise_if_any(self) -> None:
        """Raise what was collected.

        Raises
        ------
        InputError
            Where at least one fault was added.
        """
        if self.faults:
            raise InputError(with_lines(self.faults), self.more)


def with_lines(faults: list[Fault]) -> list[Fault]:
    """Look up the lines of all spots, in one pass over each document.

    Parameters
    ----------
    faults : list of Fault

    Returns
    -------
    list of Fault
        With text for every key.
    """
    documents: dict[int, tuple[LineFinder, set[Place]]] = {}
    for fault in faults:
        if isinstance(fault.key, Spot):
            document = fault.key.document
            documents.setdefault(id(document), (document, set()))[1].add(fault.key.place)
    found = {name: document.lines(places) for name, (document, places) in documents.items()}
    named = []
    for fault in faults:
        if isinstance(fault.key, Spot):
            line = found[id(fault.key.document)].get(fault.key.place)
            text = f"{fault.key.text} (line {line})" if line else fault.key.text
            fault = replace(fault, key=text)
        named.append(fault)
    return named


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """Name the valid name that `name` was probably meant to be, if any is close."""
    wanted = name[:COMPARED_CHARACTERS].lower()
    lowered = {n[:COMPARED_CHARACTERS].lower(): n for n in reversed(list(valid))}
    candidates = list(lowered)
    if len(candidates) > COMPARED_NAMES:
        ends = wanted[:2], wanted[-2:]
        candidates = [n for n in candidates if n[:2] == ends[0] or n[-2:] == ends[1]]
    matches = get_close_matches(wanted, candidates[:COMPARED_NAMES], n=1, cutoff=0.6)
    return lowered[matches[0]] if matches else None


def suggest(name: str, valid: Iterable[str], what: str) -> str:
    """Say how to mend an unknown name: the nearest valid one, or the names there are.

    Parameters
    ----------
    name : str
        As it was written.
    valid : iterable of str
        The names there are.
    what : str
        What they name, in the singular: ``model``.
    """
    names = list(valid)
    close = nearest(name, names)
    if close is not None:
        return f"did you mean {close!r}?"
    if not names:
        return f"there is no {what} at all, add one"
    listed = ", ".join(repr(n) for n in names[:8]) + (", ..." if len(names) > 8 else "")
    return f"use a {what} that exists: {listed}"


def show(value: object) -> str:
    """Show a value of the input in a sentence, cut to a readable length."""
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif value is None:
        text = "nothing (null)"
    elif isinstance(value, dict):
        text = "a mapping"
    elif isinstance(value, list):
        text = "a list"
    else:
        text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
