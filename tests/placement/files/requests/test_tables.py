"""Tables whose columns hold anything: a trace, or a sentence."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
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
    "json": pl.Series(['{"draw": 1.5}', '{"draw": 2}']),
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


NODES = ("plan", "draw", "performance_analysis")


def _write_table(folder: Path, form: str, table: pl.DataFrame) -> Path:
    path = folder / f"table.{form}"
    if form == "csv":
        table.write_csv(path)
    else:
        table.write_parquet(path)
    return path


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_tables_take_one_column_a_node(form: str, tmp_path: Path) -> None:
    """`node_execution_times.<node>`: empty cells are left to the config, others checked."""
    names = ["request_id", "timestamp", "workflow_id", *(f"{TIMES}.{n}" for n in NODES)]
    rows = [
        ["r0", "2026-01-01T00:00:00", "story", 1.5, 2.0, 0.5],
        ["r1", "2026-01-01T00:00:01", "sketch", None, 3.0, None],
        ["r2", "2026-01-01T00:00:02", "story", 1.5, None, 0.5],
    ]
    table = pl.DataFrame(rows, schema=names, orient="row")
    path = _write_table(tmp_path, form, table)
    service = read_requests(path, cases.workload(tmp_path)).service_s
    np.testing.assert_allclose(service, [1.5, 2.0, 0.5, 3.0, 1.5, 2.5, 0.5])
    wrong = table.with_columns(pl.Series(f"{TIMES}.draw", [-1.0, 3.0, float("nan")]))
    with pytest.raises(InputError, match=r"(line|row) \d, node_execution_times\.draw: is"):
        read_requests(_write_table(tmp_path, form, wrong), cases.workload(tmp_path))
    stray = table.with_columns(pl.Series(f"{TIMES}.plan", [1.0, 1.0, 1.0]))
    with pytest.raises(InputError, match="'plan' is no node of workflow 'sketch'"):
        read_requests(_write_table(tmp_path, form, stray), cases.workload(tmp_path))


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"timestamp": [1.0, 2.0]}, "holds Float64"),
        ({"timestamp": [datetime(2026, 1, 1), None]}, "row 2, timestamp: is missing"),
        ({TIMES: [[1.0], [2.0]]}, "holds List"),
        ({TIMES: [{"draw": 1.0}, {"draw": float("nan")}]}, "row 2, .*draw: is nan"),
        ({TIMES: [{"draw": 1.0}] * 2, f"{TIMES}.draw": [1.0, 1.0]}, "also a field of the struct"),
        ({TIMES: ["{}"] * 2, f"{TIMES}.draw": [1.0, 1.0]}, "stands beside"),
        ({"workflow_id": [1, 2]}, "column workflow_id: holds Int64"),
    ],
)
def test_columns_of_the_wrong_type_are_named(
    columns: dict[str, list[Any]], words: str, tmp_path: Path
) -> None:
    """Parquet brings types of its own: each that cannot be meant is said."""
    base = {
        "request_id": ["a", "b"],
        "timestamp": [datetime(2026, 1, 1)] * 2,
        "workflow_id": ["sketch"] * 2,
    }
    pl.DataFrame({**base, **columns}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(InputError, match=words):
        read_requests(tmp_path / "t.parquet", cases.workload(tmp_path))


HEADER = "request_id,timestamp,workflow_id,node_execution_times\n"
ROW = 'r0,2026-01-01,sketch,"{""draw"": 1.5}"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEADER + ROW + "r1,2026-01-02,sketch\n" + ROW, "line 3: has 3 fields, the header 4"),
        (HEADER + ROW + "r1,2026-01-02,sketch,,\n", "line 3: has 5 fields, the header 4"),
        ((HEADER + ROW)[:-3], "line 2: is no valid CSV .*check the quotes"),
        (HEADER.replace("workflow_id", "timestamp") + ROW, "column timestamp: appears twice"),
        ((HEADER + ROW).replace(",", ";"), "separated by semicolons"),
        ((HEADER + ROW).replace("\n", "\r"), "ends its lines with CR alone"),
        (HEADER + ROW.replace("r0", "r\xe9"), "line 2: holds bytes that are no UTF-8"),
    ],
    ids=["short row", "long row", "truncated", "column twice", "semicolons", "CR", "latin-1"],
)
def test_what_is_wrong_with_a_csv_file_is_said_with_its_line(
    text: str, words: str, tmp_path: Path
) -> None:
    """A short row loses no times without a word, and no reader's jargon reaches the user."""
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=words):
        read_requests(path, cases.workload(tmp_path))


def test_csv_rows_are_named_by_number_where_a_cell_spans_lines(tmp_path: Path) -> None:
    """A line number would be wrong below a quoted line break."""
    path = tmp_path / "t.csv"
    broken = ROW.replace("{", "{\n", 1)
    path.write_text(HEADER + broken + ROW.replace("r0", "r1").replace("sketch", "x"))
    with pytest.raises(InputError, match="row 2, workflow_id: 'x'"):
        read_requests(path, cases.workload(tmp_path))


def test_blank_lines_at_the_end_of_a_table_are_no_requests(tmp_path: Path) -> None:
    """Editors and spreadsheets leave them there."""
    path = tmp_path / "t.csv"
    path.write_text(HEADER + ROW + "\n,,,\n\n")
    assert read_requests(path, cases.workload(tmp_path)).n_requests == 1


@pytest.mark.parametrize("form", ["parquet", "csv"])
@pytest.mark.parametrize("gone", [1, 2, 3])
def test_every_column_that_is_missing_is_told(gone: int, form: str, tmp_path: Path) -> None:
    """All at once, whatever else there is; none that is there."""
    needed = ("request_id", "timestamp", "workflow_id")
    for missing in combinations(needed, gone):
        left = {name: KINDS[kind] for name, kind in USUAL.items() if name not in missing}
        path = _write_table(tmp_path, form, pl.DataFrame(left))
        with pytest.raises(InputError) as refused:
            read_requests(path, cases.workload(tmp_path))
        told = [name for name in needed if f"column {name}: is missing" in str(refused.value)]
        assert told == list(missing)
