"""What each request brings along: its `input_data`, and the `node_configs` of its nodes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from placement.files.request_file import TRACE_FORMATS
from placement.files.syntax.document import load_document
from placement.files.syntax.source import TRACE_LIMIT_BYTES, find_format
from placement.support.equality import ByContent
from placement.support.faults import input_error

FIELDS = ("input_data", "node_configs")


@dataclass(frozen=True, eq=False)
class RequestInput(ByContent):
    """What one request brings: its input, and options of nodes by their ids."""

    input: Any = None
    configs: Mapping[str, Any] | None = None


NOTHING = RequestInput()


def read_inputs(
    path: str | os.PathLike[str], request_ids: Sequence[str]
) -> tuple[RequestInput, ...]:
    """Read the inputs of a trace that `read_requests` has accepted.

    Parameters
    ----------
    path : path-like
        The trace.
    request_ids : sequence of str, length R
        Its requests in order of arrival (``Trace.request_ids``).

    Returns
    -------
    tuple of RequestInput, length R

    Raises
    ------
    InputError
        Where a column of CSV or Parquet holds what is no JSON.
    """
    found = {str(r["request_id"]): _request_input(r) for r in _records(path)}
    return tuple(found.get(name, NOTHING) for name in request_ids)


def _request_input(record: Mapping[str, Any]) -> RequestInput:
    value, configs = record.get("input_data"), record.get("node_configs")
    if value is None and configs is None:
        return NOTHING
    return RequestInput(value, configs if isinstance(configs, dict) else None)


def _records(path: str | os.PathLike[str]) -> Iterator[Mapping[str, Any]]:
    form = find_format(path, TRACE_FORMATS)
    if form == "jsonl":
        with Path(path).open("rb") as file:
            for line in file:
                text = line.removeprefix(b"\xef\xbb\xbf").strip()
                if text:
                    yield orjson.loads(text)
    elif form in ("csv", "parquet"):
        yield from _rows(path, form)
    else:
        data = load_document(path, TRACE_LIMIT_BYTES).data
        yield from data["requests"] if isinstance(data, dict) else data


def _rows(path: str | os.PathLike[str], form: str) -> Iterator[Mapping[str, Any]]:
    import polars as pl  # only tables need it, and it takes a while to load

    file = Path(path)
    whole = pl.scan_csv(file, infer_schema=False) if form == "csv" else pl.scan_parquet(file)
    names = [n for n in ("request_id", *FIELDS) if n in whole.collect_schema().names()]
    if len(names) == 1:
        return
    for number, row in enumerate(whole.select(names).collect().iter_rows(named=True), start=1):
        for field in names[1:]:
            if isinstance(row[field], str):
                row[field] = _parsed(path, f"row {number}, {field}", row[field])
        yield row


def _parsed(path: str | os.PathLike[str], place: str, text: str) -> Any:
    """Read a cell as JSON; what begins like none is plain text."""
    if not text.lstrip().startswith(("{", "[", '"')):
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise input_error(path, place, f"is no JSON ({error})", "mend it") from None
