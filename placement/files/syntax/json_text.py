"""JSON that is read fast, yet never loses a repeated key without a word."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from secrets import token_hex
from typing import Any

import orjson

from placement.files.syntax.yaml_text import dotted_place
from placement.support.faults import FaultList, InputError, Place, input_error

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,\n]|[^\s{}\[\]:,"]+')
_BETWEEN = f'"{token_hex(16)}"'.encode()
"""Stands between texts that are parsed as one; no text can know it."""
_ESCAPED_MARK = re.compile(rb"\\u00(22|3a)", re.IGNORECASE)


def parse_json(path: str | os.PathLike[str], raw: bytes, line: int | None = None) -> Any:
    """Parse a JSON text in UTF-8.

    Parameters
    ----------
    path : path-like
        Names the file in faults.
    raw : bytes
    line : int, optional
        The line of the file that `raw` is (JSONL); by default it is the whole file.

    Raises
    ------
    InputError
        Where the syntax is broken or a key repeats.
    """
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _syntax_error(path, raw, error, line) from None
    faults = FaultList(path)
    if may_repeat_keys(raw, data) and _repeats_keys(raw):
        for place, at, repeated in _walk(raw.decode()):
            if repeated:
                key = f"{dotted_place(place)} (line {line or at})"
                faults.add(key, "this key appears twice", "keep one of them")
    faults.raise_if_any()
    return data


def may_repeat_keys(raw: bytes, data: Any) -> bool:
    """Tell whether `raw` may hold a key twice; False is certain.

    A repeated key is one that the parsed data lack, so writing them again gives fewer ends of
    keys. Both texts count what looks like an end inside a string alike, unless its quote or colon
    is written by its number.
    """
    if _ESCAPED_MARK.search(raw):
        return True
    try:
        again = orjson.dumps(data)
    except orjson.JSONEncodeError:  # nested beyond what the writer supports
        return True
    return _key_ends(raw) != again.count(b'":')


def parse_apart(texts: list[bytes]) -> list[Any] | None:
    """Parse many JSON texts as one; None where one of them is none, or may repeat a key."""
    whole = b"[" + (b"," + _BETWEEN + b",").join(texts) + b"]"
    try:
        found: list[Any] = orjson.loads(whole)
    except orjson.JSONDecodeError:
        return None
    # A text that another one has to complete swallows what stands between the two.
    mark = orjson.loads(_BETWEEN)
    if len(found) != 2 * len(texts) - 1 or any(x != mark for x in found[1::2]):
        return None
    values = found[::2]
    inner = [v for d in values if type(d) is dict for v in d.values() if type(v) is dict]
    held = sum(len(d) for d in values if type(d) is dict) + sum(map(len, inner))
    # What looks like the end of a key is at least as often there as keys are.
    if _key_ends(whole) != held and may_repeat_keys(b"".join(texts), values):
        return None
    return values


def _key_ends(raw: bytes) -> int:
    return raw.translate(None, b" \t\r\n").count(b'":')


def _repeats_keys(raw: bytes) -> bool:
    """Tell for certain, at the speed of the standard library's parser."""

    repeats = False

    def pairs(found: list[tuple[str, Any]]) -> None:
        nonlocal repeats
        repeats = repeats or len({key for key, _ in found}) < len(found)

    try:
        json.loads(raw, object_pairs_hook=pairs)
    except (ValueError, RecursionError):  # nested too deep for it, or a number too long
        return True
    return repeats


def _walk(text: str) -> Iterator[tuple[Place, int, bool]]:
    """Go through a valid JSON text: place and line of every value, and whether its key repeats."""
    stack: list[set[str] | None] = []  # keys of an object, None for an array
    place: list[str | int] = []
    line = 1
    expects_key = False
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token == "\n":
            line += 1
        elif token in "}]":
            stack.pop()
            expects_key = False
            if len(place) > len(stack):
                place.pop()
        elif token == ",":
            expects_key = stack[-1] is not None
        elif token == ":":
            continue
        elif expects_key and (keys := stack[-1]) is not None:
            key = str(orjson.loads(token))
            _enter(place, len(stack), key)
            yield tuple(place), line, key in keys
            keys.add(key)
            expects_key = False
        else:
            if stack and stack[-1] is None:
                before = place[-1] if len(place) == len(stack) else -1
                _enter(place, len(stack), int(before) + 1)
                yield tuple(place), line, False
            if token in "{[":
                stack.append(set() if token == "{" else None)
                expects_key = token == "{"


def _enter(place: list[str | int], depth: int, part: str | int) -> None:
    del place[depth - 1 :]
    place.append(part)


def _syntax_error(
    path: str | os.PathLike[str], raw: bytes, error: orjson.JSONDecodeError, line: int | None
) -> InputError:
    key = f"line {line or error.lineno}, column {error.colno}"
    rest = raw.decode(errors="replace")[error.pos :].lstrip("-")
    if rest.startswith(("NaN", "Inf", "nan", "inf")):
        return input_error(path, key, "holds NaN or Infinity", "write a finite number")
    if "infinity" in error.msg:
        return input_error(path, key, "holds a number beyond 1e308", "write a smaller number")
    if not rest.strip():
        return input_error(path, key, "the text ends too early", "check that the file is complete")
    return input_error(path, key, f"is no valid JSON ({error.msg})", "mend the syntax there")
