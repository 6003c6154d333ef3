"""Tables whose columns hold anything: a trace, or a sentence."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from placement.files.request_file import read_requests
from placement.support.faults import InputError
from tests.placement.files import cases

MOMENT = datetime(2026, 1, 1)
KINDS: dict[str, pl.Series] = {
    "text": pl.Series(["r1", "r2"]),
    "stamps": pl.Series(["2026-01-01T00:00:00", "2026-01-01T00:00:01"]),
    "flows": pl.Series(["sketch", "sketch"]),
    "json": pl.Series(['{"draw": 1.5}', '{"draw": null}']),
    "broken json": pl.Series(["{", "]"]),
    "holes": pl.Series(["sketch", None]),
    "null": pl.Series([None, None]),
    "int": pl.Series([1, 2]),
    "wide": pl.Series([2**64 - 1, 0], dtype=pl.UInt64),
    "float": pl.Series([0.5, float("nan")]),
    "huge": pl.Series([1e308, float("inf")]),
    "bool": pl.Series([True, False]),
    "bytes": pl.Series([b"\xff", b"\x00"]),
    "date": pl.Series([date(1, 1, 1), date(9999, 12, 31)]),
    "far dates": pl.Series([2**31 - 1, -(2**31)], dtype=pl.Int32).cast(pl.Date),
    "datetime": pl.Series([MOMENT, MOMENT]),
    "zoned": pl.Series([MOMENT, MOMENT]).dt.replace_time_zone("Asia/Kathmandu"),
    "far moments": pl.Series([2**63 - 1, -(2**63)]).cast(pl.Datetime("ms")),
    "far zoned": pl.Series([2**63 - 1, -(2**62)]).cast(pl.Datetime("us", "Asia/Kathmandu")),
    "time": pl.Series([time(1), time(2)]),
    "duration": pl.Series([timedelta(1), timedelta(2)]),
    "decimal": pl.Series([Decimal("1.5"), Decimal("2")]),
    "category": pl.Series(["sketch", "story"], dtype=pl.Categorical),
    "enum": pl.Series(["a", "b"], dtype=pl.Enum(["a", "b"])),
    "list": pl.Series([[1.0], []]),
    "array": pl.Series([[1.0], [2.0]], dtype=pl.Array(pl.Float64, 1)),
    "struct": pl.Series([{"draw": 1.0}, {"draw": None}]),
    "struct of text": pl.Series([{"draw": "x"}, {"draw": ""}]),
    "struct of lists": pl.Series([{"draw": [1]}, {"draw": []}]),
    "struct of structs": pl.Series([{"draw": {"a": 1}}, {"draw": None}]),
}
TIMES = "node_execution_times"
USUAL = {"request_id": "text", "timestamp": "stamps", "workflow_id": "flows", TIMES: "json"}


def outcome(folder: Path, columns: dict[str, str]) -> Any:
    """The trace, or None where the reader refuses with sentences about the file."""
    path = folder / "t.parquet"
    pl.DataFrame({name: KINDS[kind] for name, kind in columns.items()}).write_parquet(path)
    try:
        return read_requests(path, cases.workload(folder))
    except InputError as error:
        assert all(str(fault).startswith(str(path)) for fault in error.faults)
        return None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("column", [*USUAL, f"{TIMES}.draw"])
def test_every_kind_of_column_is_read_or_refused(column: str, kind: str, tmp_path: Path) -> None:
    """No panic of the table library, no overflow: one kind at a time in each place."""
    columns = {**USUAL, column: kind}
    if column.startswith(f"{TIMES}."):
        del columns[TIMES]
    trace = outcome(tmp_path, columns)
    assert trace is None or trace.start.year >= 1
    if columns in (USUAL, {**USUAL, "timestamp": "datetime"}, {**USUAL, "timestamp": "zoned"}):
        assert trace is not None


@given(kinds=st.lists(st.sampled_from(sorted(KINDS)), min_size=4, max_size=4))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_four_columns_are_read_or_refused(kinds: list[str], tmp_path: Path) -> None:
    """Several at once."""
    outcome(tmp_path, dict(zip(USUAL, kinds, strict=True)))
