"""Executions as a log has them, beside what the trace expects of each alone."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import orjson
import polars as pl

from placement.problem.blocks import BoolArray
from placement.problem.cluster import Cluster, FloatArray, IntArray
from placement.problem.trace import Trace, prefill_times
from placement.problem.variants import as_run
from placement.problem.workload import Workload
from placement.support.equality import ByContent
from placement.support.faults import input_error

COLUMNS = (
    "request_id", "workflow_id", "node_id", "model_name", "gpu_ids", "server_id",
    "start_time", "end_time",
)  # fmt: skip
"""What an execution of a log must say."""

SORTS: dict[str, type | pl.DataType] = {
    "request_id": pl.String(),
    "node_id": pl.String(),
    "model_name": pl.String(),
    "gpu_ids": pl.List(pl.Int64()),
    "server_id": float,
    "start_time": float,
    "end_time": float,
}
"""Sort of each column that is read; float stands for any number."""

REMEDY = "write one with `gswarm-place execute --log FILE`"


@dataclass(frozen=True, eq=False)
class Observed(ByContent):
    """E executions on P replicas, the times in seconds since the first request arrived.

    Parameters
    ----------
    execution : int64, shape (E,)
        Position in the arrays of the trace.
    replica : int64, shape (E,)
    start_s, end_s : float64, shape (E,)
    alone_s, prefill_s : float64, shape (E,)
        Service time that the trace expects on an idle replica there, and the part of it that is
        prefill.
    prefill_part : float64, shape (E,)
        Part of the prefill that was not saved by a shared prefix.
    model, first_gpu, gpus : int64, shape (P,)
        Of each replica: its model, and the block of GPUs that it holds.
    step : int64, shape (N,)
        Positions of steps that needed no GPU, of which nothing is fitted.
    step_end_s : float64, shape (N,)
        When each ended.
    """

    execution: IntArray
    replica: IntArray
    start_s: FloatArray
    end_s: FloatArray
    alone_s: FloatArray
    prefill_s: FloatArray
    prefill_part: FloatArray
    model: IntArray
    first_gpu: IntArray
    gpus: IntArray
    step: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    step_end_s: FloatArray = field(default_factory=lambda: np.zeros(0))


def read_log(path: str | os.PathLike[str]) -> pl.DataFrame:
    """Read the executions of a log, JSON or Parquet, with the columns that are needed.

    Raises
    ------
    InputError
        The file is no log, or its executions lack a column.
    OSError
        The file cannot be read.
    """
    data = Path(path).read_bytes()
    try:
        if data[:4] == b"PAR1":
            frame = pl.read_parquet(data)
        else:
            document = orjson.loads(data)
            if not isinstance(document, dict) or not isinstance(document.get("executions"), list):
                raise input_error(path, "", "is no execution log: it has no 'executions'", REMEDY)
            frame = pl.DataFrame(document["executions"], infer_schema_length=None)
    except (orjson.JSONDecodeError, pl.exceptions.PolarsError) as error:
        raise input_error(path, "", f"is neither JSON nor Parquet ({error})", REMEDY) from error
    missing = [c for c in COLUMNS if c not in frame.columns]
    if missing:
        raise input_error(path, "executions", f"do not say {', '.join(missing)}", REMEDY)
    frame = frame.select(COLUMNS)
    for column, kind in SORTS.items():
        right = frame.schema[column].is_numeric() if kind is float else (
            frame.schema[column] == kind
        )  # fmt: skip
        if not right or frame[column].null_count():
            raise input_error(path, "executions", f"have a {column} that is none", REMEDY)
    _check_values(path, frame)
    if _are_steps(frame).all():
        raise input_error(path, "executions", "hold no call on a GPU", REMEDY)
    return frame


def _are_steps(frame: pl.DataFrame) -> BoolArray:
    """Which rows are steps without a GPU: they are at no server."""
    gpus, server = frame["gpu_ids"].list.len().to_numpy(), frame["server_id"].to_numpy()
    return np.asarray((gpus == 0) & (server == -1))


def _check_values(path: str | os.PathLike[str], frame: pl.DataFrame) -> None:
    """Refuse times that run backwards and blocks without GPUs, with the row."""
    begin, end = frame["start_time"].to_numpy(), frame["end_time"].to_numpy()
    served = ~_are_steps(frame)
    for wrong, said in (
        (~np.isfinite(begin) | ~np.isfinite(end), "has a time that is no number"),
        (end < begin, "ends before it starts"),
        (served & (frame["gpu_ids"].list.len().to_numpy() == 0), "has no gpu_ids"),
        (served & (frame["server_id"].to_numpy() < 0), "names a server below 0"),
    ):
        if wrong.any():
            raise input_error(path, f"executions[{int(wrong.argmax())}]", said, REMEDY)


def observe(
    frame: pl.DataFrame, workload: Workload, trace: Trace, cluster: Cluster, where: str = "the log"
) -> Observed:
    """Match the executions of a log with the trace, by the ids of requests and nodes.

    Parameters
    ----------
    frame : polars.DataFrame
        An execution a row: ``request_id, node_id, model_name, gpu_ids, server_id, start_time,
        end_time``, times in seconds.
    workload : Workload
        The config that the log was made with.
    trace : Trace
        The requests that it was made with.
    cluster : Cluster
        Speeds of the servers.
    where : str
        Named in errors.

    Raises
    ------
    InputError
        A request, node or model is not that of the trace and the config.
    """
    workload = as_run(workload, trace)
    end_s = frame["end_time"].to_numpy().astype(np.float64)
    position = {id_: r for r, id_ in enumerate(trace.request_ids)}
    nodes = [{n.id: v for v, n in enumerate(w.nodes)} for w in workload.workflows]
    models = {m.id: i for i, m in enumerate(workload.models)}
    prefill = prefill_times(workload, trace)
    execution = np.empty(len(frame), dtype=np.int64)
    blocks: dict[tuple[int, int, int], int] = {}
    replica = np.empty(len(frame), dtype=np.int64)
    for i, row in enumerate(frame.select("request_id", "node_id", "model_name", "gpu_ids").rows()):
        request, node, model, gpus = row
        r = position.get(request)
        v = None if r is None else nodes[int(trace.workflow[r])].get(node)
        if r is None or v is None or model not in models:
            kind, name = (
                ("request", request) if r is None
                else ("node", node) if v is None
                else ("model", model)
            )  # fmt: skip
            raise input_error(
                where,
                f"executions[{i}]",
                f"{kind} {name!r} is not in the config and the trace",
                "give those that the log was made with",
            )
        execution[i] = trace.offset[r] + v
        if gpus:
            block = models[model], int(gpus[0]), len(gpus)
            replica[i] = blocks.setdefault(block, len(blocks))
    steps = _are_steps(frame)
    step, step_end_s = execution[steps], end_s[steps]
    frame, execution, replica = frame.filter(~steps), execution[~steps], replica[~steps]
    servers = frame["server_id"].to_numpy().astype(np.int64)
    if servers.max() >= cluster.n_servers:
        wrong = f"name server {int(servers.max())}, and the plan has {cluster.n_servers}"
        raise input_error(where, "executions", wrong, "give the plan that the log was made with")
    part = _part_left(workload, trace, execution, replica)
    saved = (1.0 - part) * prefill_times(workload, trace, chunked=True)
    block_of = np.array(list(blocks), dtype=np.int64).reshape(-1, 3)
    server_of = np.zeros(len(block_of), dtype=np.int64)
    server_of[replica] = servers
    there = _speeds(workload, cluster, block_of, server_of)[replica]
    return Observed(
        execution=execution,
        replica=replica,
        start_s=frame["start_time"].to_numpy().astype(np.float64),
        end_s=end_s[~steps],
        alone_s=(trace.service_s - saved)[execution] / there,
        prefill_s=(prefill * part)[execution] / there,
        prefill_part=part[execution],
        model=block_of[:, 0],
        first_gpu=block_of[:, 1],
        gpus=block_of[:, 2],
        step=step,
        step_end_s=step_end_s,
    )


def _speeds(
    workload: Workload, cluster: Cluster, block_of: IntArray, server_of: IntArray
) -> FloatArray:
    """Speed of each replica, shape (R,).

    Parameters
    ----------
    workload : Workload
    cluster : Cluster
    block_of : int64, shape (R, 3)
        Model, first GPU by its number in the cluster, and GPUs of each.
    server_of : int64, shape (R,)
    """
    speed = np.empty(len(block_of))
    for p, ((m, first, gpus), s) in enumerate(
        zip(block_of.tolist(), server_of.tolist(), strict=True)
    ):
        kind = cluster.server_types[cluster.server_type[s]]
        start = min(max(0, first - int(cluster.first_gpu[s])), kind.gpus - 1)
        speed[p] = kind.block_speed(workload.models[m].id, start, gpus)
    return speed


def _part_left(
    workload: Workload, trace: Trace, execution: IntArray, replica: IntArray
) -> FloatArray:
    """Part of its prefill that each execution of a trace had to do where it ran.

    The rest was saved, for its replica had read that context before.
    """
    left = np.ones(trace.n_executions)
    ran_on = np.full(trace.n_executions, -1, dtype=np.int64)
    ran_on[execution] = replica
    for w in range(len(workload.workflows)):
        first = trace.offset[:-1][trace.workflow == w]
        for edge in workload.crossing_edges(w):
            u, v = first + edge.source, first + edge.target
            again = v[(ran_on[u] == ran_on[v]) & (ran_on[v] >= 0)]
            left[again] = np.minimum(left[again], 1.0 - edge.shared_prefix)
    return left
