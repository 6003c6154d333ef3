"""The verifier's own programs against scipy's, by HiGHS directly and by CBC through PuLP."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp

from placement.verify.matrix_program import Clock, OutOfTime, Program, Undecided

SOLVERS = ("HiGHS", "PULP_CBC_CMD")


def drawn(seed: int) -> Program:
    """A small program with columns and rows of every sort; sometimes one without any point."""
    rng = np.random.default_rng(seed)
    program = Program()
    columns = int(rng.integers(2, 6))
    for _ in range(columns):
        low = float(rng.choice([0.0, 0.0, -2.0, 1.0]))
        up = low + float(rng.choice([0.0, 1.5, 4.0]))
        program.column(float(rng.normal()), up, low=low, whole=bool(rng.random() < 0.5))
    for _ in range(int(rng.integers(1, 5))):
        # A column may come twice: its coefficients add up.
        terms = [(int(rng.integers(columns)), float(rng.normal())) for _ in range(4)]
        kind = rng.integers(3)
        at = float(rng.normal(1.0, 2.0))
        if kind == 0:
            program.row(terms, at)
        elif kind == 1:
            program.row(terms, low=at - 2)
        else:
            program.row(terms, at, low=at if rng.random() < 0.3 else at - 2)
    return program


def dense(program: Program) -> np.ndarray:
    matrix = np.zeros((len(program.row_up), len(program.cost)))
    ends = [*program._starts[1:], len(program._columns)]
    for r, (first, end) in enumerate(zip(program._starts, ends, strict=True)):
        for i in range(first, end):
            matrix[r, program._columns[i]] += program._values[i]
    return matrix


def best(program: Program, *, relaxed: bool) -> float | None:
    """The optimum by scipy; None without a point."""
    whole = np.zeros(len(program.cost))
    if not relaxed:
        whole[program.whole] = 1
    found = milp(
        -np.array(program.cost),
        integrality=whole,
        bounds=Bounds(program.low, program.up),
        constraints=LinearConstraint(dense(program), program.row_low, program.row_up),
    )
    return -float(found.fun) if found.success else None


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("relaxed", [False, True])
def test_the_bound_is_the_optimum(solver: str, relaxed: bool) -> None:
    """With a point that attains it; -inf where there is none; both solvers alike."""
    empty = 0
    for seed in range(60 if solver == "HiGHS" else 10):
        program = drawn(seed)
        wanted = best(program, relaxed=relaxed)
        found = program.maximise(Clock(None), solver, relaxed=relaxed, partly=True)
        if wanted is None:
            # CBC does not always know why it found nothing; then nothing is proven.
            known = (found.end, found.bound) == ("infeasible", -np.inf)
            assert known or (solver != "HiGHS" and found.bound == np.inf)
            empty += 1
            continue
        assert found.end == "optimal"
        assert found.bound == pytest.approx(wanted, abs=1e-6)
        assert found.value == pytest.approx(wanted, abs=1e-6)
        assert found.point is not None
        activity = dense(program) @ found.point
        assert (activity <= np.array(program.row_up) + 1e-6).all()
        assert (activity >= np.array(program.row_low) - 1e-6).all()
    assert empty > 0


def test_shadow_prices_say_what_a_row_is_worth() -> None:
    """Of a linear program in its own sense: at least 0 for a row that limits from above."""
    program = Program()
    x, y = program.column(2.0), program.column(3.0, 4.0)
    rows = program.row([(x, 1.0), (y, 1.0)], 10.0), program.row([(x, 1.0)], 100.0)
    found = program.maximise(Clock(None), "HiGHS", relaxed=True)
    assert found.duals is not None
    assert found.duals[rows[0]] == pytest.approx(2.0)
    assert found.duals[rows[1]] == pytest.approx(0.0)
    again = program.maximise(Clock(None), "PULP_CBC_CMD", relaxed=True)
    assert again.duals is not None
    assert again.duals[rows[0]] == pytest.approx(2.0)
    whole = Program()
    whole.row([(whole.column(1.0, 5.0, whole=True), 1.0)], 3.5)
    assert whole.maximise(Clock(None)).duals is None


def test_a_column_without_an_end_has_none() -> None:
    """And numbers may be below 0 where the lower bound says so."""
    program = Program()
    x = program.column(1.0, low=-5.0)
    program.row([(x, 1.0), (x, 1.0)], -4.0)
    for solver in SOLVERS:
        assert program.maximise(Clock(None), solver).bound == pytest.approx(-2.0)


def test_a_point_to_begin_with_changes_no_bound() -> None:
    """Nor does what would be enough, where the program is solved to the end."""
    program = next(p for p in map(drawn, range(99)) if best(p, relaxed=False) is not None)
    wanted = best(program, relaxed=False)
    found = program.maximise(Clock(None))
    assert found.point is not None
    start = dict(enumerate(found.point.tolist()))
    assert program.maximise(Clock(None), start=start).bound == pytest.approx(wanted)
    early = program.maximise(Clock(None), enough=wanted + 10.0)
    assert early.bound >= wanted - 1e-6
    assert early.end in ("optimal", "low enough")


def test_a_start_of_some_columns_leaves_no_question_open() -> None:
    """HiGHS solves a program for the others, and its low bound is none on the whole program."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        program, columns = Program(), int(rng.integers(20, 26))
        for _ in range(columns):
            program.column(float(rng.integers(1, 20)), 1.0, whole=True)
        for _ in range(int(rng.integers(6, 10))):
            terms = [(j, float(rng.integers(1, 12))) for j in range(columns)]
            program.row(terms, float(rng.integers(10, 60)))
        best = program.maximise(Clock(None))
        assert best.point is not None
        some = dict(enumerate(np.rint(best.point[: columns // 2]).tolist()))
        found = program.maximise(Clock(None), enough=best.bound + 1e-6, start=some)
        assert best.bound - 1e-6 <= found.bound <= best.bound + 2e-6


def test_a_level_met_but_for_rounding_leaves_no_question_open() -> None:
    """Prices pay for all that is kept but for 1e-11, which presolve rounds off and then adds."""
    program, worth, cheap = Program(), 0.6470588235294118, -0.3235294117829839
    n = [program.column(0.0, up, whole=True) for up in (4.0, 2.0, 4.0)]
    a = [program.column(-0.3235294117484588, up) for up in (0.55, 0.5, 0.55)]
    kept = [program.column(worth, 0.5) for _ in range(3)]
    b = [program.column(cheap, up) for up in (1.45, 1.5)]
    both, one = program.column(worth, 1.5), program.column(0.0, 1.0, whole=True)
    for rate, most, whole in zip([*a, b[1]], (0.5, 0.55, 0.55, 1.5), [*n, n[0]], strict=True):
        program.row([(rate, 1.0), (whole, -most)], 0.0)
    ends = [(a[0], a[1]), (a[0], a[2]), (a[1], a[2])]
    for link, pair in zip([*kept, both], [*ends, (b[0], b[1])], strict=True):
        for rate in pair:
            program.row([(link, 1.0), (rate, -1.0)], 0.0)
    program.row([(a[0], 0.6), (b[1], 0.3), (n[0], -1.0)], 0.0)
    program.row([(a[2], 0.3), (b[0], 0.8), (n[2], -1.0)], 0.0)
    program.row([(n[1], 1.0), (one, -2.0)], 0.0)
    program.row([(n[0], 1.0), (n[1], 1.0), (one, 2.0), (n[2], 1.0)], 4.0)
    for enough in (0.0, 1e-12, -1e-12):
        found = program.maximise(Clock(None), enough=enough)
        assert 0.0 <= found.bound <= 1e-9


def test_nothing_is_worth_nothing_and_no_time_proves_nothing() -> None:
    """An empty program is solved; one without time is open, not bounded."""
    empty = Program().maximise(Clock(None))
    assert (empty.end, empty.bound, empty.value) == ("optimal", 0.0, 0.0)
    with pytest.raises(OutOfTime):
        drawn(0).maximise(Clock(0.0))
    assert issubclass(OutOfTime, Undecided)
    assert Clock(None).left == np.inf
    assert 0 < Clock(50.0).left <= 50.0
    assert Clock(50.0).blink == pytest.approx(0.5)


def test_what_has_no_end_is_not_bounded() -> None:
    """An unbounded program is undecided: partly, nothing is known of it."""
    program = Program()
    program.row([(program.column(1.0), -1.0)], 0.0)
    with pytest.raises(Undecided):
        program.maximise(Clock(None))
    found = program.maximise(Clock(None), partly=True)
    assert (found.end, found.bound) == ("undecided", np.inf)
