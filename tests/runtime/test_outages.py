"""Servers and GPUs that are lost during a run: by hand, by two engines, and by what must hold."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from placement.problem.cluster import Cluster, GpuSharing, Network
from placement.problem.names import SharingMode
from placement.problem.solution import Placement
from placement.problem.workload import Edge, Node, Workflow, Workload
from runtime.engines.events import run_events
from runtime.engines.replicas import Replicas
from runtime.engines.serial import SerialReplicas
from runtime.engines.sliced import SlicedReplicas
from runtime.event_log import write_event_log
from runtime.outages import Outage, read_outage, turns
from runtime.policies import BUILT_IN, RoutingPolicy, View
from runtime.result import RunResult
from runtime.simulate import Dispatch, prepare_run, simulate_placement
from runtime.timeline import write_timeline
from tests.runtime.cases import Case, model, random_case, trace_of


def random_outages(case: Case, seed: int) -> tuple[Outage, ...]:
    """Draw up to three outages, which may overlap, at times at which calls end and begin."""
    rng = np.random.default_rng([seed, 3])
    found = []
    for _ in range(int(rng.integers(1, 4))):
        server = int(rng.integers(case.cluster.n_servers))
        gpu = int(rng.integers(case.cluster.server_gpus[server])) if rng.random() < 0.5 else None
        begin = float(rng.choice([0.0, 0.5, 1.0, 2.5, 7.0, 11.3]))
        found.append(Outage(server, gpu, begin, float(rng.choice([np.inf, begin + 1, begin + 4]))))
    return tuple(found)


def run(case: Case, policy: str, outages: tuple[Outage, ...]) -> RunResult:
    return simulate_placement(
        case.workload,
        case.trace,
        case.cluster,
        case.placement,
        case.routing,
        dispatch=Dispatch(case.mode, policy, 0.3, outages),
        engine="reference",
    )


@pytest.mark.parametrize("policy", list(BUILT_IN))
@pytest.mark.parametrize("sharing", ["time-sliced", "serial"])
def test_every_request_is_accounted_for(policy: str, sharing: SharingMode) -> None:
    """All completed or failed; nothing runs where all is down; the past does not change."""
    failed = cut = 0
    for seed in range(9_000, 9_030):
        case = random_case(seed, sharing=sharing)
        outages = random_outages(case, seed)
        lost, whole = run(case, policy, outages), run(case, policy, ())
        m = lost.metrics  # type: ignore[attr-defined]
        assert m.completed_requests + m.failed_requests == m.total_requests
        failed += m.failed_requests
        cut += m.interrupted_calls
        events = turns(lost.problem, outages)
        down = {p: _down(p, events) for p in range(lost.problem.n_replicas)}
        for e in np.flatnonzero(lost.ran):
            for begin, end in down[int(lost.replica[e])]:
                assert lost.end_s[e] <= begin or lost.start_s[e] >= end
        first = min((t.time_s for t in events), default=np.inf)
        early = whole.end_s < first
        np.testing.assert_array_equal(lost.end_s[early], whole.end_s[early])
        interruptions = lost.interruptions
        assert interruptions is not None
        _check_failed(lost, interruptions.failed, down)
    assert failed > 30
    assert cut > 30


def _down(replica: int, events: tuple) -> list[tuple[float, float]]:
    gone = [t.time_s for t in events if replica in t.gone]
    back = [t.time_s for t in events if replica in t.back]
    return list(zip(gone, [*back, np.inf], strict=False))


def _check_failed(lost: RunResult, failed: np.ndarray, down: dict) -> None:
    """A request fails only where some model of it had no replica up at some time."""
    problem = lost.problem
    ever_out = set()
    for m in range(len(problem.workload.models)):
        mine = [p for p in down if problem.placement.model[p] == m]
        moments = [begin for p in mine for begin, _ in down[p]]
        if any(all(any(a <= t < b for a, b in down[p]) for p in mine) for t in moments):
            ever_out.add(m)
    for r in np.flatnonzero(failed):
        nodes = problem.workload.workflows[problem.workflow[r]].nodes
        assert {n.model for n in nodes} & ever_out
    assert not (failed & lost.completed).any()


@pytest.mark.parametrize("policy", list(BUILT_IN))
def test_two_engines_lose_the_same(policy: str) -> None:
    """Where every replica is alone and serves one at a time, both kinds of sharing are one run."""
    cut = 0
    for seed in range(9_100, 9_130):
        case = random_case(seed, ties=False)
        single = [replace(m, max_concurrency=1, slowdown=(1.0,)) for m in case.workload.models]
        workload = replace(case.workload, models=tuple(single))
        taken: set[tuple[int, int]] = set()
        alone = []
        for m, s, i in case.placement.replicas():
            block = {(s, g) for g in range(i, i + single[m].gpus_required)}
            alone.append(not block & taken)
            taken |= block
        problem, chooses = prepare_run(
            workload,
            case.trace,
            case.cluster,
            case.placement.only(np.array(alone)),
            dispatch=Dispatch(case.mode, policy, 0.3),
        )
        events = turns(problem, random_outages(case, seed))
        ends = []
        for kind in (SerialReplicas, SlicedReplicas):
            station = kind(problem, chooses)
            moments = [(t.time_s, partial(station.turn, t)) for t in events]
            failed = run_events(problem, station, None, moments)
            ends.append((failed, station.replica, station.end_s, station.interrupted))
        (a, b) = ends
        assert (a[0], a[1]) == (b[0], b[1])
        np.testing.assert_allclose(a[2], b[2])
        np.testing.assert_allclose(np.array(a[3]), np.array(b[3]), atol=1e-9)
        cut += len(a[3])
    assert cut > 30


@dataclass
class Watch:
    """A policy that holds what it is told against what has been told of executions."""

    policy: RoutingPolicy
    serial: bool
    checked: int = 0
    after: int = 0

    @property
    def name(self) -> str:
        return self.policy.name

    def choose(self, view: View) -> int:
        """Of replicas one call at a time: when free, and how much is unfinished."""
        problem = view.problem
        on = np.array(view.replica_of)
        end = np.array(view.end_s)
        for p in view.replicas():
            mine = on == p
            assert view.unfinished[p] == (mine & ~(end <= view.now_s)).sum()
            rivals = problem.rival[problem.rival_start[p] : problem.rival_start[p + 1]]
            ends = end[mine | np.isin(on, rivals)]
            if self.serial and problem.replica_slots[p] == 1 and not np.isnan(ends).any():
                since = view.emptied_s.get(p, float(p - problem.n_replicas))
                assert view.free_s[p] == max([since, *ends])
                self.after += bool(view.sent_s)
            self.checked += bool(view.sent_s)
        return self.policy.choose(view)


@pytest.mark.parametrize("kind", [SerialReplicas, SlicedReplicas])
def test_routers_are_told_what_is_left_after_an_outage(kind: type[Replicas]) -> None:
    """A replica is free when all has ended that is on its GPUs and was not lost."""
    serial = kind is SerialReplicas
    watch = Watch(BUILT_IN["earliest"], serial)
    for seed in range(9_200, 9_230):
        case = random_case(seed, sharing="serial" if serial else "time-sliced")
        problem, watch.policy = prepare_run(
            case.workload, case.trace, case.cluster, case.placement, case.routing,
            dispatch=Dispatch(case.mode, list(BUILT_IN)[seed % len(BUILT_IN)], 0.3),
        )  # fmt: skip
        station = kind(problem, watch)
        events = turns(problem, random_outages(case, seed))
        run_events(problem, station, None, [(t.time_s, partial(station.turn, t)) for t in events])
    assert watch.checked > 300
    assert watch.after > 100 * serial or not serial


def small(placed: list[tuple[int, int, int]], *, sharing: SharingMode = "time-sliced") -> Case:
    """Three servers of two GPUs: model a on one GPU, b on both; calls of a, of b, of b after a."""
    models = (model("a", load_time_s=3.0), model("b", 2, load_time_s=5.0))
    flows = (
        Workflow("a", "a", (Node("n", 0),)),
        Workflow("b", "b", (Node("n", 1),)),
        Workflow("ab", "ab", (Node("n", 0), Node("o", 1)), (Edge(0, 1, 2000.0),)),
    )
    cluster = replace(
        Cluster.homogeneous(6, 2),
        sharing=GpuSharing(sharing, (1.0,)),
        network=Network(inter_bandwidth_gb_per_s=1.0),
    )
    m, s, i = (np.array(column) for column in zip(*placed, strict=True))
    trace = trace_of(Workload(models, flows), np.zeros(1), np.zeros(1, dtype=int), np.ones(1))
    return Case(
        Workload(models, flows), trace, cluster, Placement.sorted(m, s, i), (None,) * 3, "online"
    )


def asked(case: Case, arrivals: list[float], flows: list[int], service: list[float]) -> Case:
    columns = (np.array(arrivals), np.array(flows), np.array(service))
    return replace(case, trace=trace_of(case.workload, *columns))


def test_a_call_in_service_begins_anew_elsewhere() -> None:
    """Lost after 4 of 10 seconds, it waits for the other replica and takes 10 seconds there."""
    case = asked(small([(0, 0, 0), (0, 1, 0)]), [0, 0], [0, 0], [10, 10])
    lost = run(case, "earliest", (Outage(1, None, 4.0),))
    assert sorted(lost.end_s) == [10.0, 20.0]
    assert set(lost.replica) == {0}
    assert lost.metrics.lost_service_s == 4.0  # type: ignore[attr-defined]
    assert lost.interruptions is not None
    assert lost.interruptions.as_dict(lost.ran) == {
        "outages": [{"server": 1, "gpu": None, "from": 4.0, "until": None}],
        "interrupted_calls": 1,
        "served_after_all": 1,
        "failed_requests": 0,
        "lost_service_time": 4.0,
    }


@pytest.mark.parametrize(("sharing", "end"), [("time-sliced", 12.0), ("serial", 14.0)])
def test_a_block_that_goes_leaves_its_gpus_to_others(sharing: SharingMode, end: float) -> None:
    """It goes with one of its GPUs; who shares the other has it alone, or need not wait longer."""
    case = asked(
        small([(1, 0, 0), (0, 0, 1), (1, 1, 0)], sharing=sharing), [0, 0], [1, 0], [10, 10]
    )
    lost = run(case, "earliest", (Outage(0, 0, 4.0),))
    of_b, of_a = lost.end_s
    assert (of_b, of_a) == (14.0, end)


def test_no_replica_left_fails_until_one_is_loaded_again() -> None:
    """A request in flight and one that comes meanwhile fail; one after up and loading is served."""
    case = asked(small([(0, 0, 0)]), [0, 5, 12.9, 13.1], [0, 0, 0, 0], [10, 1, 1, 1])
    lost = run(case, "locality", (Outage(0, 0, 4.0, 10.0),))
    np.testing.assert_array_equal(lost.completed, [False, False, False, True])
    assert lost.start_s[3] == 13.1
    assert lost.metrics.failed_requests == 3  # type: ignore[attr-defined]


@pytest.mark.parametrize("sharing", ["time-sliced", "serial"])
def test_of_a_request_that_failed_nothing_more_begins(sharing: SharingMode) -> None:
    """Where one branch finds no replica, what comes after another is not called; others are."""
    case = small([(0, 0, 0), (1, 1, 0)], sharing=sharing)
    nodes = (Node("n", 0), Node("lost", 1), Node("after", 0))
    flows = (*case.workload.workflows[:2], Workflow("d", "d", nodes, (Edge(0, 2, 0.0),)))
    case = replace(case, workload=replace(case.workload, workflows=flows))
    case = asked(case, [0.0, 3.0], [2, 0], [1.0, 1.0, 1.0, 1.0])
    lost = run(case, "locality", (Outage(1, None, 0.0),))
    np.testing.assert_array_equal(lost.ran, [True, False, False, True])
    np.testing.assert_array_equal(lost.completed, [False, True])


def test_data_is_sent_once_more() -> None:
    """A call whose data travels when its server goes has them on the way again from then on."""
    case = asked(small([(0, 0, 0), (1, 1, 0), (1, 2, 0)]), [0], [2], [1.0, 1.0])
    before, lost = (run(case, "earliest", o) for o in ((), (Outage(1, None, 1.25),)))
    # 2 GB take two seconds between servers at 1 GB/s.
    assert (before.problem.replica_server[before.replica[1]], before.ready_s[1]) == (1, 3.0)
    assert (lost.problem.replica_server[lost.replica[1]], lost.ready_s[1]) == (2, 3.25)
    assert lost.end_s[1] == 4.25


def test_events_and_timeline_of_a_run_with_outages(tmp_path: Path) -> None:
    """The event log has a line an outage and an interruption, in order; the timeline is written."""
    case = asked(small([(0, 0, 0), (0, 1, 0), (1, 2, 0)]), [0, 0, 1], [0, 2, 0], [9, 9, 9, 9])
    outages = (Outage(1, None, 4.0, 6.0), Outage(0, 0, 12.0))
    lost = run(case, "earliest", outages)
    write_event_log(tmp_path / "events.log", lost)
    write_timeline(tmp_path / "timeline.json", lost)
    lines = (tmp_path / "events.log").read_text().splitlines()
    assert sum("is lost" in line for line in lines) == len(outages)
    interrupted = sum(" is interrupted on " in line for line in lines)
    assert interrupted == len(lost.interruptions.execution) > 0  # type: ignore[union-attr]
    times = [float(line.split()[0]) for line in lines if re.match(r" +\d", line)]
    assert times == sorted(times)


def test_the_compiled_engine_knows_no_outages() -> None:
    """It is asked for by name, and refused in a sentence."""
    case = random_case(1)
    dispatch = Dispatch(outages=(Outage(0, None, 1.0),))
    with pytest.raises(ValueError, match="reference engine only"):
        simulate_placement(
            case.workload, case.trace, case.cluster, case.placement, dispatch=dispatch,
            engine="compiled",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("server:3@120", Outage(3, None, 120.0)),
        ("gpu:3/1@1.5e2", Outage(3, 1, 150.0)),
        ("server:0@0-180", Outage(0, None, 0.0, 180.0)),
    ],
)
def test_outages_are_read_as_written(text: str, meant: Outage) -> None:
    """Part, time, and when it is up again."""
    assert read_outage(text) == meant


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("server:3", "is no outage"),
        ("gpu:3@5", "is no outage"),
        ("server:-1@5", "is no outage"),
        ("server:1@x", "is no outage"),
        ("server:1@nan", "from 0 on"),
        ("server:1@9-4", "later time"),
        ("server:1@9-nan", "later time"),
    ],
)
def test_faults_are_sentences(text: str, words: str) -> None:
    """What is wrong, and how it is written."""
    with pytest.raises(ValueError, match=words):
        read_outage(text)


@pytest.mark.parametrize(("outage", "words"), [("server:3@1", "0 to 2"), ("gpu:0/2@1", "0 to 1")])
def test_only_what_there_is_can_be_lost(outage: str, words: str) -> None:
    """Servers and GPUs are named by numbers that the cluster has."""
    with pytest.raises(ValueError, match=words):
        run(small([(0, 0, 0)]), "plan", (read_outage(outage),))
