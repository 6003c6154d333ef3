"""`gswarm-place export`: a plan in the form that something else reads."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.asked import Shown, takes
from cli.file_arguments import check_outputs, load_inputs
from cli.json_output import echo_json
from cli.launching import ENGINES, LAUNCH_FORMS, EngineName
from cli.missing import Complete
from cli.options import Count, plan_option
from placement.problem.names import MODES, ROUTERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from placement.problem.names import Mode, Router
    from placement.problem.plan import Plan
    from runtime.scene import Scene

TABLES = ("csv", "routing", "json")
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
    engine: EngineName
    template: str | None
    first_port: int
    listen: str
    hosts: str | None
    image: str | None
    output: str | None


@click.command(cls=Complete)
@plan_option()
@click.option(
    "--format",
    "form",
    type=click.Choice([*TABLES, *LAUNCH_FORMS, *PICTURES]),
    required=True,
    help="csv: the replicas. routing: the shares, as CSV. json: servers, GPUs and shares. "
    "launch: a shell script. compose: Docker Compose. systemd: a folder of units. kubernetes: "
    "manifests. ray-serve, litellm: their configurations. endpoints: where the servers are, for "
    "execute. The others are pictures.",
)
@click.option(
    "--config",
    type=click.Path(),
    metavar="FILE",
    help="Models and workflows: for what starts servers, how each model is served; for pictures "
    "of a run, the workload.",
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
    "--engine",
    type=click.Choice(ENGINES),
    default="vllm",
    show_default=True,
    help="What serves models of which the config does not say it.",
)
@click.option(
    "--command",
    "template",
    metavar="TEXT",
    help="What starts a replica in place of the engine, with the gaps {model} {id} {gpus} {port} "
    "{listen} {memory} {static_memory} {sequences} {server} {replica} {adapters}; memory is a "
    "fraction of a GPU's.",
)
@click.option(
    "--first-port",
    type=Count(1, 60_000),
    default=8000,
    show_default=True,
    help="Port of the first replica on each server, the next for the second and so on.",
)
@click.option(
    "--listen",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Address that the servers listen on; 0.0.0.0 lets other machines call them.",
)
@click.option(
    "--hosts",
    metavar="A,B,C|@FILE",
    help="Names or addresses of the servers in the plan's order, for endpoints, litellm and "
    "kubernetes.  [default: this machine for one server]",
)
@click.option(
    "--image",
    help="Container image, for compose and kubernetes.  [default: the engine's own]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    metavar="FILE",
    help="Where to write; a picture needs it and ends in .svg, .png or .pdf, and systemd needs a "
    "new folder.  [default: stdout]",
)
@click.option("--json", "as_json", is_flag=True, help="Say what was written as one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing.")
@takes(Asked)
def command(asked: Asked) -> None:
    """Write a plan as a table, a picture, or what starts its servers.

    Tables need the plan alone, and so does the map; course (incumbent and bound over time) needs
    --history. The pictures pairs, flows, utilization, latency and comparison (against greedy)
    simulate the trace, so they need --config and --requests. What starts servers should have
    --config, which says how many calls a replica serves at once and, under serve, what serves a
    model; GPU numbers in it are those of each server, from 0.

    \b
    Examples:
      gswarm-place export --plan plan.yaml --format csv -o replicas.csv
      gswarm-place export --plan plan.yaml --config config.yaml --format launch -o launch.sh
      gswarm-place export --plan plan.yaml --config config.yaml --format endpoints -o e.yaml
      gswarm-place export --plan plan.yaml --format map -o map.svg
    """
    from placement.files.atomic import write_atomically
    from placement.files.plan_file import read_plan
    from placement.support.escaping import visible

    form, output = asked.form, asked.output
    if output is None and (form in (*PICTURES, "systemd") or asked.as_json):
        what = "FOLDER" if form == "systemd" else "FILE"
        raise click.UsageError(f"--format {form}: say where to write it with --output {what}")
    check_outputs(
        {"--output": None if form == "systemd" else output},
        (asked.plan_file, asked.config, asked.requests, asked.history),
    )
    if form in PICTURES and output is not None:
        _check_picture(form, output, asked)
    plan = read_plan(asked.plan_file)
    if form in PICTURES and output is not None:
        _write_picture(plan, form, output, asked)
    else:
        texts = _texts(plan, asked)
        if output is None:
            text = texts[""]
            # A program gets every byte; a terminal would obey some of them.
            click.echo(visible(text, keep="\n") if sys.stdout.isatty() else text, nl=False)
            return
        if form == "systemd":
            _write_folder(output, texts)
        else:
            write_atomically(output, texts[""])
    if asked.as_json:
        counts = {"replicas": plan.placement.n_replicas, "servers": plan.cluster.n_servers}
        echo_json({"format": form, "output": output, **counts})
    elif not asked.quiet:
        click.echo(f"written to {visible(output)}", err=True)


def _texts(plan: Plan, asked: Asked) -> dict[str, str]:
    """Give the text of a form, or the texts of its files."""
    if asked.form in TABLES:
        return {"": _table(plan, asked.form)}
    from cli.launching.addresses import check_host
    from cli.launching.commands import LaunchOptions
    from cli.launching.launch_files import launch_files
    from placement.files.config_file import read_config

    options = LaunchOptions(
        engine=asked.engine,
        template=asked.template,
        first_port=asked.first_port,
        listen=check_host(asked.listen, "--listen"),
        image=asked.image,
    )
    form = next(name for name in LAUNCH_FORMS if name == asked.form)
    if form == "ray-serve" and (asked.engine != "vllm" or asked.template is not None):
        raise click.UsageError("--format ray-serve: Ray Serve runs vLLM alone; drop the other")
    workload = None if asked.config is None else read_config(asked.config)
    return launch_files(form, plan, workload, options, asked.hosts, asked.plan_file)


def _table(plan: Plan, form: str) -> str:
    from cli.formats.deployment import deployment_document
    from cli.formats.plan_tables import replica_table, routing_table

    match form:
        case "csv":
            return replica_table(plan)
        case "routing":
            return routing_table(plan)
        case _:
            return deployment_document(plan)


def _write_folder(output: str, texts: dict[str, str]) -> None:
    """Write several files into a folder that is new, so that none of an older plan stays."""
    folder = Path(output)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise click.UsageError(f"--output {output}: is not empty; name a new folder")
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")


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
