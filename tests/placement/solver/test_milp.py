"""The door to the solvers: statuses, proven bounds, duals, limits, silence."""

import numpy as np
import pulp
import pytest

from placement.solver import milp
from placement.solver.budget import Budget
from placement.solver.milp import Manner, SolverSettings, Stop, duals, linear, solve_program

SOLVERS = ["HiGHS", "CBC"]


def knapsack(n: int = 8, rows: int = 1, seed: int = 0) -> pulp.LpProblem:
    """A 0/1 knapsack with a constant in its objective; hard where it has many rows."""
    rng = np.random.default_rng(seed)
    problem = pulp.LpProblem("knapsack", pulp.LpMaximize)
    x = [pulp.LpVariable(f"x{i:03d}", cat="Binary") for i in range(n)]
    value = rng.integers(20, 40, n)
    problem += pulp.LpAffineExpression([(x[i], float(value[i])) for i in range(n)], constant=100)
    for r in range(rows):
        weight = rng.integers(5, 60, n)
        row = pulp.LpAffineExpression([(x[i], float(weight[i])) for i in range(n)])
        problem += row <= float(weight.sum() // 2), f"row{r}"
    return problem


def brute_force(problem: pulp.LpProblem) -> float:
    x = problem.variables()
    points = np.array(np.meshgrid(*[[0, 1]] * len(x))).reshape(len(x), -1)
    feasible = np.ones(points.shape[1], dtype=bool)
    for row in problem.constraints.values():
        feasible &= np.array([row.get(v, 0) for v in x]) @ points <= -row.constant
    worth = np.array([problem.objective.get(v, 0) for v in x]) @ points
    return float(worth[feasible].max() + problem.objective.constant)


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("sign", [1, -1])
def test_an_optimum_is_its_own_bound(name: str, sign: int) -> None:
    """Objective and bound are the true optimum, with its constant, maximising or minimising."""
    problem = knapsack()
    best = brute_force(problem)
    if sign < 0:
        problem.sense = pulp.LpMinimize
        problem.setObjective(-1 * problem.objective)
    got = solve_program(problem, SolverSettings(name))
    assert (got.status, got.limit_hit) == ("optimal", None)
    assert got.objective == pytest.approx(sign * best)
    assert got.best_bound == pytest.approx(sign * best)


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("sense", [pulp.LpMaximize, pulp.LpMinimize])
def test_duals_are_derivatives_in_the_sense_of_the_problem(name: str, sense: int) -> None:
    """max 3x + 2y, x + y <= 4, x <= 3 has prices 2 and 1; turned to min they are -2 and -1."""
    sign = 1 if sense == pulp.LpMaximize else -1
    problem = pulp.LpProblem("lp", sense)
    x, y = (pulp.LpVariable(n, 0) for n in "xy")
    problem += sign * (3 * x + 2 * y)
    problem += x + y <= 4, "both"
    problem += x <= 3, "one"
    got = solve_program(problem, SolverSettings(name))
    assert got.best_bound == pytest.approx(sign * 11)
    assert duals(problem) == pytest.approx({"both": sign * 2.0, "one": sign * 1.0})


@pytest.mark.parametrize("name", SOLVERS)
def test_infeasible_programs_are_called_so(name: str) -> None:
    """No value and no proof come out of a program without a solution."""
    problem = pulp.LpProblem("none", pulp.LpMaximize)
    x = pulp.LpVariable("x", 0, 1, cat="Integer")
    problem += x
    problem += 2 * x >= 3
    got = solve_program(problem, SolverSettings(name))
    assert (got.status, got.objective, got.found) == ("infeasible", None, False)


def test_unbounded_programs_are_called_so() -> None:
    """HiGHS's "unbounded or infeasible" is settled."""
    problem = pulp.LpProblem("ray", pulp.LpMaximize)
    problem += pulp.LpVariable("x", 0)
    assert solve_program(problem, SolverSettings()).status == "unbounded"


def test_a_limit_leaves_incumbent_and_bound_apart() -> None:
    """Stopped at the first node, the start is kept, and the bound is a true bound."""
    problem = knapsack(60, rows=30)
    optimum = None
    for v in problem.variables():
        v.setInitialValue(0)
    got = solve_program(
        problem, SolverSettings(), stop=Stop(node_limit=1), manner=Manner(warm_start=True)
    )
    assert got.status == "feasible"
    assert got.limit_hit == "nodes"
    assert got.objective is not None
    relaxed = knapsack(60, rows=30)
    for v in relaxed.variables():
        v.cat = pulp.LpContinuous
    optimum = solve_program(relaxed, SolverSettings()).best_bound
    assert got.objective < got.best_bound <= optimum + 1e-6


@pytest.mark.parametrize("name", SOLVERS)
def test_who_ends_by_its_own_clock_tells_the_budget(name: str) -> None:
    """Else the result would pass for one of work; here the budget's own clock stands still."""
    budget = Budget(0.05, clock=lambda: 0.0)
    got = solve_program(knapsack(80, rows=40), SolverSettings(name), budget=budget)
    assert got.limit_hit == "time"
    assert budget.cut_short
    worked = Budget(1e6, clock=lambda: 0.0)
    assert solve_program(knapsack(), SolverSettings(name), budget=worked).limit_hit is None
    assert not worked.cut_short


@pytest.mark.parametrize("sign", [1, -1])
def test_a_target_that_is_met_ends_the_run(sign: int) -> None:
    """The point found is as good as asked, in the problem's own sense, and the bound holds."""

    def hard() -> pulp.LpProblem:
        problem = knapsack(30, rows=10)
        if sign < 0:
            problem.sense = pulp.LpMinimize
            problem.setObjective(-1 * problem.objective)
        return problem

    best = solve_program(hard(), SolverSettings()).objective
    assert best is not None
    easy = best - sign * 0.2 * abs(best)
    got = solve_program(hard(), SolverSettings(), stop=Stop(target=easy))
    assert (got.status, got.limit_hit) == ("feasible", None)
    assert got.objective is not None
    assert sign * got.objective >= sign * easy - 1e-6
    assert sign * got.best_bound >= sign * best - 1e-6


def test_cbc_reports_its_bound_when_stopped_at_a_gap() -> None:
    """A wide gap ends the search early; the bound still covers what HiGHS finds best."""
    best = solve_program(knapsack(30, rows=5), SolverSettings()).objective
    got = solve_program(knapsack(30, rows=5), SolverSettings("CBC"), stop=Stop(gap=0.2))
    assert got.objective is not None
    assert best is not None
    assert got.objective <= best + 1e-6
    assert got.best_bound >= best - 1e-6


def test_an_interrupted_budget_stops_the_run() -> None:
    """A callback that interrupts ends the search long before its optimum."""
    budget = Budget()
    heard: list[tuple[float | None, float | None]] = []

    def on_progress(incumbent: float | None, bound: float | None) -> None:
        heard.append((incumbent, bound))
        budget.interrupt()

    problem = knapsack(80, rows=60)
    got = solve_program(problem, SolverSettings(), budget=budget, on_progress=on_progress)
    assert heard
    assert got.limit_hit == "interrupt"
    again = solve_program(problem, SolverSettings(), budget=budget)
    assert (again.status, again.limit_hit) == ("none", "interrupt")


@pytest.mark.parametrize("fault", [KeyboardInterrupt, ZeroDivisionError])
def test_what_a_callback_raises_comes_out_behind_the_solver(fault: type[BaseException]) -> None:
    """Ctrl-C and faults end the run and are not lost in the solver's own code."""

    def on_progress(incumbent: float | None, bound: float | None) -> None:
        raise fault

    with pytest.raises(fault):
        solve_program(knapsack(80, rows=60), SolverSettings(), on_progress=on_progress)


def test_solvers_keep_stdout_clean(capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing reaches stdout or stderr, not even HiGHS's banner."""
    for name in SOLVERS:
        solve_program(knapsack(), SolverSettings(name, threads=1))
    assert capfd.readouterr() == ("", "")


def test_one_seed_one_answer() -> None:
    """Two runs give the same values, variable by variable."""
    runs = []
    for _ in range(2):
        problem = knapsack(25, rows=4, seed=3)
        solve_program(problem, SolverSettings(threads=1, seed=7))
        runs.append([v.varValue for v in problem.variables()])
    assert runs[0] == runs[1]


def test_cbc_repeats_itself() -> None:
    """Of many equal optima it takes the same one each time; a seed of 0 is no time of day to it."""
    chosen = set()
    for _ in range(6):
        problem = pulp.LpProblem("ties", pulp.LpMaximize)
        x = [[pulp.LpVariable(f"x{i}_{j}", cat="Binary") for j in range(8)] for i in range(8)]
        problem += pulp.lpSum(x[i][j] for i in range(8) for j in range(8))
        for i in range(8):
            problem += pulp.lpSum((2 + (i + j) % 3) * x[i][j] for j in range(8)) <= 7
            problem += pulp.lpSum((2 + (i * j) % 3) * x[j][i] for j in range(8)) <= 7
        assert solve_program(problem, SolverSettings("CBC", seed=0)).status == "optimal"
        chosen.add(tuple(round(v.value()) for row in x for v in row))
    assert len(chosen) == 1


def test_a_solver_that_dies_leaves_nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """CBC's own crash ends its program, not the solve; no bound and no point is made of it."""

    def die(*_: object, **__: object) -> None:
        raise pulp.PulpSolverError("Pulp: Error while executing cbc")

    monkeypatch.setattr(pulp.PULP_CBC_CMD, "actualSolve", die)
    problem = pulp.LpProblem("any", pulp.LpMaximize)
    x = pulp.LpVariable("x", 0, 1, pulp.LpInteger)
    problem += x
    problem += x <= 1
    outcome = solve_program(problem, SolverSettings(name="CBC"))
    assert (outcome.status, outcome.found, outcome.best_bound) == ("none", False, float("inf"))


@pytest.mark.parametrize("sense", [pulp.LpMaximize, pulp.LpMinimize])
def test_who_tells_no_bound_is_bounded_by_the_relaxation(
    sense: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut short with a plan: that plan stays, and the linear program bounds what is better."""
    sign = 1 if sense == pulp.LpMaximize else -1
    problem = pulp.LpProblem("any", sense)
    x, y = (pulp.LpVariable(name, 0, 9, pulp.LpInteger) for name in "xy")
    problem += sign * (3 * x + 2 * y)
    problem += 2 * x + 2 * y <= 7  # 3 of each kind at most; relaxed 3.5 of x
    cut = True

    class Other(pulp.PULP_CBC_CMD):
        """CBC under another name, which has a plan when its time ends."""

        def actualSolve(self, lp: pulp.LpProblem, **more: object) -> int:
            status = int(super().actualSolve(lp, **more))
            if cut and self.mip:
                x.varValue, y.varValue = 2.0, 1.0
                lp.assignStatus(pulp.LpStatusOptimal, pulp.LpSolutionIntegerFeasible)
            return status

    def chosen(name: str, **options: object) -> pulp.LpSolver:
        return Other(**options) if name == "OTHER" else getattr(pulp, name)(**options)

    monkeypatch.setattr(milp, "solver_name", lambda name: "OTHER")
    monkeypatch.setattr(pulp, "getSolver", chosen)
    got = solve_program(problem, SolverSettings("OTHER"), budget=Budget(9.0))
    assert (got.status, got.limit_hit) == ("feasible", "time")
    assert got.objective == pytest.approx(sign * 8)
    assert got.best_bound == pytest.approx(sign * 10.5)
    assert (x.varValue, y.varValue) == (2.0, 1.0)
    cut = False
    got = solve_program(problem, SolverSettings("OTHER"), budget=Budget(9.0))
    assert (got.status, got.limit_hit) == ("optimal", None)
    assert got.objective == pytest.approx(sign * 9) == got.best_bound


def test_coefficients_of_a_variable_that_stands_twice_add_up() -> None:
    """x + y + 2 x is 3 x + y."""
    x, y = pulp.LpVariable("x"), pulp.LpVariable("y")
    terms = dict(linear([(x, 1.0), (y, 1.0), (x, 2.0)]).items())
    assert terms == {x: 3.0, y: 1.0}
