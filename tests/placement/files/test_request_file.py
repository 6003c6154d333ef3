"""A trace reads the same in every format, and every fault of it is named in each."""

import json
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from placement.files.request_file import read_requests
from placement.problem.trace import prefill_times
from placement.support.faults import InputError
from tests.placement.files.cases import (
    CONFIG,
    FORMATS,
    REQUESTS,
    Change,
    changed,
    workload,
    write_document,
    write_requests,
)

TIMES = "node_execution_times"


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_gives_the_same_trace(form: str, tmp_path: Path) -> None:
    """Ids, arrivals, workflows and the service time of every node, in the order of the nodes."""
    trace = read_requests(write_requests(tmp_path, form, REQUESTS), workload(tmp_path))
    assert list(trace.request_ids) == [f"r{i}" for i in range(6)]
    np.testing.assert_allclose(trace.arrival_s, np.arange(6.0))
    np.testing.assert_array_equal(trace.workflow, [0, 1, 0, 1, 0, 1])
    np.testing.assert_array_equal(trace.offset, [0, 3, 4, 7, 8, 11, 12])
    np.testing.assert_allclose(trace.service_s, [1.5, 2.0, 0.5, 3.0] * 3)
    assert trace.start == datetime(2026, 1, 1, 0, 0, 0, 250_000)


@pytest.mark.parametrize("form", FORMATS)
def test_times_left_out_come_from_the_config(form: str, tmp_path: Path) -> None:
    """token_mean / tokens_per_second, else inference_time_mean, node by node."""

    def leave_out(requests: Any) -> None:
        del requests[0][TIMES]["plan"]
        del requests[1][TIMES]
        requests[2][TIMES] = {}

    path = write_requests(tmp_path, form, changed(REQUESTS, leave_out))
    service = read_requests(path, workload(tmp_path)).service_s
    np.testing.assert_allclose(service[:7], [2.0, 2.0, 0.5, 2.5, 2.0, 2.5, 2.0])


def at(i: int, **fields: Any) -> Change:
    return lambda requests: requests[i].update(fields)


FAULTS: list[tuple[str, Change, str, tuple[str, ...]]] = [
    ("id twice", at(3, request_id="r1"), "request_id", ("'r1' is the id of an earlier", "own id")),
    ("no id", at(3, request_id=""), "request_id", ("is missing", "name it")),
    (
        "unknown workflow",
        at(3, workflow_id="sketsh"),
        "workflow_id",
        ("'sketsh' is no workflow", "did you mean 'sketch'?"),
    ),
    ("no time stamp", at(3, timestamp="yesterday"), "timestamp", ("'yesterday'", "ISO 8601")),
    ("a number for a stamp", at(3, timestamp="1767225600"), "timestamp", ("no time stamp",)),
    ("month 13", at(3, timestamp="2026-13-01T00:00:00"), "timestamp", ("no time stamp",)),
    ("out of order", at(3, timestamp="2025-12-31T23:59:59"), "timestamp", ("'r3'", "sort")),
    (
        "another time zone",
        at(3, timestamp="2026-01-01T00:00:03+02:00"),
        "timestamp",
        ("offset +02:00, where the first has no time zone", "one time zone"),
    ),
    ("unknown node", at(3, **{TIMES: {"drow": 1.0}}), TIMES, ("'drow'", "did you mean 'draw'?")),
    ("negative time", at(3, **{TIMES: {"draw": -1.0}}), f"{TIMES}.draw", ("is -1.0", "from 0")),
    ("huge time", at(3, **{TIMES: {"draw": 1e30}}), f"{TIMES}.draw", ("is 1e+30",)),
    ("text for a time", at(3, **{TIMES: {"draw": "fast"}}), f"{TIMES}.draw", ("'fast'", "number")),
    ("truth for a time", at(3, **{TIMES: {"draw": True}}), f"{TIMES}.draw", ("is true",)),
    (
        "a time that nobody states",
        at(3, workflow_id="quiet", **{TIMES: {}}),
        f"{TIMES}.hush",
        ("model 'silent' states no service time", "inference_time_mean"),
    ),
]


def place_of(form: str, path: Path, i: int) -> str:
    """Where request i stands in a file written by `write_requests`, less the field."""
    if form == "jsonl":
        return f"line {i + 1}, "
    if form == "csv":
        return f"line {i + 2}, "
    if form == "parquet":
        return f"row {i + 1}, "
    return f"requests[{i}]."


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("change", "key", "words"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS]
)
def test_a_fault_is_named_with_its_place_and_mend(
    change: Change, key: str, words: tuple[str, ...], form: str, tmp_path: Path
) -> None:
    """The request and field at fault, what is wrong and what to do, whatever the format."""
    path = write_requests(tmp_path, form, changed(REQUESTS, change))
    with pytest.raises(InputError) as caught:
        read_requests(path, workload(tmp_path))
    text = str(caught.value)
    assert len(caught.value.faults) == 1, text
    assert text.startswith(f"{path}: {place_of(form, path, 3)}{key}"), text
    assert "; " in text
    for word in words:
        assert word in text


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_documents_name_the_line(form: str, tmp_path: Path) -> None:
    """The line of the field, as it is in the file."""
    path = write_requests(tmp_path, form, changed(REQUESTS, at(3, workflow_id="sketsh")))
    rows = path.read_text().splitlines()
    line = next(i for i, row in enumerate(rows, 1) if "sketsh" in row)
    with pytest.raises(InputError, match=rf"requests\[3\]\.workflow_id \(line {line}\)"):
        read_requests(path, workload(tmp_path))


@pytest.mark.parametrize("form", FORMATS)
def test_faults_of_several_requests_are_reported_together(form: str, tmp_path: Path) -> None:
    """An unknown workflow hides neither a repeated id nor an unknown node nor the disorder."""

    def spoil(requests: Any) -> None:
        requests[1]["workflow_id"] = "nothing like it"
        requests[2]["request_id"] = "r0"
        requests[3][TIMES] = {"drow": 1.0, "draw": 1.0}
        requests[5]["timestamp"] = "2026-01-01T00:00:00"

    path = write_requests(tmp_path, form, changed(REQUESTS, spoil))
    with pytest.raises(InputError) as caught:
        read_requests(path, workload(tmp_path))
    assert len(caught.value.faults) == 4
    for word in ("'nothing like it'", "'r0'", "'drow'", "arrives before"):
        assert word in str(caught.value)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("field", ["request_id", "timestamp", "workflow_id"])
def test_a_missing_field_is_named_and_what_it_may_have_been_misspelt_as(
    field: str, form: str, tmp_path: Path
) -> None:
    """A required field that no request has: said so, with the nearest name there is."""

    def misspell(requests: Any) -> None:
        for request in requests:
            request[field + "s"] = request.pop(field)

    path = write_requests(tmp_path, form, changed(REQUESTS, misspell))
    with pytest.raises(InputError, match=rf"{field}( \(line \d+\))?: is missing") as caught:
        read_requests(path, workload(tmp_path))
    assert f"{field}s" in str(caught.value)


@pytest.mark.parametrize("form", FORMATS)
def test_a_misspelt_optional_field_does_not_lose_the_times_without_a_word(
    form: str, tmp_path: Path
) -> None:
    """`node_exec_times` would silently be replaced by the config's means."""

    def misspell(requests: Any) -> None:
        for request in requests:
            request["node_exec_times"] = request.pop(TIMES)

    path = write_requests(tmp_path, form, changed(REQUESTS, misspell))
    with pytest.raises(InputError, match=f"node_exec_times.*'{TIMES}'"):
        read_requests(path, workload(tmp_path))


@pytest.mark.parametrize("form", FORMATS)
def test_an_empty_trace_is_refused(form: str, tmp_path: Path) -> None:
    """No request, no plan."""
    path = write_requests(tmp_path, form, REQUESTS[:1])
    if form == "parquet":
        pl.read_parquet(path).head(0).write_parquet(path)
    elif form == "csv":
        path.write_text(path.read_text().splitlines()[0] + "\n")
    elif form == "jsonl":
        path.write_text("\n\n")
    else:
        write_document(path, {"requests": []})
    with pytest.raises(InputError, match="holds no request"):
        read_requests(path, workload(tmp_path))


def test_a_config_given_as_requests_is_recognised(tmp_path: Path) -> None:
    """The two options are easily swapped."""
    with pytest.raises(InputError, match="is a config, not a trace; give it to --config"):
        read_requests(write_document(tmp_path / "c.yaml", CONFIG), workload(tmp_path))


@pytest.mark.parametrize("form", FORMATS)
def test_broken_json_of_times_names_the_request(form: str, tmp_path: Path) -> None:
    """Bad JSON in a cell, or a list in place of a mapping."""
    if form in ("csv", "parquet"):
        broken = at(3, **{TIMES: '{"draw": 1.0'})
        path = write_requests(tmp_path, form, changed(REQUESTS, broken))
        with pytest.raises(InputError, match=r"(line 5|row 4), .*ends too early"):
            read_requests(path, workload(tmp_path))
        return
    path = write_requests(tmp_path, form, changed(REQUESTS, at(3, **{TIMES: [1.0]})))
    with pytest.raises(InputError, match="is a list, not a mapping"):
        read_requests(path, workload(tmp_path))


def test_batches_of_a_long_file_are_one_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faults across the seams are found: repeated ids, disorder, another time zone."""
    monkeypatch.setattr("placement.files.requests.records.CHUNK_BYTES", 200)
    monkeypatch.setattr("placement.files.requests.tables.ROWS", 2)
    flows = workload(tmp_path)
    for form in ("jsonl", "csv", "parquet"):
        trace = read_requests(write_requests(tmp_path, form, REQUESTS), flows)
        assert trace.n_requests == 6
        for change, words in (
            (at(4, request_id="r0"), "'r0' is the id of an earlier"),
            (at(4, timestamp="2026-01-01"), "arrives before"),
            (at(4, timestamp="2026-01-01T00:00:04Z"), r"offset \+00:00"),
        ):
            path = write_requests(tmp_path, form, changed(REQUESTS, change))
            with pytest.raises(InputError, match=words):
                read_requests(path, flows)


@pytest.mark.parametrize(
    ("stamps", "seconds"),
    [
        (["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z"], 0.5),
        (["2026-01-01 00:00:00.9999999", "2026-01-01 00:00:01.0000009"], 1e-6),
        (["2026-01-01T00:00:00+05:30", "2026-01-01T01:00:00+05:30"], 3600.0),
        (["2026-01-01", "2026-01-02"], 86400.0),
        (["20260101T000000", "20260101T000001"], 1.0),
        (["2023-11-16 18:15:46.6805900", "2023-11-16 18:15:50.9951690"], 4.314579),
    ],
)
def test_time_stamps_of_iso_8601(stamps: list[str], seconds: float, tmp_path: Path) -> None:
    """With and without zone, with a space, in the basic form, with seven digits."""
    requests = [{**r, "timestamp": s} for r, s in zip(REQUESTS, stamps, strict=False)]
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(json.dumps(r) for r in requests))
    trace = read_requests(path, workload(tmp_path))
    np.testing.assert_allclose(trace.arrival_s, [0.0, seconds], atol=1e-9)


def stated(seconds: dict[str, object] | None) -> list[dict[str, Any]]:
    """The requests, of which the first states prefills."""
    return changed(REQUESTS, lambda r: r[0].update(node_prefill_times=seconds))


@pytest.mark.parametrize("form", FORMATS)
def test_a_trace_may_state_prefills(form: str, tmp_path: Path) -> None:
    """Where it states none, the model's counts; without any, nothing is kept."""
    config = workload(tmp_path)
    requests = stated({"plan": 0.5, "draw": None})
    trace = read_requests(write_requests(tmp_path, form, requests), config)
    prefill = trace.stated_prefill_s
    assert prefill is not None
    np.testing.assert_array_equal(prefill[:3], [0.5, np.nan, np.nan])
    assert np.isnan(prefill[3:]).all()
    assert len(prefill) == trace.n_executions
    models = tuple(replace(m, prefill_time_s=0.25) for m in config.models)
    model_s = prefill_times(replace(config, models=models), trace)
    np.testing.assert_array_equal(model_s, [0.5] + [0.25] * (trace.n_executions - 1))
    plain = read_requests(write_requests(tmp_path, form, REQUESTS), config)
    assert plain.stated_prefill_s is None


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        ({"plan": 1.75}, "node_prefill_times.plan: is 1.75 s of a call that takes 1.5 s"),
        ({"plan": -1}, "node_prefill_times.plan: is -1"),
        ({"plon": 1.0}, "'plon' is no node of workflow 'story'"),
    ],
)
def test_a_wrong_prefill_is_named(
    seconds: dict[str, object], words: str, form: str, tmp_path: Path
) -> None:
    """Longer than its call, negative, or of a node that is none: where, and what."""
    path = write_requests(tmp_path, form, stated(seconds))
    with pytest.raises(InputError) as caught:
        read_requests(path, workload(tmp_path))
    assert words in re.sub(r" \(line \d+\)", "", str(caught.value))
