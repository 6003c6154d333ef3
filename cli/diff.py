"""`gswarm-place diff`: what moves from one plan to another."""

from __future__ import annotations

from dataclasses import dataclass

import click

from cli.asked import Shown, takes
from cli.file_arguments import check_outputs
from cli.json_output import echo_json
from cli.migration_report import migration_dict, seconds_to_load, show_migration
from cli.missing import Complete
from cli.options import output_options
from placement.support.escaping import visible


@dataclass(frozen=True, kw_only=True)
class Asked(Shown):
    """What `gswarm-place diff` was asked for."""

    old: str
    new: str
    config: str | None
    renumber: bool
    output: str | None


@click.command(cls=Complete)
@click.argument("old", type=click.Path(), metavar="OLD")
@click.argument("new", type=click.Path(), metavar="NEW")
@click.option(
    "--config",
    type=click.Path(),
    metavar="FILE",
    help="Say how long the loads take, by the load times of this config.",
)
@click.option(
    "--renumber/--no-renumber",
    default=True,
    show_default=True,
    help="Give servers of one type, which are alike, the numbers under which most stays.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    metavar="FILE",
    help="Write NEW with those numbers as a plan (YAML or JSON).",
)
@output_options
@takes(Asked)
def command(asked: Asked) -> None:
    """Say what moves from one plan to another, and in which order.

    Replicas that stay, come and go; the memory that is loaded; and steps in an order in which every
    load finds room and no model loses its last replica while there is another way.

    \b
    Example:
      gswarm-place diff plan.yaml new_plan.yaml --config configs/small.yaml
    """
    from placement.files.config_file import read_config
    from placement.files.plan_file import check_plan_name, read_plan, write_plan
    from placement.migration import migration
    from placement.renumbering import renumbered

    if asked.output is not None:
        check_plan_name(asked.output)
    check_outputs({"--output": asked.output}, (asked.old, asked.new, asked.config))
    old, new = read_plan(asked.old), read_plan(asked.new)
    if asked.renumber:
        new = renumbered(new, old)
    found = migration(old, new)
    seconds = None
    if asked.config is not None:
        seconds = seconds_to_load(found, read_config(asked.config), asked.config)
    if asked.output is not None:
        write_plan(asked.output, new)
    if asked.as_json:
        echo_json(migration_dict(found, seconds))
    elif not asked.quiet:
        show_migration(found, seconds)
        if asked.output is not None:
            click.echo(f"written to {visible(asked.output)}")
