"""Column generation: patterns until the bound and the linear relaxation meet."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from placement.instance import Instance
from placement.outcome import Budget, relative_gap
from placement.patterns.duals import Duals, lagrangian, zero_duals
from placement.patterns.master import Master
from placement.patterns.pattern import Pattern
from placement.patterns.position_pricing import PositionPricing
from placement.patterns.pricing import Pricing, PricingProblem
from placement.patterns.rows import CountRow
from placement.solvers import SolverSettings, solve_program, solver_name

MAX_ROUNDS = 400
MAX_PATTERNS = 4_000
FEW_PATTERNS = 60
UNUSED = 1e-5
"""Share of the most used pattern's servers below which a pattern counts as unused."""

SMOOTHING = 0.5
"""Weight of the best centre in the duals that are priced (Pessoa et al., INFORMS JoC 30, 2018)."""

COARSE = 0.01
"""Gap of a pricing problem over that between relaxation and bound.

Both are localities per server of the normalized instance: what a pricing problem leaves open the
bound loses, and it loses no more than this.
"""

LEEWAY = 0.1
"""Part of the way from the relaxation to `enough` that a bound need not close."""

FINE = 0.2
"""Gap of the closest pricing over the gap at which generation ends."""


@dataclass
class Pool:
    """Patterns found so far, the best bound and the duals that proved it, and the last master.

    The bound is one on every plan that keeps the count rows. `reserve` holds patterns that the
    first master had no use for; `positions` says that the bound comes from pricing problems over
    positions.
    """

    rows: tuple[CountRow, ...] = ()
    patterns: dict[Pattern, None] = field(default_factory=dict)
    best_bound: float = 1.0
    duals: Duals | None = None
    positions: bool = False
    relaxation: float = float("-inf")
    fractions: dict[Pattern, float] = field(default_factory=dict)
    reduced: dict[Pattern, float] = field(default_factory=dict)
    reserve: dict[Pattern, None] = field(default_factory=dict)
    rounds: int = 0

    def set_aside(self) -> None:
        """Keep the patterns that the last master uses; the others only make it slower."""
        if len(self.patterns) > FEW_PATTERNS:
            least = UNUSED * max(self.fractions.values(), default=0.0)
            kept = {p: None for p in self.patterns if self.fractions.get(p, 0.0) > least}
            self.reserve = {p: None for p in self.patterns if p not in kept}
            self.patterns = kept

    def add(self, pattern: Pattern) -> bool:
        """Add a pattern; False where it is known or the pool is full."""
        if pattern in self.patterns or not pattern.content or len(self.patterns) >= MAX_PATTERNS:
            return False
        self.patterns[pattern] = None
        return True


def counted(instance: Instance, rows: Sequence[CountRow]) -> list[PricingProblem]:
    """Pricing problems over replica counts, one for each server type."""
    return [Pricing(instance, t, rows) for t in range(len(instance.cluster.server_types))]


def generate(
    instance: Instance,
    settings: SolverSettings,
    budget: Budget,
    pool: Pool,
    *,
    gap: float,
    report: Callable[[Pool], None],
    pricings: Sequence[PricingProblem] | None = None,
    fixed: Mapping[Pattern, int] | None = None,
    rounds: int = MAX_ROUNDS,
    enough: float = float("-inf"),
) -> None:
    """Add patterns to the pool until its relaxation is within `gap` of the bound.

    Every round solves the linear master by an interior point, whose duals lie amid the optimal
    ones: priced there, far fewer rounds are needed than at corners (Gondzio, González-Brevis and
    Munari, EJOR 224, 2013). Solvers without one price at smoothed duals and, where that finds
    nothing new, at the master's own. The bound is the least Lagrangian bound of any round, each
    computed with the pricing problems' proven bounds, so it is valid whenever the loop ends.
    Servers that are `fixed` to a pattern limit the relaxation, not the bound. A bound that is
    `enough` ends it, and so does one that is nearly the relaxation's where that is far from
    `enough`.
    """
    pricings = pricings or counted(instance, pool.rows)
    fixed = fixed or {}
    _rounds(instance, settings, budget, pool, gap, report, pricings, fixed, rounds, enough)
    if pool.patterns and not budget.interrupted:
        # The corner next to the interior point: few patterns, nearly whole numbers of servers.
        master = Master(instance, pool.patterns, pool.rows)
        _fix(master, fixed)
        if solve_program(master.problem, settings).found:
            pool.relaxation = master.locality()
            pool.fractions = master.fractions()
            pool.reduced = master.reduced_costs()


def _rounds(
    instance: Instance,
    settings: SolverSettings,
    budget: Budget,
    pool: Pool,
    gap: float,
    report: Callable[[Pool], None],
    pricings: Sequence[PricingProblem],
    fixed: Mapping[Pattern, int],
    rounds: int,
    enough: float,
) -> None:
    rows = pool.rows
    if pool.duals is None:
        pool.duals = zero_duals(instance, rows)
    smoothing = 0.0 if solver_name(settings.name) == "HiGHS" else SMOOTHING
    centre: Duals | None = None
    for _ in range(rounds):
        master = Master(instance, pool.patterns, rows)
        _fix(master, fixed)
        if (
            budget.expired
            or not solve_program(master.problem, settings, budget=budget, interior=True).found
        ):
            return
        pool.rounds += 1
        pool.relaxation = master.locality()
        pool.fractions = master.fractions()
        if pool.rounds == 1:
            pool.set_aside()
        duals = master.duals()
        added = False
        fine = FINE * gap * abs(pool.best_bound)
        coarse = max(fine, COARSE * (pool.best_bound - pool.relaxation))
        tries = [(smoothing, coarse)] if smoothing and centre is not None else []
        for weight, close in (*tries, (0.0, coarse), (0.0, fine)):
            at = duals if centre is None else centre.mix(duals, weight)
            priced = [p.solve(at, settings, budget, gap=close) for p in pricings]
            found = [p for p in priced if p is not None]
            if len(found) < len(priced):
                return
            bound = lagrangian(instance, rows, at, [p.best_bound for p in found])
            if bound < pool.best_bound:
                pool.best_bound, pool.duals, centre = bound, at, at
                pool.positions = isinstance(pricings[0], PositionPricing)
            elif centre is None:
                centre = at
            for pattern in (pattern for p in found for pattern in (p.pattern, *p.others)):
                added = pool.add(pattern) or added
            if added:
                break
        report(pool)
        if not added or relative_gap(pool.relaxation, pool.best_bound) <= gap:
            return
        if pool.best_bound <= enough:
            return
        if pool.best_bound - pool.relaxation <= LEEWAY * (pool.relaxation - enough) < math.inf:
            return


def _fix(master: Master, fixed: Mapping[Pattern, int]) -> None:
    for pattern, n in fixed.items():
        master.servers[pattern].lowBound = n
