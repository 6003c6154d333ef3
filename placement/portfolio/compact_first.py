"""The compact program before all heuristics, for a fixed amount of work: small ones are closed."""

from __future__ import annotations

from dataclasses import replace

from placement.portfolio.preparation import Start
from placement.portfolio.starts import Placer, best_of
from placement.problem.outcome import FormOutcome, ProgressCallback
from placement.problem.solution import evaluate
from placement.programs.compact_search import solve_compact
from placement.programs.flows import nodes_with_requests
from placement.programs.routing import best_routing
from placement.solver.budget import Budget
from placement.solver.solver_names import solver_name

PLAN_ROUNDING = 1e-8
"""Locality that programs may lose to floats: within it, two plans are worth the same."""


def suits_compact(placer: Placer, first: Start) -> bool:
    """Whether the cap is known and the compact program is small: features, and no clock.

    Of a cap that heuristics may yet lower, a plan under it would be none.

    Parameters
    ----------
    placer : Placer
    first : Start
        What is known before the heuristics.
    """
    params, least, instance = placer.params, first.bottleneck, first.instance
    cap_known = least.upper <= max(placer.target, least.lower * (1 + params.portfolio.settled))
    nodes = len(nodes_with_requests(instance))
    return (
        placer.options.form != "patterns"
        and solver_name(placer.settings.name) == "HiGHS"
        and cap_known
        and nodes * instance.cluster.n_servers <= params.compact.first_rates
    )


def solve_first(
    placer: Placer, first: Start, budget: Budget, progress: ProgressCallback
) -> FormOutcome:
    """Try to close the compact program.

    To the end, whatever gap is asked for: no heuristic is asked any more, and none is to be better.

    Parameters
    ----------
    placer : Placer
    first : Start
        What is known before the heuristics.
    budget : Budget
        Bounds the try, which mostly ends sooner, by its nodes.
    progress : callable
        Told incumbent and bound.
    """
    instance, settings = first.instance, placer.settings
    routed = best_routing(instance, first.solution.placement, settings, budget=budget)
    known = [first.solution] if routed is None else [routed, first.solution]
    start = best_of(instance, known)
    found = solve_compact(
        instance, settings, budget, start=start, gap=0.0, progress=progress, first=True
    )
    # Of equal plans that of the heuristic has replicas on all GPUs, by which loads are evened.
    worth = evaluate(instance, start).objective
    if worth >= evaluate(instance, found.solution).objective - PLAN_ROUNDING:
        return replace(found, solution=start)
    return found
