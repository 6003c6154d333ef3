"""The master: how many servers get which pattern, and how the demand flows over them.

The pattern is the column; its flows are re-optimised with it (column-and-row generation):
n[p], a[w,v,p], h, c, l per pattern, all for its n[p] servers together. Rows (`Row`: whole
replicas, rounding cuts, branching decisions) limit what the patterns hold in sum.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import pulp

from placement.patterns.duals import Duals
from placement.patterns.master_rows import Row
from placement.patterns.pattern import Pattern
from placement.problem.instance import Instance
from placement.programs.flows import (
    Part,
    Place,
    add_demand,
    keepable,
    kept_terms,
    nodes_with_requests,
)
from placement.programs.space_rows import by_model, loads_of, loads_on_gpus
from placement.solver.milp import Pairs, linear
from placement.solver.milp import duals as read_duals

UNSERVED = 10.0
"""Cost of demand that the patterns at hand cannot serve; any locality is worth less."""


class Master:
    """The program over a set of patterns of a normalized instance.

    Parameters
    ----------
    rows : sequence of Row
    integer : bool
        Whole numbers of servers; else the linear relaxation.
    """

    def __init__(
        self,
        instance: Instance,
        patterns: Iterable[Pattern],
        rows: Sequence[Row] = (),
        *,
        integer: bool = False,
    ) -> None:
        self.instance = instance
        self.rows = tuple(rows)
        self.problem = pulp.LpProblem("master", pulp.LpMaximize)
        kind = pulp.LpInteger if integer else pulp.LpContinuous
        self.servers: dict[Pattern, pulp.LpVariable] = {}
        self._parts = {w: keepable(instance, w) for w in instance.active_workflows}
        self._objective: Pairs = []
        self._demand: dict[tuple[int, int], Pairs] = defaultdict(list)
        self._kept: dict[Part, Pairs] = defaultdict(list)
        for p, pattern in enumerate(dict.fromkeys(patterns)):
            most = instance.cluster.server_types[pattern.kind].count
            self.servers[pattern] = n = pulp.LpVariable(f"n_{p}", 0, most, kind)
            self._flows(p, pattern, n)
        self.unserved: list[pulp.LpVariable] = []
        for w, v, _ in nodes_with_requests(instance):
            short = add_demand(self.problem, instance, (w, v), self._demand[w, v], elastic=True)
            assert short is not None
            self.unserved.append(short)
            self._objective.append((short, -UNSERVED))
        for t, server in enumerate(instance.cluster.server_types):
            used = [(n, 1.0) for p, n in self.servers.items() if p.kind == t]
            if used:
                self.problem += linear(used) <= server.count, f"type_{t}"
        for r, row in enumerate(self.rows):
            self._count_row(r, row)
        self.problem += linear(self._objective)

    def _count_row(self, r: int, row: Row) -> None:
        amiss = pulp.LpVariable(f"d_{r}", 0)
        self.unserved.append(amiss)
        self._objective.append((amiss, -UNSERVED))
        terms = [(n, row.coefficient(p)) for p, n in self.servers.items()]
        held = [(n, c) for n, c in terms if c]
        if row.kept is not None:
            held += self._kept[row.kept]
        if row.at_least:
            self.problem += linear([*held, (amiss, 1.0)]) >= row.limit, f"row_{r}"
        else:
            self.problem += linear([*held, (amiss, -1.0)]) <= row.limit, f"row_{r}"

    def _flows(self, p: int, pattern: Pattern, n: pulp.LpVariable) -> None:
        place = self._place(p, pattern)
        carried = self._capacity(p, pattern, n)
        carries = {m: self.instance.load_cap * count for m, count in pattern.counts().items()}
        for w, parts in self._parts.items():
            for v, m in enumerate(self.instance.workflows[w].node_model.tolist()):
                if m in carries:
                    a = place.serve(w, v, [n], carries=carries[m])
                    self._demand[w, v].append((a, 1.0))
            kept = place.keep(parts)
            self._objective += kept_terms(kept)
            for part, variable, _ in kept:
                self._kept[part].append((variable, 1.0))
        for m in place.work:
            place.do_work(m, carried[m])

    def _place(self, p: int, pattern: Pattern) -> Place:
        speed = self.instance.speeds[pattern.kind]
        return Place(self.problem, self.instance, f"_{p}", speed)

    def _capacity(self, p: int, pattern: Pattern, n: pulp.LpVariable) -> dict[int, Pairs]:
        """Loads of the pattern's replicas, limited GPU by GPU; by model."""
        instance, cap = self.instance, self.instance.load_cap
        if instance.counts_suffice:
            carried: dict[int, Pairs] = {}
            for m, count in pattern.counts().items():
                h = pulp.LpVariable(f"h_{m}_{p}", 0)
                carried[m] = [(h, 1.0)]
                self.problem += linear([(h, 1.0), (n, -cap * count)]) <= 0
            return carried
        load = loads_of((m for m, _ in pattern.content), f"_{p}")
        starts = [start for _, start in pattern.content]
        server = instance.cluster.server_types[pattern.kind]
        for _, terms, kept in loads_on_gpus(instance, server, load, starts):
            self.problem += linear([*terms, (n, -cap * kept)]) <= 0
        return by_model(instance, server, load, starts)

    def locality(self) -> float:
        """Locality of the current values; what is unserved counts against it."""
        value = sum(c * (v.varValue or 0.0) for v, c in self._objective)
        return float(value) / self.instance.cluster.n_servers + self.instance.locality_constant

    def value_of(self, locality: float) -> float:
        """Objective of the program where its locality is this."""
        return (locality - self.instance.locality_constant) * self.instance.cluster.n_servers

    def duals(self) -> Duals:
        """Multipliers of the demand and count rows, after a linear solve."""
        rows = read_duals(self.problem)
        return Duals(
            {(w, v): rows[f"demand_{w}_{v}"] for w, v, _ in nodes_with_requests(self.instance)},
            tuple(row.signed(rows[f"row_{r}"]) for r, row in enumerate(self.rows)),
        )

    def fractions(self) -> dict[Pattern, float]:
        """Servers of each pattern in use, after a linear solve."""
        return {p: n.varValue for p, n in self.servers.items() if n.varValue}

    def reduced_costs(self) -> dict[Pattern, float]:
        """What one server more of each pattern changes, after a linear solve at a corner."""
        return {p: float(n.dj or 0.0) for p, n in self.servers.items()}

    def kept(self) -> dict[Part, float]:
        """Rate that is kept of every workflow and link, after a solve."""
        return {
            part: sum(v.varValue or 0.0 for v, _ in terms) for part, terms in self._kept.items()
        }

    def counts(self) -> Counter[Pattern]:
        """Servers of each pattern, rounded."""
        return Counter({p: round(n.varValue or 0.0) for p, n in self.servers.items() if n.varValue})
