"""One placement routed for several demands, and what it is worth to them, in the time there is."""

from __future__ import annotations

from collections.abc import Sequence

from placement.heuristics.compiled_search import at_hand
from placement.heuristics.water_filling import filled_routing
from placement.problem.instance import Instance
from placement.problem.names import Criterion
from placement.problem.normalization import normalize, restore
from placement.problem.shared_capacity import loses_by_sharing
from placement.problem.solution import TOLERANCE, Placement, Solution
from placement.programs.demands import Scenario, combine, objectives
from placement.programs.idle_replicas import carries
from placement.programs.idle_routing import route_with_idle
from placement.programs.least_load import least_bottleneck
from placement.programs.routing import best_routing
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings


def route_in_time(
    instance: Instance, placement: Placement, settings: SolverSettings, budget: Budget
) -> Solution | None:
    """Best routing; where the time ends first, that of water-filling, or with even loads.

    None where the cap cannot be kept, or no routing that keeps it is known in time.

    Parameters
    ----------
    instance : Instance
        With the cap.
    placement : Placement
        Is kept.
    settings : SolverSettings
        For the routing program.
    budget : Budget
        When the program gives way to what needs none.
    """
    routed = best_routing(instance, placement, settings, budget=budget)
    if routed is None and not budget.expired and loses_by_sharing(instance):
        routed = _with_idle(instance, placement, settings, budget)
    if routed is not None or not budget.expired:
        return routed
    normal = normalize(instance)
    filled = filled_routing(normal, placement, settings.params) if at_hand(budget) else None
    if filled is not None:
        return restore(instance, normal, filled)
    load, even = least_bottleneck(instance, placement, settings, budget=budget)
    return even if load <= instance.load_cap * (1 + TOLERANCE) else None


def _with_idle(
    instance: Instance, placement: Placement, settings: SolverSettings, budget: Budget
) -> Solution | None:
    """Route where a demand keeps the cap only while some replicas stay idle."""
    if instance.cluster.n_servers <= settings.params.robust.tightened_servers:
        return route_with_idle(instance, placement, settings, budget)
    load, even = least_bottleneck(instance, placement, settings, budget=budget)
    if load > instance.load_cap * (1 + TOLERANCE):
        return None
    busy = carries(instance, placement, even.load)
    return best_routing(instance, placement, settings, budget=budget, carrying=busy) or even


def route_all(
    scenarios: Sequence[Scenario],
    placement: Placement,
    settings: SolverSettings,
    budget: Budget | None = None,
) -> list[Solution] | None:
    """Best routing of each scenario, as far as there is time; None where one cannot be served.

    Parameters
    ----------
    scenarios : sequence of Scenario
        K demands on one cluster, each with its cap.
    placement : Placement
        The same for all.
    settings : SolverSettings
        For the routing programs.
    budget : Budget, optional
        Shared evenly among those still to be routed.
    """
    budget, found = budget or Budget(), []
    for k, scenario in enumerate(scenarios):
        part = budget.part(1 / (len(scenarios) - k))
        routed = route_in_time(scenario, placement, settings, part)
        if routed is None:
            return None
        found.append(routed)
    return found


def worth(
    criterion: Criterion,
    scenarios: Sequence[Scenario],
    placement: Placement,
    settings: SolverSettings,
) -> float:
    """Criterion of a placement under its best routings; -inf where one is infeasible.

    Parameters
    ----------
    criterion : {'average', 'worst'}
        How the localities of the scenarios become one number.
    scenarios : sequence of Scenario
        K demands on one cluster, each with its cap.
    placement : Placement
        The same for all.
    settings : SolverSettings
        For the routing programs.
    """
    return worth_of(criterion, scenarios, route_all(scenarios, placement, settings))


def worth_of(
    criterion: Criterion, scenarios: Sequence[Scenario], routed: Sequence[Solution] | None
) -> float:
    """Criterion of a routing of each scenario; -inf without one.

    Parameters
    ----------
    criterion : {'average', 'worst'}
        How the localities of the scenarios become one number.
    scenarios : sequence of Scenario
        K demands on one cluster, each with its cap.
    routed : sequence of Solution or None
        Of each scenario; None where one cannot be served.
    """
    return float("-inf") if routed is None else combine(criterion, objectives(scenarios, routed))
