"""Names of solvers as users write them."""

import pulp
import pytest

from placement.solver.milp import SolverSettings, solve_program
from placement.solver.solver_names import SolverUnavailable, solver_name


@pytest.mark.parametrize("name", ["nonsense", "GUROBI"])
def test_a_solver_that_is_not_there_is_named_with_those_that_are(name: str) -> None:
    """The sentence lists what would work."""
    with pytest.raises(SolverUnavailable, match=f"{name}.*HiGHS"):
        solve_program(pulp.LpProblem(), SolverSettings(name))


def test_a_name_nearly_right_is_offered() -> None:
    """And one in other letters is right."""
    with pytest.raises(SolverUnavailable, match="did you mean 'HiGHS'"):
        solver_name("HiGS")
    assert solver_name("highs") == "HiGHS"
    assert solver_name("cBc") == "PULP_CBC_CMD"
