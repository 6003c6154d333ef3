"""When requests arrive: drawn by a law, or taken from a recorded trace."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from typing import Literal

import numpy as np

from placement.files.requests.timestamps import Clock
from placement.files.syntax.source import TRACE_LIMIT_BYTES, decode, read_bytes
from placement.problem.cluster import FloatArray
from placement.support.faults import FaultList, input_error

Law = Literal["poisson", "bursty"]


def arrival_times(
    law: Law, requests: int, rate: float, *, seed: int = 0, burstiness: float = 3.0
) -> FloatArray:
    """Draw arrival times in seconds, the first at 0, shape (requests,).

    ``poisson`` has exponential gaps; ``bursty`` gamma gaps with coefficient of variation
    `burstiness` (1 is Poisson again). Both have `rate` requests per second on average.

    Parameters
    ----------
    law : {'poisson', 'bursty'}
        Of the gaps between requests.
    requests : int
        How many, at least one.
    rate : float
        Mean requests per second.
    seed : int
        The same seed draws the same times.
    burstiness : float
        Coefficient of variation of the gaps of ``bursty``.
    """
    rng = np.random.default_rng([seed, 1])
    if law == "poisson":
        gaps = rng.exponential(1.0 / rate, requests)
    else:
        shape = 1.0 / burstiness**2
        gaps = rng.gamma(shape, 1.0 / (rate * shape), requests)
    gaps[0] = 0.0
    return np.cumsum(gaps)


def read_arrivals(path: str | os.PathLike[str], requests: int | None = None) -> FloatArray:
    """Take recorded arrival times from the first column of a CSV file that holds time stamps.

    Parameters
    ----------
    requests : int or None
        Take the first so many; None takes all.

    Returns
    -------
    float64, shape (requests,)
        Seconds since the first arrival, in order. A first line without a header counts as data.

    Raises
    ------
    InputError
        Where there is no such column, a stamp is wrong, or there are too few rows.
    """
    text = decode(path, read_bytes(path, TRACE_LIMIT_BYTES))
    rows = list(_rows(path, text))
    column = _stamp_column(path, rows)
    header = rows[0][1]
    if len(header) <= column or not _is_stamp(header[column]):
        rows = rows[1:]
    faults = FaultList(path)
    for line, fields in rows:
        if len(fields) <= column:
            faults.add(f"line {line}", "has no time stamp", "mend or remove it")
    faults.raise_if_any()
    stamps = [fields[column] for _, fields in rows]
    micros = Clock(faults).read(stamps, lambda i: f"line {rows[i][0]}")
    faults.raise_if_any()
    if requests is not None and len(micros) < requests:
        raise input_error(
            path, "", f"holds {len(micros):,} arrivals, not {requests:,}", "ask for fewer"
        )
    seconds = np.sort(micros) / 1e6
    return np.asarray(seconds[:requests] - seconds[0])


def at_rate(arrival_s: FloatArray, rate: float) -> FloatArray:
    """Stretch or squeeze the gaps to `rate` requests per second over the span."""
    span_s = float(arrival_s[-1])
    return arrival_s * (len(arrival_s) / rate / span_s) if span_s else arrival_s


def _rows(path: str | os.PathLike[str], text: str) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, each with the line on which it ends."""
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        for fields in reader:
            if fields:
                yield reader.line_num, fields
    except csv.Error as error:
        raise input_error(
            path, f"line {reader.line_num}", f"is no valid CSV ({error})", "mend it"
        ) from None


def _stamp_column(path: str | os.PathLike[str], rows: list[tuple[int, list[str]]]) -> int:
    """The first column that holds a time stamp in the row below the header, or in the first."""
    for _, fields in rows[1::-1]:
        for column, field in enumerate(fields):
            if _is_stamp(field):
                return column
    raise input_error(
        path, "", "has no column of time stamps", "give a CSV file with ISO 8601 times"
    )


def _is_stamp(text: str) -> bool:
    trial = FaultList("")
    Clock(trial).read([text], lambda i: "")
    return not trial
