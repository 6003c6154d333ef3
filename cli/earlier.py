"""`solve --from`: a plan that runs already, and how far the new one may be from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli.options import Count

if TYPE_CHECKING:
    from placement.problem.cluster import Cluster
    from placement.problem.outcome import SolveResult
    from placement.problem.plan import Plan
    from placement.problem.workload import Workload
    from placement.solver.budget import Budget

F = TypeVar("F", bound=Callable[..., Any])

FREE = 0.5
"""Part of the time in which a plan without a limit on moves is sought."""


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """``--from`` and ``--max-moves``."""

    earlier: str | None
    max_moves: int | None


def earlier_options(function: F) -> F:
    """``--from`` and ``--max-moves``."""
    for option in (
        click.option(
            "--max-moves",
            type=Count(0, 1_000_000),
            metavar="N",
            help="With --from: most replicas that may be loaded where they do not stand yet. Half "
            "of the time is for a plan without the limit; rebalance shows what limits cost.",
        ),
        click.option(
            "--from",
            "earlier",
            type=click.Path(),
            metavar="PLAN",
            help="A plan that runs: servers that are alike are numbered so that most of it stays.",
        ),
    ):
        function = option(function)
    return function


def read_earlier(asked: Earlier, cluster: Cluster, **others: bool) -> Plan | None:
    """Read the plan that runs, if one is given.

    Parameters
    ----------
    asked : Earlier
    cluster : Cluster
        Of the new plan.
    **others : bool
        Options that do not go with ``--max-moves``, and whether they are given.

    Raises
    ------
    click.UsageError
        ``--max-moves`` stands without a plan, or beside what does not go with it.
    ValueError
        The plan is for another cluster.
    """
    if asked.max_moves is not None:
        if asked.earlier is None:
            raise click.UsageError("--max-moves: moves from which plan? add --from PLAN")
        for name, given in others.items():
            if given:
                flag = name.replace("_", "-")
                raise click.UsageError(f"--{flag} does not go with --max-moves; leave one out")
    if asked.earlier is None:
        return None
    from placement.files.plan_file import read_plan
    from placement.migration import check_same_cluster

    earlier = read_plan(asked.earlier)
    check_same_cluster(earlier.cluster, cluster)
    return earlier


def follow(
    earlier: Plan,
    plan: Plan,
    result: SolveResult,
    asked: Earlier,
    workload: Workload,
    budget: Budget,
) -> tuple[SolveResult, Plan]:
    """Bring a new plan as near to the earlier one as is asked for.

    Parameters
    ----------
    earlier, plan : Plan
        What runs, and what was solved; `result` is of the second.
    result : SolveResult
    asked : Earlier
    workload : Workload
    budget : Budget
        A part of it is for the search within a limit on moves.

    Returns
    -------
    SolveResult, Plan
        The result, and the plan made of it.
    """
    from placement.problem.plan_building import build_plan
    from placement.rebalance import running_replicas, within_moves
    from placement.renumbering import renumbered

    plan = renumbered(plan, earlier)
    if asked.max_moves is None:
        return result, plan
    running = running_replicas(earlier, result.instance)
    part = budget.part(FREE)
    offer = within_moves(running, result, [plan.placement], asked.max_moves, part)
    return offer.result, build_plan(offer.result, workload, inputs=plan.inputs)


def moved(earlier: Plan, plan: Plan) -> dict[str, Any]:
    """What ``--json`` prints as ``migration``."""
    from placement.migration import migration

    found = migration(earlier, plan)
    return {
        "kept": len(found.kept),
        "loaded": len(found.loaded),
        "unloaded": len(found.unloaded),
        "loaded_gb": found.loaded_gb,
        "headline": found.headline,
    }
