"""The lines of a run, read back and held against its arrays."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from runtime.event_log import write_event_log
from runtime.metrics import measure
from runtime.outages import Outage
from runtime.result import RunResult
from runtime.simulate import Dispatch, simulate_placement
from runtime.switching import simulate_switching
from tests.runtime.cases import crowded_case, random_case, run_case

NODE = r"(?P<request>r\d+)/(?P<node>n\d+) \((?P<model>\w+)\)"
PLACE = r"(?P<where>server \d+, GPUs? [0-9 to]+|no GPU) \(replica (?P<replica>\d+)\)"
SENTENCES = {
    "assigned": rf"(?P<model>\w+) to {PLACE}",
    "arrives": r"(?P<request>r\d+) arrives \((?P<workflow>w\d+)\)",
    "starts": rf"{NODE} starts on {PLACE}, waited (?P<waited>[\d.]+) s"
    r"(?:, after loading (?P<loading>[\d.]+) s)?",
    "ends": rf"{NODE} ends, served (?P<served>[\d.]+) s",
    "sends": rf"{NODE} sends to r\d+/(?P<to>n\d+) \(\w+\), "
    r"from server (?P<a>\d+) to server (?P<b>\d+)",
    "done": r"(?P<request>r\d+) is done on (?P<servers>one server|\d+ servers), "
    r"latency (?P<latency>[\d.]+) s",
    "cut": rf"{NODE} is interrupted on {PLACE}",
    "lost": r"(?P<what>.+) is lost",
}


@pytest.mark.parametrize("seed", range(12))
def test_every_event_is_there_once_and_in_time(seed: int, tmp_path: Path) -> None:
    """Assignments, arrivals, starts, ends, crossings and requests done, counted; times ascend."""

    run = run_case(seed, "locality", "reference")
    assert write_event_log(tmp_path / "events.log", run) is None
    lines = (tmp_path / "events.log").read_text().splitlines()
    head, body = lines[0], [line.split(maxsplit=1) for line in lines[1:]]
    assert head.startswith("# static, routing")
    words = r"to server|arrives|starts on|ends,|sends to|is done"
    counted = Counter(re.search(words, text).group() for _, text in body)  # type: ignore[union-attr]
    m = measure(run)
    assert counted["arrives"] == m.total_requests
    assert counted["starts on"] == counted["ends,"] == m.total_nodes_executed
    assert counted["is done"] == m.completed_requests
    assert sum("assigned" in line for line in lines) == run.problem.placement.n_replicas
    of_completed = m.cross_server_communications
    assert counted["sends to"] >= of_completed
    if m.completed_requests == m.total_requests:
        assert counted["sends to"] == of_completed
    times = [float(t) for t, _ in body if t != "assigned"]
    assert times == sorted(times)
    ended = sorted(float(t) for t, text in body if "ends," in text)
    np.testing.assert_allclose(ended, np.sort(run.end_s[run.ran]), atol=1e-6)


def test_a_long_run_is_sampled_by_whole_requests(tmp_path: Path) -> None:
    """No more lines than allowed; the file and the caller are told; what is shown is whole."""
    run = run_case(3, "locality", "reference")
    whole, part = tmp_path / "whole.log", tmp_path / "part.log"
    write_event_log(whole, run)
    events = [line for line in whole.read_text().splitlines() if line.lstrip()[0].isdigit()]
    most = len(events) // 3
    notice = write_event_log(part, run, most_lines=most)
    assert notice is not None
    assert notice in part.read_text()
    shown = [line for line in part.read_text().splitlines() if line.lstrip()[0].isdigit()]
    assert 0 < len(shown) <= most
    arrived = {line.split()[1] for line in shown if " arrives" in line}
    mine = [line for line in events if line.split()[1].split("/")[0] in arrived]
    assert shown == mine


def runs() -> list[RunResult]:
    """Plans, also with steps that need no GPU; schedulers that load models; lost servers."""
    found = [run_case(seed, "locality", "reference", steps=seed % 2 > 0) for seed in range(8)]
    for seed in range(4):
        case = crowded_case(seed)
        found.append(simulate_switching(case.workload, case.trace, case.cluster, "baseline"))
    for seed in range(8):
        case = random_case(seed)
        down = (Outage(0, None, 1.0, 3.5), Outage(case.cluster.n_servers - 1, 0, 2.5))
        dispatch = Dispatch(case.mode, "locality", 0.3, down)
        given = case.workload, case.trace, case.cluster, case.placement, case.routing
        found.append(simulate_placement(*given, dispatch=dispatch, engine="reference"))
    return found


def test_each_line_says_what_the_run_did(tmp_path: Path) -> None:
    """Every sentence, read back: who, where, when and how long, against the arrays of the run."""
    seen: Counter[str] = Counter()
    for run in runs():
        write_event_log(tmp_path / "events.log", run)
        for line in (tmp_path / "events.log").read_text().splitlines()[1:]:
            when, text = line[:14].strip(), line[16:]
            kind, said = next(
                (kind, found.groupdict())
                for kind, pattern in SENTENCES.items()
                if (found := re.fullmatch(pattern, text))
            )
            seen[kind] += 1
            _check(run, kind, when, said)
            seen["loading"] += said.get("loading") is not None
            seen["two servers"] += said.get("servers") not in (None, "one server")
    assert min(seen[kind] for kind in [*SENTENCES, "loading", "two servers"]) >= 5, seen


def _check(run: RunResult, kind: str, when: str, said: dict[str, str]) -> None:
    """Hold what a line says against the run."""
    problem, placement = run.problem, run.problem.placement
    if kind == "lost":
        assert run.interruptions is not None
        assert (said["what"], float(when)) in [
            (o.what, o.from_s) for o in run.interruptions.outages
        ]
        return
    replica = int(said["replica"]) if "replica" in said else -1
    if said.get("where") == "no GPU":
        assert replica >= placement.n_replicas
    elif replica >= 0:
        server, model = int(placement.server[replica]), placement.model[replica]
        first = int(problem.cluster.first_gpu[server]) + int(placement.start[replica])
        gpus = problem.workload.models[model].gpus_required
        block = f"GPU {first}" if gpus == 1 else f"GPUs {first} to {first + gpus - 1}"
        assert said["where"] == f"server {server}, {block}"
    if kind == "assigned":
        assert said["model"] == problem.workload.models[placement.model[replica]].id
        return
    r = problem.trace.request_ids.index(said["request"])
    workflow = problem.workload.workflows[problem.trace.workflow[r]]
    mine = range(problem.trace.offset[r], problem.trace.offset[r + 1])
    at = [int(problem.replica_server[run.replica[e]]) if run.replica[e] >= 0 else -1 for e in mine]
    near = pytest.approx(float(when), abs=1e-6)
    if kind == "arrives":
        assert said["workflow"] == workflow.id
        assert problem.arrival_s[r] == near
        return
    if kind == "done":
        servers = max(1, len({s for s in at if s >= 0}))
        assert said["servers"] == ("one server" if servers == 1 else f"{servers} servers")
        last = max(float(run.end_s[e]) for e in mine)
        assert last == near
        assert float(said["latency"]) == pytest.approx(last - problem.arrival_s[r], abs=1e-6)
        return
    names = [n.id for n in workflow.nodes]
    v = names.index(said["node"])
    e = mine[v]
    assert said["model"] == problem.workload.models[workflow.nodes[v].model].id
    if kind == "starts":
        assert run.replica[e] == replica
        assert run.start_s[e] == near
        waited = run.start_s[e] - run.ready_s[e]
        assert float(said["waited"]) == pytest.approx(waited, abs=1e-6)
        loading = 0.0 if run.switch_s is None else run.switch_s[e]
        assert float(said["loading"] or 0.0) == pytest.approx(loading, abs=1e-6)
    elif kind == "ends":
        assert run.end_s[e] == near
        assert float(said["served"]) == pytest.approx(run.end_s[e] - run.start_s[e], abs=1e-6)
    elif kind == "sends":
        assert run.end_s[e] == near
        assert (int(said["a"]), int(said["b"])) == (at[v], at[names.index(said["to"])])
        assert said["a"] != said["b"]
    else:
        cut = run.interruptions
        assert cut is not None
        happened = zip(cut.execution.tolist(), cut.replica.tolist(), cut.time_s, strict=True)
        assert any((e, replica) == (x, p) and t == near for x, p, t in happened)
