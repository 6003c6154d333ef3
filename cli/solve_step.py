"""What to do after a solve, as a command to paste."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cli.asked import Solvable

if TYPE_CHECKING:
    from placement.problem.names import Objective
    from placement.problem.plan import Plan

LONGER = 4
"""Times the limit that a solve which ended by it is given."""


@dataclass(frozen=True, kw_only=True)
class Repeatable(Solvable):
    """What a solve was asked for, as far as a command to paste says it again."""

    objective: Objective
    alpha: float | None
    time_limit: float
    output: str

    @property
    def solve_words(self) -> list[str]:
        """Write a solve of the same again, for a command to paste; defaults are left out."""
        words = super().solve_words
        if self.objective != "mixed":
            words += ["--objective", self.objective]
        if self.alpha is not None:
            words += ["--alpha", f"{self.alpha:g}"]
        return words


def next_step(plan: Plan, asked: Repeatable) -> tuple[str, list[str]]:
    """Say what to do about the gravest doubt, or with a plan that has none.

    Parameters
    ----------
    plan : Plan
    asked : Repeatable

    Returns
    -------
    tuple of (why, words)
        ``words`` begin with the name of a command.
    """
    from placement.problem.verdict import roomier_target  # numpy takes a while to import

    solve = asked.solve_words
    status, busiest = plan.certificate.status, plan.expected["max_utilization"]
    if plan.mode == "online":
        if busiest >= 1:
            return _on_more_servers(plan, asked, busiest, plan.max_utilization or 1.0)
        roomier = roomier_target(plan)
        if roomier is not None:
            least = plan.certificate.bottleneck_upper
            if roomier < least:
                return _on_more_servers(plan, asked, least, roomier)
            lower = replace(asked, max_utilization=roomier)
            return "with room for queues", lower.solve_words
    if status == "heuristic":
        return "with a proof", solve
    if status not in ("optimal", "gap", "refined"):
        return "given longer", [*solve, "--time-limit", f"{LONGER * asked.time_limit:g}"]
    return "run the trace over it", ["simulate", "--plan", asked.output, *asked.input_words]


def _on_more_servers(
    plan: Plan, asked: Repeatable, load: float, target: float
) -> tuple[str, list[str]]:
    """Solve on about as many as bring the busiest GPU's load down to a target."""
    from placement.problem.verdict import more_servers

    more = more_servers(plan, load, target)
    if asked.gpus is not None:
        wider = replace(asked, gpus=asked.gpus + more * asked.gpus_per_server)
        return "with about enough GPUs", wider.solve_words
    what = ["whatif", asked.output, *asked.input_words, "--add-servers", str(more)]
    return "with about enough servers", what
