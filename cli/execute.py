"""`gswarm-place execute`: a trace over a plan, on real servers."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from cli.asked import InputFiles, Shown, takes
from cli.file_arguments import check_outputs, hash_inputs, load_run
from cli.json_output import echo_json
from cli.option_groups import Grouped
from cli.options import (
    Count,
    Number,
    deployment_option,
    input_options,
    mode_option,
    output_options,
    plan_option,
    ray_option,
    routing_option,
)
from cli.waiting import CallProgress, waiting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from placement.problem.names import Mode
    from placement.problem.plan import Plan
    from placement.problem.trace import Trace
    from placement.problem.workload import Workload
    from runtime.arrays import Problem
    from runtime.live.endpoints import Endpoints
    from runtime.live.execute import LiveRun
    from runtime.live.journal import Journal
    from runtime.live.transport import Transport
    from runtime.policies import RoutingPolicy

SHOWN_REASONS = 5
"""Reasons of failures shown; `--json` lists every failure."""

DRAINING = "finishing the requests that have begun; once more to stop at once"


@dataclass(frozen=True, kw_only=True)
class Asked(InputFiles, Shown):
    """What `gswarm-place execute` was asked for."""

    plan_file: str
    endpoints: str | None
    ray: str | None
    name: str
    mode: Mode
    time_scale: float
    routing: str | RoutingPolicy
    timeout: float
    retries: int
    give_up: float
    seed: int
    journal: str | None
    record: str | None
    log: str | None
    trace: str | None


def _needs(found: Mapping[str, Any]) -> list[str]:
    """Somebody to call."""
    return [] if found.get("endpoints") or found.get("ray") else ["--endpoints"]


@click.command(cls=Grouped, needs=_needs)
@plan_option()
@input_options
@click.option(
    "--endpoints",
    type=click.Path(),
    metavar="FILE",
    help="Where each replica is served (docs/running.md); `serve-local` writes one.",
)
@ray_option(
    "Call the actors that `deploy` has made on a Ray cluster, in place of --endpoints: HOST:PORT "
    "of its head, or auto."
)
@deployment_option
@mode_option
@click.option(
    "--time-scale",
    type=Number(above_low=True, high=1e6),
    default=1.0,
    show_default=True,
    help="Seconds for each second between two requests of the trace: 0.1 sends them ten times as "
    "fast.",
)
@routing_option("As `simulate`.")
@click.option(
    "--timeout",
    type=Number(above_low=True, high=1e6),
    default=600.0,
    show_default=True,
    help="Most seconds of one call, where the endpoints file does not say.",
)
@click.option(
    "--retries",
    type=Count(0, 1000),
    default=4,
    show_default=True,
    help="Further tries of a call that failed, after growing waits.",
)
@click.option(
    "--give-up",
    type=Number(above_low=True, high=1e6),
    default=60.0,
    show_default=True,
    help="Seconds without an answer of any replica of a model after which its calls fail.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the jitter of the waits.")
@click.option(
    "--journal",
    type=click.Path(),
    metavar="FILE",
    help="Take down what is done; the same command goes on where it was stopped or killed.",
)
@click.option(
    "--record",
    type=click.Path(),
    metavar="FILE",
    help="Write what was measured as a trace (.jsonl, .json), for `solve` and `simulate`.",
)
@click.option(
    "--log",
    type=click.Path(),
    metavar="FILE",
    help="Write every execution, as `simulate` does.",
)
@click.option(
    "--trace",
    type=click.Path(),
    metavar="FILE",
    help="Write a timeline for ui.perfetto.dev (.json, or .json.gz).",
)
@output_options
@takes(Asked)
def command(asked: Asked) -> None:
    """Run a trace over a plan on real servers, and report what came of it.

    Every node is a call over HTTP to the replica that the routing policy chooses; what it answers
    goes on to the nodes that wait for it. Policies, figures and log are those of `simulate`.
    With --ray the calls go to the actors of a deployment instead (`deploy`).
    Ctrl-C lets what has begun come to its end; a second one stops at once.

    \b
    Example, on servers that only take their time:
      gswarm-place serve-local --plan plan.yaml --config configs/small.yaml -o endpoints.yaml
    and in another terminal:
      gswarm-place execute --plan plan.yaml --config configs/small.yaml \\
          --requests configs/small_requests.yaml --endpoints endpoints.yaml
    """
    from cli.run_report import show_run
    from placement.files.atomic import together
    from placement.support.escaping import visible
    from runtime.live.inputs import read_inputs
    from runtime.live.record import check_record_name, write_record
    from runtime.log import write_log
    from runtime.metrics import measure, summarize
    from runtime.run_verdict import run_verdict
    from runtime.timeline import write_timeline

    if asked.endpoints is not None and asked.ray is not None:
        raise click.UsageError(
            "--endpoints and --ray both say whom to call; take --ray where `deploy` has deployed "
            "the plan"
        )
    check_outputs(
        {f"--{name}": getattr(asked, name) for name in ("log", "trace", "journal", "record")},
        (asked.plan_file, asked.config, asked.requests, asked.endpoints),
    )
    if asked.record is not None:
        check_record_name(asked.record)
    plan, workload, trace = load_run(asked.plan_file, asked.config, asked.requests)
    inputs = read_inputs(asked.requests, trace.request_ids)
    with _driver(asked.ray):
        live = _run(plan, workload, trace, inputs, asked)
    metrics = measure(live.run)
    with together():
        if asked.log is not None:
            with waiting("writing the log"):
                write_log(asked.log, live.run, metrics)
        if asked.trace is not None:
            with waiting("writing the timeline"):
                write_timeline(asked.trace, live.run)
        if asked.record is not None:
            write_record(asked.record, live.run, inputs)
    if asked.as_json:
        echo_json({"summary": summarize(live.run, metrics), "live": details(live)})
    elif not asked.quiet:
        verdict = run_verdict(live.run, metrics, "measured")
        show_run(live.run, metrics, verdict, known="measured")
        _show_details(live, asked.journal)
        for name in ("log", "trace", "record"):
            if getattr(asked, name) is not None:
                click.echo(f"{name} written to {visible(getattr(asked, name))}")
    if live.drained and metrics.failed_requests:
        click.get_current_context().exit(130)
    if metrics.failed_requests:
        click.get_current_context().exit(1)


def _driver(ray: str | None) -> AbstractContextManager[None]:
    if ray is None:
        return nullcontext()
    from runtime.ray.connection import connected

    return connected(ray)


def _servers(asked: Asked, problem: Problem) -> tuple[Endpoints, Transport | None]:
    """Say how the replicas are called, and by what if not by HTTP."""
    if asked.endpoints is not None:
        from runtime.live.endpoints import read_endpoints

        return read_endpoints(asked.endpoints, problem, asked.timeout), None
    from runtime.ray.actor_calls import ActorTransport, endpoints_of
    from runtime.ray.deploy import state_of

    state = state_of(asked.name)
    elsewhere = sum(r["moved"] for r in state.replicas)
    if elsewhere and not asked.silent:
        click.echo(
            f"{elsewhere} replicas do not stand where the plan has them, where the figures count "
            "them; `deploy --status` says why",
            err=True,
        )
    return endpoints_of(state, problem, asked.timeout), ActorTransport(asked.name)


def _run(
    plan: Plan,
    workload: Workload,
    trace: Trace,
    inputs: Sequence[Any],
    asked: Asked,
) -> LiveRun:
    """Call the servers; Ctrl-C drains."""
    from contextlib import ExitStack

    from cli.interruption import early_end, last_words
    from runtime.live.backoff import RetryParams
    from runtime.live.execute import Drain, Followed, execute, scaled
    from runtime.live.station import Patience
    from runtime.simulate import Dispatch, match_plan, prepare_run

    placement, routing = match_plan(plan, workload)

    def prepared(trace: Trace) -> tuple[Problem, Any]:
        return prepare_run(
            workload,
            trace,
            plan.cluster,
            placement,
            routing,
            dispatch=Dispatch(mode=asked.mode, policy=asked.routing),
        )

    problem, policy = prepared(trace)
    endpoints, transport = _servers(asked, problem)
    stretched = scaled(trace, arrivals=asked.time_scale, service=endpoints.time_scale)
    if stretched is not trace:
        problem, policy = prepared(stretched)
    patience = replace(
        Patience(give_up_s=asked.give_up),
        retry=RetryParams(retries=asked.retries, seed=asked.seed),
    )
    drain = Drain()
    with ExitStack() as stack:
        journal = _journal(asked, policy.name)
        if journal is not None:
            stack.enter_context(journal)
        progress = stack.enter_context(CallProgress(quiet=asked.silent))
        early = stack.enter_context(early_end(DRAINING, grace_s=float("inf")))
        early.stops(drain)
        if journal is not None:
            hint = f"what is done is in {asked.journal}; the same command goes on from there"
            stack.enter_context(last_words(lambda: click.echo(hint, err=True)))
        return execute(
            problem,
            policy,
            endpoints,
            inputs,
            patience=patience,
            journal=journal,
            followed=Followed(drain, progress),
            transport=transport,
        )


def _journal(asked: Asked, routing: str) -> Journal | None:
    from runtime.live.journal import Journal

    if asked.journal is None:
        return None
    made_of = {
        **hash_inputs(plan=asked.plan_file, config=asked.config, requests=asked.requests),
        "mode": asked.mode,
        "routing": routing,
        "time scale": repr(asked.time_scale),
    }
    return Journal(asked.journal, made_of)


def details(live: LiveRun) -> dict[str, Any]:
    """Lay out what a run has seen that no simulation has, for `--json`."""
    problem, tally = live.run.problem, live.tally
    workload = problem.workload
    calls = sum(tally.calls_of)
    return {
        "calls": calls,
        "calls_that_failed": sum(tally.faults_of),
        "executions_resumed": tally.resumed,
        "requests_not_begun": tally.unbegun,
        "requests_without_replica": _unservable(live),
        "drained": live.drained,
        "failures": [
            {"request_id": request_id, "node_id": node_id, "reason": reason}
            for request_id, node_id, reason in _failures(live)
        ],
        "replicas": [
            {
                "replica": p,
                "model": workload.models[m].id,
                "calls": tally.calls_of[p],
                "calls_that_failed": tally.faults_of[p],
                "circuit_opened": tally.opened_of[p],
            }
            for p, m in enumerate(problem.placement.model)
        ],
    }


def _unservable(live: LiveRun) -> int:
    """Requests of workflows that call a model without a replica."""
    problem = live.run.problem
    return int((~problem.servable[problem.workflow]).sum())


def _failures(live: LiveRun) -> list[tuple[str, str, str]]:
    import numpy as np

    problem = live.run.problem
    found = []
    for execution, reason in sorted(live.tally.failed.items()):
        request = int(np.searchsorted(problem.offset, execution, side="right")) - 1
        flow = problem.workload.workflows[int(problem.workflow[request])]
        node = flow.nodes[execution - int(problem.offset[request])].id
        found.append((str(problem.trace.request_ids[request]), node, reason))
    return found


def _show_details(live: LiveRun, journal: str | None) -> None:
    from placement.support.escaping import visible

    tally = live.tally
    failed = sum(tally.faults_of)
    click.echo(
        f"{sum(tally.calls_of):,} calls, {failed:,} of them failed"
        + (f"; {tally.resumed:,} executions were done before" if tally.resumed else "")
    )
    opened = [p for p, n in enumerate(tally.opened_of) if n]
    if opened:
        click.echo(f"replicas that did not answer for a while: {', '.join(map(str, opened))}")
    reasons = Counter(reason for _, _, reason in _failures(live))
    for reason, count in reasons.most_common(SHOWN_REASONS):
        click.echo(f"failed {count:,} times: {visible(reason)}")
    if len(reasons) > SHOWN_REASONS:
        click.echo(f"and for {len(reasons) - SHOWN_REASONS} more reasons; --json lists them")
    if without := _unservable(live):
        click.echo(f"{without:,} requests call a model of which the plan has no replica")
    if tally.unbegun:
        more = "; the same command goes on from there" if journal is not None else ""
        click.echo(f"{tally.unbegun:,} requests have not begun{more}")
