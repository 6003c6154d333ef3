"""The lines of some places of a JSON text, what lies between them skipped."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

import orjson

from placement.support.faults import Place

_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_VALUE = rf'(?:{_STRING}|[^\s,:\[\]{{}}"]++)'
for _ in range(4):  # so deep are the records of any trace
    _VALUE = rf'(?:{_STRING}|[{{\[](?:[^{{}}\[\]"]++|{_VALUE})*+[}}\]]|[^\s,:\[\]{{}}"]++)'
_SKIPPED = re.compile(_VALUE)
_SPACE = re.compile(r"[\s,]*+")
_KEY = re.compile(rf"\s*+({_STRING})\s*+:\s*+")
_MARK = re.compile(rf"{_STRING}|[{{}}\[\]]")
_STRIDE = 200
_ITEMS = re.compile(rf"(?:{_VALUE}\s*+,\s*+){{{_STRIDE}}}+")


def json_lines(text: str, places: Collection[Place]) -> dict[Place, int]:
    """Find the lines (from 1) of some places of a valid JSON text."""
    wanted: dict[Place, set[str | int]] = {}
    for place in places:
        for n in range(len(place)):
            wanted.setdefault(place[:n], set()).add(place[n])
    at = _SPACE.match(text).end()  # type: ignore[union-attr]
    asked = set(places)
    lines = {}
    line = 1
    before = 0
    for place, position in _visit(text, at, (), wanted):
        line += text.count("\n", before, position)
        before = position
        if place in asked:
            lines[place] = line
    return lines


def _visit(
    text: str, at: int, place: Place, wanted: dict[Place, set[str | int]]
) -> Iterator[tuple[Place, int]]:
    """Give what is wanted inside the value that begins at `at`, in the order of the text."""
    inside = wanted.get(place, set())
    parts = _members(text, at) if text[at] == "{" else _items(text, at, inside)
    left = len(inside)
    for part, begin, value in parts:
        if part not in inside:
            continue
        here = (*place, part)
        yield here, begin
        if here in wanted and text[value] in "{[":
            yield from _visit(text, value, here, wanted)
        left -= 1
        if not left:
            return


def _members(text: str, at: int) -> Iterator[tuple[str, int, int]]:
    """Keys of the object at `at`, where each stands and where its value begins."""
    at = _SPACE.match(text, at + 1).end()  # type: ignore[union-attr]
    while found := _KEY.match(text, at):
        yield str(orjson.loads(found[1])), found.start(1), found.end()
        at = _SPACE.match(text, _end(text, found.end())).end()  # type: ignore[union-attr]


def _items(text: str, at: int, inside: set[str | int]) -> Iterator[tuple[int, int, int]]:
    """Items of the array at `at`, and where each begins; many at a time where none is wanted."""
    ahead = sorted(i for i in inside if isinstance(i, int))
    if text[at] != "[" or not ahead:
        return
    at = _SPACE.match(text, at + 1).end()  # type: ignore[union-attr]
    i = 0
    while text[at] != "]" and ahead:
        if i + _STRIDE <= ahead[0] and (skipped := _ITEMS.match(text, at)):
            i, at = i + _STRIDE, skipped.end()
            continue
        yield i, at, at
        if i == ahead[0]:
            ahead.pop(0)
        at = _SPACE.match(text, _end(text, at)).end()  # type: ignore[union-attr]
        i += 1


def _end(text: str, at: int) -> int:
    """Find the end of the value that begins at `at`."""
    if found := _SKIPPED.match(text, at):
        return found.end()
    depth = 0
    for mark in _MARK.finditer(text, at):
        if mark[0] in "{[":
            depth += 1
        elif mark[0] in "}]":
            depth -= 1
            if not depth:
                return mark.end()
    return len(text)
