"""`gswarm-place export`: a plan in the form that something else reads."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import click

from cli.asked import Shown, takes
from cli.common import check_outputs, echo_json, load_inputs
from cli.missing import Complete
from placement.problem.names import MODES, ROUTERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from placement.problem.names import Mode, Router
    from placement.problem.plan import Plan
    from runtime.scene import Scene

TEXTS = ("csv", "routing", "json", "launch", "compose")
PICTURES = ("map", "course", "pairs", "flows", "utilization", "latency", "comparison")
WITHOUT_RUN = ("map", "course")


@dataclass(frozen=True, kw_only=True)
class Asked(Shown):
    """What `gswarm-place export` was asked for."""

    plan_file: str
    form: str
    config: str | None
    requests: str | None
    history: str | None
    mode: Mode | None
    routing: Router
    template: str | None
    first_port: int
    image: str
    output: str | None


@click.command(cls=Complete)
@click.option(
    "--plan",
    "plan_file",
    required=True,
    type=click.Path(),
    metavar="FILE",
    help="Plan made by solve.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice([*TEXTS, *PICTURES]),
    required=True,
    help="csv: the replicas. routing: the shares, as CSV. json: servers, GPUs and shares. "
    "launch: a shell script a server. compose: Docker Compose. The others are pictures.",
)
@click.option(
    "--config",
    type=click.Path(),
    metavar="FILE",
    help="For pictures of a run: models and workflows.",
)
@click.option(
    "--requests", type=click.Path(), metavar="FILE", help="For pictures of a run: the trace."
)
@click.option(
    "--history",
    type=click.Path(),
    metavar="FILE",
    help="For course: incumbent and bound over time, as solve --history wrote them.",
)
@click.option(
    "--mode",
    type=click.Choice(MODES),
    help="For pictures of a run.  [default: as the plan was made for]",
)
@click.option(
    "--routing",
    type=click.Choice(ROUTERS),
    default="locality",
    show_default=True,
    help="For pictures of a run: how requests find replicas.",
)
@click.option(
    "--command",
    "template",
    metavar="TEXT",
    help="What starts a replica, with {model} {gpus} {port} {memory} {server} {replica}; memory "
    "is a fraction of a GPU's.  [default: vllm serve with these]",
)
@click.option(
    "--first-port",
    type=click.IntRange(1, 60_000),
    default=8000,
    show_default=True,
    help="Port of the first replica on each server.",
)
@click.option(
    "--image",
    default="vllm/vllm-openai:latest",
    show_default=True,
    help="Container image for compose.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    metavar="FILE",
    help="Where to write; a picture needs it and ends in .svg, .png or .pdf.  [default: stdout]",
)
@click.option("--json", "as_json", is_flag=True, help="Say what was written as one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing.")
@takes(Asked)
def command(asked: Asked) -> None:
    """Write a plan as a table, a launch list or a picture.

    Tables and launch lists need the plan alone, and so does the map; course (incumbent and bound
    over time) needs --history. The pictures pairs, flows, utilization, latency and comparison
    (against greedy) simulate the trace, so they need --config and --requests. GPU numbers in
    launch lists are those of each server, from 0.

    \b
    Examples:
      gswarm-place export --plan plan.yaml --format csv -o replicas.csv
      gswarm-place export --plan plan.yaml --format launch -o launch.sh
      gswarm-place export --plan plan.yaml --format map -o map.svg
    """
    from placement.files.atomic import write_atomically
    from placement.files.plan_file import read_plan
    from placement.support.escaping import visible

    form, output = asked.form, asked.output
    if output is None and (form in PICTURES or asked.as_json):
        raise click.UsageError(f"--format {form}: say where to write it with --output FILE")
    check_outputs(
        {"--output": output},
        (asked.plan_file, asked.config, asked.requests, asked.history),
    )
    if form in PICTURES and output is not None:
        _check_picture(form, output, asked)
    plan = read_plan(asked.plan_file)
    if output is None:
        text = _text(plan, form, asked)
        # A program gets every byte; a terminal would obey some of them.
        click.echo(visible(text, keep="\n") if sys.stdout.isatty() else text, nl=False)
        return
    if form in PICTURES:
        _write_picture(plan, form, output, asked)
    else:
        write_atomically(output, _text(plan, form, asked))
    if asked.as_json:
        counts = {"replicas": plan.placement.n_replicas, "servers": plan.cluster.n_servers}
        echo_json({"format": form, "output": output, **counts})
    elif not asked.quiet:
        click.echo(f"written to {visible(output)}", err=True)


def _text(plan: Plan, form: str, asked: Asked) -> str:
    from cli.formats.deployment import deployment_document
    from cli.formats.launch import DEFAULT_COMMAND, LaunchCommand, compose_file, launch_script
    from cli.formats.plan_tables import replica_table, routing_table

    template = DEFAULT_COMMAND if asked.template is None else asked.template
    start = LaunchCommand(template, asked.first_port)
    match form:
        case "csv":
            return replica_table(plan)
        case "routing":
            return routing_table(plan)
        case "json":
            return deployment_document(plan)
        case "launch":
            return launch_script(plan, start)
        case _:
            return compose_file(plan, start, asked.image)


def _check_picture(form: str, output: str, asked: Asked) -> None:
    from cli.plots.sheet import picture_form

    picture_form(output)
    missing = [f"--{name}" for name in ("config", "requests") if getattr(asked, name) is None]
    if form == "course" and asked.history is None:
        raise click.UsageError(
            "--format course draws a solve: add --history FILE, which solve --history writes"
        )
    if form not in WITHOUT_RUN and missing:
        raise click.UsageError(
            f"--format {form} simulates the trace: add {' and '.join(missing)} FILE"
        )


def _write_picture(plan: Plan, form: str, output: str, asked: Asked) -> None:
    from cli.plots.comparison import draw_comparison
    from cli.plots.course import draw_course
    from cli.plots.flows import draw_flows
    from cli.plots.latency import draw_latency
    from cli.plots.map import draw_map
    from cli.plots.pairs import draw_pairs
    from cli.plots.sheet import write_picture
    from cli.plots.utilization import draw_utilization
    from cli.views.history import read_history
    from cli.views.staging import still_scene

    if form in WITHOUT_RUN:
        draw: Callable[[Figure, Scene], None] = draw_map
        if form == "course" and asked.history is not None:
            draw = partial(draw_course, history=read_history(asked.history))
        write_picture(output, draw, still_scene(plan.certificate.method, plan))
        return
    scene, other = _run(plan, form == "comparison", asked)
    if other is not None:
        write_picture(output, partial(draw_comparison, other=other), scene)
    else:
        drawings = {
            "pairs": draw_pairs,
            "flows": draw_flows,
            "utilization": draw_utilization,
            "latency": draw_latency,
        }
        write_picture(output, drawings[form], scene)


def _run(plan: Plan, compare: bool, asked: Asked) -> tuple[Scene, Scene | None]:
    from cli.side_by_side import run_both

    assert asked.config is not None
    assert asked.requests is not None
    workload, trace = load_inputs(asked.config, asked.requests)
    return run_both(
        plan,
        workload,
        trace,
        mode=asked.mode or plan.mode,
        routing=asked.routing,
        against="greedy" if compare else "none",
    )
