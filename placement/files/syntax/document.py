"""A JSON or YAML file as plain data, with the line of every key that is wrong."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from placement.files.syntax.json_lines import json_lines
from placement.files.syntax.json_text import parse_json
from placement.files.syntax.source import DOCUMENT_LIMIT_BYTES, decode, find_format, read_bytes
from placement.files.syntax.yaml_text import dotted_place, parse_yaml, yaml_lines
from placement.support.faults import FaultList, Place, Spot

DOCUMENT_FORMATS = {".json": "json", ".yaml": "yaml", ".yml": "yaml"}


@dataclass(frozen=True)
class Document:
    """The data of a file, and its text as long as lines may be asked for."""

    path: str | os.PathLike[str]
    data: Any
    text: str
    format: str

    def lines(self, places: Collection[Place]) -> dict[Place, int]:
        """Find the line of each place, or of the nearest place around it that has one."""
        around = {p[:n] for p in places for n in range(1, len(p) + 1)}
        if not around:
            return {}
        if self.format == "json":
            found = json_lines(self.text, around)
        else:
            found = yaml_lines(self.path, self.text, around)
        lines = {}
        for place in places:
            known = next((p for n in range(len(place), 0, -1) if (p := place[:n]) in found), None)
            if known is not None:
                lines[place] = found[known]
        return lines


@dataclass(frozen=True, slots=True)
class PlacedFault:
    """A fault of a document before its line is known."""

    place: Place
    wrong: str
    mend: str


def load_document(
    path: str | os.PathLike[str], limit_bytes: int = DOCUMENT_LIMIT_BYTES
) -> Document:
    """Read a JSON or YAML file, told apart by its suffix.

    Raises
    ------
    InputError
        Where it cannot be read, is too large, or its syntax is broken.
    """
    form = find_format(path, DOCUMENT_FORMATS)
    text = decode(path, read_bytes(path, limit_bytes))
    data = parse_json(path, text.encode()) if form == "json" else parse_yaml(path, text)
    return Document(path, data, text, form)


def raise_faults(document: Document, faults: Sequence[PlacedFault], more: int = 0) -> None:
    """Report faults of a document together, each with its line.

    Parameters
    ----------
    document : Document
        Knows the lines.
    faults : sequence of Fault
        Those that are shown.
    more : int
        Further faults that were only counted.

    Raises
    ------
    InputError
        Where there is at least one.
    """
    collected = FaultList(document.path)
    for fault in faults:
        spot = Spot(document, fault.place, dotted_place(fault.place))
        collected.add(spot, fault.wrong, fault.mend)
    collected.count(more)
    collected.raise_if_any()
