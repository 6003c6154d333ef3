"""The incumbent of a search over patterns, and the integer programs that improve it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from placement.instance import Instance
from placement.outcome import Budget, Progress, ProgressCallback, relative_gap
from placement.patterns.branching import Node
from placement.patterns.generation import Pool
from placement.patterns.master import Master
from placement.patterns.neighbours import neighbours
from placement.patterns.pattern import Pattern, expand, patterns_of
from placement.routing_lp import best_routing
from placement.solution import Solution, evaluate
from placement.solvers import SolverSettings, solve_program

NEIGHBOUR_SERVERS = 64
"""Clusters up to this size search the neighbours of the patterns in use."""

NODE_LIMIT = 4_000

NEAR_NODES = 200
"""Nodes of a program whose counts are held near the relaxation's."""

WIDE_GAP = 1e-3
"""Gap of a large cluster above which more patterns are worth a program that takes long."""

ROUNDS = 12


@dataclass
class Search:
    """The incumbent of one run, and what every step needs to improve it."""

    instance: Instance
    normal: Instance
    settings: SolverSettings
    budget: Budget
    pool: Pool
    gap: float
    progress: ProgressCallback | None
    best: Solution | None
    worth: float
    deterministic: bool = True
    tree: Node | None = None

    def closed(self) -> bool:
        """Whether the incumbent is within the gap asked for."""
        return relative_gap(self.worth, self.pool.best_bound) <= self.gap

    def report(self, phase: str) -> None:
        """Tell the progress."""
        if self.progress is not None:
            bound = self.pool.best_bound
            worth = self.worth if self.best is not None else None
            detail = f"{len(self.pool.patterns)} patterns"
            self.progress(Progress(phase, self.budget.elapsed_s, worth, bound, detail))

    def offer(self, servers: dict[Pattern, int]) -> bool:
        """Expand and route an integer plan; keep it where it is better."""
        placement = expand(self.instance, servers)
        if set(self.instance.used_models) - set(placement.model.tolist()):
            return False
        routed = best_routing(self.instance, placement, self.settings)
        if routed is None:
            return False
        worth = evaluate(self.instance, routed).objective
        if worth <= self.worth + 1e-9:
            return False
        self.best, self.worth = routed, worth
        return True


def integer(
    search: Search, patterns: list[Pattern], limits: Callable[[Pattern], tuple[int, int]] | None
) -> bool:
    """Solve the integer master over some patterns; True where the incumbent improved."""
    master = Master(search.normal, patterns, search.pool.rows, integer=True)
    if limits is not None:
        for pattern, n in master.servers.items():
            n.lowBound, n.upBound = limits(pattern)
    elif search.best is not None:
        held = patterns_of(search.instance, search.best.placement)
        for variable in master.problem.variables():
            variable.varValue = None
        for pattern, n in master.servers.items():
            n.varValue = held.get(pattern, 0)
    outcome = solve_program(
        master.problem,
        search.settings,
        gap=max(search.gap / 4, 1e-9),
        node_limit=NODE_LIMIT if limits is None else NEAR_NODES,
        warm_start=limits is None and search.best is not None,
        budget=search.budget.part(0.5),
    )
    if outcome.limit_hit in ("time", "interrupt"):
        search.deterministic = False
    improved = outcome.found and search.offer(dict(master.counts()))
    search.report("integer plan")
    return improved


def round_up(search: Search) -> None:
    """Hold the relaxation's counts to within one of their floors; then offer more patterns."""
    fractions = search.pool.fractions
    if not fractions:
        return
    near = sorted(fractions, key=lambda p: -fractions[p])

    def within_one(pattern: Pattern) -> tuple[int, int]:
        whole = int(fractions.get(pattern, 0.0) + 1e-6)
        return max(0, whole - 1), whole + 1

    integer(search, near, within_one)
    if search.closed() or search.budget.expired:
        return
    if search.instance.cluster.n_servers <= NEIGHBOUR_SERVERS:
        integer(search, list(search.pool.patterns), None)
    elif relative_gap(search.worth, search.pool.best_bound) > WIDE_GAP:
        # Many servers: what the rounding leaves over wants variety, not other counts.
        integer(search, [*search.pool.patterns, *search.pool.reserve], within_one)


def neighbourhoods(search: Search) -> None:
    """Add the neighbours of the patterns in use and solve again, while that helps."""
    for _ in range(ROUNDS):
        if search.closed() or search.budget.expired or search.best is None:
            return
        used = list(patterns_of(search.instance, search.best.placement))
        near = list(
            dict.fromkeys([*used, *search.pool.fractions, *neighbours(search.normal, used)])
        )
        if not integer(search, near, None):
            return
        for pattern in patterns_of(search.instance, search.best.placement):
            search.pool.add(pattern)
