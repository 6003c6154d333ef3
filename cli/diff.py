"""`gswarm-place diff`: what moves from one plan to another."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from cli.asked import Shown, takes
from cli.file_arguments import check_outputs
from cli.json_output import echo_json
from cli.missing import Complete
from cli.options import output_options
from placement.support.escaping import visible

if TYPE_CHECKING:
    from placement.migration import Migration

MOST_STEPS = 40
"""Steps shown; --json lists them all."""


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
    from placement.migration import load_seconds, migration
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
        models = {m.id: m.load_time_s for m in read_config(asked.config).models}
        unknown = sorted({b.model for b in found.loaded} - models.keys())
        if unknown:
            raise ValueError(
                f"{visible(asked.config)}: models: {', '.join(unknown)} missing, which the new "
                "plan loads; give the config it was made for"
            )
        seconds = load_seconds(found, models)
    if asked.output is not None:
        write_plan(asked.output, new)
    if asked.as_json:
        echo_json(summary(found, seconds))
    elif not asked.quiet:
        _show(found, seconds)
        if asked.output is not None:
            click.echo(f"written to {visible(asked.output)}")


def summary(found: Migration, seconds: float | None) -> dict[str, Any]:
    """What ``--json`` prints."""
    return {
        "kept": len(found.kept),
        "loaded": [asdict(b) for b in found.loaded],
        "unloaded": [asdict(b) for b in found.unloaded],
        "loaded_gb": found.loaded_gb,
        "load_seconds": seconds,
        "interrupted": list(found.interrupted),
        "steps": [{"action": s.action, **asdict(s.block)} for s in found.steps],
    }


def _show(found: Migration, seconds: float | None) -> None:
    from cli.terminal import output, plain, table

    console = output()
    console.print(found.headline)
    if seconds is not None and found.loaded:
        console.print(
            f"loading takes {seconds:,.0f} s where servers load side by side, each one model after "
            "another"
        )
    if found.interrupted:
        console.print(
            f"without a replica for a while: {plain(', '.join(found.interrupted))}; nothing fits "
            "before their last one goes",
            style="yellow",
        )
    if not found.steps:
        return
    change = table("model", "stay", "loaded", "unloaded")
    stay, come, go = (
        Counter(b.model for b in group) for group in (found.kept, found.loaded, found.unloaded)
    )
    for model in sorted({*come, *go}):
        change.add_row(plain(model), *(f"{c[model]:,}" for c in (stay, come, go)))
    console.print(change)
    steps = table("step", "", "model", "server", "GPUs", left=3)
    for i, step in enumerate(found.steps[:MOST_STEPS], 1):
        b = step.block
        gpus = str(b.start) if b.gpus == 1 else f"{b.start} to {b.start + b.gpus - 1}"
        steps.add_row(str(i), step.action, plain(b.model), str(b.server), gpus)
    console.print(steps)
    if len(found.steps) > MOST_STEPS:
        console.print(f"{len(found.steps) - MOST_STEPS:,} more steps: --json lists them all")
