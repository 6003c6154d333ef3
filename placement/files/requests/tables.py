"""Traces whose requests are rows: CSV and Parquet.

Node times stand in a column `node_execution_times`: a JSON object as text in either format, a
struct in Parquet; or in one column a node, named ``node_execution_times.<node id>``. Likewise
`node_prefill_times`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from placement.files.requests.batch import PREFILLS, TIMES, Batch
from placement.files.requests.decoding import decode_seconds
from placement.files.requests.records import OPTIONAL, REQUIRED, SESSION
from placement.files.schema_faults import close_field
from placement.files.syntax.csv_text import (
    check_widths,
    explain_broken,
    one_line_a_row,
    read_header,
)
from placement.files.syntax.json_text import parse_apart, parse_json
from placement.files.syntax.source import check_file
from placement.files.unread_fields import UnreadFields
from placement.problem.cluster import FloatArray
from placement.support.faults import SHOWN_FAULTS, FaultList, InputError, input_error, show
from placement.support.quiet import silenced

FIELDS = (TIMES, PREFILLS)
DOTTED = tuple(f"{name}." for name in FIELDS)
ROWS = 200_000
"""Rows of one batch: bounds the memory of what is taken apart in Python."""

RowName = Callable[[int], str]
"""Names the i-th row of a file the way its faults do."""

# Polars panics on some broken files, and writes the trace of its thread to stderr by itself.
BROKEN = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, UnicodeError)


def read_csv_batches(path: str | os.PathLike[str], nodes: Sequence[str] = ()) -> Iterator[Batch]:
    """Read a CSV file with a header, one request a row.

    Parameters
    ----------
    path : path-like
    nodes : sequence of str
        Names that nodes have, for a faster way.

    Raises
    ------
    InputError
        Where the file is no such table.
    """
    check_file(path)
    width = len(read_header(path))
    try:
        with silenced(2):
            table = pl.read_csv(Path(path), infer_schema=False, raise_if_empty=False)
    except BROKEN as error:
        raise explain_broken(path, width, error) from None
    _check_columns(path, table.columns)
    table = _without_blank_end(table)
    if table.height and table.to_series(table.width - 1).null_count():
        check_widths(path, width, table.height)  # a short row has no last field
    regular = cache(lambda: one_line_a_row(path, table.height))

    def row_name(i: int) -> str:
        return f"line {i + 2}" if regular() else f"row {i + 1}"

    yield from _batches(path, table, row_name, nodes)


def read_parquet_batches(
    path: str | os.PathLike[str], nodes: Sequence[str] = ()
) -> Iterator[Batch]:
    """Read a Parquet file, one request a row.

    Parameters
    ----------
    path : path-like
    nodes : sequence of str
        Names that nodes have, for a faster way.

    Raises
    ------
    InputError
        Where the file is no such table.
    """
    check_file(path)
    with Path(path).open("rb") as file:
        if file.read(4) != b"PAR1":
            raise input_error(path, "", "is no Parquet file", "check that it is the right file")
    try:
        with silenced(2):
            names = list(pl.read_parquet_schema(Path(path)))
        wanted = [n for n in names if n in (*REQUIRED, *FIELDS, SESSION) or n.startswith(DOTTED)]
        _check_columns(path, names)
        with silenced(2):
            table = pl.read_parquet(Path(path), columns=wanted)
    except BROKEN as error:
        raise _broken_parquet(path, error) from None
    try:
        yield from _batches(path, table, lambda i: f"row {i + 1}", nodes)
    except BROKEN as error:  # what its footer promises and its pages do not hold
        raise _broken_parquet(path, error) from None


def _broken_parquet(path: str | os.PathLike[str], error: BaseException) -> InputError:
    reason = (str(error).strip().splitlines() or ["no reason given"])[0][:120]
    wrong = f"is no valid Parquet ({reason})"
    return input_error(path, "", wrong, "check that the file is complete")


def _check_columns(path: str | os.PathLike[str], names: list[str]) -> None:
    faults, unread = FaultList(path), UnreadFields(path)
    known = (*REQUIRED, *OPTIONAL)
    absent = tuple(n for n in known if n not in names)
    for name in names:
        if name in known or name.startswith(DOTTED):
            continue
        if meant := close_field(name, absent):
            faults.add(f"column {name}", "is no column that is known here", f"is it {meant!r}?")
        else:
            unread.add(name, partial("column {}".format, name), known)
    for name in REQUIRED:
        if name not in names:
            faults.add(f"column {name}", "is missing", "add it; every request needs one")
    faults.raise_if_any()
    unread.warn()


def _without_blank_end(table: pl.DataFrame) -> pl.DataFrame:
    """Leave out the empty rows that spreadsheets and editors add at the end."""
    filled = table.select(pl.any_horizontal(pl.all().is_not_null())).to_series().arg_true()
    return table.head(int(filled[-1]) + 1 if len(filled) else 0)


def _batches(
    path: str | os.PathLike[str], table: pl.DataFrame, row_name: RowName, nodes: Sequence[str]
) -> Iterator[Batch]:
    table = _unnest(path, table, row_name)
    ids = table["request_id"]
    distinct = not ids.null_count() and _all_differ(ids) and bool((ids != "").all())
    for first in range(0, table.height, ROWS):
        yield _batch(path, table.slice(first, ROWS), first, row_name, nodes, distinct)


def _all_differ(texts: pl.Series) -> bool:
    """Whether no text is there twice: where hashes differ the texts do, and those are numbers."""
    hashes = np.sort(texts.hash().to_numpy())
    return bool((hashes[1:] != hashes[:-1]).all()) or texts.n_unique() == len(texts)


def _unnest(path: str | os.PathLike[str], table: pl.DataFrame, row_name: RowName) -> pl.DataFrame:
    """Check the types of the columns; a struct of times becomes one column a node."""
    faults = FaultList(path)
    for name in REQUIRED:
        kind = table.schema[name]
        whole = kind.is_integer() if name == "request_id" else False
        moment = kind.is_temporal() and kind != pl.Duration and kind != pl.Time
        if not (kind in (pl.String, pl.Categorical, pl.Enum) or whole
                or (name == "timestamp" and moment)):  # fmt: skip
            expected = "text or time stamps" if name == "timestamp" else "text"
            faults.add(f"column {name}", f"holds {kind}, not {expected}", "convert the column")
        elif kind in (pl.Categorical, pl.Enum) or whole:
            table = table.with_columns(pl.col(name).cast(pl.String))
        if kind.is_temporal() and table[name].null_count():
            empty = table[name].is_null()
            for row in empty.arg_true().head(SHOWN_FAULTS).to_list():
                faults.add(f"{row_name(row)}, {name}", "is missing", "add it")
            faults.count(max(0, int(empty.sum()) - SHOWN_FAULTS))
    for name in FIELDS:
        table = _unnest_seconds(table, name, faults)
    faults.raise_if_any()
    return table


def _unnest_seconds(table: pl.DataFrame, field: str, faults: FaultList) -> pl.DataFrame:
    kind = table.schema.get(field)
    if isinstance(kind, pl.Struct):
        names = [f.name for f in kind.fields]
        for name in names:
            if f"{field}.{name}" in table.columns:
                faults.add(f"column {field}.{name}", "is also a field of the struct", "keep one")
        faults.raise_if_any()
        renamed = table[field].struct.rename_fields([f"{field}.{n}" for n in names])
        table = table.with_columns(renamed).unnest(field)
    elif kind not in (None, pl.String, pl.Null):
        faults.add(f"column {field}", f"holds {kind}", "use a struct, or JSON objects as text")
    elif kind == pl.Null:
        table = table.drop(field)
    if field in table.columns and any(c.startswith(field + ".") for c in table.columns):
        faults.add(f"column {field}", "stands beside columns of single nodes", "keep one form")
    return table


def _batch(
    path: str | os.PathLike[str],
    table: pl.DataFrame,
    first: int,
    row_name: RowName,
    nodes: Sequence[str],
    distinct: bool,
) -> Batch:
    def place(i: int, name: str) -> str:
        return f"{row_name(first + i)}, {name}"

    decoded = decode_seconds(table[TIMES], nodes) if TIMES in table.columns else None
    times, columns = (None, decoded.columns) if decoded else _seconds(path, table, TIMES, place)
    prefills, prefill_columns = _seconds(path, table, PREFILLS, place)
    return Batch(
        request_ids=table["request_id"].to_list(),
        distinct=distinct,
        timestamps=table["timestamp"],
        workflow_ids=table["workflow_id"],
        times=times,
        place=place,
        columns=columns,
        given=decoded.given if decoded else None,
        mappings=(lambda: _mappings(path, table, TIMES, place)) if decoded else None,
        prefills=prefills,
        prefill_columns=prefill_columns,
        sessions=table[SESSION].to_list() if SESSION in table.columns else None,
    )


def _seconds(
    path: str | os.PathLike[str], table: pl.DataFrame, field: str, place: Any
) -> tuple[list[Any] | None, dict[str, FloatArray]]:
    """Take the seconds by node of a field: as mappings, or as a column a node."""
    if field in table.columns:
        return _mappings(path, table, field, place), {}
    faults = FaultList(path)
    columns = {
        name.removeprefix(field + "."): _numbers(table[name], place, faults)
        for name in table.columns
        if name.startswith(field + ".")
    }
    faults.raise_if_any()
    return None, columns


def _mappings(
    path: str | os.PathLike[str], table: pl.DataFrame, field: str, place: Any
) -> list[Any]:
    return _parse_times(path, table[field].to_list(), field, place)


def _parse_times(
    path: str | os.PathLike[str], texts: list[str | None], field: str, place: Any
) -> list[Any]:
    """Parse the JSON objects of a column; all at once where nothing is wrong."""
    parts = [t.encode() if t else b"null" for t in texts]
    found = parse_apart(parts)
    if found is not None:
        return found
    faults = FaultList(path)
    values = []
    for i, part in enumerate(parts):
        if faults.full:
            break  # another is not shown, and to look for it takes as long as to read it
        try:
            values.append(parse_json(path, part))
        except InputError as error:
            fault = error.faults[0]
            wrong = f"{show(texts[i])} {fault.wrong} at {fault.key}"
            faults.add(place(i, field), wrong, fault.mend)
    faults.raise_if_any()
    return values


def _numbers(column: pl.Series, place: Any, faults: FaultList) -> FloatArray:
    """Take a column of seconds, NaN where it is empty."""
    if column.dtype == pl.Null:
        return np.full(len(column), np.nan)
    if column.dtype == pl.Float64:
        seconds = np.asarray(column.to_numpy())
        if np.count_nonzero(np.isnan(seconds)) == column.null_count():
            return seconds
    if column.dtype == pl.String:
        blank = column.is_null() | (column == "")
        numbers = column.str.strip_chars().cast(pl.Float64, strict=False)
        bad = ((numbers.is_null() | numbers.is_nan()) & ~blank).fill_null(False)
    elif column.dtype.is_numeric():
        numbers = column.cast(pl.Float64)
        bad = numbers.is_nan().fill_null(False)
    else:
        faults.add(f"column {column.name}", f"holds {column.dtype}", "write seconds as numbers")
        return np.zeros(len(column))
    for i in bad.arg_true().head(SHOWN_FAULTS).to_list():
        faults.add(place(i, column.name), f"is {show(column[i])}", "write seconds as a number")
    faults.count(max(0, int(bad.sum()) - SHOWN_FAULTS))
    return numbers.cast(pl.Float64).fill_null(float("nan")).to_numpy()
