"""The least bottleneck load U*: objective 1 of docs/model.md, "What is wanted, in order"."""

from __future__ import annotations

import pulp

from placement.problem.instance import Instance
from placement.problem.normalization import normalize, restore
from placement.problem.outcome import Bottleneck, ProgressCallback
from placement.problem.solution import Solution
from placement.programs.compact import CompactProgram
from placement.programs.idle_replicas import loaded_placement
from placement.programs.least_load import least_bottleneck
from placement.solver.budget import Budget
from placement.solver.milp import Manner, SolverSettings, Stop, linear, solve_program

PROVEN = 1e-6
"""Relative amount by which a bound on theta must be below what the program allows to say anything.

Also taken off the load that it proves: a solver keeps rows and integers to about as much.
"""


def proven_lower(bound: float, ceiling: float, floor: float) -> float:
    """Lower bound on U* from a bound on theta of a program with theta <= ceiling.

    The program's maximum is the lesser of `ceiling` and at least 1 / U*. So `bound` is one on
    1 / U* only where it is below the ceiling; at the ceiling the program has proven nothing, be
    it solved or stopped.

    Parameters
    ----------
    bound : float
        On the program's maximum.
    ceiling : float
        Upper bound of the variable theta.
    floor : float
        Lower bound on U* that holds anyway.
    """
    if not 0 < bound < ceiling * (1 - PROVEN):
        return floor
    return max(floor, (1 - PROVEN) / bound)


def restored(instance: Instance, normal: Instance, found: Bottleneck) -> Bottleneck:
    """Give what is known of U* of a normalized instance the loads of the instance itself.

    Parameters
    ----------
    instance, normal : Instance
        As it is, and normalized.
    found : Bottleneck
        Interval and solution of the normalized one.
    """
    unit = normal.load_unit or 1.0
    solution = restore(instance, normal, found.solution)
    return Bottleneck(found.lower * unit, found.upper * unit, solution)


def compact_bottleneck(
    instance: Instance,
    settings: SolverSettings,
    budget: Budget,
    *,
    target: float,
    start: Solution,
    gap: float | None = None,
    progress: ProgressCallback | None = None,
) -> Bottleneck:
    """Bound U* by branch and bound over the compact program, from the `start` placement.

    With loads at most 1, the largest theta such that every model can do theta times its work is
    1 / U*: scaling all loads scales the bottleneck, and the locality of the rates is not asked.

    Parameters
    ----------
    target : float
        A load at or below this is good enough: theta is not driven beyond 1 / target.
    start : Solution
        A feasible placement and its least bottleneck.
    gap : float, optional
        Relative gap at which to stop; that of the parameters by default.
    """
    gap = settings.params.compact.bottleneck_gap if gap is None else gap
    normal = normalize(instance)
    if normal is not instance:
        found = compact_bottleneck(
            normal,
            settings,
            budget,
            target=target / (normal.load_unit or 1.0),
            start=start,
            gap=gap,
            progress=progress,
        )
        return restored(instance, normal, found)
    upper, best = least_bottleneck(instance, start.placement, settings, budget=budget.outer)
    floor = instance.load_floor
    if upper <= max(target, floor * (1 + gap)):
        return Bottleneck(min(floor, upper), upper, best)
    # Nothing is gained by more room than the work needs; nor is anything lost, for U* >= floor.
    ceiling = min(1.0 / target if target > 0 else float("inf"), 1.0 / floor)
    lower = floor
    with budget.bounded():
        theta = pulp.LpVariable("theta", 0, ceiling)
        program = CompactProgram(instance, theta=theta, params=settings.params)
        program.scaled_demand()
        program.order_identical_servers()
        program.problem += linear([(theta, 1.0)])
        program.start_from(*loaded_placement(instance, start))

        outcome = solve_program(
            program.problem,
            settings,
            stop=Stop(gap=gap, node_limit=settings.params.compact.nodes),
            manner=Manner(warm_start=True),
            budget=budget,
        )
        lower = proven_lower(outcome.best_bound, ceiling, floor)
        if outcome.found:
            load, solution = least_bottleneck(
                instance, program.placement(), settings, budget=budget.outer
            )
            if load < upper:
                upper, best = load, solution
    return Bottleneck(min(lower, upper), upper, best)
