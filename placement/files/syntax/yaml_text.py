"""YAML built from libyaml's events: every key once, no bombs, and lines for what is wrong.

PyYAML's own loaders keep the last of two equal keys without a word, expand aliases without
limit, recurse in C, and read ``no`` as false. Here plain scalars follow the core schema of
YAML 1.2, keys are always text, and time stamps stay text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from contextlib import suppress
from typing import Any

import yaml

from placement.support.faults import FaultList, InputError, Place

MAX_DEPTH = 64
MAX_EXPANDED_VALUES = 100_000
"""Values that aliases may add to a document."""

_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?\Z")
_WORDS: dict[str, Any] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    ".nan": float("nan"), ".NaN": float("nan"), ".NAN": float("nan"),
    **{sign + word: float(sign + "inf") for sign in ("", "+", "-")
       for word in (".inf", ".Inf", ".INF")},
}  # fmt: skip
_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null")}
_MERGE = object()


def parse_yaml(path: str | os.PathLike[str], text: str) -> Any:
    """Parse the one document of a YAML text.

    Parameters
    ----------
    path : path-like
        Names the file in faults.
    text : str

    Returns
    -------
    dict, list or scalar
        Mappings have text keys only.

    Raises
    ------
    InputError
        Where the syntax is broken, a key repeats, or aliases expand beyond reason.
    """
    builder = _Builder(path, frozenset())
    data = builder.build(text)
    builder.faults.raise_if_any()
    return data


def yaml_lines(
    path: str | os.PathLike[str], text: str, places: Collection[Place]
) -> dict[Place, int]:
    """Find the lines (from 1) of some places of a text that `parse_yaml` has accepted.

    Parameters
    ----------
    path : path-like
        Named in errors.
    text : str
        The text that was parsed.
    places : collection of Place
        Keys and positions from the top down, as faults name them.

    Returns
    -------
    dict
        Line of each place that exists; reading ends with the last of them.
    """
    builder = _Builder(path, frozenset(places))
    with suppress(_AllFound):
        builder.build(text)
    return builder.lines


class _AllFound(Exception):  # noqa: N818 - no error: the rest of the text need not be read
    pass


class _Frame:
    """A collection that is not complete yet."""

    __slots__ = ("anchor", "expanded", "items", "key", "keys", "place")

    def __init__(self, items: Any, anchor: str | None, place: Place, expanded: int) -> None:
        self.items = items
        self.anchor = anchor
        self.place = place
        self.expanded = expanded  # values of the document before this collection
        self.key: Any = None
        self.keys: set[str] = set()  # written here, not merged in


class _Builder:
    """One pass over the events; a stack in place of recursion, so that depth cannot crash it."""

    def __init__(self, path: str | os.PathLike[str], wanted: frozenset[Place]) -> None:
        self.path = path
        self.wanted = wanted
        self.faults = FaultList(path)
        self.lines: dict[Place, int] = {}
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.stack: list[_Frame] = []
        self.values = 0  # with aliases expanded
        self.added = 0  # by aliases
        self.root: Any = None
        self.documents = 0

    def build(self, text: str) -> Any:
        try:
            for event in yaml.parse(text, Loader=yaml.CSafeLoader):
                self.take(event)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = f"line {mark.line + 1}" if mark else ""
            what = " ".join(p for p in (error.context, error.problem) if p)
            raise self.stop(line, f"is no valid YAML ({what})", "mend the syntax there") from None
        except yaml.YAMLError as error:
            what = str(error).splitlines()[0]
            raise self.stop("", f"is no valid YAML ({what})", "mend the syntax") from None
        return self.root

    def take(self, event: Any) -> None:
        if self.wanted and len(self.lines) == len(self.wanted):
            raise _AllFound
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self.take_scalar(event)
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            self.open(event, {} if kind is yaml.MappingStartEvent else [])
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self.close(event)
        elif kind is yaml.AliasEvent:
            self.take_alias(event)
        elif kind is yaml.DocumentStartEvent:
            self.documents += 1
            if self.documents > 1:
                line = event.start_mark.line + 1
                raise self.stop(f"line {line}", "a second document begins", "keep one in a file")

    def take_scalar(self, event: Any) -> None:
        frame = self.stack[-1] if self.stack else None
        if frame is not None and type(frame.items) is dict and frame.key is None:
            self.take_key(frame, event)
            return
        value = event.value
        if event.implicit[0] or (event.tag is not None and event.tag != "!"):
            if event.tag is not None and event.tag not in _TAGS:
                raise self.unknown_tag(event)
            if event.tag is None or not event.tag.endswith(":str"):
                value = _resolve(value)
        self.values += 1
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, 1)
        self.put(value, event)

    def take_key(self, frame: _Frame, event: Any) -> None:
        key = event.value
        if key == "<<" and event.implicit[0]:
            frame.key = _MERGE
            return
        if key in frame.keys:
            line = event.start_mark.line + 1
            dotted = dotted_place((*self.place_of(frame), key))
            self.faults.add(f"{dotted} (line {line})", "this key appears twice", "keep one of them")
        frame.keys.add(key)
        frame.key = key
        if self.wanted:
            place = (*frame.place, key)
            if place in self.wanted:
                self.lines.setdefault(place, event.start_mark.line + 1)

    def take_alias(self, event: Any) -> None:
        if event.anchor not in self.anchors:
            line = event.start_mark.line + 1
            raise self.stop(
                f"line {line}",
                f"alias *{event.anchor} stands inside its own anchor or has none",
                "write the value out",
            )
        value, size = self.anchors[event.anchor]
        self.added += size
        self.values += size
        if self.added > MAX_EXPANDED_VALUES:
            line = event.start_mark.line + 1
            raise self.stop(
                f"line {line}",
                f"the aliases expand to more than {MAX_EXPANDED_VALUES:,} values",
                "write the values out instead of repeating them by alias",
            )
        self.put(value, event)

    def open(self, event: Any, items: Any) -> None:
        line = event.start_mark.line + 1
        if len(self.stack) >= MAX_DEPTH:
            raise self.stop(
                f"line {line}", f"is nested more than {MAX_DEPTH} deep", "flatten the file"
            )
        if event.tag is not None and event.tag not in (
            "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"
        ):  # fmt: skip
            raise self.unknown_tag(event)
        frame = self.stack[-1] if self.stack else None
        if frame is not None and type(frame.items) is dict and frame.key is None:
            raise self.stop(f"line {line}", "a key is a collection, not text", "use a plain name")
        place: Place = ()
        if self.wanted and frame is not None:
            place = self.next_place(frame)
            if place in self.wanted:
                self.lines.setdefault(place, line)
        self.stack.append(_Frame(items, event.anchor, place, self.values))
        self.values += 1

    def close(self, event: Any) -> None:
        frame = self.stack.pop()
        if frame.anchor is not None:
            self.anchors[frame.anchor] = (frame.items, self.values - frame.expanded)
        self.put(frame.items, event)

    def put(self, value: Any, event: Any) -> None:
        if not self.stack:
            self.root = value
            return
        frame = self.stack[-1]
        if type(frame.items) is list:
            if self.wanted and (place := self.next_place(frame)) in self.wanted:
                self.lines.setdefault(place, event.start_mark.line + 1)
            frame.items.append(value)
        elif frame.key is None:
            line = event.start_mark.line + 1
            raise self.stop(f"line {line}", "a key is an alias, not text", "use a plain name")
        elif frame.key is _MERGE:
            self.merge(frame, value, event)
            frame.key = None
        else:
            frame.items[frame.key] = value
            frame.key = None

    def merge(self, frame: _Frame, value: Any, event: Any) -> None:
        parts = value if isinstance(value, list) else [value]
        if not all(isinstance(p, dict) for p in parts):
            line = event.start_mark.line + 1
            raise self.stop(f"line {line}", "<< merges no mapping", "merge an anchored mapping")
        for part in parts:
            for key, item in part.items():
                frame.items.setdefault(key, item)

    def next_place(self, frame: _Frame) -> Place:
        if type(frame.items) is list:
            return (*frame.place, len(frame.items))
        return (*frame.place, "<<" if frame.key is _MERGE else frame.key)

    def place_of(self, frame: _Frame) -> Place:
        """Where a frame of the stack stands, from the keys of the frames below it."""
        place: list[str | int] = []
        for below in self.stack[: self.stack.index(frame)]:
            place.append(self.next_place(below)[-1])
        return tuple(place)

    def unknown_tag(self, event: Any) -> InputError:
        return self.stop(
            f"line {event.start_mark.line + 1}",
            f"tag {event.tag!r} has no meaning here",
            "write a plain value without a tag",
        )

    def stop(self, key: str, wrong: str, mend: str) -> InputError:
        self.faults.add(key, wrong, mend)
        return InputError(self.faults.faults, self.faults.more)


def _resolve(text: str) -> Any:
    if text[:1] in "-+.0123456789" and _NUMBER.match(text):
        digits = text.lstrip("+-")
        # Longer than a 64-bit integer: a float, so that no digit count can hang int().
        return int(text) if digits.isdigit() and len(digits) < 19 else float(text)
    return _WORDS.get(text, text)


def dotted_place(place: Place) -> str:
    """Write a place the way faults name it: ``workflows.w1.edges[3].to``."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text
