"""`gswarm-place report`: a plan at work, as one page."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
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

MOST_REASONS = 200
"""Replicas up to which the page says what each is worth, a linear program for each; of more it says
what they serve."""

RIVALS = ("greedy", "greedy-servers", "greedy-no-affinity", "local-search")


@dataclass(frozen=True, kw_only=True)
class Asked(InputFiles, Shown):
    """What `gswarm-place report` was asked for."""

    plan_file: str
    mode: Mode | None
    routing: Router
    against: tuple[Method | Literal["none"], ...]
    against_plan: tuple[str, ...]
    history: str | None
    answers: tuple[str, ...]
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
    multiple=True,
    help="Heuristic whose plan is shown beside, on the same cluster and trace; may repeat.  "
    "[default: greedy, where no --against-plan is given]",
)
@click.option(
    "--against-plan",
    type=click.Path(),
    multiple=True,
    metavar="FILE",
    help="Show another plan file beside; may repeat. With several plans a picture says which of "
    "them no other beats in server efficiency, P99 and GPUs.",
)
@click.option(
    "--history",
    type=click.Path(),
    metavar="FILE",
    help="Course of the solve, as solve --history wrote it, drawn as incumbent and bound.",
)
@click.option(
    "--answer",
    "answers",
    type=click.Path(),
    multiple=True,
    metavar="FILE",
    help="What size, whatif, rebalance, diff, explain, solve --survive or simulate --fail wrote "
    "with --json, shown as a section; may repeat.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    metavar="FILE",
    default="report.html",
    show_default=True,
    help="The page: HTML, or a PDF where the name ends so and Chromium is at hand.",
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
    from cli.pdf import browser, print_page
    from cli.side_by_side import run_all
    from cli.views.findings import read_finding
    from cli.views.history import read_history
    from cli.views.page import report_page
    from placement.files.atomic import write_atomically
    from placement.files.plan_file import read_plan
    from placement.support.escaping import visible

    check_outputs(
        {"--output": asked.output},
        (
            asked.plan_file,
            asked.config,
            asked.requests,
            asked.history,
            *asked.against_plan,
            *asked.answers,
        ),
    )
    as_pdf = asked.output.lower().endswith(".pdf")
    if as_pdf:
        browser()
    plan, workload, trace = load_run(asked.plan_file, asked.config, asked.requests)
    answers = [read_finding(path) for path in asked.answers]
    history = read_history(asked.history) if asked.history is not None else ()
    mode = asked.mode or plan.mode
    rivals = [read_plan(path) for path in asked.against_plan]
    scene, *others = run_all(
        plan,
        workload,
        trace,
        mode=mode,
        routing=asked.routing,
        against=[*_heuristics(asked), *rivals],
    )
    if len(rivals) > 1:  # what tells them apart is their files
        named = zip(others[-len(rivals) :], asked.against_plan, strict=True)
        others[-len(rivals) :] = [replace(s, name=Path(path).name) for s, path in named]
    scene = _with_difference(scene, asked.routing)
    with waiting("drawing the page"):
        page = report_page(
            scene,
            others=others,
            history=history,
            run_note=_note(plan, scene, mode, asked.routing, asked.config, asked.requests),
            title=_title(asked),
            reasons=_reasons(scene),
            answers=answers,
        ).encode()
    if as_pdf:
        with waiting("printing the page"):
            page = print_page(page)
    write_atomically(asked.output, page)
    if asked.as_json:
        echo_json(_summary(scene, others, asked.output, len(page), history))
    elif not asked.quiet:
        click.echo(f"written to {visible(asked.output)} ({len(page) / 1e6:.1f} MB)")


def _heuristics(asked: Asked) -> list[Method]:
    """Those that were asked for; greedy where nothing was."""
    if not asked.against:
        return [] if asked.against_plan else ["greedy"]
    return [method for method in asked.against if method != "none"]


def _with_difference(scene: Scene, routing: str) -> Scene:
    """Let the verdict say why the run's server efficiency is not the one that the plan expects."""
    from cli.expectation import difference
    from placement.problem.verdict import Remark
    from runtime.figures import server_efficiency

    expected = scene.plan.expected["server_efficiency"]
    said = difference(expected, 100 * server_efficiency(scene), routing)
    if said is None or scene.verdict is None:
        return scene
    remarks = (*scene.verdict.remarks, Remark(said, "simulated"))
    return replace(scene, verdict=replace(scene.verdict, remarks=remarks))


def _title(asked: Asked) -> str:
    """Which plan, for which config, drawn when."""
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    return f"{Path(asked.plan_file).name} for {Path(asked.config).name}, {today}"


def _reasons(scene: Scene) -> dict[tuple[int, int], str]:
    """Why each model is on each server that the page draws."""
    from cli.views.map import DRAWN
    from cli.views.servers import group_servers
    from placement.explain import reasons_here

    few = scene.plan.placement.n_replicas <= MOST_REASONS
    servers = [int(group.servers[0]) for group in group_servers(scene)[:DRAWN]]
    return reasons_here(scene.plan, servers, losses=few)


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
    scene: Scene, others: list[Scene], path: str, size: int, history: tuple[Progress, ...]
) -> dict[str, Any]:
    from cli.views.comparison import compared
    from cli.views.plans import points_of

    summary: dict[str, Any] = {"output": path, "bytes": size, "history": len(history)}
    if others:
        summary["plans"] = [s.name for s in (scene, *others)]
        summary["figures"] = [
            {"name": m.name, "values": list(m.values), "verdict": m.verdict}
            for m in compared(scene, others[0])
        ]
        summary["points"] = [asdict(point) for point in points_of([scene, *others])]
    return summary
