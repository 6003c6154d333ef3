"""How many spare replicas a plan holds: what the rule ``spares`` asks for."""

from __future__ import annotations

import numpy as np

from placement.heuristics.mending import mend
from placement.problem.instance import Instance
from placement.problem.solution import Placement, Solution, evaluate
from placement.problem.spare_claims import fitting, unneeded, without
from placement.problem.violations import placement_violations
from placement.programs.routing import balance_routing, best_routing
from placement.programs.spares import fill
from placement.solver.budget import Budget, tick
from placement.solver.milp import SolverSettings

MOST_TRIED = 400
"""Replicas that are tried to be done without; of more, those with the least load."""


def with_spares(
    instance: Instance,
    solution: Solution,
    settings: SolverSettings,
    budget: Budget,
    *,
    tolerance: float,
) -> Solution:
    """Give the solution as many spare replicas as its rules ask for, at no cost of locality.

    ``fill``: replicas are added until memory or a rule ends it, and the loads evened over them.
    ``none``: each replica in turn, the least loaded first, goes where the others keep cap and
    locality without it; no single one can then be left out. ``few`` leaves it as it is. Whatever
    the time, `spare_claims.spare_faults` finds nothing in what is given.

    Parameters
    ----------
    instance : Instance
        With the cap and the rules.
    solution : Solution
    settings : SolverSettings
    budget : Budget
    tolerance : float
        Part of the locality that it may cost.
    """
    wanted = instance.placement_rules.spares
    floor = evaluate(instance, solution).objective * (1 - tolerance)
    if wanted == "fill":
        mended = mend(instance, fill(instance, solution))
        placement = _filled_up(instance, solution.placement if mended is None else mended)
        with budget.bounded():
            found = balance_routing(
                instance,
                placement,
                settings,
                least_locality=floor,
                budget=budget,
                known=solution,
            )
            if found is not None:
                return found
        return _idle_beside(instance, solution)
    if wanted == "none":
        return _without_spares(instance, solution, settings, budget, floor)
    return solution


def _without_spares(
    instance: Instance,
    solution: Solution,
    settings: SolverSettings,
    budget: Budget,
    floor: float,
) -> Solution:
    placement = solution.placement
    order = np.argsort(solution.load, kind="stable")[:MOST_TRIED].tolist()
    rows = placement.replicas()
    with budget.bounded():
        for row in [rows[r] for r in order]:
            if budget.expired:
                break
            fewer = Placement.of(r for r in solution.placement.replicas() if r != row)
            if placement_violations(instance, fewer):
                continue
            found = best_routing(instance, fewer, settings, budget=budget)
            if found is not None and evaluate(instance, found).objective >= floor - 1e-9:
                solution = found
    even = balance_routing(
        instance,
        solution.placement,
        settings,
        least_locality=floor,
        budget=budget,
        known=solution,
    )
    solution = even or solution
    while (idle := unneeded(instance, solution)) is not None:
        solution = without(solution, idle)
    return solution


def _filled_up(instance: Instance, placement: Placement) -> Placement:
    """Add what still fits: rules may have taken off what was to fill the room."""
    server = 0
    while more := fitting(instance, placement, server):
        tick()
        server = more[-1][1]
        placement = Placement.of([*placement.replicas(), *more])
    return placement


def _idle_beside(instance: Instance, solution: Solution) -> Solution:
    """The solution as it is, and beside it spare replicas that carry nothing."""
    placement = _filled_up(instance, solution.placement)
    load_at = dict(zip(solution.placement.replicas(), solution.load.tolist(), strict=True))
    load = np.array([load_at.get(row, 0.0) for row in placement.replicas()])
    return Solution(placement, solution.flows, load)
