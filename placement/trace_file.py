"""A synthetic trace written in any format that `read_requests` reads, a chunk at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from placement.atomic import replacing
from placement.cluster import IntArray
from placement.reading.requests import TRACE_FORMATS
from placement.reading.source import find_format
from placement.synthetic import SyntheticTrace

if TYPE_CHECKING:
    import polars as pl

START = datetime(2025, 1, 1, tzinfo=UTC)
CHUNK = 100_000
"""Requests turned into text at a time: bounds the memory, and is the row group of Parquet."""

Rows = tuple[list[str], list[str], list[str], list[str]]
"""Request ids, time stamps, workflow ids and node times as JSON text, of one chunk."""

COLUMNS = ("request_id", "timestamp", "workflow_id", "node_execution_times")


def write_requests(
    path: str | os.PathLike[str],
    trace: SyntheticTrace,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write a trace in the format of the suffix: YAML, JSON, JSONL, CSV or Parquet.

    In CSV and Parquet the node execution times are one column of JSON text.

    Parameters
    ----------
    progress : callable, optional
        Called with the requests written and their total.

    Raises
    ------
    InputError
        Where the suffix is none of these.
    """
    form = find_format(path, TRACE_FORMATS)
    chunks = _chunks(trace, progress)
    with replacing(path) as temporary:
        if form == "parquet":
            _write_parquet(temporary, chunks)
        elif form == "csv":
            with temporary.open("wb") as file:
                for i, rows in enumerate(chunks):
                    _frame(rows).write_csv(file, include_header=i == 0)
        else:
            _write_lines(temporary, form, chunks)


def _write_lines(path: Path, form: str, chunks: Iterator[Rows]) -> None:
    head, join, tail = {
        "jsonl": ("", "\n", "\n"),
        "json": ('{"requests": [\n', ",\n", "\n]}\n"),
        # One request a line, in YAML's flow style.
        "yaml": ("requests:\n- ", "\n- ", "\n"),
    }[form]
    with path.open("w", encoding="utf-8") as file:
        file.write(head)
        for i, rows in enumerate(chunks):
            file.write(join if i else "")
            file.write(
                join.join(
                    f'{{"request_id": "{name}", "timestamp": "{stamp}", '
                    f'"workflow_id": {json.dumps(flow)}, "node_execution_times": {times}}}'
                    for name, stamp, flow, times in zip(*rows, strict=True)
                )
            )
        file.write(tail)


def _write_parquet(path: Path, chunks: Iterator[Rows]) -> None:
    import polars as pl
    from polars.io.plugins import register_io_source

    def frames(*pushed_down: Any) -> Iterator[pl.DataFrame]:
        yield from map(_frame, chunks)

    schema = dict.fromkeys(COLUMNS, pl.String())
    lazy = register_io_source(io_source=frames, schema=schema)
    lazy.sink_parquet(path, row_group_size=CHUNK)


def _frame(rows: Rows) -> pl.DataFrame:
    import polars as pl

    columns = dict(zip(COLUMNS, rows, strict=True))
    return pl.DataFrame(columns, schema=dict.fromkeys(COLUMNS, pl.String))


def _chunks(trace: SyntheticTrace, progress: Callable[[int, int], None]) -> Iterator[Rows]:
    names = [flow.id for flow in trace.workload.workflows]
    start = np.datetime64(START.replace(tzinfo=None), "us")
    written = [0] * len(names)  # requests of each workflow
    total = len(trace.arrival_s)
    for begin in range(0, total, CHUNK):
        end = min(begin + CHUNK, total)
        workflow = trace.workflow[begin:end]
        micros = np.round(trace.arrival_s[begin:end] * 1e6).astype("timedelta64[us]")
        yield (
            [f"r{i}" for i in range(begin, end)],
            [f"{text}+00:00" for text in np.datetime_as_string(start + micros).tolist()],
            [names[w] for w in workflow.tolist()],
            _times_text(trace, workflow, written),
        )
        progress(end, total)


def _times_text(trace: SyntheticTrace, workflow: IntArray, written: list[int]) -> list[str]:
    """Node times as JSON; `written` moves on by the requests of each workflow."""
    text = [""] * len(workflow)
    for w, flow in enumerate(trace.workload.workflows):
        # Six digits say more than any clock measures.
        names = [json.dumps(v.id).replace("%", "%%") for v in flow.nodes]
        template = "{" + ", ".join(f"{name}: %.6g" for name in names) + "}"
        rows = np.flatnonzero(workflow == w)
        seconds = trace.service_s[w][written[w] : written[w] + len(rows)].tolist()
        written[w] += len(rows)
        for r, values in zip(rows.tolist(), seconds, strict=True):
            text[r] = template % tuple(values)
    return text
