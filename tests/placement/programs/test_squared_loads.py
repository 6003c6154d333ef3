"""The squares that balance minimises are those of the loads that a plan is judged by."""

from __future__ import annotations

import numpy as np
import pytest

from placement.params.search_params import DEFAULTS
from placement.problem.normalization import normalize
from placement.programs.compact import CompactProgram
from placement.programs.routing import best_routing
from placement.programs.spares import spread
from placement.programs.squared_loads import squared_loads
from placement.solver.milp import SolverSettings, linear, solve_program
from tests.placement import oracle

SETTINGS = SolverSettings(threads=1)


@pytest.mark.parametrize("exclusive", [True, False])
def test_the_least_squares_are_those_of_the_loads_they_come_with(exclusive: bool) -> None:
    """Tangents lie below the square, by no more than half the step between them, squared."""
    seen = 0
    for seed in range(12):
        instance = normalize(
            oracle.random_instance(
                np.random.default_rng(seed),
                exclusive=exclusive,
                load_cap=1.5,
                sharing=oracle.SLICED[seed % 2],
            )
        )
        program = CompactProgram(instance, cautious=True)
        program.route()
        tangents = DEFAULTS.balance.tangents
        program.problem += linear([(q, -w) for q, w in squared_loads(program, tangents)])
        outcome = solve_program(program.problem, SETTINGS)
        if not outcome.found or outcome.objective is None:
            continue
        loads = {}
        for (m, s), entries in program.replicas.items():
            for x, h, start in entries:
                if round(x.varValue or 0.0):
                    loads[m, s, start] = h.varValue or 0.0
        routed = best_routing(instance, program.placement(), SETTINGS)
        assert routed is not None
        seen += 1
        error = instance.cluster.n_gpus * (program.cap / tangents) ** 2
        # No routing of that placement is more even than the program says.
        assert spread(instance, routed) >= -outcome.objective - error - 1e-6
    assert seen >= 6
