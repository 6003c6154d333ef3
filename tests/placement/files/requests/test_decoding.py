"""Traces decoded a column at a time are read as those read one request after the other are."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import orjson
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.files.request_file import read_requests
from placement.files.requests import decoding, records
from placement.problem.trace import Trace
from placement.problem.workload import Model, Node, Workflow, Workload
from placement.support.faults import InputError

MODEL = Model("m", "m", 1.0, 1, 0.0, inference_time_mean_s=1.0)
WORKLOAD = Workload(
    (MODEL,),
    (
        Workflow("one", "one", (Node("a", 0),)),
        Workflow("two", "two", (Node("a", 0), Node("b", 0))),
    ),
)

NUMBER = st.one_of(
    st.floats(0, 1e6).map(repr),
    st.sampled_from(["0", "1", "1.50", "2e1", "1E-3", "-1", "01", ".5", "1.", "NaN", "1e400",
                     "1e13", "true", "null", '"1"', "[1]", "{}", "-0.0"]),
)  # fmt: skip
NAME = st.sampled_from(['"a"', '"b"', '"a"', '"b"', '"c"', '"\\u0061"', '"a\\""', '""', '"a":"b"'])
SPACE = st.sampled_from(["", "", "", " ", "  ", "\t"])
PLAIN = st.sampled_from(['{"a": 1.5}', '{"a": 0.25, "b": 3}', '{"b":2,"a":1}'])
OBJECT = st.one_of(
    PLAIN,
    PLAIN,
    st.lists(st.tuples(NAME, SPACE, NUMBER), max_size=3).map(
        lambda pairs: "{" + ", ".join(f"{n}:{s}{v}" for n, s, v in pairs) + "}"
    ),
    st.sampled_from(["null", "[]", "1", '"text"', "", "{", '{"a": 1} x']),
)
FLOW = st.sampled_from(['"one"', '"two"', '"two"', '"three"', "1"])


def lines_of(objects: list[tuple[str, str]], extra: list[str]) -> list[str]:
    return [
        f'{{"request_id": "r{i}", "timestamp": "2026-01-01T00:00:0{i}", "workflow_id": {flow}, '
        f'"node_execution_times": {times or "null"}{more}}}'
        for i, ((flow, times), more) in enumerate(zip(objects, extra, strict=True))
    ]


def outcome(path: Path) -> Trace | str:
    try:
        return read_requests(path, WORKLOAD)
    except InputError as error:
        return str(error)


EXTRA = st.sampled_from(["", "", "", ', "metadata": {}', ', "request_id": "r9"', ', "other": 1'])
ROWS = st.integers(1, 4).flatmap(
    lambda n: st.tuples(
        st.lists(st.tuples(FLOW, OBJECT), min_size=n, max_size=n),
        st.lists(EXTRA, min_size=n, max_size=n),
    )
)


@given(rows=ROWS, form=st.sampled_from(["jsonl", "csv", "parquet"]))
@settings(max_examples=300, deadline=None)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_column_at_once_or_one_by_one(
    rows: tuple[list[tuple[str, str]], list[str]], form: str
) -> None:
    """The same trace, or the same sentences on what is wrong."""
    objects, extra = rows
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder) / f"trace.{form}"
        if form == "jsonl":
            path.write_text("\n".join(lines_of(objects, extra)) + "\n")
        else:
            columns = ("request_id", "timestamp", "workflow_id", "node_execution_times")
            table = [
                (f"r{i}", f"2026-01-01T00:00:0{i}", flow.strip('"'), times)
                for i, (flow, times) in enumerate(objects)
            ]
            if form == "csv":
                with path.open("w", newline="") as file:
                    csv.writer(file).writerows([columns, *table])
            else:
                pl.DataFrame(
                    table, schema=dict.fromkeys(columns, pl.String), orient="row"
                ).write_parquet(path)
        patch.setattr(records, "FAST_FROM", 1)
        at_once = outcome(path)
        patch.setattr(decoding, "MOST_DECODED_NODES", 0)
        assert at_once == outcome(path)
        patch.setattr(records, "FAST_FROM", 10**9)
        assert at_once == outcome(path)


@pytest.mark.parametrize("form", ["jsonl", "text"])
def test_plain_traces_are_decoded_at_once(form: str) -> None:
    """To the last bit as one by one; otherwise the test above compares nothing."""
    rng = np.random.default_rng(0)
    seconds = rng.random((500, 2)) * 10.0 ** rng.integers(-9, 5, (500, 2))
    objects = [{"b": b} if i % 3 else {"a": a, "b": b} for i, (a, b) in enumerate(seconds.tolist())]
    if form == "text":
        found = decoding.decode_seconds(pl.Series(map(json.dumps, objects)), ["a", "b", "c"])
    else:
        lines = lines_of([('"two"', orjson.dumps(o).decode()) for o in objects], [""] * 500)
        decoded = decoding.decode_requests("\n".join(lines).encode(), ["a", "b", "c"])
        assert decoded is not None
        fields, found = decoded
        assert fields["request_id"].to_list() == [f"r{i}" for i in range(500)]
    assert found is not None
    assert found.given == sum(map(len, objects))
    np.testing.assert_array_equal(found.columns["b"], seconds[:, 1])
    np.testing.assert_array_equal(found.columns["a"][::3], seconds[::3, 0])
    assert np.isnan(found.columns["a"][1::3]).all()
    assert np.isnan(found.columns["c"]).all()


NOISE = st.sampled_from(
    [
        b"\x1f",
        b"\x1f{}",
        b"\xff",
        b"\x00",
        b"\r",
        b"\n",
        b"\n\n",
        b" ",
        b'"',
        b",",
        b"\xc3\xa9",
        b"\t",
    ]
)


@given(
    noise=st.lists(st.tuples(st.integers(0, 999), NOISE), max_size=2),
    kept=st.integers(0, 999),
    end=st.sampled_from([b"", b"\n", b"\r\n", b"\n\n", b"\n  \n"]),
    bytes_read=st.sampled_from([1, 150, 10**6]),
)
@settings(max_examples=300, deadline=None)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_bytes_that_do_not_belong(
    noise: list[tuple[int, bytes]], kept: int, end: bytes, bytes_read: int
) -> None:
    """Lines are the same lines, however many are read and decoded at once."""
    objects = [('"two"', '{"a": 0.25, "b": 3}'), ('"one"', '{"a": 1.5}'), ('"two"', '{"b": 2.5}')]
    raw = "\n".join(lines_of(objects, [""] * 3)).encode() + end
    for at, what in noise:
        at %= len(raw) + 1
        raw = raw[:at] + what + raw[at:]
    if kept > 900:
        raw = raw[: kept % len(raw)]
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder) / "trace.jsonl"
        path.write_bytes(raw)
        patch.setattr(records, "FAST_FROM", 10**9)
        whole = outcome(path)
        patch.setattr(records, "CHUNK_BYTES", bytes_read)
        one_by_one = outcome(path)
        # Of lines read apart the first that is wrong is told, of those read at once the worst.
        assert type(one_by_one) is type(whole)
        assert isinstance(whole, str) or one_by_one == whole
        patch.setattr(records, "FAST_FROM", 1)
        assert outcome(path) == one_by_one
