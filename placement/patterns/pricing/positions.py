"""The pricing problem with the position of every replica: exact where models share GPUs.

Beside the counts: x[m,i] in {0,1}, a replica on GPUs i..i+k_m-1, and its load g[m,i] <= cap x;
memory, load and number of replicas limited GPU by GPU; sum_i x = n, sum_i g = h.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pulp

from placement.patterns.master_rows import CountRow
from placement.patterns.pattern import Pattern, canonical
from placement.patterns.pricing.counts import Pricing
from placement.patterns.sharing_cuts import SharingCut
from placement.problem.instance import Instance
from placement.programs.routing import Pairs
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings, linear


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
                    memory[gpu].append((x, float(instance.memory_per_gpu_gb[m]) / server.room_gb))
                    load[gpu].append((g, 1.0))
            self.problem += linear([*held, (n, -1.0)]) == 0
            self.problem += linear([*carried, (self.load[m], -1.0)]) == 0
        limit = instance.max_models_per_gpu
        for gpu in range(server.gpus):
            self.problem += linear(memory[gpu]) <= 1
            self.problem += linear(load[gpu]) <= instance.load_cap
            if limit is not None:
                self.problem += linear([(x, 1.0) for x, _ in memory[gpu]]) <= limit

    def _broken_cut(self, settings: SolverSettings, budget: Budget | None) -> SharingCut | None:
        return None  # what is held has its GPUs

    def _pattern(self, value: Callable[[pulp.LpVariable], float]) -> Pattern:
        content = [at for at, x in self._position.items() if round(value(x))]
        return canonical(self.instance, self.kind, content)
