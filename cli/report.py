"""`gswarm-place report`: a plan at work, as one page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from cli.asked import InputFiles, Shown, takes
from cli.file_arguments import check_outputs, hash_inputs, load_run
from cli.json_output import echo_json
from cli.missing import Complete
from cli.options import input_options, output_options, plan_option
from cli.waiting import waiting
from placement.problem.names import MODES, ROUTERS

if TYPE_CHECKING:
    from placement.problem.names import Method, Mode, Router
    from placement.problem.outcome import Progress
    from placement.problem.plan import Plan
    from runtime.scene import Scene

RIVALS = ("greedy", "greedy-no-affinity", "local-search")


@dataclass(frozen=True, kw_only=True)
class Asked(InputFiles, Shown):
    """What `gswarm-place report` was asked for."""

    plan_file: str
    mode: Mode | None
    routing: Router
    against: Method | Literal["none"]
    against_plan: str | None
    history: str | None
    output: str


@click.command(cls=Complete)
@plan_option()
@input_options
@click.option(
    "--mode",
    type=click.Choice(MODES),
    help="Requests at their timestamps, or all at time 0.  [default: as the plan was made for]",
)
@click.option(
    "--routing",
    type=click.Choice(ROUTERS),
    default="locality",
    show_default=True,
    help="How requests find replicas, for both plans.",
)
@click.option(
    "--against",
    type=click.Choice([*RIVALS, "none"]),
    default="greedy",
    show_default=True,
    help="Heuristic whose plan is shown beside, on the same cluster and trace.",
)
@click.option(
    "--against-plan",
    type=click.Path(),
    metavar="FILE",
    help="Show another plan file beside, in place of --against.",
)
@click.option(
    "--history",
    type=click.Path(),
    metavar="FILE",
    help="Course of the solve, as solve --history wrote it, drawn as incumbent and bound.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    metavar="FILE",
    default="report.html",
    show_default=True,
    help="The page (HTML).",
)
@output_options
@takes(Asked)
def command(asked: Asked) -> None:
    """Write one HTML page that shows a plan at work.

    Simulates the trace over the plan and over a heuristic's, and draws what sits where, which
    pairs of models stay together, what crosses servers, how busy GPUs are over time, how long
    requests take and how the proof closed. The page needs nothing but itself: it opens offline.

    \b
    Example:
      gswarm-place report --plan plan.yaml --config configs/small.yaml \\
          --requests configs/small_requests.yaml -o report.html
    """
    from cli.side_by_side import run_both
    from cli.views.history import read_history
    from cli.views.page import report_page
    from placement.files.atomic import write_atomically
    from placement.files.plan_file import read_plan
    from placement.support.escaping import visible

    check_outputs(
        {"--output": asked.output},
        (asked.plan_file, asked.config, asked.requests, asked.history, asked.against_plan),
    )
    plan, workload, trace = load_run(asked.plan_file, asked.config, asked.requests)
    history = read_history(asked.history) if asked.history is not None else ()
    mode = asked.mode or plan.mode
    rival = asked.against_plan
    scene, other = run_both(
        plan,
        workload,
        trace,
        mode=mode,
        routing=asked.routing,
        against=asked.against if rival is None else read_plan(rival),
    )
    with waiting("drawing the page"):
        page = report_page(
            scene,
            other=other,
            history=history,
            run_note=_note(plan, scene, mode, asked.routing, asked.config, asked.requests),
            title=f"{Path(asked.plan_file).name} for {Path(asked.config).name}",
        ).encode()
    write_atomically(asked.output, page)
    if asked.as_json:
        echo_json(_summary(scene, other, asked.output, len(page), history))
    elif not asked.quiet:
        click.echo(f"written to {visible(asked.output)} ({len(page) / 1e6:.1f} MB)")


def _note(plan: Plan, scene: Scene, mode: Mode, routing: str, config: str, requests: str) -> str:
    """Say how the run was made, and where it is not the run the plan was made for."""
    trace = scene.trace
    when = f"{trace.start:%Y-%m-%d %H:%M}"
    note = f"{trace.n_requests:,} requests from {when} UTC on, {mode}, {routing} routing."
    strange = [
        role
        for role, digest in hash_inputs(config=config, requests=requests).items()
        if plan.inputs.get(role, digest) != digest
    ]
    if strange:
        note += f" The {' and the '.join(strange)} shown differ from those the plan was made for."
    if mode != plan.mode:
        note += f" The plan was made for {plan.mode} mode."
    return note


def _summary(
    scene: Scene, other: Scene | None, path: str, size: int, history: tuple[Progress, ...]
) -> dict[str, Any]:
    from cli.views.comparison import compared

    summary: dict[str, Any] = {"output": path, "bytes": size, "history": len(history)}
    if other is not None:
        summary["plans"] = [scene.name, other.name]
        summary["figures"] = [
            {"name": m.name, "values": list(m.values), "verdict": m.verdict}
            for m in compared(scene, other)
        ]
    return summary
