"""The execution log: what ran where and when, as JSON or Parquet (DESIGN 8)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import orjson

from placement.atomic import replacing
from placement.cluster import FloatArray, IntArray
from runtime.metrics import Metrics, measure, summarize
from runtime.result import RunResult

Column = FloatArray | IntArray | list[str]

CHUNK = 50_000
"""Executions turned into text at a time, so that a long log needs little memory."""


def write_log(path: str | os.PathLike[str], run: RunResult, metrics: Metrics | None = None) -> None:
    """Write the execution log of a run: Parquet where the name ends so, else JSON.

    The Parquet file holds one row per execution and the rest (``summary``,
    ``gpu_assignments``, ``server_assignments``) as JSON in its key-value metadata.

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


def execution_columns(run: RunResult, rows: IntArray) -> dict[str, Column]:
    """Columns of the log for some executions: arrays, and lists of str; all of one length."""
    problem = run.problem
    request = np.searchsorted(problem.offset, rows, side="right") - 1
    workflow = problem.workflow[request]
    node = problem.first_node[workflow] + rows - problem.offset[request]
    replica = run.replica[rows]
    node_ids = [n.id for w in problem.workload.workflows for n in w.nodes]
    model_ids = [m.id for m in problem.workload.models]
    ids = problem.trace.request_ids
    start, end = run.start_s[rows], run.end_s[rows]
    switch = np.zeros(len(rows)) if run.switch_s is None else run.switch_s[rows]
    return {
        "request_id": [ids[r] for r in request.tolist()],
        "workflow_id": [problem.workload.workflows[w].id for w in workflow.tolist()],
        "node_id": [node_ids[v] for v in node.tolist()],
        "model_name": [model_ids[m] for m in problem.node_model[node].tolist()],
        "gpu_id": problem.replica_first_gpu[replica],
        "gpus": problem.replica_gpus[replica],
        "server_id": problem.replica_server[replica],
        "start_time": start,
        "end_time": end,
        "execution_time": end - start,
        "estimated_time": _estimates(run)[node],
        "switch_time": switch,
        "waiting_time": start - run.ready_s[rows],
    }


def _estimates(run: RunResult) -> FloatArray:
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


def _chunks(run: RunResult) -> Iterator[dict[str, Column]]:
    """Columns of what ran, in order of start, `CHUNK` executions at a time."""
    ran = np.flatnonzero(run.ran)
    ran = ran[np.argsort(run.start_s[ran], kind="stable")]
    # A run in which nothing ran still has its columns.
    for begin in range(0, max(1, len(ran)), CHUNK):
        yield execution_columns(run, ran[begin : begin + CHUNK])


def _write_json(path: Path, run: RunResult, metrics: Metrics) -> None:
    head = {"summary": summarize(run, metrics), **assignments(run, metrics)}
    with path.open("wb") as file:
        # The executions are written as they are made: the object's brace stays open for them.
        file.write(orjson.dumps(head, option=orjson.OPT_INDENT_2)[:-2] + b',\n  "executions": [')
        separator = b"\n    "
        for columns in _chunks(run):
            rows = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in columns.items()}
            blocks = zip(rows["gpu_id"], rows.pop("gpus"), strict=True)
            rows["gpu_ids"] = [list(range(first, first + gpus)) for first, gpus in blocks]
            for row in zip(*rows.values(), strict=True):
                file.write(separator + orjson.dumps(dict(zip(rows, row, strict=True))))
                separator = b",\n    "
        file.write(b"\n  ]\n}\n")


def _write_parquet(path: Path, run: RunResult, metrics: Metrics) -> None:
    import polars as pl  # a quarter of a second that a JSON log need not pay

    frames = []
    for columns in _chunks(run):
        text = {name: pl.String for name, values in columns.items() if isinstance(values, list)}
        frame = pl.DataFrame(columns, schema_overrides=text)
        gpus = pl.int_ranges(pl.col("gpu_id"), pl.col("gpu_id") + pl.col("gpus"))
        frames.append(frame.with_columns(gpus.alias("gpu_ids")).drop("gpus"))
    head = {"summary": summarize(run, metrics), **assignments(run, metrics)}
    metadata = {key: orjson.dumps(value).decode() for key, value in head.items()}
    pl.concat(frames).write_parquet(path, metadata=metadata)
