"""What requests bring along is read from every format of a trace."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
import yaml

from placement.support.faults import InputError
from runtime.live.inputs import NOTHING, RequestInput, read_inputs

RECORDS = [
    {"request_id": "a", "input_data": {"prompt": "é", "n": 1}, "node_configs": {"x": {"k": 2}}},
    {"request_id": "b"},
    {"request_id": "c", "input_data": "plain text"},
]
EXPECTED = (
    RequestInput({"prompt": "é", "n": 1}, {"x": {"k": 2}}),
    NOTHING,
    RequestInput("plain text"),
)


@pytest.mark.parametrize("ending", ["json", "yaml", "jsonl", "csv", "parquet"])
def test_inputs_are_the_same_in_every_format(ending: str, tmp_path: Path) -> None:
    """By request, in the order that is asked for; a request that brings nothing has nothing."""
    path = tmp_path / f"trace.{ending}"
    cells = [
        {k: json.dumps(v) if isinstance(v, dict) else v for k, v in record.items()}
        for record in RECORDS
    ]
    match ending:
        case "json":
            path.write_text(json.dumps({"requests": RECORDS}))
        case "yaml":
            path.write_text(yaml.safe_dump(RECORDS))
        case "jsonl":
            path.write_text("\n".join(map(json.dumps, RECORDS)) + "\n\n")
        case "csv":
            pl.DataFrame(cells).write_csv(path)
        case "parquet":
            pl.DataFrame(cells).write_parquet(path)
    assert read_inputs(path, ["a", "b", "c"]) == EXPECTED
    assert read_inputs(path, ["c", "a"]) == (EXPECTED[2], EXPECTED[0])


def test_a_table_without_inputs_brings_none(tmp_path: Path) -> None:
    """Its columns are not looked for."""
    path = tmp_path / "trace.csv"
    pl.DataFrame({"request_id": ["a"], "timestamp": ["x"]}).write_csv(path)
    assert read_inputs(path, ["a"]) == (NOTHING,)


def test_a_broken_cell_is_said(tmp_path: Path) -> None:
    """By its row and column."""
    path = tmp_path / "trace.csv"
    pl.DataFrame({"request_id": ["a", "b"], "input_data": ["{}", "{"]}).write_csv(path)
    with pytest.raises(InputError, match="row 2, input_data"):
        read_inputs(path, ["a", "b"])
