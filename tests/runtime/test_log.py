"""The execution log in both formats: the same rows, whatever the names, whole or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import runtime.log
from placement.problem.cluster import Cluster
from placement.problem.solution import Placement
from placement.problem.workload import Node, Workflow, Workload
from runtime.log import write_log
from runtime.result import RunResult
from runtime.simulate import Dispatch, simulate_placement
from runtime.timeline import write_timeline
from tests.placement.names import several
from tests.runtime.cases import model, random_case, trace_of

FORMATS = ("json", "parquet")
HOSTILE = ('a "quoted" name', "line\nbreak", "\\n", "},\n{", "naïve 模型 \u2028", "\t")


def run(seed: int, prefix: str = "") -> RunResult:
    case = random_case(seed)
    trace = replace(case.trace, request_ids=[prefix + r for r in case.trace.request_ids])
    return simulate_placement(
        case.workload,
        trace,
        case.cluster,
        case.placement,
        case.routing,
        dispatch=Dispatch(mode=case.mode, policy="earliest"),
        engine="reference",
    )


def rows_of(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return pl.read_parquet(path).to_dicts()
    rows: list[dict[str, Any]] = json.loads(path.read_text())["executions"]
    return rows


@pytest.mark.parametrize("form", FORMATS)
def test_rows_are_the_executions_in_order_of_start(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each execution that ran is one row, at its times and GPUs, however the writer cuts it."""
    monkeypatch.setattr(runtime.log, "LOGGED_ROWS", 7)
    for seed in range(30):
        done = run(seed, prefix=HOSTILE[seed % len(HOSTILE)])
        problem = done.problem
        write_log(tmp_path / f"log.{form}", done)
        rows = rows_of(tmp_path / f"log.{form}")
        starts = [row["start_time"] for row in rows]
        assert starts == sorted(starts)
        expected = []
        for r, request in enumerate(problem.trace.request_ids):
            workflow = problem.workload.workflows[problem.workflow[r]]
            for v, node in enumerate(workflow.nodes):
                e = problem.offset[r] + v
                if done.replica[e] >= 0:
                    p = done.replica[e]
                    first = int(problem.replica_first_gpu[p])
                    gpus = list(range(first, first + int(problem.replica_gpus[p])))
                    model = problem.workload.models[node.model].id
                    server = int(problem.replica_server[p])
                    times = float(done.start_s[e]), float(done.end_s[e])
                    waited = float(done.start_s[e] - done.ready_s[e])
                    where = first, gpus, server
                    expected.append((request, workflow.id, node.id, model, *where, *times, waited))
        found = [
            (
                row["request_id"], row["workflow_id"], row["node_id"], row["model_name"],
                row["gpu_id"], row["gpu_ids"], row["server_id"],
                row["start_time"], row["end_time"], row["waiting_time"],
            )
            for row in rows
        ]  # fmt: skip
        assert sorted(found) == sorted(expected)


def test_both_formats_hold_the_same(tmp_path: Path) -> None:
    """Rows and head of the Parquet log are those of the JSON log, to the last bit."""
    for seed in range(20):
        done = run(seed)
        for form in FORMATS:
            write_log(tmp_path / f"log.{form}", done)
        assert rows_of(tmp_path / "log.parquet") == rows_of(tmp_path / "log.json")
        log = json.loads((tmp_path / "log.json").read_text())
        metadata = pl.read_parquet_metadata(tmp_path / "log.parquet")
        for key in ("summary", "gpu_assignments", "server_assignments"):
            assert json.loads(metadata[key]) == log[key]


def test_the_summary_lists_the_gpus_by_number(tmp_path: Path) -> None:
    """As the log of the original does, so that its readers find what they expect."""
    done = run(2)
    write_log(tmp_path / "log.json", done)
    log = json.loads((tmp_path / "log.json").read_text())
    assert log["summary"]["gpus"] == list(range(done.problem.cluster.n_gpus))
    assert [str(g) for g in log["summary"]["gpus"]] == list(log["gpu_assignments"])


@given(names=several(3), suffix=st.sampled_from([".json", ".parquet", ".trace.json"]))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_logs_and_timelines_can_be_read_whatever_the_names_are(
    names: list[str], suffix: str, tmp_path: Path
) -> None:
    """Requests, workflows, nodes and models of any script, and as long as they may be."""
    nodes = (Node(names[0], 0), Node(names[1], 0))
    workload = Workload((model(names[2]),), (Workflow(names[2], names[2], nodes),))
    trace = trace_of(workload, np.zeros(1), np.zeros(1, dtype=np.int64), np.ones(2))
    trace = replace(trace, request_ids=[names[0]])
    where = Placement(*(np.zeros(1, dtype=np.int64) for _ in range(3)))
    done = simulate_placement(
        workload,
        trace,
        Cluster.homogeneous(1),
        where,
        (None,),
        dispatch=Dispatch(policy="earliest"),
        engine="reference",
    )
    path = tmp_path / f"log{suffix}"
    if suffix == ".trace.json":
        write_timeline(path, done)
        shown = [e for e in json.loads(path.read_text())["traceEvents"] if e["ph"] == "X"]
        assert {e["args"]["node"] for e in shown} == set(names[:2])
        assert {e["args"]["request"] for e in shown} == {names[0]}
        return
    write_log(path, done)
    rows = rows_of(path)
    assert {row["node_id"] for row in rows} == set(names[:2])
    assert {(row["request_id"], row["workflow_id"], row["model_name"]) for row in rows} == {
        (names[0], names[2], names[2])
    }


@pytest.mark.parametrize("form", FORMATS)
def test_a_run_in_which_nothing_ran_has_a_log(form: str, tmp_path: Path) -> None:
    """Where every request failed the log is whole and holds no row."""
    done = run(1)
    nowhere = replace(
        done, replica=np.full_like(done.replica, -1), start_s=done.start_s * np.nan,
        end_s=done.end_s * np.nan, ready_s=done.ready_s * np.nan,
    )  # fmt: skip
    write_log(tmp_path / f"log.{form}", nowhere)
    assert rows_of(tmp_path / f"log.{form}") == []


@pytest.mark.parametrize("form", FORMATS)
def test_an_interrupted_log_leaves_the_old_one(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while the log is written leaves the earlier file as it was, and no other."""
    path = tmp_path / f"log.{form}"
    path.write_text("what was there")
    frame, calls = runtime.log.execution_frame, 0

    def interrupted(*args: Any) -> pl.DataFrame:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return frame(*args)

    monkeypatch.setattr(runtime.log, "LOGGED_ROWS", 1)
    monkeypatch.setattr(runtime.log, "execution_frame", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_log(path, run(3))
    assert calls == 3
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "what was there"
