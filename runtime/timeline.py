"""The timeline of a run in the Chrome trace-event format, for Perfetto and chrome://tracing."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson

from placement.files.atomic import replacing
from placement.problem.cluster import IntArray
from runtime.result import RunResult

Event = dict[str, Any]

MOST_EVENTS = 250_000
"""Default bound on the events of a timeline: about 45 MB, which a browser still opens."""


@dataclass(frozen=True)
class TimelineExtent:
    """What a timeline shows of its run.

    Parameters
    ----------
    requests, of_requests : int
        Requests shown, whole each, of those of which something ran.
    """

    requests: int
    of_requests: int

    @property
    def notice(self) -> str | None:
        """One sentence on what is left out, or None where nothing is."""
        if self.requests == self.of_requests:
            return None
        return (
            f"a sample: {self.requests:,} of {self.of_requests:,} requests, each whole, "
            "evenly spaced by arrival; gaps between slices are not idle time"
        )


def write_timeline(
    path: str | os.PathLike[str], run: RunResult, *, most_events: int = MOST_EVENTS
) -> TimelineExtent:
    """Write a run as a timeline: a process a server, a thread a GPU, an arrow a workflow edge.

    Every node execution is a slice on each GPU of its replica, with request, workflow, node and
    waiting time as arguments; loading a model (schedulers that switch) is a slice before it. A
    GPU that serves several executions at once gets a thread for each slot, because slices of one
    thread must not overlap. Times are whole microseconds, so an execution shorter than one
    has length 0 and no arrows. Long runs are sampled by whole requests, evenly by arrival.

    Parameters
    ----------
    path : path-like
        JSON; compressed where the name ends in ``.gz``, which Perfetto opens too.
    run : RunResult
        What to draw.
    most_events : int
        Bound on slices and ends of arrows together; one request is always shown.

    Returns
    -------
    TimelineExtent
        Its `notice` says what was left out; the file holds it as well.

    Raises
    ------
    OSError
        Where the file cannot be written; an older file stays whole.

    References
    ----------
    Duffy et al., *Trace Event Format*, Google: complete events (X), metadata (M), flows (s, f).
    """
    cost = _events_per_request(run)
    shown = _sample(cost, most_events)
    extent = TimelineExtent(len(shown), int((cost > 0).sum()))
    head = {
        "displayTimeUnit": "ms",
        "otherData": {
            "scheduler": run.scheduler,
            "routing": run.routing,
            "mode": run.problem.mode,
            "notice": extent.notice or "every request is shown",
        },
    }
    with replacing(path) as temporary, _opened(temporary, str(path).endswith(".gz")) as file:
        file.write(orjson.dumps(head)[:-1] + b',"traceEvents":[')
        separator = b"\n"
        for event in _events(run, shown):
            file.write(separator + orjson.dumps(event))
            separator = b",\n"
        file.write(b"\n]}\n")
    return extent


@contextmanager
def _opened(path: Path, compressed: bool) -> Iterator[BinaryIO]:
    with path.open("wb") as raw:
        if not compressed:
            yield raw
            return
        # Neither name nor time goes into the header: the same run gives the same bytes.
        with gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as file:
            yield file  # type: ignore[misc]


def _events_per_request(run: RunResult) -> IntArray:
    """Slices and arrow ends of each request, 0 where nothing of it ran, shape (R,)."""
    problem = run.problem
    slices = np.zeros(len(run.replica), dtype=np.int64)
    slices[run.ran] = problem.replica_gpus[run.replica[run.ran]]
    if run.switch_s is not None:
        slices *= 1 + (run.switch_s > 0)
    total = np.concatenate(([0], np.cumsum(slices)))
    cost = total[problem.offset[1:]] - total[problem.offset[:-1]]
    edges = np.array([len(w.edges) for w in problem.workload.workflows], dtype=np.int64)
    return np.asarray(np.where(cost > 0, cost + 2 * edges[problem.workflow], 0))


def _sample(cost: IntArray, most_events: int) -> IntArray:
    """Requests to show: all, or as many, evenly spaced, as keep to the bound."""
    some = np.flatnonzero(cost)
    count = len(some)
    while count:
        shown = some[np.arange(count) * len(some) // count]
        events = int(cost[shown].sum())
        if events <= most_events or count == 1:
            return np.asarray(shown)
        count = max(1, min(count - 1, count * most_events // events))
    return some


def _events(run: RunResult, requests: IntArray) -> Iterator[Event]:
    """Metadata first, then the events of each request."""
    lane = _lanes(run, requests)
    threads = _Threads(run, 1 + max(lane.values(), default=0))
    yield from threads.metadata(run, lane)
    edge_id = 0
    for r in requests.tolist():
        yield from _slices(run, r, lane, threads)
        first = int(run.problem.offset[r])
        for edge in run.problem.workload.crossing_edges(int(run.problem.workflow[r])):
            ends = first + edge.source, first + edge.target
            if min(run.replica[list(ends)]) < 0 or not all(_duration(run, n) for n in ends):
                continue
            edge_id += 1
            yield from _arrow(run, ends, edge_id, lane, threads)


class _Threads:
    """Numbers of processes and threads; none is 0, and no thread has a process's number."""

    def __init__(self, run: RunResult, lanes: int) -> None:
        cluster = run.problem.cluster
        self.base: int = 10 ** len(str(max(cluster.n_servers, cluster.n_gpus)))
        self.lanes = lanes

    def process(self, server: int) -> int:
        return server + 1

    def thread(self, gpu: int, lane: int) -> int:
        return self.base * (1 + lane) + gpu

    def metadata(self, run: RunResult, lane: dict[int, int]) -> Iterator[Event]:
        cluster = run.problem.cluster
        used = {(g, at) for n, at in lane.items() for g in _gpus(run, n)}
        for server, (first, gpus) in enumerate(
            zip(cluster.first_gpu.tolist(), cluster.server_gpus.tolist(), strict=True)
        ):
            pid = self.process(server)
            kind = cluster.server_types[cluster.server_type[server]].name
            yield _meta("process_name", pid, {"name": f"server {server} ({kind})"})
            yield _meta("process_sort_index", pid, {"sort_index": server})
            for gpu in range(first, first + gpus):
                for at in range(self.lanes):
                    if at and (gpu, at) not in used:
                        continue
                    name = f"GPU {gpu}" + (f", slot {at + 1}" if at else "")
                    tid = self.thread(gpu, at)
                    yield _meta("thread_name", pid, {"name": name}, tid)
                    index = {"sort_index": gpu * self.lanes + at}
                    yield _meta("thread_sort_index", pid, index, tid)


def _meta(name: str, pid: int, args: dict[str, Any], tid: int = 0) -> Event:
    return {"ph": "M", "name": name, "pid": pid, "tid": tid, "args": args}


def _gpus(run: RunResult, execution: int) -> range:
    replica = int(run.replica[execution])
    first = int(run.problem.replica_first_gpu[replica])
    return range(first, first + int(run.problem.replica_gpus[replica]))


def _microseconds(seconds: float) -> int:
    # Rounding keeps order, so slices that follow each other never come to overlap.
    return round(seconds * 1e6)


def _duration(run: RunResult, execution: int) -> int:
    return _microseconds(run.end_s[execution]) - _microseconds(run.start_s[execution])


def _lanes(run: RunResult, requests: IntArray) -> dict[int, int]:
    """Slot of each execution shown: the lowest that is free on its GPUs when it starts."""
    problem = run.problem
    offset = problem.offset
    shown = np.concatenate(
        [np.arange(offset[r], offset[r + 1]) for r in requests] or [np.zeros(0, dtype=np.int64)]
    )
    shown = shown[run.ran[shown]]
    if not (problem.batches or problem.sliced):
        return dict.fromkeys(shown.tolist(), 0)
    lane: dict[int, int] = {}
    ends: dict[int, list[int]] = {}  # of each slot of a GPU
    order = np.lexsort((shown, run.end_s[shown], run.start_s[shown]))
    for n in shown[order].tolist():
        begin, end = _microseconds(run.start_s[n]), _microseconds(run.end_s[n])
        slots = [ends.setdefault(gpu, []) for gpu in _gpus(run, n)]
        at = 0
        while any(at < len(mine) and mine[at] > begin for mine in slots):
            at += 1
        for mine in slots:
            mine += [0] * (at + 1 - len(mine))
            mine[at] = end
        lane[n] = at
    return lane


def _slices(run: RunResult, r: int, lane: dict[int, int], threads: _Threads) -> Iterator[Event]:
    problem = run.problem
    workflow = problem.workload.workflows[problem.workflow[r]]
    first = int(problem.offset[r])
    for v, node in enumerate(workflow.nodes):
        n = first + v
        if run.replica[n] < 0 or not len(_gpus(run, n)):
            continue
        gpus = _gpus(run, n)
        model = problem.workload.models[node.model].id
        shared = {
            "ph": "X",
            "pid": threads.process(int(problem.replica_server[run.replica[n]])),
            "args": {
                "request": problem.trace.request_ids[r],
                "workflow": workflow.id,
                "node": node.id,
                "gpus": f"{gpus[0]}-{gpus[-1]}" if len(gpus) > 1 else str(gpus[0]),
                "waited_s": round(float(run.start_s[n] - run.ready_s[n]), 6),
            },
        }
        start = _microseconds(run.start_s[n])
        load_s = 0.0 if run.switch_s is None else float(run.switch_s[n])
        begin = _microseconds(run.start_s[n] - load_s)
        for gpu in gpus:
            where = {**shared, "tid": threads.thread(gpu, lane[n])}
            if load_s > 0:
                named = {"name": f"load {model}", "cat": "switch", "ts": begin}
                yield {**named, "dur": start - begin, **where}
            named = {"name": model, "cat": workflow.id, "ts": start}
            yield {**named, "dur": _duration(run, n), **where}


def _arrow(
    run: RunResult, ends: tuple[int, int], edge_id: int, lane: dict[int, int], threads: _Threads
) -> Iterator[Event]:
    """Draw an edge from just before the end of one slice to the start of another."""
    # At its very end a slice is closed already, and the arrow would find none to leave from.
    times = (
        _microseconds(run.end_s[ends[0]]) - 1,
        _microseconds(run.start_s[ends[1]]),
    )
    for phase, n, at in zip("sf", ends, times, strict=True):
        event = {
            "ph": phase,
            "name": "edge",
            "cat": "workflow",
            "id": edge_id,
            "ts": at,
            "pid": threads.process(int(run.problem.replica_server[run.replica[n]])),
            "tid": threads.thread(_gpus(run, n)[0], lane[n]),
        }
        yield event if phase == "s" else {**event, "bp": "e"}
