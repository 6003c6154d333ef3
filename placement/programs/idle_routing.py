"""The best routing of a placement some of whose replicas stay idle, where sharing loses.

Replicas that share a GPU in time slices keep less of it together than one alone, and a routing
program counts all as loaded that may carry load (`placement.programs.routing`). A placement made
for several demands, or with replicas that a rule asks for, may keep the cap only while some stay
idle. Which ones, the compact program says, with replicas nowhere but where they stand.
"""

from __future__ import annotations

import numpy as np

from placement.problem.instance import Instance
from placement.problem.shared_capacity import loses_by_sharing
from placement.problem.solution import Placement, Solution
from placement.programs.compact import CompactProgram
from placement.programs.routing import best_routing
from placement.solver.budget import Budget
from placement.solver.milp import Manner, SolverSettings, Stop, linear, solve_program


def route_with_idle(
    instance: Instance, placement: Placement, settings: SolverSettings, budget: Budget
) -> Solution | None:
    """Route a placement for the most locality, its replicas loaded or idle as that wants.

    Parameters
    ----------
    instance : Instance
        With the cap.
    placement : Placement
        Is kept.
    settings : SolverSettings
        Solver and threads; their parameters say how many nodes the program gets.
    budget : Budget
        When to stop.

    Returns
    -------
    Solution or None
        None where sharing loses nothing, so that no replica needs to be idle, and where no routing
        that keeps the cap was found in the nodes and the time that there are.
    """
    if not loses_by_sharing(instance):
        return None
    found = None
    with budget.bounded():
        program = CompactProgram(instance, cautious=True, positions=True, params=settings.params)
        stands = frozenset(placement.replicas())
        for (m, s), entries in program.replicas.items():
            for x, _, start in entries:
                here = (m, s, start) in stands
                x.upBound = float(here)
                if not program.instance.idle_are_spare:
                    # Where they are spare, those that are idle count for nothing.
                    x.lowBound = float(here)
        program.route()
        program.problem += linear(program.locality())
        outcome = solve_program(
            program.problem,
            settings,
            stop=Stop(gap=0.0, node_limit=settings.params.compact.first_nodes),
            manner=Manner(light=True),
            budget=budget,
        )
        if outcome.found:
            busy = program.carries or {
                (m, s, start): x
                for (m, s), entries in program.replicas.items()
                for x, _, start in entries
            }
            may = [busy.get(replica) for replica in placement.replicas()]
            carrying = np.array([z is None or (z.varValue or 0.0) > 0.5 for z in may], np.bool_)
            found = best_routing(instance, placement, settings, budget=budget, carrying=carrying)
    return found
