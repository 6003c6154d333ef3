"""Branch and price: split on how many servers hold what, and bound each part by its own duals.

A node is a set of count rows. Its relaxation is the master with these rows, its bound the
Lagrangian one with their multipliers, so identical servers never have to be told apart
(Vanderbeck, Branching in branch-and-price: a generic scheme, Math. Prog. 130, 2011). Every
integer feature that is fractional splits a node into "at most k" and "at least k + 1": no plan is
lost, and the largest bound of the leaves holds for all.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

from placement.patterns.column_generation import Pool, Pricers, Until, generate
from placement.patterns.duals import Duals, lagrangian
from placement.patterns.master_rows import CountRow, Row
from placement.patterns.pattern import Pattern
from placement.patterns.pricing.counts import PricingProblem
from placement.patterns.proven_bound import Node
from placement.problem.instance import Instance
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from placement.support.equality import ByContent

BRANCHING_INTEGRALITY = 1e-4
"""A count this close to a whole number is one: nothing to branch on."""

Finish = Callable[[Pool], tuple[float, float] | None]
PricingsOf = Callable[[tuple[Row, ...]], list[PricingProblem]]


@dataclass(frozen=True, eq=False)
class BranchingSteps(ByContent):
    """What is done for the parts of a tree.

    Parameters
    ----------
    pricings : callable
        Pricing problems, one for each server type, that know some rows.
    enough : callable
        Bound at which a part need not be looked into: that of the incumbent, as it is by then.
    finish : callable
        Tries to close a part outright, and returns the locality that it took for granted and the
        part's bound; None where the part is too large for that.
    improve : callable
        Told each part's pool: its patterns, and a chance to find a better plan.
    report : callable
        Told the bound of the tree.
    """

    pricings: PricingsOf
    enough: Callable[[], float]
    finish: Finish
    improve: Callable[[Pool], None]
    report: Callable[[float], None]


def branch(
    instance: Instance,
    settings: SolverSettings,
    budget: Budget,
    root: Pool,
    steps: BranchingSteps,
) -> tuple[Node, float]:
    """Split the part with the largest bound until no bound exceeds `enough`, or at the limit.

    Parameters
    ----------
    root : Pool
        With its relaxation solved.

    Returns
    -------
    node : Node
        The tree's root.
    bound : float
        On every plan.
    """
    params = settings.params.branching
    tree = Node(root.proven)
    queue = [(-root.best_bound, 0, tree, root)]
    proven = -math.inf
    made = 0

    def handle(node: Node, mine: Pool) -> float:
        """Close a part, and return its bound, or split it into two that wait in the queue."""
        nonlocal made
        closed = steps.finish(mine)
        if closed is not None:
            node.enumerated, bound = closed
            return bound
        rows = _split(instance, mine.fractions)
        if rows is None or len(mine.rows) - len(root.rows) >= params.deepest:
            return mine.best_bound
        parts = []
        for row in rows:
            child = _child(mine, row, params.first_patterns)
            pool = generate(
                instance,
                settings,
                budget,
                child,
                Until(params.part_gap, rounds=params.part_rounds, enough=steps.enough()),
                Pricers(steps.pricings(child.rows)),
            )
            steps.improve(pool)
            parts.append((Node(pool.proven), pool))
        for part, pool in parts:
            made += 1
            heapq.heappush(queue, (-pool.best_bound, made, part, pool))
        node.split, node.parts = rows, (parts[0][0], parts[1][0])
        return -math.inf

    while queue and made < params.nodes and not budget.expired:
        if -queue[0][0] <= steps.enough():
            break
        entry = heapq.heappop(queue)
        settled = False
        with budget.bounded():
            bound = handle(*entry[2:])
            settled = True
        if not settled:
            # Half of a split bounds nothing: the part stands as it was.
            heapq.heappush(queue, entry)
            break
        proven = max(proven, bound)
        steps.report(max(proven, -queue[0][0] if queue else proven))
    return tree, max([proven, *(-bound for bound, *_ in queue)])


def _child(parent: Pool, row: Row, patterns: int) -> Pool:
    assert parent.duals is not None
    near = sorted(parent.reduced, key=lambda p: -parent.reduced[p])[:patterns]
    return Pool(
        # The parent's multipliers, the new row at 0, prove the parent's bound for the part.
        proven=parent.proven.with_rows((row,)),
        patterns=dict.fromkeys(near or parent.patterns),
        rounds=parent.rounds,
        params=parent.params,
    )


def _split(
    instance: Instance, fractions: Mapping[Pattern, float]
) -> tuple[CountRow, CountRow] | None:
    """The first kind of feature with a fractional value, at its most fractional."""
    weight = (1.0,) * len(instance.cluster.server_types)
    models = instance.used_models
    most = instance.cluster.max_gpus_per_server
    kinds: list[Iterable[tuple[tuple[int, ...], int]]] = [
        [((m,), 0) for m in models],
        [((m,), 1) for m in models],
        [(pair, 1) for pair in combinations(models, 2)],
        [((m,), j) for m in models for j in range(2, most + 1)],
        [(pair, 2) for pair in combinations(models, 2)],
    ]
    for kind in kinds:
        best: tuple[float, CountRow, CountRow] | None = None
        for feature, threshold in kind:
            row = CountRow(feature, threshold, weight)
            value = sum(n * row.coefficient(p) for p, n in fractions.items())
            whole = math.floor(value + BRANCHING_INTEGRALITY)
            off = abs(value - whole - 0.5)
            if value - whole > BRANCHING_INTEGRALITY and (best is None or off < best[0] - 1e-9):
                below = CountRow(feature, threshold, weight, most=float(whole))
                above = CountRow(feature, threshold, weight, least=float(whole + 1))
                best = (off, below, above)
        if best is not None:
            return best[1:]
    return None


def leaf_bound(
    instance: Instance,
    settings: SolverSettings,
    rows: tuple[Row, ...],
    duals: Duals,
    pricings: list[PricingProblem],
    budget: Budget | None = None,
) -> float:
    """Lagrangian bound of one part of the plans.

    Parameters
    ----------
    instance : Instance
        Normalized.
    settings : SolverSettings
        For the pricing programs.
    rows : tuple of Row
        Those of all plans, and the decisions that make the part.
    duals : Duals
        Any are valid.
    pricings : list of PricingProblem
        One a server type, with these rows.
    budget : Budget, optional
        When to stop: a pricing problem without a bound makes the part's infinite.
    """
    priced = [p.solve(duals, settings, budget) for p in pricings]
    bounds = [math.inf if p is None else p.best_bound for p in priced]
    return lagrangian(instance, rows, duals, bounds)
