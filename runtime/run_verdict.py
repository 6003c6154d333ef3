"""The answer before the figures of a run: do queues stay short, who waits, what is idle."""

from __future__ import annotations

import numpy as np

from placement.problem.cluster import FloatArray
from placement.problem.verdict import Known, Remark, Verdict, judge
from runtime.headroom import outlasts
from runtime.metrics import Metrics, request_latency
from runtime.result import RunResult

STRETCHED = 1.25
"""Times its service alone that a workflow's request takes before it counts as one that suffers."""


def run_verdict(run: RunResult, metrics: Metrics, known: Known = "simulated") -> Verdict:
    """Judge a run by its queues.

    Red is a run with failed requests, or whose queues grow: work outlasts the last arrival as
    `runtime.headroom` has it. Amber is one whose calls wait longer than they are served. Offline,
    where all is asked for at once, queues say nothing.

    Parameters
    ----------
    run : RunResult
    metrics : Metrics
        Of this run.
    known : {"simulated", "measured"}
        Whether real servers answered.
    """
    online = run.problem.mode == "online"
    poor, fair = [], []
    if metrics.failed_requests:
        poor.append(
            f"{metrics.failed_requests:,} of {metrics.total_requests:,} requests did not complete"
        )
    waiting = metrics.node_waiting.mean
    service = metrics.node_response.mean - waiting
    if online and outlasts(run):
        poor.append("queues grow: after the last arrival more work is left than keeping up leaves")
    elif online and waiting > service:
        fair.append(
            f"calls wait {waiting:,.1f} s in the mean, longer than they are served ({service:,.1f} "
            "s)"
        )
    latency = metrics.request_latency
    good = f"all {metrics.completed_requests:,} requests completed"
    if online:
        good += f" and queues stay short: calls wait {waiting:,.1f} s in the mean"
    remarks = _remarks(run, metrics, known)
    spread = f"half of the requests take {latency.median:,.1f} s, one in a hundred over "
    if online:
        remarks.insert(0, Remark(f"{spread}{latency.p99:,.1f} s", known))
    grave, slight = ([Remark(text, known) for text in said] for said in (poor, fair))
    return judge(grave, slight, good, remarks)


def _remarks(run: RunResult, metrics: Metrics, known: Known) -> list[Remark]:
    """The busiest GPU and its model, the workflow that suffers most, idle GPUs."""
    problem, busy = run.problem, metrics.gpu_utilization
    found = []
    gpu = int(np.argmax(busy))
    if busy[gpu] > 0:
        ran = run.ran
        seconds = np.bincount(
            run.replica[ran],
            weights=run.end_s[ran] - run.start_s[ran],
            minlength=problem.n_replicas,
        )
        first = problem.replica_first_gpu
        there = np.flatnonzero((first <= gpu) & (gpu < first + problem.replica_gpus))
        most = there[np.argmax(seconds[there])]
        model = problem.workload.models[problem.placement.model[most]].id
        found.append(
            Remark(
                f"busiest: GPU {gpu} of server {problem.cluster.gpu_server[gpu]}, "
                f"{busy[gpu]:.1f}% of the time, most of it for {model}",
                known,
            )
        )
    if problem.mode == "online":
        stretch = workflow_stretch(run)
        if len(stretch) and np.nanmax(stretch, initial=0.0) > STRETCHED:
            w = int(np.nanargmax(stretch))
            found.append(
                Remark(
                    f"{problem.workload.workflows[w].id} suffers most: its requests take "
                    f"{stretch[w]:.1f} times as long as their calls alone",
                    known,
                )
            )
    idle = int((busy == 0).sum())
    if idle:
        found.append(Remark(f"{idle:,} of {len(busy):,} GPUs served nothing", known))
    return found


def workflow_stretch(run: RunResult) -> FloatArray:
    """Mean latency of each workflow over that of its requests alone, shape (W,).

    Alone a request takes the longest path through its service times. NaN where none completed, or
    where they take no time.
    """
    problem = run.problem
    latency = np.full(len(problem.workflow), np.nan)
    latency[run.completed] = request_latency(run)
    stretch = np.full(len(problem.workload.workflows), np.nan)
    for w, workflow in enumerate(problem.workload.workflows):
        mine = np.flatnonzero((problem.workflow == w) & run.completed)
        rows = problem.offset[mine][:, None] + np.arange(len(workflow.nodes))
        service = problem.trace.service_s[rows]
        end = service.copy()
        for v in workflow.topological_order:
            for edge in workflow.edges:
                if edge.target == v:
                    end[:, v] = np.maximum(end[:, v], end[:, edge.source] + service[:, v])
        alone = float(end.max(axis=1, initial=0.0).sum())
        if alone > 0:
            stretch[w] = float(latency[mine].sum()) / alone
    return stretch
