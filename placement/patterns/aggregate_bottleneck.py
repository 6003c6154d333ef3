"""The least bottleneck load of a large cluster: replica counts per server type in sum."""

from __future__ import annotations

from dataclasses import replace

import pulp

from placement.heuristics.mending import mend
from placement.heuristics.tiling import repeated_greedy
from placement.params.pattern_params import CountedBottleneckParams
from placement.patterns.card_blocks import CardBlocks, CardCounts, packed_on_cards
from placement.patterns.count_packing import Counted, packed_apart, packed_together
from placement.patterns.pricing.counts import space_rows
from placement.patterns.slicing_rows import slicing_rows
from placement.problem.instance import Instance
from placement.problem.normalization import normalize
from placement.problem.outcome import Bottleneck
from placement.problem.placement_rules import NO_LIMIT
from placement.problem.solution import Placement
from placement.problem.space import models_that_fit, most_replicas
from placement.programs.bottleneck import compact_bottleneck, proven_lower, restored
from placement.programs.keeping import keep_rules
from placement.programs.least_load import least_bottleneck
from placement.programs.spares import relieve_bottleneck
from placement.solver.budget import Budget
from placement.solver.milp import Pairs, SolverSettings, Stop, linear, solve_program


def pattern_bottleneck(
    instance: Instance,
    settings: SolverSettings,
    budget: Budget,
    *,
    target: float,
    start: Placement | None = None,
) -> Bottleneck:
    """Bound U* by the cluster's GPUs in sum, and pack the counts that attain it.

    The counts of every real placement keep the rows of `space_rows` summed over the servers of a
    type, so 1 / theta of this program's bound is a lower bound on U*. The upper end is that of a
    real placement.

    Parameters
    ----------
    target : float
        A load at or below this is good enough.
    start : Placement, optional
        The greedy one by default.
    """
    params, normal = settings.params.counted_bottleneck, normalize(instance)
    if normal is not instance:
        unit = normal.load_unit or 1.0
        found = pattern_bottleneck(normal, settings, budget, target=target / unit, start=start)
        return restored(instance, normal, found)
    if start is None:
        start = keep_rules(instance, repeated_greedy(instance, settings.params), settings, budget)
    upper, best = least_bottleneck(instance, start, settings, budget=budget.outer)
    floor = instance.load_floor
    enough = max(target, floor * (1 + params.closed))
    if upper <= enough:
        return Bottleneck(min(floor, upper), upper, best)
    lower = floor
    with budget.bounded():
        upper, best = relieve_bottleneck(instance, upper, best, settings, budget, enough=enough)
        if upper <= enough:
            return Bottleneck(min(floor, upper), upper, best)
        for exclusive in {instance.exclusive, True}:
            bound, counts, on_cards = _aggregate(
                replace(instance, exclusive=exclusive), settings, budget, target
            )
            if exclusive == instance.exclusive:
                lower = proven_lower(bound, 1.0 / max(target, floor), lower)
            placement = None
            if instance.cluster.paced and instance.cluster.n_servers <= params.packed_servers:
                placement = _on_cards(replace(instance, exclusive=exclusive), on_cards)
            elif counts is not None:
                placement = _laid_out(instance, counts, params, exclusive)
            if placement is not None:
                load, solution = least_bottleneck(
                    instance, placement, settings, budget=budget.outer
                )
                load, solution = relieve_bottleneck(
                    instance, load, solution, settings, budget, enough=enough
                )
                if load < upper:
                    upper, best = load, solution
    if upper > max(target, lower * (1 + params.closed)) and (
        instance.cluster.n_servers <= params.compact_servers and not budget.expired
    ):
        found = compact_bottleneck(instance, settings, budget, target=target, start=best)
        return Bottleneck(max(found.lower, min(lower, found.upper)), found.upper, found.solution)
    return Bottleneck(min(lower, upper), upper, best)


def _aggregate(
    instance: Instance, settings: SolverSettings, budget: Budget, target: float
) -> tuple[float, dict[tuple[int, int], Counted] | None, dict[CardBlocks, tuple[int, float]]]:
    """Bound on theta, and replicas of each model on each server type that reach it.

    Where cards of a server differ, those on each kind of block as well.
    """
    params, wanted = settings.params.counted_bottleneck, instance.requirements
    ceiling = 1.0 / max(target, instance.load_floor)
    theta = pulp.LpVariable("theta", 0, ceiling)
    problem = pulp.LpProblem("bottleneck", pulp.LpMaximize)
    done: dict[int, Pairs] = {m: [] for m in instance.used_models}
    held: dict[int, Pairs] = {m: [] for m in instance.used_models}
    read: dict[
        tuple[int, int], tuple[pulp.LpVariable, pulp.LpVariable | None, pulp.LpVariable]
    ] = {}
    cards: list[CardCounts] = []
    for t, server in enumerate(instance.cluster.server_types):
        here: Pairs = []
        models, loads = [], []
        cards.append(CardCounts(problem, instance, t))
        for m in models_that_fit(instance, server):
            k = int(instance.gpus_required[m])
            most = server.count * most_replicas(instance, m, server)
            n = pulp.LpVariable(f"n_{m}_{t}", 0, most, pulp.LpInteger)
            h = pulp.LpVariable(f"h_{m}_{t}", 0)
            problem += linear([(h, 1.0), (n, -1.0)]) <= 0
            if instance.cluster.paced:
                done[m] += cards[t].split(m, n, h)
            else:
                done[m].append((h, float(instance.speeds[t, m])))
            held[m].append((n, 1.0))
            here.append((n, 1.0))
            models.append(m)
            loads.append((h, float(k)))
        depth = settings.params.pricing.thresholds
        for row in space_rows(instance, t, here, models, depth):
            # The rows of one server, summed over the servers of its type.
            row.constant *= server.count
            problem += row
        problem += linear(loads) <= server.usable_gpus * server.count
        held_here = {m: n for (n, _), m in zip(here, models, strict=True)}
        load = {m: h for (h, _), m in zip(loads, models, strict=True)}
        slicing = slicing_rows(instance, t, held_here, load, servers=server.count)
        for row in slicing.rows:
            problem += row
        cards[t].close()
        for m, h in load.items():
            read[m, t] = held_here[m], slicing.alone.get(m), slicing.shared.get(m, h)
    for m in instance.used_models:
        if not held[m]:
            return ceiling, None, {}
        problem += linear(held[m]) >= 1
        if wanted is not None:
            problem += linear(held[m]) >= float(max(wanted.least[m], wanted.spread[m]))
            if wanted.most[m] < NO_LIMIT:
                problem += linear(held[m]) <= float(wanted.most[m])
        problem += linear([*done[m], (theta, -float(instance.model_work[m]))]) >= 0
    problem += linear([(theta, 1.0)])
    outcome = solve_program(
        problem, settings, stop=Stop(gap=params.closed / 2, node_limit=params.nodes), budget=budget
    )
    if not outcome.found:
        return min(ceiling, max(outcome.best_bound, 0.0)), None, {}
    counts = {
        key: Counted(
            round(n.varValue or 0.0),
            0 if alone is None else round(alone.varValue or 0.0),
            float(shared.varValue or 0.0),
        )
        for key, (n, alone, shared) in read.items()
    }
    on_cards: dict[CardBlocks, tuple[int, float]] = {}
    for of_type in cards:
        on_cards |= of_type.counts()
    return outcome.best_bound, counts, on_cards


def _laid_out(
    instance: Instance,
    counts: dict[tuple[int, int], Counted],
    params: CountedBottleneckParams,
    exclusive: bool,
) -> Placement | None:
    """A placement of such counts that keeps the rules, where one is found."""
    placement = None
    if exclusive:
        if instance.cluster.uniform:
            placement = packed_apart(instance, counts)
    elif instance.cluster.n_servers <= params.packed_servers:
        placement = packed_together(instance, counts)
    return placement and mend(instance, placement)


def _on_cards(instance: Instance, counts: dict[CardBlocks, tuple[int, float]]) -> Placement | None:
    """A placement of such counts that keeps the rules, where one is found."""
    placement = packed_on_cards(instance, counts) if counts else None
    return placement and mend(instance, placement)
