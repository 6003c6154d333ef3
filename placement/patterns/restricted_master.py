"""The master: how many servers get which pattern, and how the demand flows over them.

The pattern is the column; its flows are re-optimised with it (column-and-row generation):
n[p], a[w,v,p], h, c, l per pattern, all for its n[p] servers together. Count rows
(`CountRow`: rounding cuts, branching decisions) limit what the patterns hold in sum.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import pulp

from placement.patterns.duals import Duals
from placement.patterns.master_rows import CountRow
from placement.patterns.pattern import Pattern
from placement.patterns.rounding_cuts import WHOLE_WORKFLOW, KeptRow, Part
from placement.problem.instance import Instance
from placement.solver.milp import Pairs, linear
from placement.solver.milp import duals as read_duals

UNSERVED = 10.0
"""Cost of demand that the patterns at hand cannot serve; any locality is worth less."""


class Master:
    """The program over a set of patterns of a normalized instance.

    Parameters
    ----------
    rows : sequence of CountRow
    integer : bool
        Whole numbers of servers; else the linear relaxation.
    """

    def __init__(
        self,
        instance: Instance,
        patterns: Iterable[Pattern],
        rows: Sequence[CountRow] = (),
        *,
        integer: bool = False,
    ) -> None:
        self.instance = instance
        self.rows = tuple(rows)
        self.problem = pulp.LpProblem("master", pulp.LpMaximize)
        kind = pulp.LpInteger if integer else pulp.LpContinuous
        self.servers: dict[Pattern, pulp.LpVariable] = {}
        self._objective: Pairs = []
        self._demand: dict[tuple[int, int], Pairs] = defaultdict(list)
        self._kept: dict[Part, Pairs] = defaultdict(list)
        for p, pattern in enumerate(dict.fromkeys(patterns)):
            most = instance.cluster.server_types[pattern.kind].count
            self.servers[pattern] = n = pulp.LpVariable(f"n_{p}", 0, most, kind)
            self._flows(p, pattern, n)
        self.unserved: list[pulp.LpVariable] = []
        for w in instance.active_workflows:
            for v in range(len(instance.workflows[w].node_model)):
                short = pulp.LpVariable(f"u_{w}_{v}", 0)
                self.unserved.append(short)
                self._objective.append((short, -UNSERVED))
                terms = [*self._demand[w, v], (short, 1.0)]
                rate = instance.workflows[w].rate
                self.problem += linear(terms) == rate, f"demand_{w}_{v}"
        for t, server in enumerate(instance.cluster.server_types):
            used = [(n, 1.0) for p, n in self.servers.items() if p.kind == t]
            if used:
                self.problem += linear(used) <= server.count, f"type_{t}"
        for r, row in enumerate(self.rows):
            self._count_row(r, row)
        self.problem += linear(self._objective)

    def _count_row(self, r: int, row: CountRow) -> None:
        amiss = pulp.LpVariable(f"d_{r}", 0)
        self.unserved.append(amiss)
        self._objective.append((amiss, -UNSERVED))
        terms = [(n, row.coefficient(p)) for p, n in self.servers.items()]
        held = [(n, c) for n, c in terms if c]
        if isinstance(row, KeptRow):
            held += self._kept[row.part]
        if row.at_least:
            self.problem += linear([*held, (amiss, 1.0)]) >= row.least, f"row_{r}"
        else:
            self.problem += linear([*held, (amiss, -1.0)]) <= row.most, f"row_{r}"

    def _flows(self, p: int, pattern: Pattern, n: pulp.LpVariable) -> None:
        instance = self.instance
        speed = instance.cluster.server_types[pattern.kind].speed
        carried = self._capacity(p, pattern, n)
        work: dict[int, Pairs] = defaultdict(list)
        scale = float(instance.cluster.n_servers)
        replicas = pattern.counts()
        for w in instance.active_workflows:
            flow = instance.workflows[w]
            whole, link = instance.locality_weights(w)
            rate: dict[int, pulp.LpVariable] = {}
            for v, m in enumerate(flow.node_model.tolist()):
                if m in pattern.models:
                    rate[v] = a = pulp.LpVariable(f"a_{w}_{v}_{p}", 0)
                    self._demand[w, v].append((a, 1.0))
                    seconds = float(flow.work_s[v]) / speed
                    work[m].append((a, -seconds))
                    # One server never serves more than all there is; on few servers it counts.
                    if seconds * flow.rate <= instance.load_cap * replicas[m]:
                        self.problem += linear([(a, 1.0), (n, -flow.rate)]) <= 0
            if whole and len(rate) == len(flow.node_model):
                c = pulp.LpVariable(f"c_{w}_{p}", 0)
                self._objective.append((c, whole * scale))
                self._kept[w, WHOLE_WORKFLOW].append((c, 1.0))
                for a in rate.values():
                    self.problem += linear([(c, 1.0), (a, -1.0)]) <= 0
            for e, (u, v) in enumerate(flow.links.tolist()):
                if link and u in rate and v in rate:
                    kept = pulp.LpVariable(f"l_{w}_{e}_{p}", 0)
                    self._objective.append((kept, link * scale))
                    self._kept[w, e].append((kept, 1.0))
                    for end in (u, v):
                        self.problem += linear([(kept, 1.0), (rate[end], -1.0)]) <= 0
        for m, terms in work.items():
            self.problem += linear([*carried[m], *terms]) == 0

    def _capacity(self, p: int, pattern: Pattern, n: pulp.LpVariable) -> dict[int, Pairs]:
        """Loads of the pattern's replicas, limited GPU by GPU; by model."""
        instance, cap = self.instance, self.instance.load_cap
        carried: dict[int, Pairs] = defaultdict(list)
        if instance.models_per_gpu == 1:
            for m, count in pattern.counts().items():
                h = pulp.LpVariable(f"h_{m}_{p}", 0)
                carried[m].append((h, 1.0))
                self.problem += linear([(h, 1.0), (n, -cap * count)]) <= 0
            return carried
        covers: dict[int, list[pulp.LpVariable]] = defaultdict(list)
        for r, (m, start) in enumerate(pattern.content):
            h = pulp.LpVariable(f"h_{r}_{p}", 0)
            carried[m].append((h, 1.0))
            for g in range(start, start + int(instance.gpus_required[m])):
                covers[g].append(h)
        for row in {tuple(v.name for v in held): held for held in covers.values()}.values():
            self.problem += linear([*((h, 1.0) for h in row), (n, -cap)]) <= 0
        return carried

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
            {(w, v): rows[f"demand_{w}_{v}"] for w, v in self._demand_keys()},
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

    def _demand_keys(self) -> list[tuple[int, int]]:
        return [
            (w, v)
            for w in self.instance.active_workflows
            for v in range(len(self.instance.workflows[w].node_model))
        ]
