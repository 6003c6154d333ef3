"""`gswarm-place explain`: why a plan is as it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click

from cli.asked import Shown, takes
from cli.json_output import echo_json
from cli.missing import Complete
from cli.options import Count, output_options
from cli.waiting import waiting
from placement.support.escaping import visible

if TYPE_CHECKING:
    from placement.problem.plan import Plan
    from placement.problem.verdict import Remark


@dataclass(frozen=True, kw_only=True)
class Asked(Shown):
    """What `gswarm-place explain` was asked for."""

    plan_file: str
    model: tuple[str, ...]
    server: tuple[int, ...]
    workflow: tuple[str, ...]


@click.command(cls=Complete)
@click.argument("plan_file", type=click.Path(), metavar="PLAN")
@click.option(
    "--model", multiple=True, metavar="ID", help="Where it stands, and what it is worth there."
)
@click.option(
    "--server",
    type=Count(0),
    multiple=True,
    metavar="S",
    help="What runs on it, which GPUs are at the cap, what each of its models is worth.",
)
@click.option(
    "--workflow",
    multiple=True,
    metavar="ID",
    help="Where it runs from end to end, and why not all of it does.",
)
@output_options
@takes(Asked)
def command(asked: Asked) -> None:
    """Say in sentences why a plan is as it is.

    What a replica is worth is found by routing the plan without it, under the cap of the plan.
    Without options every workflow is explained.

    \b
    Example:
      gswarm-place explain plan.yaml --model chat-8b --server 1
    """
    from placement.files.plan_file import read_plan

    plan = read_plan(asked.plan_file)
    with waiting("routing the plan without each replica"):
        found = explained(plan, asked)
    if asked.as_json:
        echo_json({"explained": {k: [asdict(r) for r in v] for k, v in found.items()}})
    elif not asked.quiet:
        _show(found)


def explained(plan: Plan, asked: Asked) -> dict[str, list[Remark]]:
    """Remarks on everything that was asked for, by what they are about."""
    from placement.explain import explain_model, explain_server, explain_workflow

    found: dict[str, list[Remark]] = {}
    for name in asked.model:
        found[f"model {name}"] = explain_model(plan, name)
    for server in asked.server:
        found[f"server {server}"] = explain_server(plan, server)
    workflows = asked.workflow
    if not found and not workflows:
        workflows = plan.workflow_ids
    for name in workflows:
        found[f"workflow {name}"] = explain_workflow(plan, name)
    return found


def _show(found: dict[str, list[Remark]]) -> None:
    from rich.text import Text

    from cli.terminal import output, sentence_lines

    console = output()
    for subject, remarks in found.items():
        console.print(Text(visible(subject), style="bold"))
        for remark in remarks:
            for line in sentence_lines(console, f"  {remark.text}"):
                console.print(Text(line))
