"""Traces as Parquet, in every type that a column can have."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from random import Random
from typing import Any

import polars as pl

TEXT_TYPES = (
    pl.String, pl.Categorical, pl.Int64, pl.UInt8, pl.Float32, pl.Boolean, pl.Binary, pl.Null,
    pl.UInt64, pl.Date,
)  # fmt: skip
TIME_TYPES = (
    pl.Datetime("ms"), pl.Datetime("us"), pl.Datetime("ns"), pl.Datetime("us", "UTC"),
    pl.Datetime("ns", "Europe/Berlin"), pl.Date, pl.Time, pl.Duration("us"),
    pl.Int64, pl.Float64, pl.Int32,
)  # fmt: skip
NUMBER_TYPES = (
    pl.Float32, pl.Int8, pl.UInt64, pl.Decimal(20, 6), pl.Decimal(38, 0), pl.String, pl.Boolean,
    pl.Categorical,
    pl.List(pl.Float64), pl.Array(pl.Float64, 1), pl.Duration("ms"), pl.Null, pl.Int64,
)  # fmt: skip
MOMENTS = (
    0,
    1,
    -1,
    2**62,
    -(2**62),
    2**63 - 1,
    -(2**63),
    253402300799999999,
    253402300800000000,
    -62135596800000000,
)


def parquet_bytes(rng: Random, rows: list[Any], *, sound: bool) -> bytes:
    """Write rows of requests; some columns in a type that they seldom have."""
    rows = [row if isinstance(row, dict) else {"request_id": row} for row in rows]
    names = list(dict.fromkeys(str(name) for row in rows for name in row)) or ["request_id"]
    columns: list[pl.Series] = []
    for name in names:
        values = [row.get(name) for row in rows]
        if name == "node_execution_times" and rng.random() < 0.7:
            columns += _times(rng, values, sound=sound)
        else:
            columns.append(_text(name, values))
    columns = [_retyped(rng, c) if rng.random() < 0.15 and not sound else c for c in columns]
    unique = {c.name: c for c in columns}
    raw = io.BytesIO()
    packing: Any = rng.choice(["zstd", "snappy", "gzip", "uncompressed", "lz4"])
    pl.DataFrame(list(unique.values())).write_parquet(
        raw,
        compression=packing,
        statistics=rng.random() < 0.5,
        row_group_size=rng.choice([None, 1, 3]),
    )
    return raw.getvalue()


def _text(name: str, values: list[Any]) -> pl.Series:
    texts = [
        v if v is None or isinstance(v, str) else json.dumps(v, default=str, skipkeys=True)
        for v in values
    ]
    return pl.Series(name, [t and _sound(t) for t in texts], dtype=pl.String)


def _sound(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _times(rng: Random, values: list[Any], *, sound: bool) -> list[pl.Series]:
    """One column a node, or one struct."""
    nodes = list(dict.fromkeys(_sound(str(n)) for v in values if isinstance(v, dict) for n in v))
    table = {n: [_float(v.get(n)) if isinstance(v, dict) else None for v in values] for n in nodes}
    columns = [pl.Series(n, numbers, dtype=pl.Float64) for n, numbers in table.items()]
    columns = [_retyped(rng, c) if rng.random() < 0.1 and not sound else c for c in columns]
    if columns and rng.random() < 0.5:
        return [pl.DataFrame(columns).to_struct("node_execution_times")]
    return [c.alias(f"node_execution_times.{c.name}") for c in columns]


def _float(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _retyped(rng: Random, column: pl.Series) -> pl.Series:
    """The column cast to another type, or filled with moments at the edge of it."""
    if column.name == "timestamp":
        kind = rng.choice(TIME_TYPES)
        if rng.random() < 0.3 and kind.is_temporal() and kind not in (pl.Date, pl.Time):
            moments = sorted(rng.choice(MOMENTS) for _ in range(len(column)))
            return pl.Series(column.name, moments, dtype=pl.Int64).cast(kind)
        zone = getattr(kind, "time_zone", None)
        with suppress(pl.exceptions.PolarsError):
            moments = column.str.slice(0, 23).str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", strict=False)
            if zone is not None:
                return moments.dt.replace_time_zone("UTC").dt.convert_time_zone(zone).cast(kind)
            return moments.cast(kind)
        return column
    kinds = NUMBER_TYPES if column.dtype.is_numeric() else TEXT_TYPES
    kind = rng.choice(kinds)
    with suppress(pl.exceptions.PolarsError, pl.exceptions.PanicException):
        if kind == pl.List(pl.Float64) or kind == pl.Array(pl.Float64, 1):
            return column.reshape((-1, 1)).cast(kind)
        return column.cast(kind, strict=False)
    return column
