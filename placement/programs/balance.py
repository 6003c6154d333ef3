"""Even loads at no cost of locality: objective 3 of docs/model.md, "What is wanted, in order"."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from placement.heuristics.mending import mend
from placement.problem.instance import Instance
from placement.problem.shared_capacity import kept_by
from placement.problem.solution import Placement, Solution, effective_loads, evaluate
from placement.problem.space import ServerSpace
from placement.programs.compact import CompactProgram
from placement.programs.flows import has_many_nodes
from placement.programs.idle_replicas import loaded_placement, may_carry
from placement.programs.routing import balance_routing, best_routing
from placement.programs.server_groups import group_servers
from placement.programs.spares import refill, spread
from placement.programs.squared_loads import squared_loads
from placement.solver.budget import Budget, tick
from placement.solver.milp import Manner, SolverSettings, Stop, linear, solve_program


def balance(
    instance: Instance,
    solution: Solution,
    settings: SolverSettings,
    budget: Budget,
    *,
    tolerance: float,
    tell: Callable[[str], None] = lambda step: None,
) -> Solution:
    """Return a solution whose locality is within `tolerance` (relative), its loads more even.

    Replicas are added where memory or idle GPUs allow it, servers without replicas repeat the
    busiest of their type, and the rates are balanced by a linear program. Small clusters also get
    spare replicas (`refill`), and those of few nodes are placed anew by an integer program that
    minimises the squared loads.

    Parameters
    ----------
    instance : Instance
        With the cap.
    solution : Solution
        Where it begins.
    settings : SolverSettings
        For the linear and the integer programs.
    budget : Budget
        What is best when it ends is returned.
    tolerance : float
        Part of the locality that evenness may cost.
    tell : callable, optional
        Called with the name of each step when it begins.
    """
    best, params = solution, settings.params
    many = has_many_nodes(instance, params.portfolio)
    filled = solution.placement
    tell("more replicas")
    with budget.bounded():
        more = _fill(instance, _repeat_on_empty(instance, solution.placement, solution))
        filled = mend(instance, more) or solution.placement
        routed = None
        if not many:  # of many, the program takes all there is of time
            carrying = may_carry(instance, filled, solution)
            routed = best_routing(instance, filled, settings, budget=budget, carrying=carrying)
        if routed is not None and (
            evaluate(instance, routed).objective >= evaluate(instance, best).objective - 1e-9
        ):
            best = routed
    worth = max(evaluate(instance, s).objective for s in (solution, best))
    # The programs are asked for a little more than what is accepted: they round, too.
    least, floor = worth * (1 - tolerance), worth * (1 - tolerance / 2)

    def even_placement(placement: Placement, known: Solution) -> Solution | None:
        return balance_routing(
            instance,
            placement,
            settings,
            least_locality=floor,
            budget=budget,
            carrying=may_carry(instance, placement, known),
            known=known,
        )

    def even(candidate: Solution) -> Solution:
        return even_placement(candidate.placement, candidate) or candidate

    tell("rates")
    # The rates first: where little time is left, they matter more than another placement.
    first = filled if many else best.placement
    candidates = [best, even_placement(first, best) or best]
    with budget.bounded():
        if instance.cluster.n_servers <= params.balance.most_servers and not budget.expired:
            tell("spare replicas")
            candidates.append(refill(instance, candidates[-1], even_placement, params))
            placed = None
            if not many:
                tell("placement")
                part = budget.part(params.balance.place_share)
                placed = _place_evenly(instance, best, settings, part, floor)
            if placed is not None:
                candidates.append(placed)
                candidates.append(refill(instance, even(placed), even_placement, params))
    good = [s for s in candidates if evaluate(instance, s).objective >= least - 1e-9]
    return min(good or [solution], key=lambda s: spread(instance, s))


def _repeat_on_empty(instance: Instance, placement: Placement, solution: Solution) -> Placement:
    """Give servers without replicas the content of the busiest server of their type."""
    cluster = instance.cluster
    loads = effective_loads(instance, placement, solution.load)
    work = np.bincount(cluster.gpu_server, loads, minlength=cluster.n_servers)
    held = np.bincount(placement.server, minlength=cluster.n_servers)
    model, server, start = [placement.model], [placement.server], [placement.start]
    for t in range(len(cluster.server_types)):
        empty = np.flatnonzero((cluster.server_type == t) & (held == 0))
        full = np.flatnonzero((cluster.server_type == t) & (held > 0))
        if not len(empty) or not len(full):
            continue
        source = full[np.argsort(-work[full], kind="stable")]
        rows_of = {int(s): np.flatnonzero(placement.server == s) for s in source[: len(empty)]}
        for i, s in enumerate(empty):
            rows = rows_of[int(source[i % len(source)])]
            model.append(placement.model[rows])
            start.append(placement.start[rows])
            server.append(np.full(len(rows), s))
    return Placement.sorted(np.concatenate(model), np.concatenate(server), np.concatenate(start))


def _fill(instance: Instance, placement: Placement) -> Placement:
    """Add replicas to every group of identical servers while they relieve its busiest GPUs."""
    n_models = len(instance.model_ids)
    per_replica = instance.model_work / np.maximum(1, placement.replicas_per_model(n_models))
    model, server, start = [], [], []
    for group in group_servers(instance, placement):
        contents = list(zip(group.model.tolist(), group.start.tolist(), strict=True))
        contents = _fill_server(instance, int(group.servers[0]), contents, per_replica)
        n = len(group.servers)
        model.append(np.tile([m for m, _ in contents], n))
        start.append(np.tile([i for _, i in contents], n))
        server.append(np.repeat(group.servers, len(contents)))
    return Placement.sorted(np.concatenate(model), np.concatenate(server), np.concatenate(start))


def _fill_server(
    instance: Instance, server: int, contents: list[tuple[int, int]], per_replica: np.ndarray
) -> list[tuple[int, int]]:
    """Add replicas of the models here, the busiest first, on the least loaded GPUs that fit."""
    kind = instance.cluster.server_types[instance.cluster.server_type[server]]
    held = sorted({m for m, _ in contents}) or list(instance.used_models)
    work = {m: per_replica[m] * max(1, sum(1 for o, _ in contents if o == m)) for m in held}
    refused: set[int] = set()
    while len(refused) < len(held):
        tick()
        space, load = ServerSpace(instance, kind, contents), np.zeros(kind.gpus)
        replicas = {m: max(1, sum(1 for o, _ in contents if o == m)) for m in held}
        here: list[list[int]] = [[] for _ in range(kind.gpus)]
        for m, i in contents:
            share = work[m] / replicas[m] / instance.pace(kind, m, i)
            load[i : i + int(instance.gpus_required[m])] += share
            for g in range(i, i + int(instance.gpus_required[m])):
                here[g].append(m)
        m = max((m for m in held if m not in refused), key=lambda m: work[m] / replicas[m])
        k = int(instance.gpus_required[m])
        share = work[m] / (replicas[m] + 1)
        choices = []
        for i in np.flatnonzero(space.fits(m)).tolist():
            kept = [kept_by(instance, [*here[g], m]) for g in range(i, i + k)]
            more = share / instance.pace(kind, m, i)
            choices.append((float(((load[i : i + k] + more) / kept).max()), i))
        # A shared GPU is worth using only while it stays below what relieves the others.
        if choices and min(choices)[0] < work[m] / replicas[m] + 1e-12:
            contents = [*contents, (m, min(choices)[1])]
        else:
            refused.add(m)
    return contents


def _place_evenly(
    instance: Instance,
    start: Solution,
    settings: SolverSettings,
    budget: Budget,
    floor: float,
) -> Solution | None:
    """Minimise the squared loads over all placements worth `floor`, from this one."""
    with budget.bounded():
        program = CompactProgram(instance, cautious=True, params=settings.params)
        program.route()
        locality = program.locality()
        if locality:
            least = program.scale * (floor - instance.locality_constant)
            program.problem += linear(locality) >= least, "locality"
        squares = squared_loads(program, settings.params.balance.tangents)
        program.problem += linear([(q, -weight) for q, weight in squares])
        program.order_identical_servers()
        program.start_from(*loaded_placement(instance, start))
        outcome = solve_program(
            program.problem,
            settings,
            stop=Stop(gap=settings.params.balance.gap, node_limit=settings.params.balance.nodes),
            manner=Manner(warm_start=True, light=True),
            budget=budget,
        )
        if outcome.found:
            placement = program.placement()
            carrying = program.carrying(placement)
            return best_routing(
                instance, placement, settings, budget=budget.outer, carrying=carrying
            )
    return None
