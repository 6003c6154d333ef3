"""The least attainable bottleneck load U*: objective 1 of DESIGN 5."""

from __future__ import annotations

import pulp

from placement.compact import NODE_LIMIT, CompactProgram
from placement.instance import Instance
from placement.outcome import Bottleneck, Budget, ProgressCallback
from placement.routing_lp import least_bottleneck
from placement.solution import Solution
from placement.solvers import SolverSettings, linear, solve_program


def load_floor(instance: Instance) -> float:
    """Lower bound on U* from the total work alone: all GPUs busy all the time at best speed.

    A replica on a server of speed v does v seconds of work a second on each of its k GPUs, so
    the GPUs' speeds add up to at least the offered load over U*.
    """
    power = sum(t.count * t.gpus * t.speed for t in instance.cluster.server_types)
    return float(instance.offered_load.sum()) / power


PROVEN = 1e-6
"""Relative amount by which a bound on theta must be below what the program allows to say anything.

Also taken off the load that it proves: a solver keeps rows and integers to about as much.
"""


def proven_lower(bound: float, ceiling: float, floor: float) -> float:
    """Lower bound on U* from a bound on theta of a program with theta <= ceiling.

    The program's maximum is the lesser of `ceiling` and at least 1 / U*. So `bound` is one on
    1 / U* only where it is below the ceiling; at the ceiling the program has proven nothing, be
    it solved or stopped.
    """
    if not 0 < bound < ceiling * (1 - PROVEN):
        return floor
    return max(floor, (1 - PROVEN) / bound)


def compact_bottleneck(
    instance: Instance,
    settings: SolverSettings,
    budget: Budget,
    *,
    target: float,
    start: Solution,
    gap: float = 1e-3,
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
    gap : float
        Relative gap at which to stop.
    """
    upper, best = least_bottleneck(instance, start.placement, settings)
    floor = load_floor(instance)
    if upper <= max(target, floor * (1 + gap)):
        return Bottleneck(min(floor, upper), upper, best)
    # Nothing is gained by more room than the work needs; nor is anything lost, for U* >= floor.
    ceiling = min(1.0 / target if target > 0 else float("inf"), 1.0 / floor)
    theta = pulp.LpVariable("theta", 0, ceiling)
    program = CompactProgram(instance, cap=1.0, scale=theta)
    program.scaled_demand()
    program.order_identical_servers()
    program.problem += linear([(theta, 1.0)])
    program.start_from(start.placement)

    outcome = solve_program(
        program.problem,
        settings,
        gap=gap,
        node_limit=NODE_LIMIT,
        warm_start=True,
        budget=budget,
    )
    if outcome.found:
        found, solution = least_bottleneck(instance, program.placement(), settings)
        if found < upper:
            upper, best = found, solution
    lower = proven_lower(outcome.best_bound, ceiling, floor)
    return Bottleneck(min(lower, upper), upper, best)
