"""CSV text where the fast reader is too lenient or too terse: headers, short rows, quotes."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path

from placement.files.syntax.source import decode
from placement.support.faults import FaultList, InputError, input_error

HEADER_LIMIT_BYTES = 2**20


def read_header(path: str | os.PathLike[str]) -> list[str]:
    """Read the names of the columns.

    Raises
    ------
    InputError
        Where the first line is no text, is separated by something else, or repeats a name.
    """
    with Path(path).open("rb") as file:
        text = decode(path, file.readline(HEADER_LIMIT_BYTES))
    if "\r" in text.rstrip("\r\n"):
        raise input_error(path, "", "ends its lines with CR alone", "save it with LF or CRLF")
    try:
        names = next(csv.reader(io.StringIO(text)), [])
    except csv.Error as error:
        raise input_error(path, "line 1", f"is no header ({error})", "mend it") from None
    for mark, word in ((";", "semicolons"), ("\t", "tabs")):
        if len(names) == 1 and mark in names[0]:
            raise input_error(path, "line 1", f"is separated by {word}", "separate by commas")
    faults = FaultList(path)
    for name in sorted({n for n in names if names.count(n) > 1}):
        faults.add(f"column {name}", "appears twice", "keep one of them")
    faults.raise_if_any()
    return names


def check_widths(path: str | os.PathLike[str], width: int, rows: int | None = None) -> None:
    """Refuse rows with more or fewer fields than the header; blank lines are no rows.

    The fast reader fills short rows up without a word, and refuses long ones.

    Parameters
    ----------
    path : path-like
    width : int
        Fields of the header.
    rows : int, optional
        Rows that the fast reader has found, where it has read the file: then none is long.

    Raises
    ------
    InputError
        With the lines of the rows, or where the text is no CSV at all.
    """
    if rows is not None:
        raw = Path(path).read_bytes()
        # Without quotes a comma ends a field, so that none is missing where all are there.
        if b'"' not in raw and raw.count(b",") == (width - 1) * (rows + 1):
            return
    faults = FaultList(path)
    for line, fields in _rows(path):
        if fields and len(fields) != width:
            wrong = f"has {len(fields)} fields, the header {width}"
            faults.add(f"line {line}", wrong, "check its commas and quotes")
    faults.raise_if_any()


def explain_broken(path: str | os.PathLike[str], width: int, error: BaseException) -> InputError:
    """Say what is wrong with a CSV file that the fast reader has given up on.

    Parameters
    ----------
    path : path-like
        The file, which is read once more.
    width : int
        Columns that its first line has.
    error : BaseException
        What the fast reader raised.

    Returns
    -------
    InputError
        Naming the first line of another width; else with the reader's own first sentence.
    """
    try:
        check_widths(path, width)
    except InputError as found:
        return found
    reason = (str(error).strip().splitlines() or ["no reason given"])[0][:120]
    return input_error(path, "", f"is no valid CSV ({reason})", "check its quotes")


def one_line_a_row(path: str | os.PathLike[str], rows: int) -> bool:
    """Tell whether row i of the file (from 0, below the header) is on line i + 2."""
    raw = Path(path).read_bytes()
    lines = raw.count(b"\n") + (not raw.endswith(b"\n"))
    return lines == rows + 1


def _rows(path: str | os.PathLike[str]) -> Iterator[tuple[int, list[str]]]:
    """Rows below the header, each with the line on which it begins."""
    text = decode(path, Path(path).read_bytes())
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    begin = 1
    try:
        next(reader, None)
        begin = reader.line_num + 1
        for fields in reader:
            yield begin, fields
            begin = reader.line_num + 1
    except csv.Error as error:
        raise input_error(
            path, f"line {begin}", f"is no valid CSV ({error})", "check the quotes of this row"
        ) from None
