"""`simulate --repeat`: the range of every metric over traffic."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli.options import Count

if TYPE_CHECKING:
    from placement.problem.trace import Trace
    from runtime.engines.events import ProgressCallback
    from runtime.result import RunResult

F = TypeVar("F", bound=Callable[..., Any])

SHOWN = {
    "makespan": "makespan s",
    "throughput": "requests/s",
    "server_efficiency": "server efficiency %",
    "cross_server_communications": "cross-server edges",
    "average_utilization": "average utilization %",
    "utilization_variance": "utilization variance",
    "total_model_switches": "model switches",
    "request_latency": "latency",
    "node_waiting": "node waiting",
    "node_response": "node response",
}
MOMENTS = ("mean", "median", "p99")


def repeat_options(function: F) -> F:
    """``--repeat`` and ``--seed``."""
    for option in (
        click.option(
            "--seed",
            type=Count(0, 2**31 - 1),
            default=0,
            show_default=True,
            help="Of the resampling; equal seeds give equal traces.",
        ),
        click.option(
            "--repeat",
            type=Count(1, 100_000),
            metavar="N",
            help="Also run N resampled traces (stationary block bootstrap of arrivals and "
            "requests) and say where each metric falls on another trace of this traffic, "
            "95 times of 100.",
        ),
    ):
        function = option(function)
    return function


def repeat_run(
    run: Callable[[Trace, ProgressCallback | None], RunResult],
    trace: Trace,
    repeat: int,
    seed: int,
    progress: ProgressCallback,
    ray: str | None,
) -> dict[str, Any]:
    """Run resampled traces, here or over a Ray cluster; the range of every metric over traffic.

    Parameters
    ----------
    run : callable
        Simulates a trace.
    trace : Trace
        Resampled in blocks of whole requests.
    repeat : int
        Replications.
    seed : int
        Of the resampling.
    progress : callable
        Told how many executions of all replications are done.
    ray : str or None
        Address of the Ray cluster.
    """
    from runtime.intervals import intervals, replicate
    from runtime.ray.spread import spread_over

    def one(resampled: Trace) -> RunResult:
        return run(resampled, None)

    found = []
    with spread_over(ray) as spread:
        progress(0, repeat * trace.n_executions)
        for summary in replicate(one, trace, repeat, seed, spread):
            found.append(summary)
            progress(len(found) * trace.n_executions, repeat * trace.n_executions)
    return intervals(found)


def show_intervals(found: dict[str, Any], repeat: int) -> None:
    """Print the mean of every metric, and where it falls on another trace of the same traffic."""
    from cli.terminal import output, table

    shown = table(f"{repeat} resampled traces", "mean", "another trace: from", "to (95%)")
    for name, label in SHOWN.items():
        entry = found[name]
        if "low" in entry:
            shown.add_row(label, *_cells(entry))
            continue
        for moment in MOMENTS:
            part = moment.upper() if moment == "p99" else moment
            shown.add_row(f"{label}, {part} s", *_cells(entry[moment]))
    output().print(shown)
    if repeat == 1:
        output().print("one resampled trace shows no range; take --repeat 10 or more")


def _cells(entry: dict[str, Any]) -> list[str]:
    values = (entry["mean"], entry["low"], entry["high"])
    return ["" if v is None else f"{v:,.3f}" for v in values]
