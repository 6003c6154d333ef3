"""`gswarm-place simulate`: a trace over a plan, event by event."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

import click

from cli.adaptive import (
    ADAPTS,
    Adaptive,
    adaptive_options,
    adaptive_run,
    check_adaptive,
    show_epochs,
)
from cli.asked import InputFiles, SharedCluster, Shown, share_gpus, takes
from cli.file_arguments import check_outputs, load_inputs, load_run
from cli.json_output import echo_json
from cli.missing import needs_cluster
from cli.notices import say
from cli.option_groups import Grouped
from cli.options import (
    Failure,
    cluster_options,
    gpu_sharing_option,
    input_options,
    mode_option,
    output_options,
    ray_option,
    routing_option,
    sharing_options,
)
from cli.repeat import repeat_options, repeat_run, show_intervals
from cli.waiting import RunProgress, waiting
from placement.problem.names import SCHEDULERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from placement.problem.names import Mode, Scheduler
    from placement.problem.trace import Trace
    from placement.problem.verdict import Verdict
    from runtime.engines.events import ProgressCallback
    from runtime.metrics import Metrics
    from runtime.outages import Outage
    from runtime.policies import RoutingPolicy
    from runtime.result import RunResult

    Runner = Callable[[Trace, ProgressCallback | None], RunResult]


SLOW = 100_000
"""Executions from which it is said that the plain engine serves them."""


@dataclass(frozen=True, kw_only=True)
class Asked(InputFiles, SharedCluster, Adaptive, Shown):
    """What `gswarm-place simulate` was asked for."""

    plan: str | None
    scheduler: Scheduler
    mode: Mode
    routing: str | RoutingPolicy
    log: str | None
    event_log: str | None
    trace: str | None
    fail: tuple[Outage, ...]
    locality: Literal["server", "gpu"]
    repeat: int | None
    seed: int
    ray: str | None


def _needs(found: Mapping[str, Any]) -> list[str]:
    """A plan, or for a scheduler without one the cluster."""
    if (found.get("scheduler") or "static") != "static":
        return needs_cluster(found)
    return ["--plan"] if found.get("plan") is None else []


@click.command(cls=Grouped, needs=_needs)
@click.option("--plan", type=click.Path(), metavar="FILE", help="The plan that `solve` wrote.")
@click.option(
    "--scheduler",
    type=click.Choice(SCHEDULERS),
    default="static",
    show_default=True,
    help="A plan, or GPUs that load models as requests need them: in order of readiness, or "
    "level by level with all requests known (mode offline).",
)
@input_options
@cluster_options
@sharing_options
@gpu_sharing_option
@mode_option
@routing_option(
    "By the plan's shares, with or without spilling; blind to servers; or a policy of your own in "
    "Python (docs/simulator.md)."
)
@click.option(
    "--log",
    type=click.Path(),
    metavar="FILE",
    help="Write every execution (JSON as static_execution_log.json, or Parquet).",
)
@click.option(
    "--event-log",
    type=click.Path(),
    metavar="FILE",
    help="Write a readable line an event: assignments, arrivals, starts, ends, crossings.",
)
@click.option(
    "--trace",
    type=click.Path(),
    metavar="FILE",
    help="Write a timeline for ui.perfetto.dev: a track per GPU (.json, or .json.gz).",
)
@click.option(
    "--fail",
    type=Failure(),
    multiple=True,
    help="Lose a server, or a GPU of one, at a second of the trace: server:3@120, gpu:3/1@120, or "
    "server:3@120-180 if it is up again at 180 and loads its models. May repeat.",
)
@click.option(
    "--locality",
    type=click.Choice(["server", "gpu"]),
    default="server",
    show_default=True,
    help="What else to count: hops between GPUs of a server, too (gpu).",
)
@adaptive_options
@repeat_options
@ray_option(
    "Spread the runs of --repeat over a Ray cluster: HOST:PORT of its head, or auto. The figures "
    "are the same."
)
@output_options
@takes(Asked)
def command(asked: Asked) -> None:
    """Run a trace over a plan, event by event, and report what came of it.

    Replicas with work share their GPU evenly (or take turns, --gpu-sharing serial), a replica on
    several GPUs is as fast as the slowest of them lets it be, and every queue is first come first
    served. Nothing is random: the same input gives the same log.

    \b
    Example:
      gswarm-place simulate --plan plan.yaml --config configs/small.yaml \\
          --requests configs/small_requests.yaml --log static_execution_log.json

    \b
    Without a plan, on GPUs that switch models:
      gswarm-place simulate --scheduler baseline --gpus 8 --config configs/small.yaml \\
          --requests configs/small_requests.yaml
    """
    from placement.files.atomic import together
    from placement.support.escaping import visible
    from runtime.event_log import write_event_log
    from runtime.gpu_hops import gpu_hops
    from runtime.log import write_log
    from runtime.metrics import measure, summarize
    from runtime.run_verdict import run_verdict
    from runtime.timeline import write_timeline

    asked = _checked(asked)
    inputs = (asked.plan, asked.config, asked.requests, asked.cluster_file)
    check_outputs(
        {"--log": asked.log, "--event-log": asked.event_log, "--trace": asked.trace},
        inputs,
    )
    planned = asked.scheduler == "static"
    expected: float | None = None
    epochs: list[dict[str, Any]] = []
    if planned:
        trace, run_trace, expected = _planned(asked, epochs)
    else:
        trace, run_trace = _switching(asked)

    with RunProgress(quiet=asked.silent) as progress:
        run = run_trace(trace, progress)
    metrics = measure(run)
    hops = gpu_hops(run) if asked.locality == "gpu" else None
    intervals: dict[str, Any] | None = None
    if asked.repeat is not None:
        with RunProgress(quiet=asked.silent) as progress:
            intervals = repeat_run(run_trace, trace, asked.repeat, asked.seed, progress, asked.ray)
    timeline = None
    written: list[str] = []
    with together():
        if asked.log is not None:
            with waiting("writing the log"):
                write_log(asked.log, run, metrics)
        if asked.event_log is not None:
            with waiting("writing the events"):
                notice = write_event_log(asked.event_log, run)
            sampled = f" ({notice})" if notice else ""
            written.append(f"events written to {visible(asked.event_log)}{sampled}")
        if asked.trace is not None:
            with waiting("writing the timeline"):
                timeline = write_timeline(asked.trace, run)
    if asked.as_json:
        extra: dict[str, Any] = {} if intervals is None else {"intervals": intervals}
        verdict = run_verdict(run, metrics)
        if run.interruptions is not None:
            extra["failures"] = run.interruptions.as_dict(run.ran)
        if asked.rebalance_every is not None:
            extra["epochs"] = epochs
        summary = summarize(run, metrics) | ({} if hops is None else hops.as_dict())
        echo_json({"summary": summary, "verdict": verdict.as_dict(), **extra})
    elif not asked.quiet:
        from cli.run_report import show_hops, show_run  # and with it rich

        verdict = run_verdict(run, metrics)
        show_run(run, metrics, verdict, next_step(asked, verdict))
        if hops is not None:
            show_hops(hops)
        if asked.rebalance_every is not None:
            show_epochs(epochs)
        elif not asked.fail:
            _say_difference(run, metrics, expected)
        if intervals is not None and asked.repeat is not None:
            show_intervals(intervals, asked.repeat)
        if asked.log is not None:
            click.echo(f"log written to {visible(asked.log)}")
    if timeline is not None and asked.trace is not None:
        notice = f" ({timeline.notice})" if timeline.notice else ""
        written.append(f"timeline written to {visible(asked.trace)}{notice}")
    if not asked.quiet:
        for line in written:
            click.echo(line, err=asked.as_json)


def _checked(asked: Asked) -> Asked:
    """Say which options do not go together, and settle the mode."""
    if asked.ray is not None and asked.repeat is None:
        raise click.UsageError(
            "--ray spreads the runs of --repeat; add --repeat N, or leave --ray out"
        )
    given = click.get_current_context().get_parameter_source
    names = [field.name for field in fields(asked)]
    explicit = {n for n in names if given(n) is click.core.ParameterSource.COMMANDLINE}
    if asked.scheduler == "static":
        if asked.plan is None:
            raise click.UsageError("--plan FILE is missing; or choose --scheduler baseline")
        wrong = explicit & {
            "gpus", "gpus_per_server", "gpu_memory_gb", "cluster_file", "exclusive",
            "max_models_per_gpu",
        }  # fmt: skip
        from placement.files.placement_file import is_placement

        placed = wrong <= {"gpus", "gpus_per_server", "gpu_memory_gb", "cluster_file"}
        if wrong and not (placed and is_placement(asked.plan)):
            raise click.UsageError(
                f"{_flags(wrong)}: a plan says what the cluster is; leave it out, or choose "
                "--scheduler baseline"
            )
        check_adaptive(
            asked,
            explicit,
            repeat=asked.repeat is not None,
            fail=bool(asked.fail),
            mode=asked.mode == "offline",
        )
        return asked
    without = {"plan", "routing", "gpu_sharing", "fail", "rebalance_every"}
    if wrong := explicit & (without | ADAPTS):
        raise click.UsageError(
            f"{_flags(wrong)}: the {asked.scheduler} scheduler has no plan; leave it out"
        )
    if asked.scheduler == "offline":
        if asked.mode == "online" and "mode" in explicit:
            raise click.UsageError(
                "--scheduler offline knows all requests at time 0; use --mode offline"
            )
        return replace(asked, mode="offline")
    return asked


def _flags(names: set[str]) -> str:
    return ", ".join("--" + name.removesuffix("_file").replace("_", "-") for name in sorted(names))


def _planned(asked: Asked, epochs: list[dict[str, Any]]) -> tuple[Trace, Runner, float | None]:
    from runtime.simulate import simulate

    assert asked.plan is not None
    own = asked.gpus is not None or asked.cluster_file is not None
    stands_on = asked.cluster() if own else None
    plan, workload, trace = load_run(asked.plan, asked.config, asked.requests, stands_on)
    cluster = share_gpus(plan.cluster, asked.gpu_sharing)
    plan = replace(plan, instance=replace(plan.instance, cluster=cluster))

    def run(trace: Trace, progress: ProgressCallback | None) -> RunResult:
        if asked.rebalance_every is not None:
            found, rows = adaptive_run(asked, plan, workload, trace, asked.routing, progress)
            epochs.extend(rows)
            return found
        return simulate(
            workload,
            trace,
            plan,
            mode=asked.mode,
            policy=asked.routing,
            outages=asked.fail,
            progress=progress,
        )

    if asked.fail and trace.n_executions >= SLOW and not asked.silent:
        say(
            "runs with --fail take the plain engine: some ten thousand executions a second",
            err=True,
        )
    return trace, run, plan.expected.get("server_efficiency")


def _switching(asked: Asked) -> tuple[Trace, Runner]:
    from runtime.switching import simulate_switching

    scheduler = asked.scheduler
    assert scheduler != "static"
    cluster = asked.cluster()
    workload, trace = load_inputs(asked.config, asked.requests)

    def run(trace: Trace, progress: ProgressCallback | None) -> RunResult:
        return simulate_switching(
            workload,
            trace,
            cluster,
            scheduler,
            mode=asked.mode,
            models_per_gpu=1 if asked.exclusive else asked.max_models_per_gpu,
            progress=progress,
        )

    return trace, run


def next_step(asked: Asked, verdict: Verdict) -> tuple[str, list[str]] | None:
    """What to do after a run of a plan: why, and a command; None without a plan."""
    if asked.plan is None:
        return None
    run = ["--plan", asked.plan, *asked.input_words]
    if verdict.level == "poor":
        return "who waits where", ["report", *run]
    if asked.repeat is None:
        return "on other traces like it", ["simulate", *run, "--repeat", "20"]
    return "as a page", ["report", *run]


def _say_difference(run: RunResult, metrics: Metrics, expected: float | None) -> None:
    from cli.expectation import difference

    said = expected is not None and difference(expected, metrics.server_efficiency, run.routing)
    if said:
        say(said)
