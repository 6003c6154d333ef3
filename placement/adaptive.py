"""Plans that follow the demand: solved anew every so often, for the rates of a window gone by.

At each instant only what has arrived by then is known. The rates are those of the window; a
workflow that did not come in it counts with one request, so that every model keeps a replica.
Service times are those of the whole trace, as a config states them. A new plan is taken where it is
better for the window than the one that runs, and comes about by its migration: servers load side by
side, each one model after another; a replica that is to go takes no more calls once its model is
loaded elsewhere, and has some seconds to end those that it has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from placement.migration import Block, Migration, migration
from placement.problem.changes import Change
from placement.problem.instance import Instance
from placement.problem.outcome import Infeasible, SolveOptions, SolveResult, cap_for
from placement.problem.plan import Plan
from placement.problem.plan_building import build_plan
from placement.problem.solution import Placement, Replica, evaluate
from placement.problem.trace import Trace
from placement.problem.violations import placement_violations
from placement.problem.workload import Workload
from placement.programs.least_load import least_bottleneck
from placement.programs.routing import best_routing
from placement.rebalance import running_replicas, within_moves
from placement.renumbering import renumbered
from placement.solve import solve_instance
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings

LEAST_GAIN = 0.01
"""Part of the cap, or locality, that another plan must gain: less is not worth a single load."""


@dataclass(frozen=True)
class Adaptation:
    """How often plans are made anew, and how they come about.

    Parameters
    ----------
    every_s : float
        Seconds between two solves.
    window_s : float
        Seconds of arrivals that a solve is for.
    drain_s : float
        Seconds that a replica has to end its calls before it is unloaded.
    max_moves : int or None
        Most replicas that one new plan may load; None: as many as it takes.
    """

    every_s: float
    window_s: float
    drain_s: float
    max_moves: int | None = None


@dataclass(frozen=True)
class Epoch:
    """A plan that replaces the one before it.

    Parameters
    ----------
    decided_s, in_force_s : float
        When it was solved, and when it had been loaded.
    plan : Plan
    moves : Migration
    changes : tuple of Change
        Of the replicas on the way to it.
    """

    decided_s: float
    in_force_s: float
    plan: Plan
    moves: Migration
    changes: tuple[Change, ...]


def follow_demand(
    workload: Workload,
    trace: Trace,
    first: Plan,
    instance: Instance,
    options: SolveOptions,
    adaptation: Adaptation,
) -> Iterator[Epoch]:
    """Solve anew along a trace; give every plan that is better than the one that runs.

    Parameters
    ----------
    workload : Workload
    trace : Trace
        Of which at each instant the arrivals before it are known.
    first : Plan
        That runs at the beginning.
    instance : Instance
        Of the workload on the plan's cluster, under its rules.
    options : SolveOptions
        Of each solve.
    adaptation : Adaptation
    """
    running, free_s = first, 0.0
    load_s = {m.id: m.load_time_s for m in workload.models}
    number = workload.model_index
    now_s = adaptation.every_s
    while now_s < trace.span_s:
        rates = _rates(trace, now_s, adaptation.window_s, len(workload.workflows))
        flows = tuple(
            replace(w, rate=float(rate)) for w, rate in zip(instance.workflows, rates, strict=True)
        )
        found = _better_plan(
            replace(instance, workflows=flows), running, workload, options, adaptation
        )
        if found is not None:
            moves = migration(running, found)
            begin = max(now_s, free_s)
            changes, free_s = timeline(moves, load_s, number, begin, adaptation.drain_s)
            yield Epoch(now_s, free_s, found, moves, changes)
            running = found
        now_s += adaptation.every_s


def _rates(trace: Trace, now_s: float, window_s: float, workflows: int) -> np.ndarray:
    """Requests a second of each workflow in the window before an instant; at least one request."""
    begin = max(0.0, now_s - window_s)
    first, last = np.searchsorted(trace.arrival_s, [begin, now_s])
    count = np.bincount(trace.workflow[first:last], minlength=workflows)
    rates: np.ndarray = np.maximum(count, 1) / (now_s - begin)
    return rates


def _better_plan(
    instance: Instance,
    running: Plan,
    workload: Workload,
    options: SolveOptions,
    adaptation: Adaptation,
) -> Plan | None:
    """A plan for the window that is better than the one that runs; None where there is none."""
    budget = Budget(options.time_limit_s)
    try:
        best = solve_instance(instance, options, budget=budget.part(0.5))
    except Infeasible:
        return None
    plan = renumbered(build_plan(best, workload), running)
    standing = running_replicas(running, instance)
    result = best
    if adaptation.max_moves is not None:
        try:
            offer = within_moves(standing, best, [plan.placement], adaptation.max_moves, budget)
        except Infeasible:
            return None
        result, plan = offer.result, build_plan(offer.result, workload)
    return plan if _is_better(result, standing) else None


def _is_better(result: SolveResult, standing: Placement) -> bool:
    """Whether a plan gains on what runs, routed anew: on the cap, then on locality."""
    instance, options = result.instance, result.options
    if placement_violations(instance, standing):
        return True
    settings = SolverSettings.of(options)
    load, evenest = least_bottleneck(instance, standing, settings)
    cap = cap_for(load, options.max_utilization, options.headroom_slack)
    if abs(instance.load_cap - cap) > LEAST_GAIN * cap:
        return instance.load_cap < cap
    routed = best_routing(replace(instance, load_cap=cap), standing, settings) or evenest
    worth = evaluate(instance, routed).objective
    return result.evaluation.objective > worth + LEAST_GAIN


def timeline(
    moves: Migration,
    load_time_s: Mapping[str, float],
    number: Mapping[str, int],
    begin_s: float,
    drain_s: float,
) -> tuple[tuple[Change, ...], float]:
    """When the steps of a migration happen, and when the last load has ended.

    Parameters
    ----------
    moves : Migration
    load_time_s : mapping of str to float
        Seconds to load a replica of each model.
    number : mapping of str to int
        Index of each model.
    begin_s : float
        When the first step may begin.
    drain_s : float
        Seconds that a replica has to end its calls.
    """

    def at(block: Block) -> tuple[Replica]:
        return ((number[block.model], block.server, block.start),)

    free: dict[int, float] = defaultdict(lambda: begin_s)
    loaded: dict[str, float] = defaultdict(lambda: begin_s)
    changes, last = [], begin_s
    for step in moves.steps:
        block = step.block
        if step.action == "load":
            end = free[block.server] + load_time_s[block.model]
            free[block.server] = end
            loaded[block.model] = max(loaded[block.model], end)
            last = max(last, end)
            changes.append(Change(end, back=at(block)))
            continue
        # Whoever replaces it has been loaded by then.
        closed = loaded[block.model]
        changes.append(Change(closed, closed=at(block)))
        changes.append(Change(closed + drain_s, gone=at(block)))
        free[block.server] = max(free[block.server], closed + drain_s)
    return tuple(sorted(changes, key=lambda change: change.time_s)), last
