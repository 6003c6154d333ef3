"""Logs read back: every execution found again, and a sentence for what is no log of this trace."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from placement.problem.cluster import Cluster, GpuSharing
from placement.problem.solution import Placement
from placement.problem.variants import as_run, variant
from placement.problem.workload import Edge, Node, Workflow, Workload
from placement.support.faults import InputError
from runtime.calibration.errors import compare
from runtime.calibration.fit import calibrate
from runtime.calibration.observed import observe, read_log
from runtime.log import write_log
from runtime.simulate import simulate_placement
from tests.runtime.calibration.cases import as_log, trace, two_gpus, workload
from tests.runtime.cases import model, trace_of

Rows = list[dict[str, Any]]


def run_of() -> Any:
    """A run on one server twice as fast as the trace expects."""
    of = workload(prefill_time_s=0.1, slowdown=(1.0, 1.2), max_concurrency=2)
    cluster, placement = two_gpus(GpuSharing())
    fast = replace(cluster, server_types=tuple(replace(t, speed=2.0) for t in cluster.server_types))
    asked = trace(of, seed=4, requests=25)
    return simulate_placement(of, asked, fast, placement), asked, of, fast


@pytest.mark.parametrize("suffix", [".json", ".parquet"])
def test_a_log_of_a_run_gives_its_executions_back(suffix: str, tmp_path: Path) -> None:
    """Times, replicas by model and block, and what the trace expects at the server's speed."""
    run, asked, of, cluster = run_of()
    path = tmp_path / f"log{suffix}"
    write_log(path, run)
    found = observe(read_log(path), of, asked, cluster)
    seen = as_log(run, asked, of)
    order = np.argsort(found.execution)
    np.testing.assert_array_equal(found.execution[order], seen.execution)
    np.testing.assert_allclose(found.start_s[order], seen.start_s)
    np.testing.assert_allclose(found.end_s[order], seen.end_s)
    np.testing.assert_allclose(found.alone_s[order], seen.alone_s / 2.0)
    np.testing.assert_allclose(found.prefill_s[order], seen.prefill_s / 2.0)
    for name in ("model", "first_gpu", "gpus"):
        mine = getattr(found, name)[found.replica[order]]
        np.testing.assert_array_equal(mine, getattr(seen, name)[seen.replica])


def written(folder: Path, change: Callable[[Rows], None]) -> Path:
    run, _, _, _ = run_of()
    path = folder / "log.json"
    write_log(path, run)
    log = json.loads(path.read_text())
    change(log["executions"])
    path.write_text(json.dumps(log))
    return path


def every(key: str, value: Any) -> Callable[[Rows], None]:
    return lambda rows: [row.update({key: value}) for row in rows]  # type: ignore[func-returns-value]


def second(key: str, value: Any) -> Callable[[Rows], None]:
    return lambda rows: rows[1].update({key: value})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (second("end_time", -1.0), r"executions\[1\]: ends before it starts"),
        (second("gpu_ids", []), r"executions\[1\]: has no gpu_ids"),
        (second("server_id", -1), r"executions\[1\]: names a server below 0"),
        (second("start_time", None), "executions: have a start_time that is none"),
        (every("server_id", "0"), "executions: have a server_id that is none"),
        (every("gpu_ids", 0), "executions: have a gpu_ids that is none"),
        (lambda rows: [row.pop("end_time") for row in rows], "executions: do not say end_time"),
    ],
)
def test_what_no_log_can_say_is_named(change: Any, said: str, tmp_path: Path) -> None:
    """With the row, or the column."""
    path = written(tmp_path, change)
    with pytest.raises(InputError, match=said):
        read_log(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "is no execution log"), ('{"executions": 3}', "is no execution log"),
        ("{", "is neither JSON nor Parquet"), ("PAR1", "is neither JSON nor Parquet"),
    ],
)  # fmt: skip
def test_what_is_no_log_is_said(text: str, said: str, tmp_path: Path) -> None:
    """Whatever it is."""
    (tmp_path / "log.json").write_text(text)
    with pytest.raises(InputError, match=said):
        read_log(tmp_path / "log.json")


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("request_id", "nobody", r"executions\[0\]: request 'nobody' is not in"),
        ("node_id", "nothing", r"executions\[0\]: node 'nothing' is not in"),
        ("model_name", "none", r"executions\[0\]: model 'none' is not in"),
        ("server_id", 1, "executions: name server 1, and the plan has 1"),
    ],
)
def test_a_log_of_another_trace_is_told_apart(
    column: str, value: Any, said: str, tmp_path: Path
) -> None:
    """By the first that is not there."""
    run, asked, of, cluster = run_of()
    write_log(tmp_path / "log.json", run)
    frame = read_log(tmp_path / "log.json").with_columns(pl.lit(value).alias(column))
    with pytest.raises(InputError, match=said):
        observe(frame, of, asked, cluster)


def test_steps_repeats_and_shared_prefixes_are_what_they_were(tmp_path: Path) -> None:
    """The log of a run whose laws are those stated is explained by them, whatever its calls were.

    A search needs no GPU, a draft was made up to three times, an answer saves part of the prefill
    of what its replica read before, and nobody calls the last model.
    """
    talk = replace(model("talk", prefill_time_s=0.4), max_concurrency=2, slowdown=(1.0, 1.3))
    models = (talk, replace(model("search"), gpus_required=0), model("idle"))
    nodes = (Node("draft", 0), Node("search", 1), Node("answer", 0))
    edges = (Edge(0, 1), Edge(1, 2), Edge(0, 2, shared_prefix=0.75))
    flow = Workflow("w", "w", nodes, edges)
    of = Workload(models, (flow,))
    rng = np.random.default_rng(0)
    times = rng.integers(1, 4, 60)
    variants = tuple(variant(flow, (n, 1, 1)) for n in (2, 3))
    asked = replace(
        trace_of(
            Workload(models, (flow, *variants)),
            np.cumsum(rng.exponential(1.5, 60)),
            times - 1,
            rng.uniform(0.5, 1.5, int((times + 2).sum())),
        ),
        variants=variants,
    )
    cluster = Cluster.homogeneous(2, 2)
    placement = Placement.of([(0, 0, 0), (0, 0, 1)])
    run = simulate_placement(as_run(of, asked), asked, cluster, placement)
    write_log(tmp_path / "log.json", run)
    found = observe(read_log(tmp_path / "log.json"), of, asked, cluster)
    assert len(found.execution) + len(found.step) == asked.n_executions
    alone = found.end_s - found.start_s
    assert (alone > found.alone_s - 1e-9).all()
    # Part of the time nobody else is there: then a call takes just what it is expected to.
    assert (alone < found.alone_s + 1e-9).sum() > 20
    fitted = calibrate(found, as_run(of, asked), cluster)
    assert {e.name: e.after[0] for e in fitted.estimates if e.model == "talk"} == {
        "service_time": pytest.approx(1.0, abs=1e-6),
        "slowdown": pytest.approx(1.3, abs=1e-6),
        "prefill_time_seconds": pytest.approx(0.4, abs=1e-6),
    }
    assert compare(found, asked, run).per_request == pytest.approx(0.0, abs=1e-9)
