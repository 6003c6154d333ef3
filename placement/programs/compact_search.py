"""The compact program solved by branch and bound, from the best plan that is known."""

from __future__ import annotations

import numpy as np

from placement.problem.instance import Instance
from placement.problem.outcome import FormOutcome, Progress, ProgressCallback, Status, relative_gap
from placement.problem.solution import Solution, evaluate
from placement.programs.compact import CompactProgram
from placement.programs.idle_replicas import loaded_placement
from placement.programs.routing import best_routing
from placement.solver.budget import Budget
from placement.solver.milp import Limit, Manner, SolverSettings, Stop, linear, solve_program


def solve_compact(
    instance: Instance,
    settings: SolverSettings,
    budget: Budget,
    *,
    start: Solution | None,
    gap: float,
    progress: ProgressCallback | None = None,
    first: bool = False,
) -> FormOutcome:
    """Maximise the locality by branch and bound over the whole program.

    Parameters
    ----------
    instance : Instance
        With the cap.
    settings : SolverSettings
        Solver and threads.
    budget : Budget
        When to stop.
    start : Solution or None
        Where branch and bound begins; it is returned where nothing better is found.
    gap : float
        Relative gap at which to stop.
    progress : callable, optional
        Told incumbent and bound.
    first : bool
        A try before all else, of few nodes: branch and bound then begins at no plan, for a poor
        one only leads it astray.

    Raises
    ------
    RuntimeError
        No solution was found and no `start` was given.
    """
    best = evaluate(instance, start).objective if start is not None else -np.inf
    scale, bound, solution = 1.0, 1.0, start
    limit_hit: Limit | None = "time"
    compact = settings.params.compact
    warm = start is not None and not first

    def report(incumbent: float | None, bound: float | None) -> None:
        if progress is not None:
            seen = max(best, incumbent / scale) if incumbent is not None else best
            known = None if bound is None else bound / scale
            progress(Progress("locality (compact)", budget.elapsed_s, seen, known))

    with budget.bounded():
        program = CompactProgram(instance, params=settings.params)
        program.round_up()
        program.route()
        scale = program.scale
        program.problem += linear(program.locality()) + scale * instance.locality_constant
        program.order_identical_servers()
        if warm:
            assert start is not None
            program.start_from(*loaded_placement(instance, start))
        outcome = solve_program(
            program.problem,
            settings,
            stop=Stop(gap=gap, node_limit=compact.first_nodes if first else compact.nodes),
            manner=Manner(warm_start=warm, light=first),
            budget=budget,
            on_progress=report,
        )
        bound, limit_hit = outcome.best_bound / scale, outcome.limit_hit
        if outcome.found:
            placement = program.placement()
            carrying = program.carrying(placement)
            found = best_routing(
                instance, placement, settings, budget=budget.outer, carrying=carrying
            )
            if found is not None and evaluate(instance, found).objective > best:
                solution, best = found, evaluate(instance, found).objective
    if solution is None:
        raise RuntimeError("the compact program ended without a plan")
    bound = max(best, min(bound, 1.0))
    stopped: dict[str | None, Status] = {"time": "time limit", "interrupt": "interrupted"}
    closed = relative_gap(best, bound) <= 1e-6
    return FormOutcome(
        solution=solution,
        best_bound=bound,
        status="optimal" if closed else stopped.get(limit_hit, "gap"),
        proof=(
            "branch and bound over the compact integer program, whose feasible points are all "
            f"plans: its best bound, proven by {settings.name}, is one on every plan"
        ),
    )
