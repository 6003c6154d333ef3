"""A live run as a trace: when requests came, and how long each call took alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import orjson

from placement.files.atomic import replacing
from placement.files.syntax.source import find_format
from placement.problem.cluster import FloatArray
from runtime.live.gpu_time import Neighbours
from runtime.live.inputs import RequestInput
from runtime.result import RunResult

RECORD_FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json"}


def check_record_name(path: str | os.PathLike[str]) -> None:
    """Refuse a name whose ending tells no format of a record.

    Raises
    ------
    InputError
    """
    find_format(path, RECORD_FORMATS)


def write_record(
    path: str | os.PathLike[str], run: RunResult, inputs: Sequence[RequestInput]
) -> int:
    """Write the completed requests of a live run as a trace; return how many there are.

    Parameters
    ----------
    path : path-like
        JSONL or JSON, by its ending.
    inputs : sequence of RequestInput, length R
        What the requests brought along goes into the trace, so that it can be run again.

    Raises
    ------
    InputError
        Where the ending tells no format.
    OSError
        Where the file cannot be written; nothing is then changed.
    """
    form = find_format(path, RECORD_FORMATS)
    head, join, tail = (
        (b"", b"\n", b"\n") if form == "jsonl" else (b'{"requests": [\n', b",\n", b"\n]}\n")
    )
    problem, trace = run.problem, run.problem.trace
    service_s = measured_service(run).tolist()
    arrival_s, offset = problem.arrival_s.tolist(), problem.offset.tolist()
    completed = np.flatnonzero(run.completed).tolist()
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(head)
        for i, r in enumerate(completed):
            flow = problem.workload.workflows[int(problem.workflow[r])]
            times = service_s[offset[r] : offset[r + 1]]
            record: dict[str, Any] = {
                "request_id": trace.request_ids[r],
                "timestamp": (trace.start + timedelta(seconds=arrival_s[r])).isoformat(),
                "workflow_id": flow.id,
                "node_execution_times": {
                    node.id: seconds for node, seconds in zip(flow.nodes, times, strict=True)
                },
            }
            if inputs[r].input is not None:
                record["input_data"] = inputs[r].input
            if inputs[r].configs is not None:
                record["node_configs"] = inputs[r].configs
            file.write((join if i else b"") + orjson.dumps(record))
        file.write(tail)
    return len(completed)


def measured_service(run: RunResult) -> FloatArray:
    """Seconds at speed 1, alone, that the simulator needs to make of each call what it took.

    A call's time on the wire is divided by what slowed it down while it was under way, as the
    simulator reckons: the speed of its server, the other calls of its replica, the neighbours on
    its GPUs. What a batch's prefill made others wait cannot be told apart, and counts as theirs.

    Returns
    -------
    float64, shape (N,)
        0 where an execution has not run.
    """
    problem = run.problem
    service = np.zeros(len(run.start_s))
    ran = np.flatnonzero(run.ran)
    served = _by_clocks(run) if problem.sliced else _in_turn(run)
    service[ran] = served[ran] * problem.replica_speed[run.replica[ran]]
    return np.maximum(service, 0.0)


def _by_clocks(run: RunResult) -> FloatArray:
    """What each call was served where all proceed at once, by its replica's own clock."""
    problem = run.problem
    neighbours = Neighbours(problem)
    slowdown = problem.slowdown.tolist()
    replicas = range(problem.n_replicas)
    clock, since, calls = [0.0 for _ in replicas], [0.0 for _ in replicas], [0 for _ in replicas]
    begun = np.zeros(len(run.start_s))
    served = np.zeros(len(run.start_s))

    def settle(p: int, now_s: float) -> None:
        if calls[p]:
            pace = neighbours.share[p] / slowdown[p][min(calls[p], len(slowdown[p])) - 1]
            clock[p] += (now_s - since[p]) * pace
        since[p] = now_s

    for now_s, begins, execution in _events(run):
        p = int(run.replica[execution])
        settle(p, now_s)
        if begins and not calls[p]:
            for rival in neighbours.of(p):
                settle(rival, now_s)
            neighbours.come(p)
        calls[p] += 1 if begins else -1
        if begins:
            begun[execution] = clock[p]
        else:
            served[execution] = clock[p] - begun[execution]
            if not calls[p]:
                for rival in neighbours.of(p):
                    settle(rival, now_s)
                neighbours.go(p)
    return served


def _in_turn(run: RunResult) -> FloatArray:
    """What each call was served where GPUs serve one replica after the other."""
    problem = run.problem
    served = np.zeros(len(run.start_s))
    last_end = [0.0] * problem.n_replicas
    under_way: list[list[float]] = [[] for _ in last_end]
    for now_s, begins, execution in _events(run):
        if not begins:
            continue
        p = int(run.replica[execution])
        rivals = problem.rival[problem.rival_start[p] : problem.rival_start[p + 1]].tolist()
        start_s = max([now_s, *(last_end[q] for q in rivals)])
        end_s = float(run.end_s[execution])
        under_way[p] = [e for e in under_way[p] if e > start_s]
        company = min(len(under_way[p]), problem.slowdown.shape[1] - 1)
        served[execution] = (end_s - start_s) / problem.slowdown[p, company]
        under_way[p].append(end_s)
        last_end[p] = max(last_end[p], end_s)
    return served


def _events(run: RunResult) -> list[tuple[float, bool, int]]:
    """Ends and beginnings of all calls in order of time, ends first."""
    ran = np.flatnonzero(run.ran).tolist()
    events = [(float(run.end_s[e]), False, e) for e in ran]
    events += [(float(run.start_s[e]), True, e) for e in ran]
    return sorted(events)
