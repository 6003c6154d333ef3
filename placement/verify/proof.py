"""A stated bound, proven anew or refuted, by nothing that its solver used.

What a plan file says is taken as a claim: multipliers, splits and names of rows may be anything,
for what follows from them is worked out here, from the instance alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from placement.problem.instance import Instance
from placement.problem.plan import Plan
from placement.support.equality import ByContent
from placement.verify.candidates import best_over, candidates
from placement.verify.content_bounds import Listing, Priced, listings
from placement.verify.matrix_program import Clock, OutOfTime, Undecided
from placement.verify.scaled_problem import Scaled
from placement.verify.server_bound import highest_worth
from placement.verify.valid_rows import (
    Prices,
    Row,
    kept_rows,
    prices_of,
    replica_rows,
    rule_rows,
    split_rows,
)
from placement.verify.whole_program import MOST_COLUMNS, DirectProgram, columns_of
from placement.verify.workflows_apart import WorkflowsApart

TOLERANCE = 1e-6
"""What a proof may miss the claim by, locality or relative load: solvers leave that open."""

SAFETY = 1e-7
"""Added to whatever a solver calls a bound, locality or growth."""

MOST_SPLITS = 1_000
"""Splits on the way to a leaf; a file that has more is no tree of ours."""

Conclusion = Literal["holds", "does not hold", "not decided"]
"""What a check of a bound concludes."""

HOW = {
    "trivial": "no locality exceeds 1",
    "duals": "the Lagrangian bound at the stored multipliers",
    "tree": "the stored branching tree, each leaf proven by its own multipliers",
    "direct": "branch and bound over the whole program",
}


@dataclass(frozen=True, eq=False)
class BoundCheck(ByContent):
    """Whether a stated bound is proven.

    Parameters
    ----------
    verdict : str
        ``not decided`` only where the time limit ended first.
    recomputed : float
        The least bound proven here; it is sought no lower than what is stated.
    how : str
        By what it was proven, or was to be.
    why : str
        Why it was not decided.
    """

    verdict: Conclusion
    recomputed: float
    stated: float
    how: str
    why: str = ""

    @property
    def holds(self) -> bool:
        """Whether the stated bound is proven."""
        return self.verdict == "holds"


def check_bound(
    plan: Plan, *, solver: str = "HiGHS", time_limit_s: float | None = 60.0
) -> BoundCheck:
    """Prove the bound of a plan anew: from its multipliers where there are any.

    Parameters
    ----------
    solver : str
        HiGHS, or PuLP's name of another.
    time_limit_s : float, optional
        Seconds, after which the answer is that it is undecided.
    """
    stated, duals = plan.certificate.best_bound, plan.certificate.duals
    if stated >= 1.0:
        return BoundCheck("holds", 1.0, stated, HOW["trivial"])
    clock = Clock(time_limit_s)
    if duals is None:
        return _direct(plan, stated, clock, solver)
    how = HOW["tree" if "split" in duals or "enumerated" in duals else "duals"]
    try:
        bound = proven_bound(
            plan.instance, duals, goal=stated + TOLERANCE, clock=clock, solver=solver
        )
    except Undecided as open_question:
        return BoundCheck("not decided", 1.0, stated, how, str(open_question))
    verdict: Conclusion = "holds" if bound <= stated + TOLERANCE else "does not hold"
    return BoundCheck(verdict, bound, stated, how)


def _direct(plan: Plan, stated: float, clock: Clock, solver: str) -> BoundCheck:
    scaled = Scaled(plan.instance)
    if columns_of(scaled) > MOST_COLUMNS:
        why = "the file stores no multipliers, and the whole program is too large to solve"
        return BoundCheck("not decided", 1.0, stated, HOW["direct"], why)
    enough = (stated + TOLERANCE - SAFETY - scaled.constant) * scaled.servers
    try:
        answer = DirectProgram(scaled, clock).bound(plan, enough, clock, solver)
    except Undecided as open_question:
        return BoundCheck("not decided", 1.0, stated, HOW["direct"], str(open_question))
    bound = min(1.0, answer.bound / scaled.servers + scaled.constant + SAFETY)
    best = float("-inf")
    if answer.value is not None:
        best = answer.value / scaled.servers + scaled.constant
    if bound <= stated + TOLERANCE:
        return BoundCheck("holds", bound, stated, HOW["direct"])
    if answer.end == "optimal" or best > stated + TOLERANCE:
        return BoundCheck("does not hold", bound, stated, HOW["direct"])
    why = str(OutOfTime()) if clock.left <= clock.blink else f"{solver} gave no answer"
    return BoundCheck("not decided", bound, stated, HOW["direct"], why)


def proven_bound(
    instance: Instance,
    duals: dict[str, object],
    *,
    goal: float | None = None,
    clock: Clock | None = None,
    solver: str = "HiGHS",
) -> float:
    """Bound on the locality of every plan, from what a certificate stores.

    Parameters
    ----------
    duals : dict
        Multipliers, or a tree of them. Any are valid; what is malformed only weakens the bound.
    goal : float, optional
        Stop where the bound is known to be above, and seek none that is lower.
    solver : str
        HiGHS, or PuLP's name of another.

    Raises
    ------
    Undecided
    """
    return min(1.0, _Proof(Scaled(instance), goal, clock or Clock(None), solver).tree(duals))


class _Proof:
    """One proof under way: everything that its leaves share."""

    def __init__(self, scaled: Scaled, goal: float | None, clock: Clock, solver: str) -> None:
        self.scaled, self.goal, self.clock, self.solver = scaled, goal, clock, solver
        self.listings: list[Listing] = listings(scaled)
        self.apart = WorkflowsApart(scaled)

    def tree(self, duals: dict[str, object]) -> float:
        """Largest bound of the leaves, as far as it decides the question.

        Raises
        ------
        Undecided
        """
        rows: list[Row | None] = [
            *replica_rows(self.scaled),
            *rule_rows(self.scaled),
            *kept_rows(self.scaled, duals.get("kept"), self.clock),
        ]
        highest = 0.0
        for own, leaf in _leaves(self.scaled, duals):
            highest = max(highest, self._leaf([*rows, *own], leaf))
            if self.goal is not None and highest > self.goal:
                break
        return highest

    def _leaf(self, rows: list[Row | None], leaf: dict[str, object]) -> float:
        self.clock.check()
        prices = prices_of(self.scaled, rows, leaf)
        worth = leaf.get("enumerated")
        if self.listings and isinstance(worth, float) and 0.0 <= worth <= 1.0:
            bound = self._enumerated(rows, prices, worth)
            if bound is not None:
                return bound
        return self._priced(prices)

    def _enumerated(self, rows: list[Row | None], prices: Prices, worth: float) -> float | None:
        """Bound of a leaf by the integer program over all that a better plan can hold."""
        tools = self.clock, self.solver
        found = candidates(self.scaled, self.listings, prices, rows, worth, *tools)
        if found is None:
            return None
        enough = float("-inf") if self.goal is None else self.goal - SAFETY
        return max(worth, best_over(self.scaled, found, rows, enough, *tools) + SAFETY)

    def _priced(self, prices: Prices) -> float:
        """Lagrangian bound: what the multipliers are worth, and every server at its best."""
        scaled, counts = self.scaled, [t.count for t in self.scaled.types]
        enough = 0.0
        if self.goal is not None and len(counts) == 1:
            # Of several types nobody knows how they share it: each is priced to the end.
            total = (self.goal - SAFETY - scaled.constant) * scaled.servers - prices.fixed
            enough = max(0.0, total / scaled.servers)
        # An empty server is worth 0, so no server is worth less.
        worth = sum(
            n * max(0.0, self._highest(t, prices, enough)) for t, n in enumerate(counts) if n
        )
        return (prices.fixed + worth) / scaled.servers + scaled.constant + SAFETY

    def _highest(self, t: int, prices: Prices, enough: float) -> float:
        apart = self.apart.worth(t, prices)
        if apart <= enough:
            return apart
        if self.listings:
            priced = Priced(self.listings[t], prices, self.clock, self.solver)
            if priced.above(enough, 0) is not None:
                return float(priced.bounds.max())
            return priced.highest()
        return highest_worth(self.scaled, t, prices, enough, self.clock, self.solver)


def _leaves(
    scaled: Scaled, duals: dict[str, object]
) -> Iterator[tuple[list[Row | None], dict[str, object]]]:
    """Leaves of a stored tree, each with the rows of the splits that lead there.

    A split that is none of ours makes a leaf of its node, which covers whatever lies below it.
    """
    todo: list[tuple[list[Row | None], dict[str, object]]] = [([], duals)]
    while todo:
        path, node = todo.pop()
        split = node.get("split")
        if isinstance(split, dict) and len(path) < MOST_SPLITS:
            rows, below, above = split_rows(scaled, split), split.get("below"), split.get("above")
            if rows is not None and isinstance(below, dict) and isinstance(above, dict):
                todo += [([*path, rows[0]], below), ([*path, rows[1]], above)]
                continue
        yield path, node
