"""The bytes of an input file, taken only where they can be what they claim to be."""

from __future__ import annotations

import os
from pathlib import Path

from placement.support.faults import InputError, input_error, nearest

DOCUMENT_LIMIT_BYTES = 64 * 2**20
"""Largest config or cluster file: a thousand times what a real one takes."""

TRACE_LIMIT_BYTES = 2**30
"""Largest trace in YAML or JSON, which must be held in memory whole."""


def find_format(path: str | os.PathLike[str], formats: dict[str, str]) -> str:
    """Tell the format of a file by the end of its name.

    Parameters
    ----------
    path : path-like
    formats : dict of str to str
        Format by suffix (``{".yml": "yaml"}``).

    Raises
    ------
    InputError
        Where the suffix names no format.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in formats:
        raise input_error(
            path,
            "",
            f"its name ends in {suffix or 'nothing'}, which tells no format",
            f"name it {', '.join(formats)}",
        )
    return formats[suffix]


def check_file(path: str | os.PathLike[str]) -> int:
    """Return the size of a readable, regular, non-empty file.

    Raises
    ------
    InputError
        Where there is no such file, or it is none.
    """
    place = Path(path)
    try:
        if place.is_dir():
            raise input_error(path, "", "is a directory, not a file", "name a file in it")
        size = place.stat().st_size
        if not place.is_file():
            raise input_error(path, "", "is no regular file", "write its content to a file first")
        with place.open("rb"):
            pass
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise _unreadable(path, error) from None
    if not size:
        raise input_error(path, "", "is empty", "check how it was written")
    return size


def read_bytes(path: str | os.PathLike[str], limit_bytes: int) -> bytes:
    """Read a file that is no larger than `limit_bytes`.

    Raises
    ------
    InputError
        Where the file cannot be read or is too large.
    """
    size = check_file(path)
    if size > limit_bytes:
        raise input_error(
            path,
            "",
            f"has {size / 2**20:,.0f} MiB, more than the allowed {limit_bytes / 2**20:,.0f}",
            "check that it is the right file; a large trace belongs in JSONL, CSV or Parquet",
        )
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None


def decode(path: str | os.PathLike[str], raw: bytes) -> str:
    """Decode UTF-8 text, with or without a byte order mark.

    Raises
    ------
    InputError
        Where the bytes are no UTF-8 text.
    """
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise input_error(path, "", "is UTF-16 text", "save it as UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise input_error(
            path, f"line {line}", "holds bytes that are no UTF-8 text", "save the file as UTF-8"
        ) from None
    if "\0" in text:
        raise input_error(path, "", "is binary, not text", "check that it is the right file")
    return text


def _unreadable(path: str | os.PathLike[str], error: Exception) -> InputError:
    if isinstance(error, FileNotFoundError):
        return input_error(path, "", "does not exist", _neighbour(path))
    if isinstance(error, PermissionError):
        return input_error(path, "", "cannot be read", "give yourself permission to read it")
    reason = getattr(error, "strerror", None) or str(error)
    return input_error(path, "", f"cannot be read ({reason})", "check the name")


def _neighbour(path: str | os.PathLike[str]) -> str:
    """Offer the file of the same directory whose name is nearest."""
    place = Path(path)
    try:
        names = [p.name for p in place.parent.iterdir()]
    except OSError:
        return f"the directory {str(place.parent)!r} does not exist either, check the path"
    close = nearest(place.name, names)
    return f"did you mean {str(place.with_name(close))!r}?" if close else "check the path"
