"""The bound's side of the search over columns: a relaxation that is tightened, and proven."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from placement.params.search_params import SearchParams
from placement.patterns.columns.column_master import duals_of
from placement.patterns.columns.content_pool import Column
from placement.patterns.columns.generation import WORTHWHILE, Generation
from placement.patterns.columns.replica_counts import relaxed_counts
from placement.patterns.cover_rows import broken_covers
from placement.patterns.duals import Duals, lagrangian
from placement.patterns.master_rows import Row
from placement.patterns.pricing.counts import PricingProblem
from placement.patterns.proven_bound import ProvenBound
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings


@dataclass
class ColumnBound:
    """A relaxation over columns, and the best bound that its duals have proven.

    Changed in place, and by one thread: what it finds is read when it is asked for nothing.

    Parameters
    ----------
    gen : Generation
        The relaxation.
    pricings_of : callable
        Exact pricing problems, one a server type, that know some rows.
    settings : SolverSettings
        Solver and parameters.
    bound : ProvenBound
        The best so far.
    gap : float
        Relative gap between plan and bound that is asked for.
    converged : bool
        Whether annealing finds no more columns.
    tight : bool
        Whether exact pricing finds none either.
    """

    gen: Generation
    pricings_of: Callable[[tuple[Row, ...]], Sequence[PricingProblem]]
    settings: SolverSettings
    bound: ProvenBound
    gap: float
    converged: bool = False
    tight: bool = False
    _pricings: Sequence[PricingProblem] = ()

    @property
    def params(self) -> SearchParams:
        """What steers it."""
        return self.settings.params

    def converge(self, budget: Budget) -> None:
        """Add columns until annealing finds no more, and no model's numbers ask for rows."""
        self.converged = False
        with budget.bounded():
            while self.gen.run(budget):
                if not self._cover(budget):
                    self.converged = True
                    return

    def _cover(self, budget: Budget) -> bool:
        """Add the rows of whole replicas that the relaxation breaks; True where there were any."""
        master = self.gen.master
        if master.missed > WORTHWHILE:
            return False
        rows = broken_covers(self.gen.instance, relaxed_counts(master.used()), budget)
        self.gen.add_rows(rows)
        self.bound = self.bound.with_rows(rows)
        return bool(rows)

    def tighten(self, budget: Budget, proofs: int) -> None:
        """Price exactly so many times, each followed by annealing from what that found."""
        for _ in range(proofs):
            if self.tight or budget.expired:
                return
            self.tight = self.converged and not self._prove(budget)
            self.converge(budget)

    def _prove(self, budget: Budget) -> bool:
        """Price exactly; True where that found columns that the relaxation wants.

        First between the relaxation's duals and those of the best bound, which bounds better, and
        only where this finds nothing at the relaxation's own (Wentges, Weighted Dantzig-Wolfe
        decomposition for linear mixed-integer programming, 1997).
        """
        gen, before = self.gen, self.bound.duals
        exact = duals_of(gen.instance, gen.flows, gen.master.demand, gen.master.counts)
        smoothing = self.params.column_generation.smoothing
        for weight in (smoothing, 0.0) if before is not None else (0.0,):
            at = exact if before is None else before.mix(exact, weight)
            columns = self._price(at, budget)
            if columns is None:
                return False
            wanted = [c for c in columns if gen.reduced_cost(c) > WORTHWHILE]
            if gen.master.add(wanted):
                return True
        return False

    def _price(self, at: Duals, budget: Budget) -> list[Column] | None:
        """Contents of highest value at some duals, with their rates; the bound may fall."""
        gen, rows = self.gen, self.bound.rows
        params, columns, bounds = self.params.column_generation, list[Column](), list[float]()
        fine = params.fine * self.gap * abs(self.bound.value)
        close = max(fine, params.coarse * (self.bound.value - gen.master.locality))
        if not self._pricings or self._pricings[0].rows != rows:
            self._pricings = self.pricings_of(rows)
        for pricing in self._pricings:
            priced = pricing.solve(at, self.settings, budget, gap=close)
            if priced is None:
                return None
            bounds.append(priced.best_bound)
            found = (priced.pattern, *priced.others)
            columns += [gen.column(p) for p in found if p.content]
        value = lagrangian(gen.instance, rows, at, bounds)
        if value < self.bound.value or self.bound.duals is None:
            self.bound = ProvenBound(rows, min(value, self.bound.value), at)
        return columns
