"""The thin master: columns of fixed rates, one row a node, kept warm between rounds.

    max  sum worth_j x_j - penalties
         sum_j a_j[w,v] x_j = lambda_w           for every node
         sum_j x_j <= count_t                     for every server type
         rows on replica counts (`Row`)
         sum_{j with content p} x_j >= n_p        for the contents that a dive has fixed

Demand may be missed or exceeded, and counts may be missed, at prices in proportion to what they
take of a server: they keep the duals near those that count from the first round on (du Merle et
al., Stabilized column generation, Discrete Mathematics 194, 1999).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from placement.patterns.columns.content_pool import Column
from placement.patterns.columns.flat_problem import FlatFlows
from placement.patterns.duals import Duals
from placement.patterns.master_rows import CountRow, Row
from placement.patterns.pattern import Pattern
from placement.problem.cluster import FloatArray
from placement.problem.instance import Instance
from placement.solver.budget import Budget
from placement.solver.warm_program import WarmProgram

MISSED = 1e-6
"""Part of a row's right-hand side below which it counts as kept."""


class ColumnMaster:
    """The program over columns of fixed rates of a normalized instance.

    Parameters
    ----------
    instance : Instance
        Normalized.
    rows : sequence of Row
        On numbers of replicas.
    price : float
        What a server's worth of demand costs that is missed, in the program's objective.
    dives : bool
        Whether numbers of replicas by server type may be required, each by a row of its own.

    Attributes
    ----------
    shared : tuple of Row
        On numbers of replicas, but for those that dives require.
    """

    def __init__(
        self,
        instance: Instance,
        flows: FlatFlows,
        rows: Sequence[Row],
        price: float,
        *,
        dives: bool = False,
    ) -> None:
        types = instance.cluster.server_types
        kinds = range(len(types))
        self._each = [(m, t) for m in instance.used_models for t in kinds] if dives else []
        self._require = tuple(
            CountRow((m,), 0, tuple(float(t == k) for k in kinds), least=0.0) for m, t in self._each
        )
        self.instance, self.flows, self.shared = instance, flows, tuple(rows)
        self._nodes, self._types = len(flows.node_model), len(types)
        first = self._nodes + self._types
        demand = flows.rate[flows.node_flow]
        infinite = np.inf
        lower, upper = [demand, np.full(self._types, -infinite)], [demand]
        upper.append(np.array([float(t.count) for t in types]))
        lower.append(np.array([r.limit if r.at_least else -infinite for r in self.rows]))
        upper.append(np.array([infinite if r.at_least else r.limit for r in self.rows]))
        # Of `rows`, where they stand in the program.
        self._at = list(range(first, first + len(self.rows)))
        self.program = WarmProgram(np.concatenate(lower), np.concatenate(upper))
        self.columns: list[Column | None] = []
        self._known: set[tuple[Pattern, bytes, bytes]] = set()
        self._of: dict[Pattern, list[int]] = defaultdict(list)
        self.fixed: dict[Pattern, int] = {}
        self.required: dict[tuple[int, int], int] = {}
        self._fixing: dict[Pattern, int] = {}
        self._shut: set[Pattern] = set()
        gpus = max(t.gpus for t in types)
        fastest = max(t.speed for t in types)
        k = flows.gpus_required
        self._gpus = gpus
        takes = flows.node_work * k[flows.node_model] / (instance.load_cap * gpus * fastest)
        flow_of_part = np.repeat(np.arange(len(flows.rate)), np.diff(flows.part_ptr))
        whole = np.bincount(flow_of_part, flows.part_worth, len(flows.rate)).astype(np.float64)
        self._plain = whole[flows.node_flow]
        self._scaled = takes
        short = [(np.array([r]), np.ones(1)) for r in range(self._nodes)]
        self.price = price
        self._short = np.array(self.program.add_columns(-self._penalty(), short))
        self.columns += [None] * len(short)
        over = [(np.array([r]), -np.ones(1)) for r in range(self._nodes)]
        self.penalties = [*self._short, *self.program.add_columns(-whole[flows.node_flow], over)]
        self.columns += [None] * len(over)
        self._allow_short(self.rows, self._at)

    def _penalty(self) -> FloatArray:
        return self._plain + self.price * self._scaled

    def _allow_short(self, rows: Sequence[Row], at: Sequence[int]) -> None:
        """Have rows on numbers of replicas be missed, at a price."""
        if not rows:
            return
        k = self.flows.gpus_required
        scaled = np.array([float(k[row.models[0]]) / self._gpus for row in rows])
        short = [
            (np.array([r]), np.array([1.0 if row.at_least else -1.0]))
            for r, row in zip(at, rows, strict=True)
        ]
        numbers = self.program.add_columns(-self.price * scaled, short)
        self._short = np.concatenate([self._short, numbers])
        self._plain = np.concatenate([self._plain, np.zeros(len(rows))])
        self._scaled = np.concatenate([self._scaled, scaled])
        self.columns += [None] * len(rows)
        self.penalties += numbers

    @property
    def rows(self) -> tuple[Row, ...]:
        """Those on numbers of replicas: `shared` with others, and what a dive requires."""
        return (*self.shared, *self._require)

    def add_rows(self, rows: Sequence[Row]) -> None:
        """Take more rows that every plan keeps, after those that are shared by now.

        Parameters
        ----------
        rows : sequence of Row
            At least so much, on numbers of replicas.
        """
        at = []
        for row in rows:
            terms = [
                (number, c)
                for pattern, numbers in self._of.items()
                if row.models[0] in pattern.models and (c := row.coefficient(pattern))
                for number in numbers
            ]
            columns, values = zip(*terms, strict=True) if terms else ((), ())
            at.append(
                self.program.add_row(
                    row.limit, np.array(columns, dtype=np.int64), np.array(values, dtype=np.float64)
                )
            )
        self._at[len(self.shared) : len(self.shared)] = at
        self.shared = (*self.shared, *rows)
        self._allow_short(rows, at)

    def raise_price(self, factor: float) -> None:
        """Have what is missed cost more."""
        self.price *= factor
        self.program.change_costs(self._short, -self._penalty())

    def add(self, columns: Iterable[Column]) -> int:
        """Take columns; how many of them were new."""
        new: list[Column] = []
        for column in columns:
            key = column.pattern, column.node.tobytes(), np.round(column.rate, 9).tobytes()
            if key not in self._known:
                self._known.add(key)
                new.append(column)
        if not new:
            return 0
        terms = []
        of_model: dict[int, list[tuple[int, Row]]] = defaultdict(list)
        for at, row in zip(self._at, self.rows, strict=True):
            of_model[row.models[0]].append((at, row))
        for column in new:
            kind = column.pattern.kind
            rows = [*column.node.tolist(), self._nodes + kind]
            values = [*column.rate.tolist(), 1.0]
            for m in column.pattern.models:
                for at, row in of_model[m]:
                    c = row.coefficient(column.pattern)
                    if c:
                        rows.append(at)
                        values.append(c)
            if column.pattern in self._fixing:
                rows.append(self._fixing[column.pattern])
                values.append(1.0)
            terms.append((np.array(rows), np.array(values)))
        numbers = self.program.add_columns(np.array([c.worth for c in new]), terms)
        for number, column in zip(numbers, new, strict=True):
            self.columns.append(column)
            self._of[column.pattern].append(number)
        return len(new)

    def fix(self, pattern: Pattern, n: int) -> None:
        """Have at least so many servers hold a content, whatever their rates."""
        self.fixed[pattern] = n
        if pattern in self._fixing:
            self.program.limit_row(self._fixing[pattern], float(n))
        else:
            mine = np.array(self._of[pattern])
            self._fixing[pattern] = self.program.add_row(float(n), mine, np.ones(len(mine)))

    def require(self, counts: Mapping[tuple[int, int], int]) -> None:
        """Have at least so many replicas of each model on each server type, in a master for dives.

        Parameters
        ----------
        counts : mapping of (int, int) to int
            By model and type.
        """
        self.required = dict(counts)
        for row, key in zip(self._at[len(self.shared) :], self._each, strict=True):
            self.program.limit_row(row, float(counts.get(key, 0)))

    @property
    def required_slopes(self) -> dict[tuple[int, int], float]:
        """What one more replica required of each model on each type would change, at most 0."""
        duals = self.program.duals[self._at[len(self.shared) :]]
        return {key: min(float(mu), 0.0) for key, mu in zip(self._each, duals, strict=True)}

    @property
    def restricted(self) -> bool:
        """Whether it is a part of the relaxation only."""
        return bool(self.fixed or self.required)

    def release(self) -> None:
        """Fix nothing any more."""
        for pattern in self.fixed:
            self.program.limit_row(self._fixing[pattern], 0.0)
        self.fixed = {}
        self.require({})
        self.bar(lambda _: False)

    def bar(self, barred: Callable[[Pattern], bool]) -> None:
        """Allow no server more of some contents; those that are fixed stay.

        Parameters
        ----------
        barred : callable
            Says it of a content that is known.
        """
        shut = {pattern for pattern in self._of if barred(pattern)}
        if not shut and not self._shut:
            return
        self._shut = shut
        closed = [
            c is not None and c.pattern in shut and c.pattern not in self.fixed
            for c in self.columns
        ]
        self.program.limit_columns(np.where(closed, 0.0, np.inf))
        for pattern, n in self.fixed.items():
            most = float(n) if pattern in shut else np.inf
            self.program.limit_row(self._fixing[pattern], float(n), most)

    def solve(self, budget: Budget) -> bool:
        """Solve; False where the time ended before."""
        return self.program.solve(budget)

    @property
    def locality(self) -> float:
        """Of the last solve; what is missed counts against it."""
        value = self.program.value / self.instance.cluster.n_servers
        return value + self.instance.locality_constant

    @property
    def missed(self) -> float:
        """How much of its rows the last solve misses."""
        return float(np.abs(self.program.point[self.penalties]).sum())

    @property
    def demand(self) -> FloatArray:
        """Multipliers of the demand rows, shape (N,)."""
        return self.program.duals[: self._nodes]

    @property
    def servers(self) -> FloatArray:
        """Multipliers of the server types, shape (T,)."""
        return self.program.duals[self._nodes : self._nodes + self._types]

    @property
    def counts(self) -> FloatArray:
        """Multipliers of the rows on numbers of replicas, each of the right sign."""
        duals = self.program.duals[self._at]
        return np.array([r.signed(mu) for r, mu in zip(self.rows, duals, strict=True)])

    def holding(self, pattern: Pattern) -> float:
        """Multiplier of a content that is fixed."""
        row = self._fixing.get(pattern)
        return 0.0 if row is None else float(self.program.duals[row])

    def promising(self, count: int) -> list[Pattern]:
        """Contents of least reduced cost at the last solve, the best first."""
        best: dict[Pattern, float] = {}
        for number, column in enumerate(self.columns):
            # What came after the last solve has no reduced cost yet.
            known = number < len(self.program.reduced)
            if column is not None and known and column.pattern not in self._shut:
                worth = float(self.program.reduced[number])
                best[column.pattern] = max(worth, best.get(column.pattern, -np.inf))
        return sorted(best, key=lambda p: (-best[p], p.kind, p.content))[:count]

    def used(self) -> dict[Pattern, float]:
        """Servers of each content in use."""
        found: dict[Pattern, float] = defaultdict(float)
        for number in np.flatnonzero(self.program.point > MISSED).tolist():
            column = self.columns[number]
            if column is not None:
                found[column.pattern] += float(self.program.point[number])
        return dict(found)


def duals_of(instance: Instance, flows: FlatFlows, demand: FloatArray, counts: FloatArray) -> Duals:
    """The multipliers as every other part of the search has them.

    Parameters
    ----------
    instance : Instance
        Normalized.
    flows : FlatFlows
        Its workflows, in whose order the multipliers are.
    demand : float64, shape (N,)
        Of the nodes' demand.
    counts : float64
        Of the rows on numbers of replicas.
    """
    by_node: dict[tuple[int, int], float] = {}
    for i, w in enumerate(instance.active_workflows):
        for v in range(int(flows.node_ptr[i + 1] - flows.node_ptr[i])):
            by_node[w, v] = float(demand[flows.node_ptr[i] + v])
    return Duals(by_node, tuple(counts.tolist()))
