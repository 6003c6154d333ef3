"""Programs of several scenarios joined by what they share, and the compact form made so.

Each scenario's program is the single-demand one; equal variables of placement tie them together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pulp

from placement.problem.names import Criterion
from placement.problem.solution import Placement
from placement.programs.compact import CompactProgram
from placement.programs.demands import Scenario, even_weights
from placement.solver.budget import Budget
from placement.solver.milp import Manner, Pairs, SolverSettings, Stop, linear, solve_program

WORST = "worst"


def join(problems: Sequence[pulp.LpProblem]) -> pulp.LpProblem:
    """One maximisation with the rows of all, names of scenario k after ``k{k}_``; no objective."""
    joint = pulp.LpProblem("joint", pulp.LpMaximize)
    for k, problem in enumerate(problems):
        for variable in problem.variables():
            variable.name = f"k{k}_{variable.name}"
        for name, row in problem.constraints.items():
            joint.addConstraint(row, f"k{k}_{name}")
    return joint


def tie(joint: pulp.LpProblem, pairs: Iterable[tuple[pulp.LpVariable, pulp.LpVariable]]) -> None:
    """Make pairs of variables equal."""
    for a, b in pairs:
        joint += linear([(a, 1.0), (b, -1.0)]) == 0


def set_criterion(
    joint: pulp.LpProblem,
    criterion: Criterion,
    values: Sequence[Pairs],
    constants: Sequence[float],
) -> None:
    """Maximise the mean of terms k + constant k, or T with rows ``worst_k``: T <= that.

    Parameters
    ----------
    joint : pulp.LpProblem
        Takes objective and rows; it maximises.
    criterion : {'average', 'worst'}
        The mean, or the least (T).
    values : sequence of lists of (variable, float)
        Terms of the locality of each scenario.
    constants : sequence of float
        Locality of each that no placement changes.
    """
    if criterion == "average":
        share = 1.0 / len(values)
        terms = [(v, c * share) for pairs in values for v, c in pairs]
        joint += linear(terms) + share * sum(constants)
        return
    least = pulp.LpVariable("T")
    for k, (pairs, constant) in enumerate(zip(values, constants, strict=True)):
        row = linear([(least, 1.0), *((v, -c) for v, c in pairs)]) <= constant
        joint.addConstraint(row, f"{WORST}_{k}")
    joint += linear([(least, 1.0)])


def scenario_weights(joint: dict[str, float], criterion: Criterion, count: int) -> np.ndarray:
    """Weights theta of the scenarios, adding up to 1: the duals of the rows of T, or even ones.

    Parameters
    ----------
    joint : dict of str to float
        Duals by the name of the row.
    criterion : {'average', 'worst'}
        The mean, or the least (T).
    count : int
        Scenarios K.

    Returns
    -------
    float64, shape (K,)
        At least 0.
    """
    if criterion == "average":
        return even_weights(count)
    theta = np.maximum(0.0, [joint[f"{WORST}_{k}"] for k in range(count)])
    total = float(theta.sum())
    return theta / total if total > 0 else even_weights(count)


def solve_compact_scenarios(
    scenarios: Sequence[Scenario],
    criterion: Criterion,
    settings: SolverSettings,
    budget: Budget,
    *,
    start: Placement | None,
    gap: float,
) -> tuple[Placement | None, float]:
    """Branch and bound over one set of replicas with the routing of every scenario.

    Parameters
    ----------
    scenarios : sequence of Scenario
        K demands on one cluster, each with its cap.
    criterion : {'average', 'worst'}
        How the localities of the scenarios become one number.
    settings : SolverSettings
        Solver and threads.
    budget : Budget
        When to stop.
    start : Placement or None
        Where branch and bound begins.
    gap : float
        Relative gap at which to stop.

    Returns
    -------
    placement : Placement or None
        The best found; None where the time ended first.
    best_bound : float
        Proven by the solver: the program's feasible points are all placements with all routings.
    """
    programs = [CompactProgram(s, params=settings.params) for s in scenarios]
    scale = programs[0].scale
    values = []
    for program in programs:
        program.route()
        values.append(program.locality())
    programs[0].order_identical_servers()
    if start is not None:
        for program in programs:
            program.start_from(start)
    joint = join([p.problem for p in programs])
    first = programs[0].replicas
    for program in programs[1:]:
        pairs = [
            (x, y)
            for key, entries in program.replicas.items()
            for (x, _, _), (y, _, _) in zip(entries, first[key], strict=True)
        ]
        tie(joint, pairs)
    set_criterion(joint, criterion, values, [scale * s.locality_constant for s in scenarios])
    outcome = solve_program(
        joint,
        settings,
        stop=Stop(gap=gap, node_limit=settings.params.compact.nodes),
        manner=Manner(warm_start=start is not None),
        budget=budget,
    )
    bound = min(1.0, outcome.best_bound / scale)
    placement = programs[0].placement() if outcome.found else None
    return placement, bound
