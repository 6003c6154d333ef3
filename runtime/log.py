"""The execution log: what ran where and when (docs/simulator.md, "What it writes")."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import orjson

from placement.files.atomic import replacing
from placement.problem.cluster import FloatArray, IntArray
from runtime.metrics import Metrics, measure, summarize
from runtime.result import RunResult

if TYPE_CHECKING:
    import polars as pl

LOGGED_ROWS = 20_000
"""Executions turned into text at a time, so that a long log needs little memory."""


def write_log(path: str | os.PathLike[str], run: RunResult, metrics: Metrics | None = None) -> None:
    """Write the execution log of a run: Parquet where the name ends so, else JSON.

    The Parquet file holds one row per execution and the rest (``summary``,
    ``gpu_assignments``, ``server_assignments``) as JSON in its key-value metadata.

    Parameters
    ----------
    path : path-like
        Where to write.
    run : RunResult
        What to write.
    metrics : Metrics, optional
        Of this run, where they are known.

    Raises
    ------
    OSError
        Where the file cannot be written; nothing is then changed.
    """
    metrics = metrics or measure(run)
    with replacing(path) as temporary:
        if Path(path).suffix == ".parquet":
            _write_parquet(temporary, run, metrics)
        else:
            _write_json(temporary, run, metrics)


def assignments(run: RunResult, metrics: Metrics) -> dict[str, dict[str, dict[str, object]]]:
    """Build `gpu_assignments` and `server_assignments`: who holds what, and how busy it was."""
    problem = run.problem
    cluster = problem.cluster
    models: list[list[str]] = [[] for _ in range(cluster.n_gpus)]
    held: list[set[str]] = [set() for _ in range(cluster.n_servers)]
    for p, m in enumerate(problem.placement.model):
        name = problem.workload.models[m].id
        first = int(problem.replica_first_gpu[p])
        held[int(problem.replica_server[p])].add(name)
        for gpu in range(first, first + int(problem.replica_gpus[p])):
            models[gpu].append(name)
    first_gpu = cluster.first_gpu.tolist()
    return {
        "gpu_assignments": {
            str(gpu): {
                "server_id": int(cluster.gpu_server[gpu]),
                "assigned_models": models[gpu],
                "utilization": float(metrics.gpu_utilization[gpu]),
            }
            for gpu in range(cluster.n_gpus)
        },
        "server_assignments": {
            str(server): {
                "gpu_ids": list(range(first, first + int(cluster.server_gpus[server]))),
                "models": sorted(held[server]),
            }
            for server, first in enumerate(first_gpu)
        },
    }


def execution_frame(run: RunResult, rows: IntArray, estimates: FloatArray) -> pl.DataFrame:
    """Rows of the log for some executions, by their numbers.

    Parameters
    ----------
    run : RunResult
    rows : int64
        Numbers of executions that ran.
    estimates : float64, shape (V,)
        Service time to expect of each template node, from `estimate_service`.
    """
    import polars as pl  # a fifth of a second that only tables need

    def named(names: list[str], index: IntArray) -> pl.Series:
        return pl.Series(names, dtype=pl.String).gather(index)

    problem = run.problem
    request = np.searchsorted(problem.offset, rows, side="right") - 1
    workflow = problem.workflow[request]
    node = problem.first_node[workflow] + rows - problem.offset[request]
    replica = run.replica[rows]
    start, end = run.start_s[rows], run.end_s[rows]
    ids = problem.trace.request_ids
    workload = problem.workload
    gpu, gpus = problem.replica_first_gpu[replica], problem.replica_gpus[replica]
    return pl.DataFrame(
        {
            "request_id": pl.Series([ids[r] for r in request.tolist()], dtype=pl.String),
            "workflow_id": named([w.asked_as for w in workload.workflows], workflow),
            "node_id": named([n.id for w in workload.workflows for n in w.nodes], node),
            "model_name": named([m.id for m in workload.models], problem.node_model[node]),
            "gpu_id": np.where(gpus > 0, gpu, -1),
            "gpu_ids": pl.select(pl.int_ranges(pl.lit(gpu), pl.lit(gpu + gpus))).to_series(),
            "server_id": problem.replica_server[replica],
            "start_time": start,
            "end_time": end,
            "execution_time": end - start,
            "estimated_time": estimates[node],
            "switch_time": np.zeros(len(rows)) if run.switch_s is None else run.switch_s[rows],
            "waiting_time": start - run.ready_s[rows],
        }
    )


def estimate_service(run: RunResult) -> FloatArray:
    """Service time to expect of each template node: the config's, else the trace's mean."""
    problem = run.problem
    estimate = np.empty(len(problem.node_model))
    for w, workflow in enumerate(problem.workload.workflows):
        first = problem.offset[:-1][problem.workflow == w]
        for v, node in enumerate(workflow.nodes):
            known = problem.workload.models[node.model].service_time_s
            if known is None:
                known = float(problem.service_s[first + v].mean()) if len(first) else 0.0
            estimate[problem.first_node[w] + v] = known
    return estimate


def _frames(run: RunResult) -> Iterator[pl.DataFrame]:
    """Frames of what ran, in order of start, `LOGGED_ROWS` executions at a time."""
    ran = np.flatnonzero(run.ran)
    ran = ran[np.argsort(run.start_s[ran], kind="stable")]
    estimates = estimate_service(run)
    for begin in range(0, len(ran), LOGGED_ROWS):
        yield execution_frame(run, ran[begin : begin + LOGGED_ROWS], estimates)


def _write_json(path: Path, run: RunResult, metrics: Metrics) -> None:
    head = {"summary": summarize(run, metrics), **assignments(run, metrics)}
    with path.open("wb") as file:
        # The executions are written as they are made: the object's brace stays open for them.
        file.write(orjson.dumps(head, option=orjson.OPT_INDENT_2)[:-2] + b',\n  "executions": [')
        separator = b"\n    "
        for frame in _frames(run):
            # No line break is inside a row: JSON writes those of a text as two characters.
            lines = frame.write_ndjson().encode().rstrip(b"\n")
            file.write(separator + lines.replace(b"\n", b",\n    "))
            separator = b",\n    "
        file.write(b"\n  ]\n}\n")


def _write_parquet(path: Path, run: RunResult, metrics: Metrics) -> None:
    from polars.io.plugins import register_io_source  # loads polars, which only tables need

    head = {"summary": summarize(run, metrics), **assignments(run, metrics)}
    nothing = np.zeros(0, dtype=np.int64)
    schema = execution_frame(run, nothing, estimate_service(run)).schema

    def source(
        columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, size: int | None
    ) -> Iterator[pl.DataFrame]:
        # Nothing is selected or filtered on the way to a file, so all is asked for.
        return _frames(run)

    register_io_source(source, schema=schema).sink_parquet(
        path, metadata={key: orjson.dumps(value).decode() for key, value in head.items()}
    )
