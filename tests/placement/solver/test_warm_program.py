"""A program that grows against the same program solved at once."""

import highspy
import numpy as np
import pytest

from placement.solver.budget import Budget
from placement.solver.warm_program import WarmProgram


def at_once(lower, upper, cost, terms):  # type: ignore[no-untyped-def]
    """Optimum by another road: the dual program, min of bounds times duals."""
    rows = len(lower)
    model = highspy.Highs()
    model.setOptionValue("output_flag", False)
    # y = up - low with up, low >= 0:  min upper up - lower low,  A' y >= cost.
    free, at_most, at_least = highspy.kHighsInf, np.isfinite(upper), np.isfinite(lower)
    price = np.concatenate([np.where(at_most, upper, 0), -np.where(at_least, lower, 0)])
    most = np.where(np.concatenate([at_most, at_least]), free, 0.0)
    model.addCols(2 * rows, price, np.zeros(2 * rows), most, 0, np.zeros(2 * rows, dtype=np.int32),
                  np.zeros(0, dtype=np.int32), np.zeros(0))  # fmt: skip
    for c, (at, values) in zip(cost, terms, strict=True):
        both = np.concatenate([at, at + rows]).astype(np.int32)
        model.addRow(c, free, len(both), both, np.concatenate([values, -values]))
    model.run()
    return model.getInfo().objective_function_value


def test_a_program_that_grows_has_the_optimum_of_the_whole() -> None:
    """After every batch of columns and every row: the value is that of the dual program."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        lower, upper = np.array([-np.inf, 1.0, 2.0]), np.array([5.0, np.inf, 2.0])
        program = WarmProgram(lower, upper)
        # Whatever is missing can be bought, so there always is a solution.
        cost = [-9.0, -9.0]
        terms = [(np.array([1]), np.ones(1)), (np.array([2]), np.ones(1))]
        program.add_columns(np.array(cost), terms)
        for step in range(4):
            new = [(np.arange(3), rng.uniform(0.1, 1.0, 3)) for _ in range(3)]
            worth = rng.uniform(-1.0, 1.0, 3)
            program.add_columns(worth, new)
            cost, terms = [*cost, *worth], [*terms, *new]
            assert program.solve(Budget())
            wanted = at_once(lower, upper, cost, terms)
            assert program.value == pytest.approx(wanted, abs=1e-9)
            assert abs(float(np.array(cost) @ program.point) - program.value) < 1e-9
            if step == 2:
                row = program.add_row(1.5, np.array([2, 3]), np.ones(2))
                lower, upper = np.append(lower, 1.5), np.append(upper, np.inf)
                terms = [
                    (np.append(at, row), np.append(values, 1.0)) if j in (2, 3) else (at, values)
                    for j, (at, values) in enumerate(terms)
                ]
        # Columns that may hold nothing are none, and come back.
        shut = [j >= 4 and rng.random() < 0.5 for j in range(len(cost))]
        open_ = [j for j, is_shut in enumerate(shut) if not is_shut]
        program.limit_columns(np.where(shut, 0.0, np.inf))
        for j, wanted in (
            (open_, at_once(lower, upper, [cost[j] for j in open_], [terms[j] for j in open_])),
            (range(len(cost)), at_once(lower, upper, cost, terms)),
        ):
            assert program.solve(Budget())
            assert program.value == pytest.approx(wanted, abs=1e-9)
            assert set(np.flatnonzero(program.point > 1e-9)) <= set(j)
            program.limit_columns(np.full(len(cost), np.inf))
        program.limit_row(row, 0.5, 0.75)
        lower[row], upper[row] = 0.5, 0.75
        assert program.solve(Budget())
        assert program.value == pytest.approx(at_once(lower, upper, cost, terms), abs=1e-9)
