"""A new plan at the price of few moves: what each of several limits on them buys.

Without a limit a new demand may ask for another placement altogether, and every replica that is
loaded costs seconds and bandwidth. So plans are sought that need no more than so many loads
(`placement.improve.few_moves`), from the one that runs to the one without a limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from placement.improve.few_moves import Within, best_within
from placement.migration import check_same_cluster
from placement.problem.instance import Instance
from placement.problem.instance_building import build_instance
from placement.problem.outcome import Infeasible, SolveResult
from placement.problem.plan import Plan
from placement.problem.rules import Rules
from placement.problem.solution import Placement
from placement.problem.space import starts
from placement.problem.trace import Demand, Trace
from placement.problem.workload import Workload
from placement.programs.move_limit import MoveLimit
from placement.restatement import restated
from placement.solver.budget import Budget


@dataclass(frozen=True)
class Offer:
    """A plan within a limit on moves.

    Parameters
    ----------
    most : int
        The limit.
    moves : int
        Replicas that are loaded.
    result : SolveResult
        Its bound is one on all plans, whatever they move; 1 where the limit forces a cap above
        that of a plan without one.
    bound_within : float
        Proven bound on the locality of any plan within the limit; 1 where none was proven.
    """

    most: int
    moves: int
    result: SolveResult
    bound_within: float


def instance_like(old: Plan, workload: Workload, demand: Trace | Demand) -> Instance:
    """Give new demand on the cluster of a plan, under its rules and for its objective.

    Parameters
    ----------
    old : Plan
    workload : Workload
    demand : Trace or Demand
    """
    mine = old.instance
    rules = Rules(
        mine.objective,
        mine.alpha if mine.objective == "mixed" else None,
        mine.exclusive,
        mine.max_models_per_gpu,
        mine.placement_rules,
    )
    return build_instance(workload, demand, old.cluster, rules)


def running_replicas(old: Plan, instance: Instance) -> Placement:
    """Replicas of a plan that runs, by the models of another instance on the same cluster.

    Left out is what the instance does not know, what nobody asks for any more, and what may not
    stand where it does.

    Raises
    ------
    ValueError
        The plan is for another cluster.
    """
    check_same_cluster(old.cluster, instance.cluster)
    index = {name: m for m, name in enumerate(instance.model_ids)}
    cluster, gpus = instance.cluster, old.instance.gpus_required
    kept = []
    for m, s, i in old.placement.replicas():
        mine = index.get(old.model_ids[m])
        if mine is None or mine not in instance.used_models:
            continue
        kind = cluster.server_types[cluster.server_type[s]]
        same = instance.gpus_required[mine] == gpus[m]
        if same and i in starts(instance, mine, kind):
            kept.append((mine, s, i))
    return Placement.of(kept)


def within_moves(
    running: Placement,
    best: SolveResult,
    placements: Sequence[Placement],
    most: int,
    budget: Budget,
) -> Offer:
    """Find the best plan that loads at most so many replicas.

    Parameters
    ----------
    running : Placement
        What runs, by the models of `best.instance`.
    best : SolveResult
        Without a limit.
    placements : sequence of Placement
        Others to begin with: that of `best`, its servers numbered so that most stays; those within
        smaller limits.
    most : int
        Moves that are allowed.
    budget : Budget
        When to stop.

    Raises
    ------
    Infeasible
        No plan within the limit is known.
    """
    limit = MoveLimit(frozenset(running.replicas()), most)
    known = [running, *placements]
    return _offer(best, best_within(best.instance, limit, known, best.options, budget), most)


def _offer(best: SolveResult, found: Within, most: int) -> Offer:
    """State what is known of a plan within a limit."""
    return Offer(most, found.moves, restated(best, found.instance, found.solution), found.bound)


def offers(
    running: Placement,
    best: SolveResult,
    placement: Placement,
    limits: Sequence[int],
    budget: Budget,
) -> list[Offer | str]:
    """Find a plan for each of several limits; where there is none, why.

    Parameters
    ----------
    running : Placement
        What runs, by the models of `best.instance`.
    best : SolveResult
        Without a limit.
    placement : Placement
        Of `best`, its servers numbered so that most of what runs stays.
    limits : sequence of int
        Ascending.
    budget : Budget
        Of all together; each gets an even part of what is left.

    Returns
    -------
    list of Offer or str
        In the order of the limits.
    """
    found: list[Offer | str] = []
    known = [placement]
    for done, most in enumerate(limits):
        part = budget.part(1.0 / (len(limits) - done))
        try:
            offer = within_moves(running, best, known, most, part)
        except Infeasible as error:
            found.append(str(error))
            continue
        known.append(offer.result.solution.placement)
        found.append(offer)
    return found
