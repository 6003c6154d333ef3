"""A linear program that grows: one HiGHS model, kept with its basis while columns are added.

PuLP makes a model anew for every solve, which is right where a program changes as a whole. A master
of column generation gets a few dozen columns a round, and its last basis is nearly that of the
next: solved from there, a round takes a twentieth of the time.
"""

from __future__ import annotations

from collections.abc import Sequence

import highspy
import numpy as np

from placement.problem.cluster import FloatArray, IntArray
from placement.solver.budget import Budget
from placement.solver.highs import silent_highs


class WarmProgram:
    """max cost x over rows lower <= A x <= upper and bounds on x, to which columns are added.

    Parameters
    ----------
    lower, upper : float64, shape (R,)
        Of the rows; infinite where there is none.

    Attributes
    ----------
    value : float
        Objective of the last solve.
    point, reduced : float64, shape (C,)
        Values of the columns, and what one more of each would change.
    duals : float64, shape (R,)
        d objective / d right-hand side of each row.
    """

    def __init__(self, lower: FloatArray, upper: FloatArray) -> None:
        self._model = silent_highs()
        for option, value in (("output_flag", False), ("threads", 1), ("solver", "simplex")):
            self._model.setOptionValue(option, value)
        self.rows = len(lower)
        self.columns = 0
        nothing = np.zeros(0, dtype=np.int32)
        starts = np.zeros(self.rows, dtype=np.int32)
        self._model.addRows(
            self.rows, _finite(lower), _finite(upper), 0, starts, nothing, np.zeros(0)
        )
        self.value = -np.inf
        self.point = self.reduced = self.duals = np.zeros(0)

    def add_columns(
        self,
        cost: FloatArray,
        terms: Sequence[tuple[IntArray, FloatArray]],
    ) -> range:
        """Add columns of at least 0; their numbers.

        Parameters
        ----------
        cost : float64, shape (B,)
        terms : sequence of (int64, float64)
            Rows of each column, and its coefficients there.
        """
        sizes = [len(rows) for rows, _ in terms]
        starts = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int32)
        self._model.addCols(
            len(cost),
            -np.asarray(cost, dtype=np.float64),
            np.zeros(len(cost)),
            np.full(len(cost), highspy.kHighsInf),
            sum(sizes),
            starts,
            np.concatenate([rows for rows, _ in terms]).astype(np.int32),
            np.concatenate([values for _, values in terms]).astype(np.float64),
        )
        first, self.columns = self.columns, self.columns + len(cost)
        return range(first, self.columns)

    def add_row(self, lower: float, columns: IntArray, values: FloatArray) -> int:
        """Add a row over columns that are there; its number.

        Parameters
        ----------
        lower : float
            What it is at least.
        columns : int64
            Those in it.
        values : float64
            Their coefficients.
        """
        self._model.addRow(lower, highspy.kHighsInf, len(columns), columns.astype(np.int32), values)
        self.rows += 1
        return self.rows - 1

    def limit_row(self, row: int, lower: float, upper: float = np.inf) -> None:
        """Change the limits of a row.

        Parameters
        ----------
        row : int
            By `add_row`, or as the program began.
        lower, upper : float
            What it is at least and at most.
        """
        self._model.changeRowBounds(row, lower, min(upper, highspy.kHighsInf))

    def limit_columns(self, upper: FloatArray) -> None:
        """Change what each column, shape (C,), is at most."""
        every = np.arange(self.columns, dtype=np.int32)
        self._model.changeColsBounds(self.columns, every, np.zeros(self.columns), _finite(upper))

    def change_costs(self, columns: IntArray, cost: FloatArray) -> None:
        """Change the objective."""
        self._model.changeColsCost(len(columns), columns.astype(np.int32), -cost)

    def solve(self, budget: Budget) -> bool:
        """Go on from the last basis to the optimum; False where the time ended before."""
        limit = budget.limit_s
        spent = self._model.getRunTime()
        self._model.setOptionValue(
            "time_limit", highspy.kHighsInf if limit is None else spent + limit
        )
        self._model.run()
        if self._model.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            if self._model.getModelStatus() == highspy.HighsModelStatus.kTimeLimit:
                budget.cut()
            return False
        solution = self._model.getSolution()
        self.value = -float(self._model.getInfo().objective_function_value)
        self.point = np.array(solution.col_value)
        self.reduced = -np.array(solution.col_dual)
        self.duals = -np.array(solution.row_dual)
        return True


def _finite(bounds: FloatArray) -> FloatArray:
    return np.clip(np.asarray(bounds, dtype=np.float64), -highspy.kHighsInf, highspy.kHighsInf)
