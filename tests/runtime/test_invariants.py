"""What must hold in any run, checked from its log or its arrays by plain loops."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from placement.problem.cluster import Network
from placement.problem.names import SharingMode
from runtime.metrics import measure, summarize
from runtime.policies import BUILT_IN
from runtime.result import RunResult
from runtime.run_verdict import workflow_stretch
from runtime.simulate import Dispatch, simulate_placement
from tests.runtime.cases import Case, random_case, run_case

SEEDS = range(500, 620)
CASES = pytest.mark.parametrize("policy", list(BUILT_IN))


SHARINGS = pytest.mark.parametrize("sharing", ["serial", "time-sliced"])


def runs(policy: str, sharing: SharingMode = "serial") -> list[RunResult]:
    return [run_case(seed, policy, "compiled", sharing) for seed in SEEDS]


def by_gpu(case: RunResult) -> dict[int, list[int]]:
    """Executions on each GPU."""
    problem = case.problem
    found = defaultdict(list)
    for e in np.flatnonzero(case.ran):
        p = case.replica[e]
        first = problem.replica_first_gpu[p]
        for gpu in range(first, first + problem.replica_gpus[p]):
            found[int(gpu)].append(int(e))
    return found


@CASES
def test_a_gpu_does_one_thing_at_a_time(policy: str) -> None:
    """Executions overlap on a GPU only where one replica batches, and never beyond its slots."""
    for case in runs(policy):
        for mine in by_gpu(case).values():
            for e in mine:
                inside = [x for x in mine if case.start_s[x] <= case.start_s[e] < case.end_s[x]]
                # An execution of no length is over before others begin at the same instant.
                replicas = {int(case.replica[x]) for x in inside}
                assert len(replicas) <= 1
                for p in replicas:
                    assert len(inside) <= case.problem.replica_slots[p]


@CASES
def test_service_takes_its_time(policy: str) -> None:
    """An execution lasts its service time over the speed, times the slowdown of its company."""
    for case in runs(policy):
        problem = case.problem
        for e in np.flatnonzero(case.ran):
            p = case.replica[e]
            lasted = case.end_s[e] - case.start_s[e]
            plain = problem.service_s[e] / problem.replica_speed[p]
            slowdown = problem.slowdown[p, : problem.replica_slots[p]]
            assert np.isclose(lasted, plain * slowdown, atol=1e-9).any()
            if problem.replica_slots[p] == 1:
                assert lasted == pytest.approx(plain, abs=1e-9)


@CASES
def test_no_gpu_overtakes_its_queue(policy: str) -> None:
    """On every GPU what was ready earlier starts no later: first come, first served."""
    for case in runs(policy):
        for mine in by_gpu(case).values():
            ready, start = case.ready_s[mine], case.start_s[mine]
            order = np.argsort(ready, kind="stable")
            ready, start = ready[order], start[order]
            earlier = np.maximum.accumulate(start)[np.searchsorted(ready, ready, "left") - 1]
            first = ready == ready[0]
            assert (start[~first] >= earlier[~first]).all()


@CASES
def test_work_is_conserved(policy: str) -> None:
    """An execution that waits sees its block busy, or held by an earlier wait, all the time."""
    for case in runs(policy):
        mine = by_gpu(case)
        for e in np.flatnonzero(case.ran & (case.start_s > case.ready_s)):
            p = case.replica[e]
            first = case.problem.replica_first_gpu[p]
            block = range(int(first), int(first + case.problem.replica_gpus[p]))
            ends = {float(case.end_s[x]) for gpu in block for x in mine[gpu]}
            # What ends a wait is the end of something on the block, not the passing of time.
            assert float(case.start_s[e]) in ends


@CASES
@SHARINGS
def test_dependencies_and_data_are_waited_for(policy: str, sharing: SharingMode) -> None:
    """A node is ready exactly when its last parent's data is on its server."""
    for case in runs(policy, sharing):
        problem, cluster = case.problem, case.problem.cluster
        for r in np.flatnonzero(case.completed):
            workflow = problem.workload.workflows[problem.workflow[r]]
            first = problem.offset[r]
            for v in range(len(workflow.nodes)):
                at = problem.replica_server[case.replica[first + v]]
                there = [float(problem.arrival_s[r])]
                for edge in workflow.edges:
                    if edge.target == v:
                        u = first + edge.source
                        same = problem.replica_server[case.replica[u]] == at
                        delay = cluster.network.delay_s(edge.payload_mb, same_server=bool(same))
                        if edge not in problem.workload.crossing_edges(int(problem.workflow[r])):
                            delay = 0.0
                        there.append(float(case.end_s[u] + delay))
                assert case.ready_s[first + v] == pytest.approx(max(there), abs=1e-12)
                assert case.start_s[first + v] >= case.ready_s[first + v]


@CASES
@SHARINGS
def test_every_request_is_accounted_for(policy: str, sharing: SharingMode) -> None:
    """A request runs whole or not at all, and fails only for want of a replica."""
    for case in runs(policy, sharing):
        held = set(case.problem.placement.model.tolist())
        for r, w in enumerate(case.problem.workflow.tolist()):
            ran = case.ran[case.problem.offset[r] : case.problem.offset[r + 1]]
            able = all(n.model in held for n in case.problem.workload.workflows[w].nodes)
            assert ran.all() if able else not ran.any()
        metrics = measure(case)
        assert metrics.completed_requests + metrics.failed_requests == metrics.total_requests


def in_unit(case: Case, unit: float) -> Case:
    """The same in another unit of time: what took one second takes `unit`."""
    workload, network, trace = case.workload, case.cluster.network, case.trace
    stated = trace.stated_prefill_s
    return replace(
        case,
        workload=replace(
            workload,
            models=tuple(
                replace(m, load_time_s=m.load_time_s * unit, prefill_time_s=m.prefill_time_s * unit)
                for m in workload.models
            ),
        ),
        cluster=replace(
            case.cluster,
            network=Network(
                network.intra_latency_s * unit,
                network.intra_bandwidth_gb_per_s / unit,
                network.inter_latency_s * unit,
                network.inter_bandwidth_gb_per_s / unit,
            ),
        ),
        trace=replace(
            trace,
            arrival_s=trace.arrival_s * unit,
            service_s=trace.service_s * unit,
            stated_prefill_s=None if stated is None else stated * unit,
        ),
    )


def at_speed(case: Case, speed: float) -> Case:
    """So much more work in every call, and GPUs that are so much faster."""
    workload, trace, stated = case.workload, case.trace, case.trace.stated_prefill_s
    models = tuple(replace(m, prefill_time_s=m.prefill_time_s * speed) for m in workload.models)
    types = tuple(
        replace(t, speed=t.speed * speed, gpu_speeds=tuple(v * speed for v in t.gpu_speeds))
        for t in case.cluster.server_types
    )
    return replace(
        case,
        workload=replace(workload, models=models),
        cluster=replace(case.cluster, server_types=types),
        trace=replace(
            trace,
            service_s=trace.service_s * speed,
            stated_prefill_s=None if stated is None else stated * speed,
        ),
    )


def figures(case: Case, policy: str, unit: float = 1.0, patience: float = 0.25) -> dict[str, float]:
    """Every number of the summary by its key, in units of time."""
    run = simulate_placement(
        case.workload,
        case.trace,
        case.cluster,
        case.placement,
        case.routing,
        dispatch=Dispatch(case.mode, policy, patience),
    )
    found: dict[str, float] = {}

    def take(key: str, value: object, power: int) -> None:
        if isinstance(value, dict):
            for inner, one in value.items():
                timed = any(word in inner for word in ("latency", "waiting", "response"))
                take(f"{key}.{inner}", one, 1 if timed else power)
        elif isinstance(value, int | float):
            powers = {"time": 1, "makespan": 1, "throughput": -1}
            power = next((p for word, p in powers.items() if word in key), power)
            found[key] = value / unit**power

    take("", summarize(run), 0)
    found |= {f"gpu{g}": b / unit for g, b in enumerate(run.metrics.gpu_busy_s)}
    found |= {f"stretch{w}": v for w, v in enumerate(workflow_stretch(run).tolist())}
    return found


@CASES
@SHARINGS
def test_units_of_time_and_of_work_change_no_figure(policy: str, sharing: SharingMode) -> None:
    """Seconds are all that is in it: twice as long is twice, and twice the work at twice the speed.

    With steps, networks, sessions, batches, prefills and cards of several speeds.
    """
    for seed in range(700, 715):
        case = random_case(seed, sharing=sharing, steps=True)
        expected = figures(case, policy)
        assert len(expected) > 30
        for unit in (2.0, 0.125):
            other = figures(in_unit(case, unit), policy, unit)
            assert other == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True), seed
        if all(m.on_gpus for m in case.workload.models):  # other steps are as fast as before
            # Patience, and how much longer than alone, go by the service times of the trace.
            other = figures(at_speed(case, 4.0), policy, patience=0.25 / 4.0)
            kept = {key: value for key, value in expected.items() if "stretch" not in key}
            assert {key: other[key] for key in kept} == pytest.approx(kept, rel=1e-9, abs=1e-9)
