"""What must hold in any run, checked from its log or its arrays by plain loops."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest

from placement.problem.names import SharingMode
from runtime.log import write_log
from runtime.metrics import measure, summarize
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


def read_log(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    if path.suffix == ".json":
        log = orjson.loads(path.read_bytes())
        return log, log["executions"]
    metadata = pl.read_parquet_metadata(path)
    head = {k: orjson.loads(v) for k, v in metadata.items() if not k.startswith("ARROW")}
    return head, pl.read_parquet(path).to_dicts()


@pytest.mark.parametrize("suffix", [".json", ".parquet"])
@pytest.mark.parametrize("seed", range(700, 725))
@SHARINGS
def test_metrics_recomputed_from_the_log_are_those_reported(
    seed: int, suffix: str, sharing: SharingMode, tmp_path: Path
) -> None:
    """Whoever holds only the log finds the summary's figures in it."""
    case = run_case(seed, "locality", "compiled", sharing)
    path = tmp_path / f"log{suffix}"
    write_log(path, case)
    head, rows = read_log(path)
    summary = head["summary"]
    assert summary == orjson.loads(orjson.dumps(summarize(case)))
    assert summary["total_nodes_executed"] == len(rows)
    requests = defaultdict(list)
    for row in rows:
        requests[row["request_id"]].append(row)
    assert summary["completed_requests"] == len(requests)
    servers = [{row["server_id"] for row in mine} for mine in requests.values()]
    assert summary["intra_server_workflows"] == sum(len(s) == 1 for s in servers)
    assert summary["inter_server_workflows"] == sum(len(s) > 1 for s in servers)
    crossing = 0
    for mine in requests.values():
        workflow = case.problem.workload.workflows[
            case.problem.workload.workflow_index[mine[0]["workflow_id"]]
        ]
        at = {row["node_id"]: row["server_id"] for row in mine}
        names = [n.id for n in workflow.nodes]
        crossing += sum(at[names[e.source]] != at[names[e.target]] for e in workflow.edges)
    assert summary["cross_server_communications"] == crossing
    assert summary["makespan"] == max((row["end_time"] for row in rows), default=0.0)
    if rows:
        waits = [row["waiting_time"] for row in rows]
        assert summary["avg_waiting_time"] == pytest.approx(np.mean(waits))
        assert summary["p99_waiting_time"] == pytest.approx(np.percentile(waits, 99))
    busy = np.zeros(case.problem.cluster.n_gpus)
    for gpu in range(len(busy)):
        spans = sorted((r["start_time"], r["end_time"]) for r in rows if gpu in r["gpu_ids"])
        until = 0.0
        for start, end in spans:
            busy[gpu] += max(0.0, end - max(start, until))
            until = max(until, end)
    share = 100 * busy / summary["makespan"] if summary["makespan"] else busy
    reported = [head["gpu_assignments"][str(g)]["utilization"] for g in range(len(busy))]
    np.testing.assert_allclose(reported, share, atol=1e-7)
    assert summary["utilization_variance"] == pytest.approx(np.var(share), abs=1e-6)
