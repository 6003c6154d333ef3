"""How many spare replicas a plan holds: what the rule ``spares`` asks for."""

from __future__ import annotations

import numpy as np

from placement.heuristics.mending import mend
from placement.problem.instance import Instance
from placement.problem.solution import Placement, Solution, evaluate
from placement.problem.violations import placement_violations
from placement.programs.routing import balance_routing, best_routing
from placement.programs.spares import fill
from placement.solver.budget import Budget
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
    locality without it; no single one can then be left out. ``few`` leaves it as it is.

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
        placement = mend(instance, fill(instance, solution))
        if placement is None:
            return solution
        with budget.bounded():
            found = balance_routing(
                instance, placement, settings, least_locality=floor, budget=budget
            )
            return found or solution
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
        instance, solution.placement, settings, least_locality=floor, budget=budget
    )
    return even or solution
