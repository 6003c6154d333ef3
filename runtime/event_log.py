"""A run as lines to read: who was placed where, then every event in the order of time."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from placement.files.atomic import replacing
from placement.problem.cluster import IntArray
from placement.support.escaping import visible
from runtime.result import RunResult

MOST_LINES = 2_000_000
"""Default bound on the lines of a file: about 150 MB."""

ARRIVAL, START, CROSSING, END, DONE, OUTAGE, CUT = range(7)
"""Kinds of events; of one instant, ends come first, then what they cause."""

ORDER = np.array([4, 6, 5, 0, 1, 2, 3])
"""Place of each kind among events of one instant."""

CHUNK = 20_000
"""Lines turned into text at a time."""


def write_event_log(
    path: str | os.PathLike[str], run: RunResult, *, most_lines: int = MOST_LINES
) -> str | None:
    """Write a line an event, with seconds since the first arrival.

    First the replicas, by server and GPU; then arrivals, starts, edges that cross servers (when
    their data leave), ends, requests that are done, outages and the calls that they interrupt. A
    long run is sampled by whole requests, evenly by arrival, and the file says so.

    Parameters
    ----------
    path : path-like
        Where to write.
    run : RunResult
        What to write.
    most_lines : int
        Bound on the lines of events; one request is always shown.

    Returns
    -------
    str or None
        What was left out, in a sentence.

    Raises
    ------
    OSError
        Where the file cannot be written; an older one stays whole.
    """
    problem = run.problem
    # At most two lines a request, two an execution and one an edge.
    edges = np.array([len(w.edges) for w in problem.workload.workflows], dtype=np.int64)
    lines = 2 + 2 * np.diff(problem.offset) + edges[problem.workflow]
    every = max(1, int(lines.sum()) // most_lines)
    while every < len(lines) and lines[::every].sum() > most_lines:
        every += 1
    requests = np.arange(0, len(problem.workflow), every)
    notice = None
    if every > 1:
        notice = (
            f"a sample: {len(requests):,} of {len(problem.workflow):,} requests, each whole, "
            f"one in {every:,} by arrival"
        )
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in _head(run, notice))
        file.writelines(f"{line}\n" for line in _lines(run, requests))
    return notice


def _head(run: RunResult, notice: str | None) -> Iterator[str]:
    problem = run.problem
    yield (
        f"# {run.scheduler}, routing {run.routing}, {problem.mode}; seconds since the first arrival"
    )
    if notice:
        yield f"# {notice}"
    for p, m in enumerate(problem.placement.model):
        name = visible(problem.workload.models[m].id)
        yield f"{'assigned':>14}  {name} to {_where(run, p)} (replica {p})"


def _where(run: RunResult, replica: int) -> str:
    problem = run.problem
    if problem.replica_server[replica] < 0:
        return "no GPU"
    first, gpus = int(problem.replica_first_gpu[replica]), int(problem.replica_gpus[replica])
    block = f"GPU {first}" if gpus == 1 else f"GPUs {first} to {first + gpus - 1}"
    return f"server {problem.replica_server[replica]}, {block}"


def _lines(run: RunResult, requests: IntArray) -> Iterator[str]:
    """Events of the requests, sorted by time, kind, and execution."""
    problem = run.problem
    completed = run.completed
    time, kind, number, other = [], [], [], []

    def add(what: int, when: np.ndarray, index: np.ndarray, more: np.ndarray | None = None) -> None:
        time.append(when)
        kind.append(np.full(len(index), what))
        number.append(index)
        other.append(np.zeros(len(index), dtype=np.int64) if more is None else more)

    add(ARRIVAL, problem.arrival_s[requests], requests)
    executions = np.concatenate(
        [np.arange(problem.offset[r], problem.offset[r + 1]) for r in requests]
        or [np.zeros(0, dtype=np.int64)]
    )
    every, executions = executions, executions[run.ran[executions]]
    add(START, run.start_s[executions], executions)
    add(END, run.end_s[executions], executions)
    done = requests[completed[requests]]
    if len(done):
        last = np.maximum.reduceat(run.end_s, problem.offset[:-1])
        add(DONE, last[done], done)
    for w in range(len(problem.workload.workflows)):
        first = problem.offset[requests[problem.workflow[requests] == w]]
        for edge in problem.workload.crossing_edges(w):
            source, target = first + edge.source, first + edge.target
            both = run.ran[source] & run.ran[target]
            source, target = source[both], target[both]
            server = problem.replica_server
            crosses = server[run.replica[source]] != server[run.replica[target]]
            add(CROSSING, run.end_s[source[crosses]], target[crosses], source[crosses])
    if run.interruptions is not None:
        cut, calls = run.interruptions, np.isin(run.interruptions.execution, every)
        add(OUTAGE, np.array([o.from_s for o in cut.outages]), np.arange(len(cut.outages)))
        add(CUT, cut.time_s[calls], cut.execution[calls], cut.replica[calls])
    when, what, index, more = (np.concatenate(a) for a in (time, kind, number, other))
    order = np.lexsort((more, index, ORDER[what], when))
    for begin in range(0, len(order), CHUNK):
        for i in order[begin : begin + CHUNK].tolist():
            yield f"{when[i]:14.6f}  {_said(run, int(what[i]), int(index[i]), int(more[i]))}"


def _said(run: RunResult, kind: int, number: int, other: int) -> str:
    """What happened, in words."""
    problem = run.problem
    if kind in (ARRIVAL, DONE):
        request = number
        name = visible(problem.trace.request_ids[request])
        if kind == ARRIVAL:
            workflow = problem.workload.workflows[problem.workflow[request]]
            return f"{name} arrives ({visible(workflow.id)})"
        rows = slice(problem.offset[request], problem.offset[request + 1])
        at = problem.replica_server[run.replica[rows]]
        servers = max(1, len(np.unique(at[at >= 0])))
        latency = run.end_s[rows].max() - problem.arrival_s[request]
        where = "on one server" if servers == 1 else f"on {servers} servers"
        return f"{name} is done {where}, latency {latency:.6f} s"
    if kind == OUTAGE:
        assert run.interruptions is not None
        return f"{run.interruptions.outages[number].what} is lost"
    if kind == CUT:
        return f"{_node(run, number)} is interrupted on {_where(run, other)} (replica {other})"
    replica = int(run.replica[number])
    if kind == START:
        waited = run.start_s[number] - run.ready_s[number]
        loaded = 0.0 if run.switch_s is None else run.switch_s[number]
        loading = f", after loading {loaded:.6f} s" if loaded else ""
        return (
            f"{_node(run, number)} starts on {_where(run, replica)} (replica {replica}), "
            f"waited {waited:.6f} s{loading}"
        )
    if kind == END:
        took = run.end_s[number] - run.start_s[number]
        return f"{_node(run, number)} ends, served {took:.6f} s"
    servers_of = problem.replica_server
    return (
        f"{_node(run, other)} sends to {_node(run, number)}, from server "
        f"{servers_of[run.replica[other]]} to server {servers_of[replica]}"
    )


def _node(run: RunResult, execution: int) -> str:
    """Request, node and model of an execution."""
    problem = run.problem
    request = int(np.searchsorted(problem.offset, execution, side="right")) - 1
    workflow = problem.workload.workflows[problem.workflow[request]]
    node = workflow.nodes[execution - int(problem.offset[request])]
    model = problem.workload.models[node.model].id
    request_id = problem.trace.request_ids[request]
    return f"{visible(request_id)}/{visible(node.id)} ({visible(model)})"
