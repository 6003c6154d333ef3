"""Traces whose requests are mappings: YAML, JSON, and JSONL."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from placement.files.requests.batch import PREFILLS, TIMES, Batch
from placement.files.schema_faults import close_field
from placement.files.syntax.document import Document, PlacedFault, raise_faults
from placement.files.syntax.json_text import parse_apart, parse_json
from placement.files.syntax.source import check_file, decode
from placement.files.unread_fields import UnreadFields
from placement.support.equality import ByContent
from placement.support.faults import FaultList, Place, Spot, input_error, nearest, show

REQUIRED = ("request_id", "timestamp", "workflow_id")
SESSION = "session_id"
OPTIONAL = (TIMES, PREFILLS, SESSION, "input_data", "node_configs", "metadata")
CHUNK_BYTES = 2**25
FAST_FROM = 20_000
"""Lines from which it is worth loading polars to read them."""
MOST_GUESSED = 1000
"""Sets of fields for which is looked up what a misspelt one was meant to be."""


def read_document_batch(path: str | os.PathLike[str], document: Document) -> Batch:
    """Read the requests of a YAML or JSON file: a list, or a mapping with the key `requests`.

    Parameters
    ----------
    path : path-like
    document : Document
        What stands there.

    Raises
    ------
    InputError
        Where the file is no such document or a request is no mapping with the required fields.
    """
    base: tuple[str, ...] = ()
    records = document.data
    if isinstance(records, dict):
        if "requests" not in records:
            if records.keys() & {"models", "workflows"}:
                raise input_error(path, "", "is a config, not a trace", "give it to --config")
            close = nearest("requests", records)
            mend = f"did you misspell it as {close!r}?" if close else "add the list of requests"
            raise_faults(document, [PlacedFault(("requests",), "is missing", mend)])
        base, records = ("requests",), records["requests"]
    if not isinstance(records, list):
        wrong = f"is {show(records)}, not a list of requests"
        raise_faults(document, [PlacedFault(base, wrong, "write a list of requests")])
    place = _document_place(document, base)
    faults, unread = FaultList(path), UnreadFields(path)
    _check_records(records, place, faults, unread)
    faults.raise_if_any()
    unread.warn()
    return _batch(records, place)


def read_jsonl_batches(path: str | os.PathLike[str], nodes: Sequence[str] = ()) -> Iterator[Batch]:
    """Read a JSONL file, one request a line, in batches of about `CHUNK_BYTES`.

    Parameters
    ----------
    path : path-like
    nodes : sequence of str
        Names that nodes have, for a faster way.

    Raises
    ------
    InputError
        Where a line is no JSON object with the required fields.
    """
    check_file(path)
    faults, unread = FaultList(path), UnreadFields(path)
    first_line = 1
    with Path(path).open("rb") as file:
        while raw := file.read(CHUNK_BYTES) + file.readline():
            if first_line == 1:
                decode(path, raw[: raw.find(b"\n") + 1 or len(raw)])
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            count = raw.count(b"\n") + (not raw.endswith(b"\n"))
            numbers: Sequence[int] = range(first_line, first_line + count)
            first_line += count
            if count >= FAST_FROM and (decoded := _decoded_batch(path, raw, numbers, nodes)):
                yield decoded
                continue
            texts = _lines(raw)
            if any(map(bytes.isspace, texts)):
                numbers = [n for n, text in zip(numbers, texts, strict=True) if not text.isspace()]
                texts = [text for text in texts if not text.isspace()]
            place = _line_place(numbers)
            records = _parse_lines(path, texts, numbers)
            _check_records(records, place, faults, unread)
            faults.raise_if_any()
            if records:
                yield _batch(records, place)
    unread.warn()


def _lines(raw: bytes) -> list[bytes]:
    return BytesIO(raw).readlines()


def _decoded_batch(
    path: str | os.PathLike[str], raw: bytes, numbers: Sequence[int], nodes: Sequence[str]
) -> Batch | None:
    """Decode lines of the plainest form all at once; None where one is anything else."""
    # With it polars, a fifth of a second that only long traces need.
    from placement.files.requests.decoding import decode_requests

    found = decode_requests(raw, nodes)
    if found is None:
        return None
    fields, times = found
    return Batch(
        request_ids=fields["request_id"].to_list(),
        timestamps=fields["timestamp"],
        workflow_ids=fields["workflow_id"],
        times=None,
        place=_line_place(numbers),
        columns=times.columns,
        given=times.given,
        mappings=lambda: [r[TIMES] for r in _parse_lines(path, _lines(raw), numbers)],
    )


def _parse_lines(
    path: str | os.PathLike[str], texts: list[bytes], numbers: Sequence[int]
) -> list[Any]:
    records = parse_apart(texts)
    if records is not None:
        return records
    return [parse_json(path, text, line) for text, line in zip(texts, numbers, strict=True)]


def _check_records(records: list[Any], place: Any, faults: FaultList, unread: UnreadFields) -> None:
    """Note requests that are no mappings or lack a field, misspelt fields and unread ones."""
    if set(map(type, records)) <= {dict}:
        fields = set().union(*records)
        whole = all(sum(name in r for r in records) == len(records) for name in REQUIRED)
        if whole and fields <= {*REQUIRED, *OPTIONAL}:
            return
    looked_up: dict[tuple[str, ...], _Fields] = {}
    for i, record in enumerate(records):
        if not isinstance(record, dict):
            if faults.full:
                faults.count()
            else:
                faults.add(place(i, ""), f"is {show(record)}, not a request", "write a mapping")
            continue
        names = tuple(record)
        found = looked_up.get(names)
        if found is None:
            found = _look_up(names, guess=len(looked_up) < MOST_GUESSED)
            looked_up[names] = found
        if faults.full:
            faults.count(len(found.faults))
        else:
            for name, wrong, mend in found.faults:
                faults.add(place(i, name), wrong, mend)
        for name in found.unread:
            unread.add(name, partial(place, i, name), (*REQUIRED, *OPTIONAL))


@dataclass(frozen=True, eq=False)
class _Fields(ByContent):
    """What is wrong with the fields of a request, by their names alone."""

    faults: list[tuple[str, str, str]]
    unread: list[str]


def _look_up(names: tuple[str, ...], *, guess: bool) -> _Fields:
    """Look for fields that are missing, misspelt or unknown; `guess` what was meant."""
    absent = tuple(name for name in (*REQUIRED, *OPTIONAL) if name not in names)
    unknown = [k for k in names if k not in REQUIRED and k not in OPTIONAL]
    misspelt = {k: meant for k in unknown if guess and (meant := close_field(k, absent))}
    faults = []
    for name in REQUIRED:
        if name in absent:
            close = next((k for k, meant in misspelt.items() if meant == name), None)
            mend = f"add it, or did you misspell it as {close!r}?" if close else "add it"
            faults.append((name, "is missing", mend))
    for key, meant in misspelt.items():
        if meant in OPTIONAL:
            faults.append((key, "is no field of a request", f"did you mean {meant!r}?"))
    return _Fields(faults, [k for k in unknown if k not in misspelt])


def _batch(records: list[dict[str, Any]], place: Any) -> Batch:
    prefills = [r.get(PREFILLS) for r in records]
    return Batch(
        request_ids=[r["request_id"] for r in records],
        timestamps=[r["timestamp"] for r in records],
        workflow_ids=[r["workflow_id"] for r in records],
        times=[r.get(TIMES) for r in records],
        prefills=prefills if any(p is not None for p in prefills) else None,
        sessions=[r.get(SESSION) for r in records] if any(SESSION in r for r in records) else None,
        place=place,
    )


def _document_place(document: Document, base: tuple[str, ...]) -> Any:
    def place(i: int, name: str) -> Spot:
        parts: Place = (*base, i, *(name.split(".", 1) if name else ()))
        return Spot(document, parts, f"{''.join(base)}[{i}]" + (f".{name}" if name else ""))

    return place


def _line_place(numbers: Sequence[int]) -> Any:
    def place(i: int, name: str) -> str:
        return f"line {numbers[i]}" + (f", {name}" if name else "")

    return place
