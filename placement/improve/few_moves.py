"""The best placement that few replicas have to be loaded for, from one that runs.

Three programs, each from the best that is known: one in which replicas stand only where they run or
where a plan made without a limit has them, which is small however large the cluster; then, on small
clusters, the whole compact program, whose bound is one on all placements within the limit; on
larger ones large-neighbourhood search, which frees a few servers at a time. All have the row of
`placement.programs.move_limit`.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

import numpy as np
import pulp

from placement.heuristics.free_space import Room
from placement.improve.large_neighbourhood import Goal, search_servers
from placement.problem.instance import Instance
from placement.problem.normalization import normalize
from placement.problem.outcome import Infeasible, SolveOptions, cap_for
from placement.problem.solution import Placement, Replica, Solution, evaluate
from placement.problem.violations import placement_violations, rule_violations
from placement.programs.compact import CompactProgram
from placement.programs.idle_replicas import loaded_placement, may_carry
from placement.programs.least_load import least_bottleneck
from placement.programs.move_limit import MoveLimit, limit_moves
from placement.programs.routing import balance_routing, best_routing
from placement.solver.budget import Budget
from placement.solver.milp import Manner, SolverSettings, Stop, linear, solve_program

NO_LESS = 1e-9
"""Locality that programs round away."""


@dataclass(frozen=True)
class Within:
    """The best that is known within a limit on moves.

    Parameters
    ----------
    instance : Instance
        With the cap that holds within the limit.
    solution : Solution
    moves : int
        Replicas that have to be loaded for it.
    bottleneck : float
        Least load of the busiest GPU that is known within the limit.
    bound : float
        On the locality of any placement within the limit, under this cap; 1 where none was proven.
    """

    instance: Instance
    solution: Solution
    moves: int
    bottleneck: float
    bound: float


def best_within(
    instance: Instance,
    limit: MoveLimit,
    known: Sequence[Placement],
    options: SolveOptions,
    budget: Budget,
) -> Within:
    """Find the best placement within a limit on moves.

    Parameters
    ----------
    instance : Instance
        Its cap is replaced by the one that the least bottleneck within the limit gives.
    limit : MoveLimit
    known : sequence of Placement
        Where to begin, and whose replicas are worth considering; those that break the limit are
        no answers.
    options : SolveOptions
        Target, slack, gap, seed and parameters.
    budget : Budget
        What is best when it ends is returned.

    Raises
    ------
    Infeasible
        No placement within the limit is known: it is too tight, or the time was too short.
    """
    settings = SolverSettings.of(options)
    worth_a_look = frozenset(r for p in known for r in p.replicas()) | limit.running
    target = 0.0 if options.mode == "offline" else options.max_utilization
    small = instance.cluster.n_servers <= settings.params.patterns.compact_servers
    only = None if small else worth_a_look
    allowed = [p for p in known if limit.allows(p) and not placement_violations(instance, p)]
    load, start = _least_load(instance, limit, allowed, target, only, settings, budget)
    capped = replace(instance, load_cap=cap_for(load, target, options.headroom_slack))
    best, bound = start, 1.0
    for placement in allowed:
        routed = best_routing(capped, placement, settings, budget=budget)
        best = best if routed is None else _better(capped, best, routed)
    best, _ = _placed(capped, limit, worth_a_look, best, settings, budget, options.gap)
    if small:
        best, bound = _placed(capped, limit, None, best, settings, budget, options.gap)
    else:
        goal = Goal(1.0, options.gap)
        best = search_servers(
            capped, settings, budget, best, goal, report=lambda _: None, limit=limit
        )
    best = _evened(capped, _still_running(capped, best, limit), settings, budget)
    bound = max(bound, evaluate(capped, best).objective)
    return Within(capped, best, limit.moves(best.placement), load, bound)


def _better(instance: Instance, one: Solution, other: Solution) -> Solution:
    value, rival = (evaluate(instance, s).objective for s in (one, other))
    return other if rival > value + NO_LESS else one


def _least_load(
    instance: Instance,
    limit: MoveLimit,
    known: Sequence[Placement],
    target: float,
    only: frozenset[Replica] | None,
    settings: SolverSettings,
    budget: Budget,
) -> tuple[float, Solution]:
    """Least load of the busiest GPU within the limit, no lower than the target, and its routing."""
    found = [least_bottleneck(instance, p, settings, budget=budget) for p in known]
    good = max(target, instance.load_floor * (1 + settings.params.compact.bottleneck_gap))
    # Where the few places hold nothing within the limit, all are looked at.
    for places in dict.fromkeys((only, None)):
        if found and (places is not only or min(load for load, _ in found) <= good):
            break
        start = min(found, key=lambda f: f[0])[1] if found else None
        placement = _evenest(instance, limit, places, start, target, settings, budget)
        if placement is not None:
            found.append(least_bottleneck(instance, placement, settings, budget=budget))
    if not found:
        raise Infeasible(_too_tight(instance, limit))
    return min(found, key=lambda f: f[0])


def _evenest(
    instance: Instance,
    limit: MoveLimit,
    only: frozenset[Replica] | None,
    start: Solution | None,
    target: float,
    settings: SolverSettings,
    budget: Budget,
) -> Placement | None:
    """Placement within the limit that can serve the most times the demand, up to the target."""
    normal, compact = normalize(instance), settings.params.compact
    floor = normal.load_floor
    wanted = target / (normal.load_unit or 1.0) or floor
    ceiling = min(1.0 / load if load > 0 else 1.0 for load in (wanted, floor))
    with budget.bounded():
        theta = pulp.LpVariable("theta", 0, ceiling)
        program = CompactProgram(
            normal, theta=theta, cautious=True, positions=True, params=settings.params
        )
        limit_moves(program, limit, only)
        program.scaled_demand()
        program.problem += linear([(theta, 1.0)])
        if start is not None:
            standing, busy = loaded_placement(instance, start)
            program.start_at(standing, standing.server, busy)
        outcome = solve_program(
            program.problem,
            settings,
            stop=Stop(gap=compact.bottleneck_gap, node_limit=compact.nodes),
            manner=Manner(warm_start=start is not None),
            budget=budget,
        )
        if outcome.found:
            placement = program.placement()
            if limit.allows(placement) and not placement_violations(instance, placement):
                return placement
    return None


def _too_tight(instance: Instance, limit: MoveLimit) -> str:
    standing = {m for m, _, _ in limit.running}
    missing = [instance.model_ids[m] for m in instance.used_models if m not in standing]
    moves = f"{limit.most} move{'' if limit.most == 1 else 's'}"
    said = f"no placement is known that takes no more than {moves}"
    if missing:
        said += f"; no replica runs of {', '.join(missing)}"
    return f"{said}; allow more moves, or more time"


def _placed(
    instance: Instance,
    limit: MoveLimit,
    only: Set[Replica] | None,
    start: Solution,
    settings: SolverSettings,
    budget: Budget,
    gap: float,
) -> tuple[Solution, float]:
    """Maximise the locality by branch and bound within the limit; also its bound."""
    best, bound = start, 1.0
    with budget.bounded():
        program = CompactProgram(instance, positions=True, params=settings.params)
        limit_moves(program, limit, only)
        program.round_up()
        program.route()
        constant = program.scale * instance.locality_constant
        program.problem += linear(program.locality()) + constant
        placement, busy = loaded_placement(instance, start)
        program.start_at(placement, placement.server, busy)
        outcome = solve_program(
            program.problem,
            settings,
            stop=Stop(gap=gap, node_limit=settings.params.compact.nodes),
            manner=Manner(warm_start=True),
            budget=budget,
        )
        bound = min(1.0, outcome.best_bound / program.scale)
        placement = program.placement() if outcome.found else placement
        if outcome.found and limit.allows(placement):
            carrying = program.carrying(placement)
            routed = best_routing(
                instance, placement, settings, budget=budget.outer, carrying=carrying
            )
            best = start if routed is None else _better(instance, start, routed)
    return best, bound


def _still_running(instance: Instance, solution: Solution, limit: MoveLimit) -> Solution:
    """Let what runs stand, idle, where there is room for it: to stop it would serve nobody."""
    placement = solution.placement
    load = dict(zip(placement.replicas(), solution.load.tolist(), strict=True))
    room = Room(instance)
    for replica in load:
        if replica not in room:
            room.put(*replica)
    for m, s, i in sorted(limit.running - load.keys()):
        if m in instance.used_models and room.fits(m)[s, i]:
            room.put(m, s, i)
            load[m, s, i] = 0.0
    filled = Placement.of(load)
    if rule_violations(instance, filled):
        return solution
    return replace(solution, placement=filled, load=np.array([load[r] for r in filled.replicas()]))


def _evened(
    instance: Instance, solution: Solution, settings: SolverSettings, budget: Budget
) -> Solution:
    """Even the loads where that costs no locality."""
    worth = evaluate(instance, solution).objective
    even = balance_routing(
        instance,
        solution.placement,
        settings,
        least_locality=worth - NO_LESS / 2,
        budget=budget,
        carrying=may_carry(instance, solution.placement, solution),
        known=solution,
    )
    if even is None or evaluate(instance, even).objective < worth - NO_LESS:
        return solution
    return even
