"""What must hold in any run, checked from its log or its arrays by plain loops."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from placement.problem.names import SharingMode
from runtime.metrics import measure
from runtime.policies import BUILT_IN
from runtime.result import RunResult
from tests.runtime.cases import run_case

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
