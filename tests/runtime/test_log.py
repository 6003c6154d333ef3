"""The execution log in both formats: the same rows, whatever the names, whole or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import runtime.log
from runtime.log import write_log
from runtime.result import RunResult
from runtime.simulate import simulate
from tests.runtime.cases import random_case

FORMATS = ("json", "parquet")
HOSTILE = ('a "quoted" name', "line\nbreak", "\\n", "},\n{", "naïve 模型 \u2028", "\t")


def run(seed: int, prefix: str = "") -> RunResult:
    case = random_case(seed)
    trace = replace(case.trace, request_ids=[prefix + r for r in case.trace.request_ids])
    return simulate(
        case.workload, trace, case.cluster, case.placement, case.routing,
        mode=case.mode, policy="earliest", engine="reference",
    )  # fmt: skip


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
    monkeypatch.setattr(runtime.log, "CHUNK", 7)
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

    monkeypatch.setattr(runtime.log, "CHUNK", 1)
    monkeypatch.setattr(runtime.log, "execution_frame", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_log(path, run(3))
    assert calls == 3
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "what was there"
