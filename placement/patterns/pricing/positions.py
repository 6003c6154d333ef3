"""The pricing problem with the position of every replica: exact where models share GPUs.

It takes several times as long as the one over counts, and is needed only where what that prices
has no place on the GPUs of a server, or they cannot bear its loads.

Beside the counts: x[m,i] in {0,1}, a replica on GPUs i..i+k_m-1, and its load h[m,i] <= cap x;
memory, load and number of replicas limited GPU by GPU (`BlockRows`); sum_i x = n, and with p the
pace of a block sum_i p h = h.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pulp

from placement.params.pricing_params import PricingParams
from placement.params.search_params import DEFAULTS, SearchParams
from placement.patterns.duals import Duals
from placement.patterns.master_rows import Row
from placement.patterns.pattern import Pattern, canonical
from placement.patterns.pricing.counts import Priced, Pricing
from placement.patterns.sharing_cuts import SharingCut
from placement.problem.instance import Instance
from placement.problem.space import keep_what_fits
from placement.programs.space_rows import (
    BlockRows,
    by_model,
    company_rows,
    loads_of,
    loads_on_gpus,
)
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings, linear, solve_program

BORNE = 1e-6
"""Part of a load that may be missing: solvers leave that open."""


class PositionPricing(Pricing):
    """One server type's pricing problem over positions: what it finds is there as priced.

    Several times the work of the relaxation over counts, so it is cut off by gap and nodes; the
    bound is valid nonetheless.
    """

    placed = True

    def __init__(
        self,
        instance: Instance,
        kind: int,
        rows: Sequence[Row] = (),
        params: SearchParams = DEFAULTS,
    ) -> None:
        super().__init__(instance, kind, rows, params)
        server = instance.cluster.server_types[kind]
        self._position: dict[tuple[int, int], tuple[pulp.LpVariable, pulp.LpVariable]] = {}
        blocks = BlockRows(self.problem, instance, server, instance.load_cap)
        for m, n in self.count.items():
            placed = blocks.replicas(m, "")
            self._position |= {(m, i): (x, h) for x, h, i in placed}
            self.problem += linear([*((x, 1.0) for x, _, _ in placed), (n, -1.0)]) == 0
            done = [(h, instance.pace(server, m, i)) for _, h, i in placed]
            self.problem += linear([*done, (self.load[m], -1.0)]) == 0
        blocks.gpus("")
        if instance.company.bases:
            held = {
                m: [(x, 1.0) for (o, _), (x, _) in self._position.items() if o == m]
                for m in self.count
            }
            for row in company_rows(instance, server, held, "_at", by_place=True):
                self.problem += row
        # What is idle would count as loaded.
        self._idle_count = bool(blocks.few) and instance.idle_are_spare

    def _limits(self, params: PricingParams) -> tuple[float, int | None]:
        return params.position_gap, params.position_nodes

    def _broken_cut(self, settings: SolverSettings, budget: Budget | None) -> SharingCut | None:
        return None  # what is held has its GPUs

    def _pattern(self, value: Callable[[pulp.LpVariable], float]) -> Pattern:
        content = [at for at, (x, _) in self._position.items() if round(value(x))]
        if self._idle_count:
            content = [at for at in content if self._busy(at[0], value(self._position[at][1]))]
        server = self.instance.cluster.server_types[self.kind]
        return canonical(self.instance, self.kind, keep_what_fits(self.instance, server, content))


class PlacedPricing:
    """One server type's pricing problem over counts, and over positions where these do not do."""

    placed = True

    def __init__(
        self,
        instance: Instance,
        kind: int,
        rows: Sequence[Row] = (),
        params: SearchParams = DEFAULTS,
    ) -> None:
        self.rows = tuple(rows)
        self._counts = Pricing(instance, kind, rows, params)
        self._given = instance, kind, rows, params
        self._positions: PositionPricing | None = None

    def solve(
        self,
        duals: Duals,
        settings: SolverSettings,
        budget: Budget | None,
        *,
        gap: float = 0.0,
    ) -> Priced | None:
        """Price at some duals; None where the time ended before anything was known.

        Parameters
        ----------
        gap : float
            Absolute gap that is close enough.
        """
        priced = self._counts.solve(duals, settings, budget, gap=gap)
        if priced is None or self._is_real(priced.pattern, settings):
            return priced
        if self._positions is None:
            self._positions = PositionPricing(*self._given)
        exact = self._positions.solve(duals, settings, budget, gap=gap)
        if exact is None:
            return None
        bound = min(exact.best_bound, priced.best_bound)
        return replace(exact, best_bound=bound, others=(*exact.others, priced.pattern))

    def _is_real(self, pattern: Pattern, settings: SolverSettings) -> bool:
        """Whether the server, as laid out, holds all that was priced and bears its loads."""
        instance, kind = self._counts.instance, self._counts.kind
        held = pattern.counts()
        if any(held.get(m, 0) < round(n.varValue or 0.0) for m, n in self._counts.count.items()):
            return False
        problem = pulp.LpProblem("borne", pulp.LpMaximize)
        server = instance.cluster.server_types[kind]
        starts = [start for _, start in pattern.content]
        loads = loads_of((m for m, _ in pattern.content), "")
        for _, terms, kept in loads_on_gpus(instance, server, loads, starts):
            problem += linear(terms) <= instance.load_cap * kept
        for m, terms in by_model(instance, server, loads, starts).items():
            carried = self._counts.load[m].varValue or 0.0
            problem += linear(terms) >= carried * (1 - BORNE)
        problem += linear([])
        return solve_program(problem, settings).found
