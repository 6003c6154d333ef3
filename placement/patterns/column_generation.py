"""Column generation: patterns until the bound and the linear relaxation meet."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from placement.params.pattern_params import ColumnGenerationParams
from placement.params.search_params import DEFAULTS
from placement.patterns.duals import Duals, lagrangian, relaxed, zero_duals
from placement.patterns.master_rows import Row
from placement.patterns.node_set_master import master_of
from placement.patterns.pattern import Pattern
from placement.patterns.pricing.counts import PricingProblem, QuickPricing
from placement.patterns.pricing.problems import counted
from placement.patterns.proven_bound import ProvenBound
from placement.patterns.restricted_master import Master
from placement.problem.instance import Instance
from placement.problem.outcome import relative_gap
from placement.solver.budget import Budget
from placement.solver.milp import Manner, SolverSettings, solve_program
from placement.solver.solver_names import solver_name
from placement.support.equality import ByContent


@dataclass(frozen=True, eq=False)
class Relaxation(ByContent):
    """The linear master that was solved last: its locality, and the servers of each pattern."""

    value: float = -math.inf
    servers: Mapping[Pattern, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Pool(ByContent):
    """Patterns found so far, the best bound with its proof, and the last master.

    Parameters
    ----------
    proven : ProvenBound
        The best bound, and the rows of the master, which every plan sought keeps.
    patterns : mapping of Pattern to None
        In the order in which they were found.
    relaxed : Relaxation
        The last master.
    reduced : mapping of Pattern to float
        Reduced costs of a master at a corner.
    reserve : mapping of Pattern to None
        Patterns that the first master had no use for.
    rounds : int
        Masters that were solved.
    params : ColumnGenerationParams
        What steers the generation of patterns.
    """

    proven: ProvenBound = field(default_factory=ProvenBound)
    patterns: Mapping[Pattern, None] = field(default_factory=dict)
    relaxed: Relaxation = field(default_factory=Relaxation)
    reduced: Mapping[Pattern, float] = field(default_factory=dict)
    reserve: Mapping[Pattern, None] = field(default_factory=dict)
    rounds: int = 0
    params: ColumnGenerationParams = DEFAULTS.column_generation

    @property
    def rows(self) -> tuple[Row, ...]:
        """Rows of the master, which every plan sought keeps."""
        return self.proven.rows

    @property
    def best_bound(self) -> float:
        """The best bound on every plan that keeps the rows."""
        return self.proven.value

    @property
    def duals(self) -> Duals | None:
        """Multipliers of the best bound before branching."""
        return self.proven.duals

    @property
    def relaxation(self) -> float:
        """Locality of the last master."""
        return self.relaxed.value

    @property
    def fractions(self) -> Mapping[Pattern, float]:
        """Servers of each pattern in use in the last master."""
        return self.relaxed.servers

    def set_aside(self) -> Pool:
        """Keep the patterns that the last master uses; the others only make it slower."""
        if len(self.patterns) <= self.params.few_patterns:
            return self
        least = self.params.unused * max(self.fractions.values(), default=0.0)
        kept = {p: None for p in self.patterns if self.fractions.get(p, 0.0) > least}
        return replace(
            self, patterns=kept, reserve={p: None for p in self.patterns if p not in kept}
        )

    def having(self, patterns: Iterable[Pattern]) -> Pool:
        """Add patterns until it is full; the same pool where none is new."""
        every = dict(self.patterns)
        for pattern in patterns:
            if pattern.content and len(every) < self.params.patterns:
                every.setdefault(pattern)
        return self if len(every) == len(self.patterns) else replace(self, patterns=every)


@dataclass(frozen=True, eq=False)
class Pricers(ByContent):
    """What looks for patterns at the multipliers of a master.

    Parameters
    ----------
    exact : sequence of PricingProblem, optional
        One for each server type; none prove nothing. Over replica counts if None.
    quick : sequence of QuickPricing
        Heuristic pricing, one for each server type: so fast that the master is what takes time,
        so that at first masters are solved at a corner, and priced so until nothing is found.
    drafts : sequence of PricingProblem
        Heuristic pricing that goes before the exact one in every round.
    """

    exact: Sequence[PricingProblem] | None = None
    quick: Sequence[QuickPricing] = ()
    drafts: Sequence[PricingProblem] = ()


@dataclass(frozen=True)
class Until:
    """Where column generation ends.

    Parameters
    ----------
    gap : float
        Relative gap between relaxation and bound.
    rounds, proofs : int or None
        Most masters, and most of them that are priced by drafts and exactly; None leaves them to
        the parameters.
    enough : float
        A bound that is low enough.
    """

    gap: float
    rounds: int | None = None
    proofs: int | None = None
    enough: float = -math.inf


def no_report(_: Pool) -> None:
    """Tell nobody."""


def generate(
    instance: Instance,
    settings: SolverSettings,
    budget: Budget,
    pool: Pool,
    until: Until,
    pricers: Pricers | None = None,
    *,
    report: Callable[[Pool], None] = no_report,
) -> Pool:
    """Add patterns to a pool until its relaxation is within a gap of the bound.

    Every round solves the linear master by an interior point, whose duals lie amid the optimal
    ones: priced there, far fewer rounds are needed than at corners (Gondzio, González-Brevis and
    Munari, EJOR 224, 2013). Solvers without one price at smoothed duals and, where that finds
    nothing new, at the master's own. The bound is the least Lagrangian bound of any round, each
    computed with the pricing problems' proven bounds, so it is valid whenever the loop ends.

    Parameters
    ----------
    pool : Pool
        To begin with.
    until : Until
        A bound that is enough ends it, and so does one that is nearly the relaxation's where that
        is far from it.
    pricers : Pricers, optional
        Over replica counts if None.
    report : callable
        Told the pool after every round.

    Returns
    -------
    Pool
        With all that was found, whenever time ended.
    """
    pricers = pricers or Pricers()
    if pricers.exact is None:
        pricers = replace(pricers, exact=counted(instance, pool.rows, settings.params))
    if pool.duals is None:
        proven = replace(pool.proven, duals=zero_duals(instance, pool.rows))
        pool = replace(pool, proven=proven)
    most = settings.params.column_generation.rounds
    run = _Run(instance, settings, budget, pool, until, pricers)
    with budget.bounded():
        for _ in range(until.rounds or most):
            if not run.round(report) or run.priced >= (until.proofs or most):
                break
    with budget.outer.bounded():
        if run.pool.patterns:
            # The corner next to the interior point: few patterns, nearly whole numbers of servers.
            master = run.master()
            if solve_program(master.problem, settings, budget=budget.outer).found:
                corner = Relaxation(master.locality(), master.fractions())
                run.pool = replace(run.pool, relaxed=corner, reduced=master.reduced_costs())
    return run.pool


@dataclass
class _Run:
    """One run of column generation.

    Time may end between any two lines, and an exception leaves them (`Budget.bounded`): what was
    found is in `pool` at once, and what belongs together is one value.

    Attributes
    ----------
    pool : Pool
        With all that was found so far.
    priced : int
        Rounds in which quick pricing, if any, found nothing.
    centre : Duals or None
        Those of the best bound of this run.
    guess : Duals or None
        Those of `least`.
    least : float
        Least value of the relaxation that quick pricing believes in: no bound, but it tells good
        duals from bad ones.
    quick_rounds : int
        Rounds of quick pricing.
    """

    instance: Instance
    settings: SolverSettings
    budget: Budget
    pool: Pool
    until: Until
    pricers: Pricers
    priced: int = 0
    centre: Duals | None = None
    guess: Duals | None = None
    least: float = math.inf
    quick_rounds: int = 0

    @property
    def params(self) -> ColumnGenerationParams:
        """What steers the run."""
        return self.settings.params.column_generation

    def master(self) -> Master:
        """The linear master over the pool."""
        form = master_of(self.instance, self.settings.params)
        return form(self.instance, self.pool.patterns, self.pool.rows)

    def round(self, report: Callable[[Pool], None]) -> bool:
        """Solve a master and price; False where that is the end."""
        master, added = self.master(), False
        quick = bool(self.pricers.quick) and not self.priced
        manner = Manner(interior=not quick or self._central)
        if (
            self.budget.expired
            or not solve_program(
                master.problem, self.settings, manner=manner, budget=self.budget
            ).found
        ):
            return False
        solved = Relaxation(master.locality(), master.fractions())
        self.pool = replace(self.pool, relaxed=solved, rounds=self.pool.rounds + 1)
        if self.pool.rounds == 1:
            self.pool = self.pool.set_aside()
        if relative_gap(self.pool.relaxation, self.pool.best_bound) <= self.until.gap:
            # The bound was known before.
            report(self.pool)
            return False
        duals = master.duals()
        if quick:
            self.quick_rounds += 1
            duals, added = self._price_quickly(duals)
            if added and self.quick_rounds % self.params.quick_rounds:
                report(self.pool)
                return True
            if _close_enough(self.pool, self.until.enough, self.params.leeway):
                return False
            self.priced += not added
        else:
            self.priced += 1
        priced = self._price(duals)
        if priced is None:
            return False
        pool = self.pool
        report(pool)
        return (
            (priced or added)
            and relative_gap(pool.relaxation, pool.best_bound) > self.until.gap
            and pool.best_bound > self.until.enough
            and not _close_enough(pool, self.until.enough, self.params.leeway)
        )

    @property
    def _central(self) -> bool:
        return any(q.central for q in self.pricers.quick)

    def _price_quickly(self, duals: Duals) -> tuple[Duals, bool]:
        """Add what knapsacks find; the duals at which they looked, and whether any was new."""
        at = duals
        plain = self.guess is None or self._central
        for weight in (0.0,) if plain else (self.params.smoothing, 0.0):
            at = duals if self.guess is None else self.guess.mix(duals, weight)
            most = self.params.quick_patterns
            found = [k.solve(self.pool.rows, at, most) for k in self.pricers.quick]
            values = [max(worth.values(), default=0.0) for worth in found]
            value = relaxed(self.instance, self.pool.rows, at, values)
            if value < self.least:
                self.least, self.guess = value, at
            if relative_gap(self.pool.relaxation, value) <= self.until.gap:
                break
            if self._add(pattern for worth in found for pattern in worth):
                return at, True
        return at, False

    def _price(self, duals: Duals) -> bool | None:
        """Price, ever closer, until patterns are found; None where the time has ended."""
        instance, rows = self.instance, self.pool.rows
        exact, drafts = self.pricers.exact, self.pricers.drafts
        fine = self.params.fine * self.until.gap * abs(self.pool.best_bound)
        above = self.pool.best_bound - self.pool.relaxation
        coarse = max(fine, self.params.coarse * above)
        central = solver_name(self.settings.name) == "HiGHS"
        smoothing = 0.0 if central else self.params.smoothing
        tries: list[tuple[Sequence[PricingProblem], float, float]] = []
        if exact and smoothing and self.centre is not None:
            tries.append((exact, smoothing, coarse))
        if drafts:
            tries.append((drafts, 0.0, coarse))
        if exact:
            tries += [(exact, 0.0, close) for close in sorted({coarse, fine}, reverse=True)]
        for problems, weight, close in tries:
            at = self.centre.mix(duals, weight) if weight and self.centre is not None else duals
            priced = [p.solve(at, self.settings, self.budget, gap=close) for p in problems]
            found = [p for p in priced if p is not None]
            if len(found) < len(priced):
                return None
            bound = lagrangian(instance, rows, at, [p.best_bound for p in found])
            if bound < self.pool.best_bound:
                proven = ProvenBound(rows, bound, at, problems[0].placed)
                self.pool = replace(self.pool, proven=proven)
                self.centre = at
            elif self.centre is None:
                self.centre = at
            believed = relaxed(instance, rows, at, [p.value for p in found])
            met = relative_gap(self.pool.relaxation, believed) <= self.until.gap
            if problems is drafts and met:
                continue
            if self._add(pattern for p in found for pattern in (p.pattern, *p.others)):
                return True
        return False

    def _add(self, patterns: Iterable[Pattern]) -> bool:
        """Add patterns to the pool; True where any was new."""
        before, self.pool = self.pool, self.pool.having(patterns)
        return self.pool is not before


def _close_enough(pool: Pool, enough: float, leeway: float) -> bool:
    """Whether the bound cannot fall by much of what it must fall."""
    return pool.best_bound - pool.relaxation <= leeway * (pool.relaxation - enough) < math.inf
