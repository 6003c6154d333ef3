"""What `simulate` and `execute` print of a run."""

from __future__ import annotations

from cli.terminal import output, plain, table
from runtime.metrics import Metrics
from runtime.result import RunResult
from runtime.run import run_facts

MOST_GPUS = 32
"""GPUs shown; the log lists them all."""


def show_run(run: RunResult, metrics: Metrics) -> None:
    """Print the console report."""
    console = output()
    m = metrics
    router = "" if run.routing == "none" else f", routing {run.routing}"
    facts = table(plain(f"{run.scheduler}{router}, {run.problem.mode}"), "", left=2)
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
