"""`solve --survive`: a plan that bears the loss of any one server, and its price."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli.options import Count
from placement.problem.names import LOAD_AFTER_LOSS

if TYPE_CHECKING:
    from placement.problem.instance import Instance
    from placement.problem.outcome import ProgressCallback, SolveOptions, SolveResult
    from placement.problem.plan import Plan
    from placement.solver.budget import Budget

F = TypeVar("F", bound=Callable[..., Any])

MOST = 1
"""Servers whose loss at once can be planned for."""


@dataclass(frozen=True, kw_only=True)
class Survival:
    """``--survive``."""

    survive: int | None


def survive_option(function: F) -> F:
    """``--survive``."""
    return click.option(
        "--survive",
        type=Count(1),
        metavar="1",
        help="Every workflow can still be served, and no GPU is overloaded, after any one server "
        "is lost: each model on two servers or more, with room for the work. The price is stated.",
    )(function)


def check_survival(asked: Survival, **others: bool) -> None:
    """Refuse what cannot be planned for, and what does not go with it.

    Parameters
    ----------
    asked : Survival
    **others : bool
        Options that do not go with ``--survive``, and whether they are given.

    Raises
    ------
    click.UsageError
    """
    if asked.survive is None:
        return
    if asked.survive > MOST:
        raise click.UsageError(
            f"--survive {asked.survive}: the loss of one server can be planned for, not of several "
            "at once; give 1, or spread in a file of rules"
        )
    for name, given in others.items():
        if given:
            flag = name.replace("_", "-")
            raise click.UsageError(f"--{flag} does not go with --survive; leave one out")


def solve_for_losses(
    instance: Instance, options: SolveOptions, progress: ProgressCallback, budget: Budget
) -> tuple[SolveResult, dict[str, Any]]:
    """Solve for a plan that survives, and lay out what that costs.

    Parameters
    ----------
    instance : Instance
    options : SolveOptions
    progress : callable
    budget : Budget
    """
    from placement.survive import solve_surviving

    found = solve_surviving(instance, options, progress=progress, budget=budget)

    def figures(result: SolveResult) -> dict[str, float]:
        worth = result.evaluation
        return {
            "objective": worth.objective,
            "server_efficiency": worth.server_efficiency,
            "edge_locality": worth.edge_locality,
            "headroom": worth.headroom,
            "max_utilization": worth.max_utilization,
        }

    return found.result, {"with": figures(found.result), "without": figures(found.plain)}


def claim(plan: Plan, price: dict[str, Any] | None) -> Plan:
    """Let a plan state what `check` is to judge: the load after the worst loss.

    Parameters
    ----------
    plan : Plan
        Its servers as they are numbered in the end.
    price : dict or None
        Of `solve_for_losses`, given the worst loss of this plan; None where survival was not asked
        for.
    """
    if price is None:
        return plan
    from placement.programs.after_loss import losses
    from placement.solver.milp import SolverSettings

    worst = losses(plan.instance, plan.placement, SolverSettings())[0]
    price |= {LOAD_AFTER_LOSS: worst.load, "worst_server": worst.server}
    return replace(plan, expected=plan.expected | {LOAD_AFTER_LOSS: worst.load})


def show_price(price: dict[str, Any]) -> None:
    """Print what surviving costs.

    Parameters
    ----------
    price : dict
        Of `solve_for_losses`.
    """
    from cli.terminal import output, table

    console = output()
    shown = table("the loss of any one server", "not asked for", "survived")
    without, kept = price["without"], price["with"]
    for name, key in (
        ("locality", "objective"),
        ("server efficiency, expected", "server_efficiency"),
        ("edges kept, expected", "edge_locality"),
        ("busiest GPU", "max_utilization"),
    ):
        form = ".4f" if key == "objective" else ".1%"
        shown.add_row(name, *(format(side[key], form) for side in (without, kept)))
    shown.add_row("headroom", *(f"{side['headroom']:.2f}" for side in (without, kept)))
    after = f"{price[LOAD_AFTER_LOSS]:.1%}"
    shown.add_row(f"busiest GPU without server {price['worst_server']}", "", after)
    console.print(shown)
