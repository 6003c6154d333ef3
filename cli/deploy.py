"""`gswarm-place deploy`: a plan's replicas as actors of a Ray cluster."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from cli.asked import Shown, takes
from cli.interruption import last_words
from cli.json_output import echo_json
from cli.missing import Complete
from cli.options import (
    deployment_option,
    emulated_scale_option,
    output_options,
    ray_option,
    service_times_option,
)
from cli.waiting import waiting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.live.inference import Device
    from runtime.ray.blueprint import Blueprint
    from runtime.ray.deploy import State

DEPLOYING = ("plan", "config", "requests", "node", "real", "own")
"""Options that say what to deploy."""


@dataclass(frozen=True, kw_only=True)
class Asked(Shown):
    """What `gswarm-place deploy` was asked for."""

    plan: str | None
    config: str | None
    requests: str | None
    ray: str
    name: str
    node: tuple[str, ...]
    real: Device | None
    own: tuple[str, ...]
    time_scale: float
    down: bool
    status: bool


def _needs(found: Mapping[str, Any]) -> list[str]:
    """What to deploy, where something is."""
    if found.get("down") or found.get("status"):
        return []
    return [f"--{name}" for name in ("plan", "config") if found.get(name) is None]


@click.command(cls=Complete, needs=_needs)
@click.option("--plan", type=click.Path(), metavar="FILE", help="The plan that `solve` wrote.")
@click.option(
    "--config", type=click.Path(), metavar="FILE", help="Models and workflows (JSON, YAML)."
)
@service_times_option
@ray_option("HOST:PORT of the cluster's head; auto for the one on this machine.", required=True)
@deployment_option
@click.option(
    "--node",
    multiple=True,
    metavar="SERVER=NODE",
    help="The node that is a server of the plan, by its address or the beginning of its id; may be "
    "given many times. Without it nodes are chosen by their labels gswarm-server and gswarm-type, "
    "else by their number of GPUs.",
)
@click.option(
    "--real",
    type=click.Choice(["cpu", "gpu"]),
    help="Let models really infer, as `serve-local` does; without it they are emulated.",
)
@click.option(
    "--own",
    multiple=True,
    metavar="MODEL=CLASS",
    help="Serve a model by a class of your own: module:Class or path/to/file.py:Class "
    "(docs/running.md); may be given many times.",
)
@emulated_scale_option
@click.option("--status", is_flag=True, help="Say where every replica stands, and what is missing.")
@click.option("--down", is_flag=True, help="Take the deployment down; none there is no error.")
@output_options
@takes(Asked)
def command(asked: Asked) -> None:
    """Make every replica of a plan an actor on the right node of a Ray cluster.

    Each sees the GPUs that the plan gives it (CUDA_VISIBLE_DEVICES), and its server's node is
    reserved whole. Replicas of a node that is lost are placed anew, on a spare node or where there
    is room. `execute --ray` calls them. They stay until --down.

    \b
    Example:
      ray start --head --num-gpus 4
      gswarm-place deploy --ray auto --plan plan.yaml --config configs/small.yaml
      gswarm-place deploy --ray auto --status
      gswarm-place deploy --ray auto --down
    """
    _check(asked)
    from runtime.ray.connection import connected
    from runtime.ray.deploy import deploy, down, state_of

    blueprint = None if asked.down or asked.status else _blueprint(asked)
    with connected(asked.ray):
        if asked.down:
            with waiting("taking it down"):
                there = down(asked.name)
            _say_down(asked, there)
            return
        if blueprint is None:
            state = state_of(asked.name)
        else:
            with waiting("loading the models"), last_words(partial(_say_begun, asked)):
                state = deploy(blueprint)
    _say(asked, state)
    if not state.is_whole:
        raise click.exceptions.Exit(1)


def _check(asked: Asked) -> None:
    """Say which options do not go together."""
    if asked.down and asked.status:
        raise click.UsageError("--down and --status ask for different things; take one")
    if asked.down or asked.status:
        given = [f"--{name}" for name in DEPLOYING if getattr(asked, name)]
        if given:
            flag = "--down" if asked.down else "--status"
            raise click.UsageError(f"{flag} knows what is deployed; leave out {', '.join(given)}")


def _blueprint(asked: Asked) -> Blueprint:
    """Read what is to be deployed."""
    from placement.files.config_file import read_config
    from placement.files.plan_file import read_plan
    from placement.files.request_file import read_requests
    from placement.support.faults import suggest
    from runtime.live.answers import ServiceTimes
    from runtime.live.inference import is_inferred
    from runtime.ray.blueprint import Blueprint
    from runtime.ray.own_model import MEND, own_model
    from runtime.simulate import match_plan

    assert asked.plan is not None
    assert asked.config is not None
    plan, workload = read_plan(asked.plan), read_config(asked.config)
    placement, _ = match_plan(plan, workload)
    trace = None if asked.requests is None else read_requests(asked.requests, workload)
    own = {}
    for text in asked.own:
        model, equals, place = text.partition("=")
        if not equals:
            raise click.UsageError(f"--own {text}: {MEND}")
        if model not in workload.model_index:
            mend = suggest(model, workload.model_index, "model")
            raise click.UsageError(f"--own {text}: {model!r} is no model of the config; {mend}")
        own[model] = own_model(place)
    emulated = [
        model
        for model in (workload.models[m] for m in sorted(set(placement.model.tolist())))
        if model.id not in own and not is_inferred(model, asked.real)
    ]
    return Blueprint(
        name=asked.name,
        plan=plan,
        workload=workload,
        times=ServiceTimes(workload, trace, emulated),
        device=asked.real,
        own=own,
        time_scale=asked.time_scale,
        pinned=dict(_pin(text, plan.cluster.n_servers) for text in asked.node),
    )


def _pin(text: str, servers: int) -> tuple[int, str]:
    server, _, node = text.partition("=")
    if not server.isdecimal() or not node:
        raise click.UsageError(f"--node {text}: write SERVER=NODE, such as 0=10.0.0.7")
    if int(server) >= servers:
        raise click.UsageError(f"--node {text}: the plan has servers 0 to {servers - 1}")
    return int(server), node


def _say_begun(asked: Asked) -> None:
    from placement.support.escaping import visible

    end = f"gswarm-place deploy --ray {visible(asked.ray)} --name {visible(asked.name)} --down"
    click.echo(f"what has begun goes on without this command; {end} ends it", err=True)


def _say_down(asked: Asked, there: bool) -> None:
    from placement.support.escaping import visible

    if asked.as_json:
        echo_json({"name": asked.name, "was_there": there})
    elif not asked.quiet:
        name = visible(asked.name)
        click.echo(f"{name} is taken down" if there else f"there is no deployment {name}")


def _say(asked: Asked, state: State) -> None:
    from placement.support.escaping import visible

    if asked.as_json:
        echo_json({"name": state.name, "replicas": list(state.replicas), "missing": state.faults})
        return
    if asked.quiet:
        return
    from cli.terminal import output, plain, table

    shown = table("replica", "model", "state", "node", "server", "GPUs", left=4)
    for row in state.replicas:
        gpus = row["gpus"]
        shown.add_row(
            str(row["replica"]),
            plain(row["model"]),
            row["state"] + (", moved" if row["moved"] else ""),
            row["node"] or "",
            "" if row["server"] is None else str(row["server"]),
            "" if gpus is None else ",".join(map(str, gpus)),
        )
    output().print(shown)
    for fault in state.faults:
        click.echo(visible(fault))
    if state.is_whole and not asked.status:
        more = "" if asked.name == "gswarm-place" else f" --name {visible(asked.name)}"
        click.echo(f"to call them: gswarm-place execute --ray {visible(asked.ray)}{more} ...")
        click.echo(f"to end them: gswarm-place deploy --ray {visible(asked.ray)}{more} --down")
