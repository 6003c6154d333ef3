"""A synthetic trace written in any format that `read_requests` reads, a chunk at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from placement.files.atomic import replacing
from placement.files.request_file import TRACE_FORMATS
from placement.files.syntax.source import find_format
from placement.files.syntax.yaml_writer import key, quote
from placement.generate.synthetic import SyntheticTrace
from placement.problem.cluster import FloatArray, IntArray
from placement.problem.workload import Workload
from placement.support.equality import ByContent

if TYPE_CHECKING:
    import polars as pl

START = datetime(2025, 1, 1, tzinfo=UTC)
WRITTEN_ROWS = 100_000
"""Requests turned into rows at a time: bounds the memory, and is the row group of Parquet."""

MOST_NODE_COLUMNS = 64
"""Names of nodes up to which Parquet has a column for each: a chunk of them takes 50 MB."""

DIGITS = 6
"""Significant digits of a service time, more than any clock measures."""

BASE = ("request_id", "timestamp", "workflow_id")
TIMES = "node_execution_times"


@dataclass(frozen=True, eq=False)
class Chunk(ByContent):
    """Consecutive requests; `service_s[w]` holds those of workflow w, rounded to `DIGITS`."""

    request_id: list[str]
    timestamp: list[str]
    workflow_id: list[str]
    workflow: IntArray
    service_s: tuple[FloatArray, ...]


def write_requests(
    path: str | os.PathLike[str],
    trace: SyntheticTrace,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write a trace in the format of the suffix: YAML, JSON, JSONL, CSV or Parquet.

    In CSV the node execution times are one column of JSON text; in Parquet each node has a column,
    which reads several times faster, unless the workflows have too many names for their nodes.

    Parameters
    ----------
    path : path-like
        Its ending says the format.
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
            _write_parquet(temporary, trace.workload, chunks)
        elif form == "csv":
            with temporary.open("wb") as file:
                for i, chunk in enumerate(chunks):
                    frame = _text_frame(trace.workload, chunk)
                    frame.write_csv(file, include_header=i == 0)
        else:
            _write_lines(temporary, form, trace.workload, chunks)


def _write_lines(path: Path, form: str, workload: Workload, chunks: Iterator[Chunk]) -> None:
    head, join, tail = {
        "jsonl": ("", "\n", "\n"),
        "json": ('{"requests": [\n', ",\n", "\n]}\n"),
        # One request a line, in YAML's flow style.
        "yaml": ("requests:\n- ", "\n- ", "\n"),
    }[form]
    with path.open("w", encoding="utf-8") as file:
        file.write(head)
        for i, chunk in enumerate(chunks):
            file.write(join if i else "")
            times = _times_text(workload, chunk, key if form == "yaml" else _json_key)
            rows = zip(chunk.request_id, chunk.timestamp, chunk.workflow_id, times, strict=True)
            file.write(
                join.join(
                    f'{{"request_id": "{name}", "timestamp": "{stamp}", '
                    f'"workflow_id": {quote(flow)}, "{TIMES}": {seconds}}}'
                    for name, stamp, flow, seconds in rows
                )
            )
        file.write(tail)


def _write_parquet(path: Path, workload: Workload, chunks: Iterator[Chunk]) -> None:
    import polars as pl
    from polars.io.plugins import register_io_source

    nodes = list(dict.fromkeys(v.id for flow in workload.workflows for v in flow.nodes))
    wide = len(nodes) <= MOST_NODE_COLUMNS
    schema: dict[str, pl.DataType] = dict.fromkeys(BASE, pl.String())
    schema |= {f"{TIMES}.{n}": pl.Float64() for n in nodes} if wide else {TIMES: pl.String()}

    def frames(*pushed_down: Any) -> Iterator[pl.DataFrame]:
        for chunk in chunks:
            yield _wide_frame(workload, chunk, nodes) if wide else _text_frame(workload, chunk)

    lazy = register_io_source(io_source=frames, schema=schema)
    lazy.sink_parquet(path, row_group_size=WRITTEN_ROWS)


def _base(chunk: Chunk) -> dict[str, Any]:
    return dict(zip(BASE, (chunk.request_id, chunk.timestamp, chunk.workflow_id), strict=True))


def _text_frame(workload: Workload, chunk: Chunk) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(_base(chunk) | {TIMES: _times_text(workload, chunk)})


def _wide_frame(workload: Workload, chunk: Chunk, nodes: list[str]) -> pl.DataFrame:
    """A column a node, empty where the request's workflow has no node of that name."""
    import polars as pl

    seconds = {n: np.full(len(chunk.workflow), np.nan) for n in nodes}
    for w, flow in enumerate(workload.workflows):
        rows = chunk.workflow == w
        for v, node in enumerate(flow.nodes):
            seconds[node.id][rows] = chunk.service_s[w][:, v]
    columns = {f"{TIMES}.{n}": pl.Series(s).fill_nan(None) for n, s in seconds.items()}
    return pl.DataFrame(_base(chunk) | columns)


def _chunks(trace: SyntheticTrace, progress: Callable[[int, int], None]) -> Iterator[Chunk]:
    names = [flow.id for flow in trace.workload.workflows]
    start = np.datetime64(START.replace(tzinfo=None), "us")
    written = np.zeros(len(names), dtype=np.int64)  # requests of each workflow
    total = len(trace.arrival_s)
    for begin in range(0, total, WRITTEN_ROWS):
        end = min(begin + WRITTEN_ROWS, total)
        workflow = trace.workflow[begin:end]
        after = written + np.bincount(workflow, minlength=len(names))
        micros = np.round(trace.arrival_s[begin:end] * 1e6).astype("timedelta64[us]")
        yield Chunk(
            request_id=[f"r{i}" for i in range(begin, end)],
            timestamp=[f"{text}+00:00" for text in np.datetime_as_string(start + micros).tolist()],
            workflow_id=[names[w] for w in workflow.tolist()],
            workflow=workflow,
            service_s=tuple(
                _rounded(seconds[a:b])
                for seconds, a, b in zip(trace.service_s, written, after, strict=True)
            ),
        )
        written = after
        progress(end, total)


MOST_PLACES = 300
"""Powers of ten end at 308; what lies below these places takes no time."""


def _rounded(seconds: FloatArray) -> FloatArray:
    """Round to `DIGITS`, so that every format holds the same numbers."""
    with np.errstate(divide="ignore"):
        magnitude = np.floor(np.log10(seconds))
    places = np.minimum(DIGITS - 1 - np.where(seconds > 0, magnitude, 0.0), MOST_PLACES)
    # Powers of ten are exact only upwards: scale by them, or divide by them, never by fractions.
    up, down = 10.0 ** np.maximum(places, 0), 10.0 ** np.maximum(-places, 0)
    return np.asarray(np.round(seconds / down * up) / up * down)


def _json_key(name: str) -> str:
    return f"{quote(name)}:"


def _times_text(
    workload: Workload, chunk: Chunk, named: Callable[[str], str] = _json_key
) -> list[str]:
    """Node times as JSON, or with the keys of YAML."""
    text = [""] * len(chunk.workflow)
    for w, flow in enumerate(workload.workflows):
        names = [named(v.id).replace("%", "%%") for v in flow.nodes]
        template = "{" + ", ".join(f"{name} %.{DIGITS}g" for name in names) + "}"
        rows = np.flatnonzero(chunk.workflow == w).tolist()
        for r, values in zip(rows, chunk.service_s[w].tolist(), strict=True):
            text[r] = template % tuple(values)
    return text
