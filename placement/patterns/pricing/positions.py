"""The pricing problem with the position of every replica: exact where models share GPUs.

It takes several times as long as the one over counts.

Beside the counts: x[m,i] in {0,1}, a replica on GPUs i..i+k_m-1, and its load h[m,i] <= cap x;
memory, load and number of replicas limited GPU by GPU (`BlockRows`); sum_i x = n, and with p the
pace of a block sum_i p h = h.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pulp

from placement.params.pricing_params import PricingParams
from placement.params.search_params import DEFAULTS, SearchParams
from placement.patterns.master_rows import Row
from placement.patterns.pattern import Pattern, canonical
from placement.patterns.pricing.counts import Pricing
from placement.patterns.sharing_cuts import SharingCut
from placement.problem.instance import Instance
from placement.problem.space import keep_what_fits
from placement.programs.space_rows import BlockRows, company_rows
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings, linear


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
