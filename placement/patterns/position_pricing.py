"""The pricing problem with the position of every replica: exact where models share GPUs.

Beside the counts: x[m,i] in {0,1}, a replica on GPUs i..i+k_m-1, and its load g[m,i] <= cap x;
memory, load and number of replicas limited GPU by GPU; sum_i x = n, sum_i g = h.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pulp

from placement.instance import Instance
from placement.outcome import Budget
from placement.patterns.duals import Duals
from placement.patterns.pattern import Pattern, canonical
from placement.patterns.pricing import Priced, Pricing
from placement.patterns.rows import CountRow
from placement.patterns.sharing import SharingCut
from placement.routing_lp import Pairs
from placement.solvers import SolverSettings, linear

PLACED_GAP = 1e-2
"""Relative gap of pricing over the positions of a given content: it serves patterns, no bound."""

MOST_PLACED = 3
"""Patterns met on the way that are kept: masters of few servers are slow with more."""


class PositionPricing(Pricing):
    """One server type's pricing problem over positions: what it finds is there as priced.

    Several times the work of the relaxation over counts, so it is cut off by gap and nodes; the
    bound is valid nonetheless.
    """

    gap = 3e-3
    node_limit = 300

    def __init__(self, instance: Instance, kind: int, rows: Sequence[CountRow] = ()) -> None:
        super().__init__(instance, kind, rows)
        server = instance.cluster.server_types[kind]
        self._position: dict[tuple[int, int], pulp.LpVariable] = {}
        memory: list[Pairs] = [[] for _ in range(server.gpus)]
        load: list[Pairs] = [[] for _ in range(server.gpus)]
        for m, n in self.count.items():
            k = int(instance.gpus_required[m])
            held: Pairs = []
            carried: Pairs = []
            for i in range(server.gpus - k + 1):
                self._position[m, i] = x = pulp.LpVariable(f"x_{m}_{i}", 0, 1, pulp.LpInteger)
                g = pulp.LpVariable(f"g_{m}_{i}", 0)
                held.append((x, 1.0))
                carried.append((g, 1.0))
                self.problem += linear([(g, 1.0), (x, -instance.load_cap)]) <= 0
                for gpu in range(i, i + k):
                    memory[gpu].append((x, float(instance.memory_per_gpu_gb[m])))
                    load[gpu].append((g, 1.0))
            self.problem += linear([*held, (n, -1.0)]) == 0
            self.problem += linear([*carried, (self.load[m], -1.0)]) == 0
        limit = instance.max_models_per_gpu
        for gpu in range(server.gpus):
            self.problem += linear(memory[gpu]) <= server.gpu_memory_gb
            self.problem += linear(load[gpu]) <= instance.load_cap
            if limit is not None:
                self.problem += linear([(x, 1.0) for x, _ in memory[gpu]]) <= limit

    def _broken_cut(self, settings: SolverSettings) -> SharingCut | None:
        return None  # what is held has its GPUs

    def _pattern(self, value: Callable[[pulp.LpVariable], float]) -> Pattern:
        content = [at for at, x in self._position.items() if round(value(x))]
        return canonical(self.instance, self.kind, content)


class PlacedPricing(Pricing):
    """Pricing over counts for the bound, and over the positions of what it holds for patterns.

    What counts in sum hold often has no place on the GPUs, and what is then laid out is worth
    less: generation ends far from its bound. With the few models of the content alone, positions
    are soon priced.
    """

    most_cuts = 2

    def __init__(self, instance: Instance, kind: int, rows: Sequence[CountRow] = ()) -> None:
        super().__init__(instance, kind, rows)
        self._placed = PositionPricing(instance, kind, rows)
        self._placed.gap = PLACED_GAP
        self._most = {m: n.upBound for m, n in self._placed.count.items()}

    def solve(
        self,
        duals: Duals,
        settings: SolverSettings,
        budget: Budget | None,
        *,
        gap: float = 0.0,
    ) -> Priced | None:
        """Price as `Pricing` does; the pattern is the best of the same models with positions."""
        priced = super().solve(duals, settings, budget, gap=gap)
        if priced is None:
            return None
        for m, n in self._placed.count.items():
            n.upBound = self._most[m] if round(self.count[m].varValue or 0.0) else 0
        placed = self._placed.solve(duals, settings, budget, gap=gap)
        if placed is None:
            return priced
        others = (priced.pattern, *placed.others[-MOST_PLACED:])
        return replace(priced, pattern=placed.pattern, value=placed.value, others=others)
