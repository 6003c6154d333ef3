"""`gswarm-place whatif`: a plan under other traffic, on fewer servers, or on more."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from cli.asked import InputFiles, Shown, takes
from cli.file_arguments import check_outputs, load_run
from cli.json_output import echo_json
from cli.missing import Complete
from cli.options import (
    Count,
    Number,
    input_options,
    output_options,
    routing_option,
    time_limit_option,
)
from cli.waiting import SolveProgress
from placement.support.escaping import visible

if TYPE_CHECKING:
    from placement.problem.instance import Instance
    from placement.problem.plan import Plan
    from placement.problem.solution import Solution
    from placement.problem.trace import Trace
    from placement.problem.workload import Workload
    from placement.whatif import Change
    from runtime.policies import RoutingPolicy

Outcome = dict[str, Any]

FIGURES = (
    ("server efficiency, expected", "server_efficiency", lambda x: f"{100 * x:.1f}%"),
    ("edges kept, expected", "edge_locality", lambda x: f"{100 * x:.1f}%"),
    ("busiest GPU", "max_utilization", lambda x: f"{100 * x:.1f}%"),
    ("headroom", "headroom", lambda x: f"{x:.2f}"),
    ("server efficiency, simulated", "simulated_server_efficiency", lambda x: f"{x:.1f}%"),
    ("mean latency", "mean_latency", lambda x: f"{x:,.2f} s"),
    ("P99 latency", "p99", lambda x: f"{x:,.2f} s"),
    ("the run", "verdict", str),
)
"""Rows of the table: name, key in ``--json``, how it is written."""


@dataclass(frozen=True, kw_only=True)
class Asked(InputFiles, Shown):
    """What `gswarm-place whatif` was asked for."""

    plan_file: str
    traffic: float
    without_server: tuple[int, ...]
    without_gpu: tuple[int, ...]
    add_servers: int
    routing: str | RoutingPolicy
    solve: bool
    time_limit: float
    output: str | None


@click.command(cls=Complete)
@click.argument("plan_file", type=click.Path(), metavar="PLAN")
@input_options
@click.option(
    "--traffic",
    type=Number(0, above_low=True),
    default=1.0,
    show_default=True,
    help="Factor on every rate.",
)
@click.option(
    "--without-server",
    type=Count(0),
    multiple=True,
    metavar="S",
    help="A server that is lost; may repeat.",
)
@click.option(
    "--without-gpu",
    type=Count(0),
    multiple=True,
    metavar="G",
    help="A GPU that is lost, by its number in the cluster; may repeat.",
)
@click.option(
    "--add-servers",
    type=Count(0, 1_000_000),
    default=0,
    metavar="N",
    help="Servers more, of the last type.",
)
@routing_option("Of the simulated runs.")
@click.option(
    "--solve/--no-solve",
    default=True,
    show_default=True,
    help="Also solve anew for what is changed, and say what would move.",
)
@time_limit_option("Of the new solve.")
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    metavar="FILE",
    help="Write the plan that was solved anew (YAML or JSON).",
)
@output_options
@takes(Asked)
def command(asked: Asked) -> None:
    """Ask what becomes of a plan: more traffic, a lost server or GPU, more servers.

    Three columns: the plan as it is; as it runs after the change, every replica that is left where
    it stands and requests routed anew; and solved anew, with what would have to move.

    \b
    Example:
      gswarm-place whatif plan.yaml --config configs/small.yaml \\
          --requests configs/small_requests.yaml --traffic 1.5 --without-server 1
    """
    from placement.files.plan_file import check_plan_name, write_plan
    from placement.migration import migration
    from placement.problem.outcome import SolveOptions
    from placement.problem.plan_building import build_plan
    from placement.renumbering import renumbered
    from placement.solve import solve_instance
    from placement.whatif import as_it_runs, changed_instance

    if asked.output is not None:
        check_plan_name(asked.output)
        if not asked.solve:
            raise click.UsageError("--output: there is no new plan with --no-solve; leave one out")
    check_outputs({"--output": asked.output}, (asked.plan_file, asked.config, asked.requests))
    change = _change(asked)
    plan, workload, trace = load_run(asked.plan_file, asked.config, asked.requests)
    later = replace(trace, arrival_s=trace.arrival_s / change.traffic)
    outcomes = {
        "as planned": _outcome(plan.instance, plan.solution(), workload, trace, asked, plan)
    }
    runs = as_it_runs(plan, change)
    outcomes["as it runs"] = _outcome(runs.instance, runs.solution, workload, later, asked, plan)
    found: dict[str, Any] = {"change": change.text, "lost_workflows": list(runs.lost)}
    if asked.solve:
        options = SolveOptions(
            mode=plan.mode,
            max_utilization=plan.max_utilization or plan.certificate.load_cap,
            headroom_slack=plan.certificate.headroom_slack,
            time_limit_s=asked.time_limit,
            seed=plan.certificate.seed,
        )
        with SolveProgress(quiet=asked.silent, limit_s=asked.time_limit) as progress:
            result = solve_instance(changed_instance(plan, change), options, progress=progress)
        anew = build_plan(result, workload)
        outcomes["solved anew"] = _outcome(
            anew.instance, anew.solution(), workload, later, asked, anew
        )
        outcomes["solved anew"]["status"] = anew.certificate.status
        if not change.added:
            running = replace(
                plan, instance=runs.instance, placement=runs.solution.placement,
                load=runs.solution.load,
            )  # fmt: skip
            anew = renumbered(anew, running)
            moves = migration(running, anew)
            found["migration"] = moves.headline
        if asked.output is not None:
            write_plan(asked.output, anew)
    found["outcomes"] = outcomes
    if asked.as_json:
        echo_json(found)
    elif not asked.quiet:
        _show(found, asked)


def _change(asked: Asked) -> Change:
    """Build what is changed from the options.

    Raises
    ------
    click.UsageError
        Nothing is.
    """
    from placement.whatif import Change

    gives = (asked.traffic != 1, asked.without_server, asked.without_gpu, asked.add_servers)
    if not any(gives):
        raise click.UsageError(
            "say what changes: --traffic F, --without-server S, --without-gpu G or --add-servers N"
        )
    return Change(
        asked.traffic,
        tuple(sorted(set(asked.without_server))),
        tuple(sorted(set(asked.without_gpu))),
        asked.add_servers,
    )


def _outcome(
    instance: Instance,
    solution: Solution,
    workload: Workload,
    trace: Trace,
    asked: Asked,
    plan: Plan,
) -> Outcome:
    """What a placement is worth at mean rates, and over the trace."""
    from placement.problem.plan_building import route
    from placement.problem.solution import evaluate
    from runtime.metrics import measure
    from runtime.run_verdict import run_verdict
    from runtime.simulate import Dispatch, simulate_placement

    expected = evaluate(instance, solution)
    run = simulate_placement(
        workload,
        trace,
        instance.cluster,
        solution.placement,
        route(instance, solution.flows),
        dispatch=Dispatch(mode=plan.mode, policy=asked.routing),
    )
    metrics = measure(run)
    verdict = run_verdict(run, metrics)
    return {
        "server_efficiency": expected.server_efficiency,
        "edge_locality": expected.edge_locality,
        "max_utilization": expected.max_utilization,
        "headroom": expected.headroom,
        "simulated_server_efficiency": metrics.server_efficiency,
        "mean_latency": metrics.request_latency.mean,
        "p99": metrics.request_latency.p99,
        "failed_requests": metrics.failed_requests,
        "verdict": verdict.level,
        "headline": verdict.headline,
    }


def _show(found: dict[str, Any], asked: Asked) -> None:
    from cli.terminal import output, plain, table

    console = output()
    outcomes: dict[str, Outcome] = found["outcomes"]
    console.print(plain(f"{visible(asked.plan_file)} {found['change']}"))
    if found["lost_workflows"]:
        console.print(
            f"not served any more: {plain(', '.join(found['lost_workflows']))}; a model of theirs "
            "has no replica left",
            style="red",
        )
    shown = table("", *outcomes)
    for name, key, written in FIGURES:
        shown.add_row(name, *(written(o[key]) for o in outcomes.values()))
    console.print(shown)
    for name, outcome in outcomes.items():
        if outcome["verdict"] != "good":
            console.print(plain(f"{name}: {outcome['headline']}"))
    if "migration" in found:
        console.print(f"to come there: {found['migration']}")
    if asked.output is not None:
        console.print(f"written to {plain(asked.output)}")
