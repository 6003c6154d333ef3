"""What plans that follow the demand are worth on a trace whose mix drifts.

    python -m benchmarks.drift [--hours H] [--time-limit S] [--out FOLDER]

The mix of workflows goes round once: each has its rush at another hour. Compared are the plan for
the first eighth of the trace, which is what is known when a plan is made; the plan for the mean of
it all, which nobody knows then; plans made anew along the trace for what has arrived (`simulate
--rebalance-every`), at several intervals and limits on moves; and the scheduler that loads models
as requests need them. Writes drift.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from benchmarks.kept import RESULTS, keep
from benchmarks.suite_cases import Case, inputs_of
from cli.adaptive import Adaptive, adaptive_run
from placement.problem.cluster import Cluster
from placement.problem.outcome import SolveOptions
from placement.problem.plan import Plan
from placement.problem.rules import Rules
from placement.problem.trace import Trace
from placement.problem.workload import Workload
from placement.solve import solve
from runtime.metrics import Metrics, measure
from runtime.resample import take
from runtime.simulate import simulate
from runtime.switching import simulate_switching

CASE = Case("synthetic-16-12", "64/8", "online", 0.5, exclusive=True)
SWING = 0.7
"""Logarithm of the ratio of a workflow's share at its rush hour to its mean share."""

EIGHTHS = (1, 2)
"""Intervals between two solves, in eighths of the trace."""

MOVES = (4, None)


@dataclass(frozen=True)
class Row:
    """A way of running, and what came of it."""

    name: str
    metrics: Metrics
    plans: int
    loaded: int
    loaded_gb: float


def drifting(trace: Trace, hours: float, seed: int = 0) -> Trace:
    """Draw requests of a trace so that the share of each workflow has its rush once in the time.

    Parameters
    ----------
    trace : Trace
        Its requests are drawn with replacement, at its rate.
    hours : float
        Length of the trace.
    seed : int
    """
    rng = np.random.default_rng(seed)
    span_s = 3600.0 * hours
    count = round(trace.n_requests / trace.span_s * span_s)
    arrival_s = np.sort(rng.random(count)) * span_s
    arrival_s -= arrival_s[0]
    workflows = int(trace.workflow.max()) + 1
    share = np.bincount(trace.workflow, minlength=workflows) / trace.n_requests
    hour = np.arange(workflows) / workflows
    phase = 2 * np.pi * (arrival_s[:, None] / span_s - hour)
    weight = np.cumsum(share * np.exp(SWING * np.cos(phase)), axis=1)
    drawn = rng.random(count) * weight[:, -1]
    workflow = (drawn[:, None] >= weight).sum(axis=1)
    of = [np.flatnonzero(trace.workflow == w) for w in range(workflows)]
    rows = np.array([of[w][int(rng.integers(len(of[w])))] for w in workflow])
    return take(trace, rows, arrival_s)


def rows(workload: Workload, trace: Trace, cluster: Cluster, time_limit_s: float) -> list[Row]:
    """Run the trace in every way."""
    options = SolveOptions(time_limit_s=time_limit_s)
    until = trace.span_s / 8
    seen = np.flatnonzero(trace.arrival_s < until)
    early, rules = take(trace, seen, trace.arrival_s[seen]), Rules(exclusive=CASE.exclusive)
    first = solve(workload, early, cluster, options, rules=rules)
    mean = solve(workload, trace, cluster, options, rules=rules)
    found = [
        Row("plan for the first eighth", measure(simulate(workload, trace, first)), 1, 0, 0.0),
        Row("plan for the mean of all", measure(simulate(workload, trace, mean)), 1, 0, 0.0),
    ]
    for eighths in EIGHTHS:
        for most in MOVES:
            found.append(_followed(workload, trace, first, eighths * until, most, time_limit_s))
            click.echo(found[-1].name, err=True)
    most_models = 1 if CASE.exclusive else None
    run = simulate_switching(workload, trace, cluster, "baseline", models_per_gpu=most_models)
    metrics = measure(run)
    return [*found, Row("baseline: loads on demand", metrics, 0, metrics.switches, float("nan"))]


def _followed(
    workload: Workload,
    trace: Trace,
    first: Plan,
    every_s: float,
    most: int | None,
    time_limit_s: float,
) -> Row:
    asked = Adaptive(
        rebalance_every=every_s, window=every_s, max_moves=most, drain=30.0, time_limit=time_limit_s
    )
    run, epochs = adaptive_run(asked, first, workload, trace, "locality", None)
    limit = "any number of moves" if most is None else f"at most {most} moves"
    return Row(
        f"anew every {every_s / 60:.0f} minutes, {limit}",
        measure(run),
        1 + len(epochs),
        sum(int(e["loaded"]) for e in epochs),
        sum(float(e["loaded_gb"]) for e in epochs),
    )


def page(found: list[Row]) -> str:
    """Lay the rows out as Markdown."""
    lines = [
        "# A drifting mix",
        "",
        f"{CASE.workload} on {CASE.cluster} GPUs, exclusive, mean load {CASE.load:g}: each "
        f"workflow has its rush at another time, at up to {np.exp(SWING):.1f} times its usual "
        "weight. Payloads cost no time.",
        "",
        "| | plans | loads | GB loaded | failed | SE % | CSC | mean s | P99 s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in found:
        m = row.metrics
        gb = "" if np.isnan(row.loaded_gb) else f"{row.loaded_gb:,.0f}"
        lines.append(
            f"| {row.name} | {row.plans} | {row.loaded:,} | {gb} | {m.failed_requests:,} | "
            f"{m.server_efficiency:.1f} | {m.cross_server_communications:,} | "
            f"{m.request_latency.mean:.2f} | {m.request_latency.p99:.1f} |"
        )
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--hours", default=2.0, show_default=True, help="Length of the trace.")
@click.option("--time-limit", default=8.0, show_default=True, help="Of each solve.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=RESULTS, help="Where the page goes."
)
def main(hours: float, time_limit: float, out: Path) -> None:
    """Run every way and write the page."""
    workload, trace, cluster = inputs_of(CASE)
    keep(out, "drift", page(rows(workload, drifting(trace, hours), cluster, time_limit)))
    click.echo(f"written to {out / 'drift.md'}")


if __name__ == "__main__":
    main()
