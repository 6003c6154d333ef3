"""What `simulate` and `execute` print of a run."""

from __future__ import annotations

from rich.console import Console

from cli.terminal import output, plain, table
from cli.verdict import show_verdict
from placement.problem.verdict import Known, Verdict
from runtime.gpu_hops import GpuHops
from runtime.metrics import Metrics, workflow_metrics
from runtime.result import RunResult
from runtime.run import run_facts

MOST_GPUS = 32
"""GPUs shown; the log lists them all."""


MOST_WORKFLOWS = 16
"""The same of workflows, those with the longest latencies."""


def show_run(
    run: RunResult,
    metrics: Metrics,
    verdict: Verdict,
    next_step: tuple[str, list[str]] | None = None,
    known: Known = "simulated",
) -> None:
    """Print the console report, the verdict first.

    Parameters
    ----------
    run : RunResult
    metrics : Metrics
        Of this run, and so is the verdict.
    verdict : Verdict
    next_step : (why, words), optional
        A command to paste.
    known : {"simulated", "measured"}
        Whether real servers answered.
    """
    console = output()
    m = metrics
    steps = () if next_step is None else (next_step,)
    show_verdict(console, verdict, *steps)
    router = "" if run.routing == "none" else f", routing {run.routing}"
    what = f"{run.scheduler}{router}, {run.problem.mode}"
    facts = table(known, "", title=plain(what), left=2)
    for name, value in run_facts(run, m):
        facts.add_row(name, plain(value))
    console.print(facts)
    times = table("seconds", "mean", "median", "P99", "min", "max")
    for name, d in (
        ("request latency", m.request_latency),
        ("node waiting", m.node_waiting),
        ("node response", m.node_response),
    ):
        times.add_row(name, *(f"{x:,.3f}" for x in (d.mean, d.median, d.p99, d.min, d.max)))
    console.print(times)
    _show_workflows(console, run)
    gpus = table("GPU", "server", "executions", "busy s", "util.", "models")
    models = gpus.columns[-1]
    models.justify, models.no_wrap, models.overflow = "left", False, "fold"
    problem = run.problem
    held: list[list[str]] = [[] for _ in range(problem.cluster.n_gpus)]
    for p, model in enumerate(problem.placement.model):
        first = int(problem.replica_first_gpu[p])
        for g in range(first, first + int(problem.replica_gpus[p])):
            held[g].append(problem.workload.models[model].id)
    for g in range(min(MOST_GPUS, problem.cluster.n_gpus)):
        gpus.add_row(
            str(g),
            str(problem.cluster.gpu_server[g]),
            f"{m.gpu_executions[g]:,}",
            f"{m.gpu_busy_s[g]:,.1f}",
            f"{m.gpu_utilization[g]:.1f}%",
            plain(", ".join(held[g])),
        )
    console.print(gpus)
    if problem.cluster.n_gpus > MOST_GPUS:
        console.print(f"{problem.cluster.n_gpus - MOST_GPUS} more GPUs: --log FILE lists them all")


def show_hops(hops: GpuHops) -> None:
    """Print what stayed on one GPU, and what moved between GPUs of a server."""
    facts = table("inside servers", "", left=2)
    done = hops.completed_requests
    facts.add_row("GPU efficiency", f"{hops.gpu_efficiency:.2f}% of {done:,} requests")
    facts.add_row("edges on one GPU", f"{hops.intra_gpu_communications:,}")
    moved = f"{hops.cross_gpu_communications:,} edges, {hops.hop_mb:,.1f} MB"
    facts.add_row("hops between GPUs", moved)
    output().print(facts)


def _show_workflows(console: Console, run: RunResult) -> None:
    """Print a line a workflow, the longest P99 first."""
    workflows = sorted(workflow_metrics(run), key=lambda w: -w.latency.p99)
    if len(workflows) < 2:
        return
    rows = table("workflow", "requests", "SE %", "mean s", "median s", "P99 s")
    for w in workflows[:MOST_WORKFLOWS]:
        rows.add_row(
            plain(w.workflow_id),
            f"{w.requests:,}",
            f"{w.server_efficiency:.1f}",
            *(f"{x:,.3f}" for x in (w.latency.mean, w.latency.median, w.latency.p99)),
        )
    console.print(rows)
    if len(workflows) > MOST_WORKFLOWS:
        console.print(f"{len(workflows) - MOST_WORKFLOWS} more workflows: --json lists them all")
