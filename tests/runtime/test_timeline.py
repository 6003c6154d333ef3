"""The timeline keeps to the trace-event format's rules and shows the run it was made from."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.result import RunResult, Scheduler
from runtime.simulate import Dispatch, simulate_placement
from runtime.switching import simulate_switching
from runtime.timeline import write_timeline
from tests.runtime.cases import crowded_case, random_case

SEEDS = range(60)


def run(seed: int) -> RunResult:
    case = random_case(seed)
    return simulate_placement(
        case.workload,
        case.trace,
        case.cluster,
        case.placement,
        case.routing,
        dispatch=Dispatch(mode=case.mode, policy="earliest"),
        engine="reference",
    )


def events_of(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text())["traceEvents"]


def micro(seconds: float) -> int:
    return round(seconds * 1e6)


@pytest.mark.parametrize("seed", SEEDS)
def test_slices_are_the_executions_on_every_gpu_of_their_block(seed: int, tmp_path: Path) -> None:
    """A slice per execution and GPU, at its times, in the process of its server; no other."""
    done = run(seed)
    problem = done.problem
    extent = write_timeline(tmp_path / "t.json", done)
    assert extent.notice is None
    events = events_of(tmp_path / "t.json")
    servers = {
        e["pid"]: int(e["args"]["name"].split()[1]) for e in events if e["name"] == "process_name"
    }
    threads = {
        (e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"
    }
    assert sorted(servers.values()) == list(range(problem.cluster.n_servers))
    found = sorted(
        (
            e["args"]["request"], e["args"]["node"], e["name"], servers[e["pid"]],
            int(threads[e["pid"], e["tid"]].split(",")[0].removeprefix("GPU ")),
            e["ts"], e["ts"] + e["dur"],
        )
        for e in events
        if e["ph"] == "X"
    )  # fmt: skip
    expected = []
    for r, request in enumerate(problem.trace.request_ids):
        workflow = problem.workload.workflows[problem.workflow[r]]
        for v, node in enumerate(workflow.nodes):
            n = problem.offset[r] + v
            p = done.replica[n]
            if p < 0:
                continue
            model = problem.workload.models[node.model]
            first = problem.cluster.first_gpu[problem.placement.server[p]]
            for k in range(model.gpus_required):
                gpu = int(first + problem.placement.start[p] + k)
                at = micro(done.start_s[n]), micro(done.end_s[n])
                server = int(problem.cluster.gpu_server[gpu])
                expected.append((request, node.id, model.id, server, gpu, *at))
    assert found == sorted(expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_thread_does_one_thing_at_a_time(seed: int, tmp_path: Path) -> None:
    """Slices of a thread never overlap, times are whole microseconds, numbers never collide."""
    write_timeline(tmp_path / "t.json", run(seed))
    events = events_of(tmp_path / "t.json")
    tracks = defaultdict(list)
    for e in events:
        assert e["ph"] in "MXsf"
        assert e["pid"] > 0
        if e["ph"] == "X":
            assert type(e["ts"]) is int is type(e["dur"])
            assert e["ts"] >= 0 <= e["dur"]
            tracks[e["pid"], e["tid"]].append((e["ts"], e["ts"] + e["dur"]))
    for slices in tracks.values():
        slices.sort()
        assert all(a[1] <= b[0] for a, b in pairwise(slices))
    tids = {tid for _, tid in tracks}
    assert len(tids) == len(tracks)
    assert not tids & {e["pid"] for e in events}


@pytest.mark.parametrize("seed", SEEDS)
def test_arrows_follow_the_edges(seed: int, tmp_path: Path) -> None:
    """Each edge of what ran is an arrow from inside its source's slice to its target's start."""
    done = run(seed)
    problem = done.problem
    write_timeline(tmp_path / "t.json", done)
    events = events_of(tmp_path / "t.json")
    slices = [e for e in events if e["ph"] == "X" and e["dur"]]

    def bound(arrow: dict[str, Any]) -> tuple[str, str]:
        track = arrow["pid"], arrow["tid"]
        (one,) = [
            e
            for e in slices
            if (e["pid"], e["tid"]) == track and e["ts"] <= arrow["ts"] < e["ts"] + e["dur"]
        ]
        # Perfetto reads events of one instant in the order of the file.
        assert events.index(one) < events.index(arrow)
        return one["args"]["request"], one["args"]["node"]

    begins = {e["id"]: e for e in events if e["ph"] == "s"}
    ends = {e["id"]: e for e in events if e["ph"] == "f"}
    assert begins.keys() == ends.keys()
    assert all(e["bp"] == "e" for e in ends.values())
    assert all(
        (e["cat"], e["name"]) == ("workflow", "edge") for e in [*begins.values(), *ends.values()]
    )
    found = sorted((*bound(begins[i]), *bound(ends[i])) for i in begins)
    expected = []
    for r, request in enumerate(problem.trace.request_ids):
        workflow = problem.workload.workflows[problem.workflow[r]]
        for edge in workflow.edges:
            pair = problem.offset[r] + np.array([edge.source, edge.target])
            if all(
                done.replica[n] >= 0 and micro(done.end_s[n]) > micro(done.start_s[n]) for n in pair
            ):
                a, b = (workflow.nodes[v].id for v in (edge.source, edge.target))
                expected.append((request, a, request, b))
    assert found == sorted(expected)


def test_sampling_keeps_whole_requests_and_says_so(tmp_path: Path) -> None:
    """A bound on events is kept by leaving out whole requests, and the file tells how many."""
    path = tmp_path / "t.json"
    for seed in SEEDS:
        done = run(seed)
        write_timeline(path, done)
        whole = [e for e in events_of(path) if e["ph"] == "X"]
        extent = write_timeline(path, done, most_events=40)
        data = json.loads(path.read_text())
        some = [e for e in data["traceEvents"] if e["ph"] != "M"]
        if extent.notice is None:
            assert extent.requests == len({e["args"]["request"] for e in whole})
            continue
        shown = {e["args"]["request"] for e in some if e["ph"] == "X"}
        assert len(shown) == extent.requests < extent.of_requests
        assert data["otherData"]["notice"] == extent.notice
        assert len(some) <= 40 or extent.requests == 1
        kept = sum(e["ph"] == "X" for e in some)
        assert kept == sum(e["args"]["request"] in shown for e in whole)


def test_the_same_run_gives_the_same_bytes_compressed_or_not(tmp_path: Path) -> None:
    """Two writings are equal, and a name that ends in .gz holds the same text."""
    done = run(3)
    for name in ("a.json", "b.json", "a.json.gz", "b.json.gz"):
        write_timeline(tmp_path / name, done)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert (tmp_path / "a.json.gz").read_bytes() == (tmp_path / "b.json.gz").read_bytes()
    assert (
        gzip.decompress((tmp_path / "a.json.gz").read_bytes()) == (tmp_path / "a.json").read_bytes()
    )


@pytest.mark.parametrize("scheduler", ["baseline", "offline"])
def test_loading_a_model_is_a_slice_before_the_execution(
    scheduler: Scheduler, tmp_path: Path
) -> None:
    """A scheduler that switches shows every load on the GPUs of its block, until service starts;
    loads and executions together never overlap on a GPU.
    """
    loads_seen = 0
    for seed in range(20):
        case = crowded_case(seed)
        done = simulate_switching(
            case.workload, case.trace, case.cluster, scheduler, mode="offline"
        )
        assert done.switch_s is not None
        write_timeline(tmp_path / "t.json", done)
        slices = [e for e in events_of(tmp_path / "t.json") if e["ph"] == "X"]
        loads = [e for e in slices if e["cat"] == "switch"]
        starts = {
            (e["args"]["request"], e["args"]["node"], e["tid"]): e["ts"]
            for e in slices
            if e["cat"] != "switch"
        }
        for e in loads:
            key = e["args"]["request"], e["args"]["node"], e["tid"]
            assert e["ts"] + e["dur"] == starts[key]
        loading = done.ran & (np.nan_to_num(done.switch_s) > 0)
        gpus = done.problem.replica_gpus[done.replica[loading]]
        total = float((done.switch_s[loading] * gpus).sum())
        assert sum(e["dur"] for e in loads) == pytest.approx(total * 1e6, abs=2 * len(loads))
        assert len(loads) == int(gpus.sum())
        tracks = defaultdict(list)
        for e in slices:
            tracks[e["tid"]].append((e["ts"], e["ts"] + e["dur"]))
        for track in tracks.values():
            track.sort()
            assert all(a[1] <= b[0] for a, b in pairwise(track))
        loads_seen += len(loads)
    assert loads_seen > 50
