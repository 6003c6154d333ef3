"""`solve --until-borne`: a cap on loads that the simulation bears out, not one by mean rates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from placement.problem.names import SIMULATED_HEADROOM

if TYPE_CHECKING:
    from placement.problem.names import Mode
    from placement.problem.outcome import SolveResult
    from placement.problem.plan import Plan

MOST_SOLVES = 3
"""After the first. The lower target follows from how far the plan fell short, so that one is
nearly always enough; a later one corrects what the queues of another placement are."""

Attempt = tuple["SolveResult", "Plan"]


def check_goes_with(*, mode: Mode, refine: str | None, simulates: bool, several: bool) -> None:
    """Refuse what ``--until-borne`` cannot do anything for.

    Parameters
    ----------
    mode, refine
        The options of these names.
    simulates : bool
        Whether the headroom is simulated.
    several : bool
        Whether one placement is sought for several demands.

    Raises
    ------
    click.UsageError
    """
    for name, clash in (
        ("--mode offline", mode == "offline"),
        ("--no-simulate-headroom", not simulates),
        ("--refine", refine is not None),
        ("--scenarios and --windows", several),
    ):
        if clash:
            raise click.UsageError(f"--until-borne does not go with {name}; leave one of them out")


def until_borne(first: Attempt, solved_under: Callable[[float], Attempt | None]) -> Attempt:
    """Lower the target of the busiest GPU until the simulation bears the trace.

    Parameters
    ----------
    first : (SolveResult, Plan)
        Under the target that was asked for.
    solved_under : function of float
        Solves under a lower target, and simulates; None where there is no time for it.

    Returns
    -------
    (SolveResult, Plan)
        The first that is borne, else the one with the most simulated headroom.
    """
    from placement.problem.verdict import roomier_target  # numpy takes a while to import

    best, last, repeats = first, first, first[1].certificate.deterministic
    for _ in range(MOST_SOLVES):
        target = roomier_target(last[1])
        if target is None or (last is not first and _exceeds(last[1])):
            break
        found = solved_under(target)
        if found is None:
            repeats = False
            break
        last, repeats = found, repeats and found[1].certificate.deterministic
        if _borne(last[1]) > _borne(best[1]):
            best = last
    result, plan = best
    # Which of the plans it is hangs on all of them.
    certificate = replace(plan.certificate, deterministic=repeats)
    return result, replace(plan, certificate=certificate)


def _borne(plan: Plan) -> float:
    return plan.expected.get(SIMULATED_HEADROOM, 0.0)


def _exceeds(plan: Plan) -> bool:
    """Whether no placement was found that keeps the target: a lower one would change nothing."""
    return plan.certificate.load_cap > (plan.max_utilization or 1.0)
