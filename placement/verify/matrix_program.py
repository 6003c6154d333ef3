"""The verifier's own way to a solver: arrays in, what is proven out.

HiGHS is called directly, any other solver through PuLP. Nothing here is shared with the programs
that made the plan.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import highspy
import numpy as np
import pulp

from placement.problem.cluster import FloatArray
from placement.support.equality import ByContent
from placement.support.quiet import silenced

End = Literal["optimal", "infeasible", "low enough", "undecided"]
"""`low enough`: stopped because the proven bound had reached the level asked for."""

Terms = Iterable[tuple[int, float]]

REL_GAP = 1e-8
"""Gap at which an integer program counts as solved, over what it is worth."""

OPTIONS = {
    # Without the searches that solve programs of their own: here the bound counts.
    "mip_heuristic_run_root_reduced_cost": False,
    "mip_heuristic_run_rins": False,
    "mip_heuristic_run_rens": False,
    "mip_rel_gap": REL_GAP,
    "mip_abs_gap": 1e-9,
}


class Undecided(Exception):  # noqa: N818 - no fault of anybody
    """The question stays open; the message says why."""


class OutOfTime(Undecided):
    """The time limit ended first."""

    def __init__(self) -> None:
        super().__init__("the time limit ended first")


class Clock:
    """Seconds that are left; None never ends."""

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds
        self.blink = 0.0 if seconds is None else 0.01 * seconds
        """Seconds by which a solver may miss the end."""

    @property
    def left(self) -> float:
        """Seconds left, at least 0."""
        return float("inf") if self._end is None else max(0.0, self._end - time.monotonic())

    def check(self) -> None:
        """Stop the proof where no time is left.

        Raises
        ------
        OutOfTime
        """
        if self.left <= 0:
            raise OutOfTime


@dataclass(frozen=True, eq=False)
class Answer(ByContent):
    """What a solver says about a program that is to be maximised.

    Parameters
    ----------
    bound : float
        No point is worth more; infinite where nothing is proven, -inf where there is no point.
    value : float or None
        Worth of the point found.
    point, duals : float64 or None
        Its columns; shadow prices of the rows of a linear program.
    """

    end: End
    bound: float
    value: float | None = None
    point: FloatArray | None = None
    duals: FloatArray | None = None


class Program:
    """A program to be maximised, column by column and row by row."""

    def __init__(self) -> None:
        self.cost: list[float] = []
        self.low: list[float] = []
        self.up: list[float] = []
        self.whole: list[int] = []
        self.row_low: list[float] = []
        self.row_up: list[float] = []
        self._starts: list[int] = []
        self._columns: list[int] = []
        self._values: list[float] = []

    def column(
        self, cost: float = 0.0, up: float = float("inf"), *, low: float = 0.0, whole: bool = False
    ) -> int:
        """Add a column; returns its number.

        Parameters
        ----------
        cost : float
            In the objective, which is maximised.
        up, low : float
            Its bounds.
        whole : bool
            It takes whole numbers only.
        """
        if whole:
            self.whole.append(len(self.cost))
        self.cost.append(cost)
        self.low.append(low)
        self.up.append(up)
        return len(self.cost) - 1

    def row(self, terms: Terms, up: float = float("inf"), *, low: float = float("-inf")) -> int:
        """Add low <= terms <= up; returns its number.

        Parameters
        ----------
        terms : iterable of (int, float)
            Column and coefficient; those of one column add up.
        up, low : float
            Bounds of the sum.
        """
        self._starts.append(len(self._columns))
        merged: dict[int, float] = {}
        for column, value in terms:
            merged[column] = merged.get(column, 0.0) + value
        self._columns += merged
        self._values += merged.values()
        self.row_low.append(low)
        self.row_up.append(up)
        return len(self.row_up) - 1

    def maximise(
        self,
        clock: Clock,
        solver: str = "HiGHS",
        *,
        enough: float = float("-inf"),
        relaxed: bool = False,
        start: Mapping[int, float] | None = None,
        partly: bool = False,
    ) -> Answer:
        """Solve, at most until nothing can be worth more than `enough`.

        Parameters
        ----------
        solver : str
            HiGHS, or PuLP's name of another.
        enough : float
            Objective at or below which the bound need not be brought down further.
        relaxed : bool
            Leave out that columns are whole.
        start : mapping of column to value, optional
            A point to begin with (HiGHS).
        partly : bool
            Return what is known where the program is not solved to the end.

        Raises
        ------
        Undecided
        """
        clock.check()
        if not self.cost:
            return Answer("optimal", 0.0, 0.0, np.zeros(0), np.zeros(0))
        if solver == "HiGHS":
            answer = self._highs(clock, enough, relaxed, start or {})
        else:
            answer = self._other(clock, solver, relaxed)
        if answer.end == "undecided" and not partly:
            if clock.left <= clock.blink:
                raise OutOfTime
            raise Undecided(f"{solver} gave no answer")
        return answer

    def _highs(
        self, clock: Clock, enough: float, relaxed: bool, start: Mapping[int, float]
    ) -> Answer:
        with silenced(1):  # the first one of a process prints a banner
            model = highspy.Highs()  # type: ignore[no-untyped-call]
        model.setOptionValue("output_flag", False)
        for name, value in OPTIONS.items():
            model.setOptionValue(name, value)
        if clock.left < float("inf"):
            model.setOptionValue("time_limit", clock.left)
        n, none = len(self.cost), np.zeros(0)
        empty = np.zeros(n, dtype=np.int32)
        cost = -np.array(self.cost)  # HiGHS minimises
        model.addCols(n, cost, np.array(self.low), np.array(self.up), 0, empty, empty[:0], none)
        integer = bool(self.whole) and not relaxed
        if integer:
            kind = np.full(len(self.whole), int(highspy.HighsVarType.kInteger), dtype=np.uint8)
            model.changeColsIntegrality(len(self.whole), np.array(self.whole, dtype=np.int32), kind)
        model.addRows(
            len(self.row_up),
            np.array(self.row_low),
            np.array(self.row_up),
            len(self._columns),
            np.array(self._starts, dtype=np.int32),
            np.array(self._columns, dtype=np.int32),
            np.array(self._values),
        )
        if start:
            keys = np.array(list(start), dtype=np.int32)
            model.setSolution(len(start), keys, np.array(list(start.values())))
        if integer:
            _listen(model, clock, enough)
        model.run()
        answer = self._read(model, integer, enough)
        interrupted = model.getModelStatus() == highspy.HighsModelStatus.kInterrupt
        if interrupted and answer.end == "undecided" and clock.left > 0:
            # What was heard as low enough is not: the bound of a program by which HiGHS completes
            # a start, or one that presolve rounded otherwise.
            return self._highs(clock, float("-inf"), relaxed, {})
        return answer

    def _read(self, model: highspy.Highs, integer: bool, enough: float) -> Answer:
        status, info = model.getModelStatus(), model.getInfo()
        kinds = highspy.HighsModelStatus
        if status == kinds.kInfeasible:
            return Answer("infeasible", float("-inf"))
        found = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
        solution = model.getSolution()
        point = np.array(solution.col_value) if found else None
        value = float(np.array(self.cost) @ point) if point is not None else None
        bound = float("inf")
        if integer and status in (kinds.kOptimal, kinds.kInterrupt, kinds.kTimeLimit):
            # A part that is worth more by less than the gap may have been left out.
            bound = -info.mip_dual_bound + REL_GAP * abs(info.mip_dual_bound)
        elif status == kinds.kOptimal and value is not None:
            bound = value
        end: End = "undecided"
        if status == kinds.kOptimal:
            end = "optimal"
        elif bound <= enough:
            end = "low enough"
        duals = None if integer or not found else -np.array(solution.row_dual)
        return Answer(end, bound, value, point, duals)

    def _other(self, clock: Clock, name: str, relaxed: bool) -> Answer:
        problem = pulp.LpProblem("verify", pulp.LpMaximize)
        whole = set() if relaxed else set(self.whole)
        columns = [
            pulp.LpVariable(
                f"x{j}",
                low,
                None if up == float("inf") else up,
                pulp.LpInteger if j in whole else pulp.LpContinuous,
            )
            for j, (low, up) in enumerate(zip(self.low, self.up, strict=True))
        ]
        ends = [*self._starts[1:], len(self._columns)]
        for r, (first, end) in enumerate(zip(self._starts, ends, strict=True)):
            terms = pulp.LpAffineExpression(
                (columns[self._columns[i]], self._values[i]) for i in range(first, end)
            )
            if self.row_low[r] == self.row_up[r]:
                problem.addConstraint(terms == self.row_up[r], f"r{r}")
                continue
            if self.row_up[r] < float("inf"):
                problem.addConstraint(terms <= self.row_up[r], f"r{r}")
            if self.row_low[r] > float("-inf"):
                problem.addConstraint(terms >= self.row_low[r], f"r{r}low")
        problem.setObjective(pulp.LpAffineExpression(zip(columns, self.cost, strict=True)))
        limit = None if clock.left == float("inf") else clock.left
        options: dict[str, Any] = {"msg": False, "timeLimit": limit}
        if name == "PULP_CBC_CMD":
            options["gapRel"] = 0.0
        problem.solve(pulp.getSolver(name, **options))
        if problem.sol_status == pulp.LpSolutionInfeasible:
            return Answer("infeasible", float("-inf"))
        if problem.sol_status != pulp.LpSolutionOptimal:
            return Answer("undecided", float("inf"))
        point = np.array([x.varValue or 0.0 for x in columns])
        value = float(np.array(self.cost) @ point)
        duals = None
        if not whole:
            rows = problem.constraints
            duals = np.array(
                [getattr(rows.get(f"r{r}"), "pi", 0.0) or 0.0 for r in range(len(ends))]
            )
        return Answer("optimal", value, value, point, duals)


def _listen(model: highspy.Highs, clock: Clock, enough: float) -> None:
    kinds = highspy.cb.HighsCallbackType

    def hear(event: Any, _: str, out: Any, into: Any, __: Any) -> None:
        if into is None:
            return
        low = event == kinds.kCallbackMipInterrupt and -out.mip_dual_bound <= enough
        if low or clock.left <= 0:
            into.user_interrupt = True

    model.setCallback(hear, None)
    for event in (kinds.kCallbackMipInterrupt, kinds.kCallbackSimplexInterrupt):
        model.startCallback(event)
