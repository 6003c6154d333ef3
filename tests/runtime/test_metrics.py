"""What a run was worth, computed anew from its log and execution by execution."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest

from placement.problem.names import SharingMode
from runtime.log import write_log
from runtime.metrics import measure, replica_busy_s, request_server, request_whole, summarize
from runtime.result import RunResult
from runtime.switching import simulate_switching
from tests.runtime.cases import crowded_case, run_case


def read_log(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    if path.suffix == ".json":
        log = orjson.loads(path.read_bytes())
        return log, log["executions"]
    metadata = pl.read_parquet_metadata(path)
    head = {k: orjson.loads(v) for k, v in metadata.items() if not k.startswith("ARROW")}
    return head, pl.read_parquet(path).to_dicts()


@pytest.mark.parametrize("suffix", [".json", ".parquet"])
@pytest.mark.parametrize("seed", range(700, 725))
@pytest.mark.parametrize("sharing", ["serial", "time-sliced"])
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


def naive(run: RunResult) -> dict[str, object]:
    """The figures of a run by loops over requests and executions."""
    problem = run.problem
    workload, offset = problem.workload, problem.offset.tolist()
    latency, waits, responses = [], [], []
    busy = [0.0] * problem.n_replicas
    whole, crossed = 0, 0
    for r, w in enumerate(problem.workflow.tolist()):
        mine = range(offset[r], offset[r + 1])
        ran = [e for e in mine if run.replica[e] >= 0]
        for e in ran:
            waits.append(float(run.start_s[e] - run.ready_s[e]))
            responses.append(float(run.end_s[e] - run.ready_s[e]))
        if len(ran) < len(mine):
            continue
        latency.append(max(float(run.end_s[e]) for e in mine) - float(problem.arrival_s[r]))
        at = [int(problem.replica_server[run.replica[e]]) for e in mine]
        whole += len(set(at)) == 1
        crossed += sum(at[x.source] != at[x.target] for x in workload.workflows[w].edges)
    for p in range(problem.n_replicas):
        until = 0.0
        for e in sorted(np.flatnonzero(run.replica == p), key=lambda e: run.start_s[e]):
            busy[p] += max(0.0, float(run.end_s[e]) - max(until, float(run.start_s[e])))
            until = max(until, float(run.end_s[e]))
    return {
        "latency": latency, "waits": waits, "responses": responses,
        "whole": whole, "crossed": crossed, "busy": busy,
    }  # fmt: skip


@pytest.mark.parametrize("sharing", ["serial", "time-sliced"])
def test_every_figure_is_that_of_plain_loops(sharing: SharingMode) -> None:
    """Counts, distributions, rates and the busy time of replicas, failures among the runs."""
    failed = 0
    for seed in range(900, 960):
        run = run_case(seed, "earliest", "compiled", sharing)
        wanted, found = naive(run), measure(run)
        latency = wanted["latency"]
        assert isinstance(latency, list)
        assert found.completed_requests == len(latency)
        failed += found.failed_requests > 0
        assert found.failed_requests == len(run.problem.workflow) - len(latency)
        assert found.intra_server_workflows == wanted["whole"]
        assert found.inter_server_workflows == len(latency) - found.intra_server_workflows
        assert found.cross_server_communications == wanted["crossed"]
        np.testing.assert_allclose(replica_busy_s(run), wanted["busy"], atol=1e-9)
        for name, said in (
            ("latency", found.request_latency),
            ("waits", found.node_waiting),
            ("responses", found.node_response),
        ):
            values = np.array(wanted[name])
            if not len(values):
                assert asdict(said) == dict.fromkeys(asdict(said), 0.0)
                continue
            assert (said.min, said.max) == (values.min(), values.max())
            assert said.mean == pytest.approx(values.mean())
            assert said.median == pytest.approx(np.median(values))
            # Linear between ranks, as the docstring has it.
            rank, part = divmod(0.99 * (len(values) - 1), 1.0)
            ends = np.sort(values)[[int(rank), min(int(rank) + 1, len(values) - 1)]]
            assert said.p99 == pytest.approx(ends[0] + part * (ends[1] - ends[0]))
        makespan = max(run.end_s[run.ran], default=0.0)
        assert found.makespan_s == makespan
        assert found.throughput == pytest.approx(len(latency) / makespan if makespan else 0.0)
        nodes = int(run.ran.sum())
        assert found.node_throughput == pytest.approx(nodes / makespan if makespan else 0.0)
        share = found.gpu_utilization
        assert found.average_utilization == pytest.approx(share.mean())
        assert found.server_efficiency == pytest.approx(
            100 * found.intra_server_workflows / len(latency) if latency else 0.0
        )
        server = request_server(run)
        assert (server >= 0).sum() == found.intra_server_workflows
        assert found.switches == found.switch_overhead == 0
    assert failed > 5


def test_loading_counts_on_every_gpu_of_the_block() -> None:
    """Overhead is GPU seconds of loading, of those and the GPU seconds of service."""
    some = 0
    for seed in range(20):
        case = crowded_case(seed)
        run = simulate_switching(case.workload, case.trace, case.cluster, "baseline")
        assert run.switch_s is not None
        found = measure(run)
        blocks = run.problem.replica_gpus[run.replica]
        loading = float((run.switch_s * blocks)[run.ran].sum())
        serving = float(((run.end_s - run.start_s) * blocks)[run.ran].sum())
        assert found.switch_time_s == pytest.approx(loading)
        assert found.switches == int((run.switch_s[run.ran] > 0).sum())
        if (run.problem.replica_slots == 1).all() and loading:
            assert found.gpu_busy_s.sum() == pytest.approx(serving)
            assert found.switch_overhead == pytest.approx(100 * loading / (loading + serving))
            some += 1
    assert some > 3


def test_a_run_in_which_nothing_fits_serves_nobody() -> None:
    """No replica ever stands: every request fails, on no server."""
    case = crowded_case(0)
    models = tuple(replace(m, gpus_required=99) for m in case.workload.models)
    workload = replace(case.workload, models=models)
    run = simulate_switching(workload, case.trace, case.cluster, "baseline")
    assert len(run.problem.replica_server) == 0
    assert (request_server(run) == -1).all()
    assert not request_whole(run).any()
    assert measure(run).failed_requests == len(run.problem.workflow)
