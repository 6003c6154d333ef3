"""Column generation over columns of fixed rates: thin masters, and contents by annealing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from placement.params.column_params import ColumnParams
from placement.patterns.columns.column_master import ColumnMaster
from placement.patterns.columns.content_pool import Column, ContentPool, bonus_of, column_of
from placement.patterns.columns.flat_problem import FlatFlows, flat_flows
from placement.patterns.master_rows import Row
from placement.patterns.pattern import Pattern, canonical
from placement.problem.cluster import FloatArray
from placement.problem.instance import Instance
from placement.problem.solution import Solution
from placement.solver.budget import Budget, tick
from placement.support.equality import ByContent

WORTHWHILE = 1e-7
"""Reduced cost, in the program's objective, above which a column is worth adding."""


@dataclass(frozen=True, eq=False)
class Point(ByContent):
    """Multipliers of the demand rows, shape (N,), and of the rows on replicas."""

    demand: FloatArray
    counts: FloatArray

    def mix(self, other: Point, weight: float) -> Point:
        """`weight` of these and the rest of the others."""
        rest = 1 - weight
        return Point(
            weight * self.demand + rest * other.demand, weight * self.counts + rest * other.counts
        )

    def widened(self, more: int, at: int | None = None) -> Point:
        """With so many more rows on replicas, of no worth, at the end or after so many rows."""
        where = len(self.counts) if at is None else at
        return Point(self.demand, np.insert(self.counts, where, np.zeros(more)))


def nothing(_: Pattern) -> bool:
    """Bar no content."""
    return False


@dataclass
class Generation:
    """The master, the contents that were met, and where the search for more stands.

    Changed in place, by one thread: its master is kept warm in the solver.

    Attributes
    ----------
    least : float
        Least value of the relaxation that annealing believes in: no bound, but it tells good duals
        from bad ones.
    centre : Point or None
        Those of `least`.
    learnt : int
        Columns of another that are known already.
    barred : callable
        Says which contents a dive has no use for any more.
    """

    instance: Instance
    flows: FlatFlows
    master: ColumnMaster
    pools: list[ContentPool]
    params: ColumnParams
    seed: int = 0
    rounds: int = 0
    raises: int = 0
    least: float = np.inf
    centre: Point | None = None
    learnt: int = 0
    barred: Callable[[Pattern], bool] = nothing

    def run(self, budget: Budget, *, rounds: int | None = None, levels: int | None = None) -> bool:
        """Solve and price in turn; True where the deepest level finds nothing more.

        Parameters
        ----------
        rounds : int, optional
            Most rounds.
        levels : int, optional
            Levels of annealing that are tried; all by default.
        """
        done = 0
        while rounds is None or done < rounds:
            tick()
            if not self.master.solve(budget):
                return False
            done += 1
            if not self._round(levels or len(self.params.moves)):
                served = self.master.missed <= WORTHWHILE or self.master.restricted
                if served or self.raises >= self.params.raises:
                    return True
                self.raises += 1
                self.master.raise_price(self.params.dearer)
        self.master.solve(budget)
        return False

    def _round(self, levels: int) -> int:
        """Price at the duals of the last solve; columns added."""
        self.rounds += 1
        if self.least < self.master.locality:
            # What annealing believed in was too low, so its centre is none.
            self.least, self.centre = np.inf, None
        exact = Point(self.master.demand, self.master.counts)
        for level in range(levels):
            for weight in (0.0,) if self.centre is None else (self.params.smoothing, 0.0):
                at = exact if self.centre is None else self.centre.mix(exact, weight)
                columns, best = self._price(at, exact, level)
                value = self.believed(at, best)
                if value < self.least and not self.master.restricted:
                    self.least, self.centre = value, at
                added = self.master.add(columns)
                if added:
                    return added
        return 0

    def believed(self, at: Point, best: Sequence[float]) -> float:
        """Locality of the Lagrangian relaxation, if no server is worth more than the best found."""
        total = float(at.demand @ self.flows.rate[self.flows.node_flow])
        limits = (row.limit for row in self.master.rows)
        total += sum(mu * limit for mu, limit in zip(at.counts.tolist(), limits, strict=True))
        types = self.instance.cluster.server_types
        total += sum(t.count * max(0.0, b) for t, b in zip(types, best, strict=True))
        return float(total / self.instance.cluster.n_servers + self.instance.locality_constant)

    def _price(self, at: Point, exact: Point, level: int) -> tuple[list[Column], list[float]]:
        """Columns of positive reduced cost, and the most that a server of each type is worth."""
        params, rows = self.params, self.master.rows
        columns: list[Column] = []
        best: list[float] = []
        for t, pool in enumerate(self.pools):
            if not pool.anchors:  # no model fits on a server of the type
                best.append(0.0)
                continue
            cost = float(self.master.servers[t])
            bonus = bonus_of(self.instance, rows, exact.counts, t)
            pool.price(at.demand, bonus_of(self.instance, rows, at.counts, t), params.near * cost)
            most = max(params.most_columns, params.seeds[level])
            known = np.argsort(-pool.values, kind="stable").tolist()
            order = list(islice((i for i in known if not self.barred(pool.patterns[i])), most))
            share = max(1, round(len(pool.anchors) * params.anchored[level]))
            turn = [
                pool.anchors[(self.rounds * share + i) % len(pool.anchors)] for i in range(share)
            ]
            seeds = order[: params.seeds[level]]
            scale = max(cost, WORTHWHILE)
            worth = {pool.patterns[i]: float(pool.values[i]) for i in order[: params.most_columns]}
            worth |= pool.anneal(
                seeds,
                turn,
                params.moves[level],
                (params.hot * scale, params.cold * scale),
                self.seed + self.rounds,
            )
            best.append(max(worth.values(), default=0.0))
            open_ = [p for p in worth if not self.barred(p)]
            ranked = sorted(open_, key=lambda p: (-worth[p], p.content))[: params.most_columns]
            held = [p for p in self.master.fixed if p.kind == t and p not in set(ranked)]
            for pattern in (*ranked, *held):
                column = pool.column(pattern)
                gain = pool.reduced(column, exact.demand, bonus) - cost
                if gain + self.master.holding(pattern) > WORTHWHILE:
                    columns.append(column)
        return columns, best

    def add_rows(self, rows: Sequence[Row]) -> None:
        """Take more rows on numbers of replicas that every plan keeps."""
        if rows:
            at = len(self.master.shared)
            self.centre = self.centre and self.centre.widened(len(rows), at)
            self.master.add_rows(rows)

    def bar(self, barred: Callable[[Pattern], bool]) -> None:
        """Have no server more hold some contents, and look for none."""
        self.barred = barred
        self.master.bar(barred)

    def release(self) -> None:
        """Fix nothing any more, and bar nothing."""
        self.barred = nothing
        self.master.release()

    def learn(self, other: Generation) -> None:
        """Take the rows, columns, prices and centre of another over the same instance."""
        self.add_rows(other.master.shared[len(self.master.shared) :])
        columns = [c for c in other.master.columns[self.learnt :] if c is not None]
        self.learnt = len(other.master.columns)
        for column in columns:
            self.pools[column.pattern.kind].add(column.pattern)
        self.master.add(columns)
        if other.master.price > self.master.price:
            self.master.raise_price(other.master.price / self.master.price)
        self.raises = max(self.raises, other.raises)
        if other.least < self.least:
            more = len(self.master.rows) - len(other.master.rows)
            self.least = other.least
            self.centre = other.centre and other.centre.widened(more)

    def column(self, pattern: Pattern) -> Column:
        """Give a content its best rates at the duals of the last solve."""
        pool = self.pools[pattern.kind]
        bonus = bonus_of(self.instance, self.master.rows, self.master.counts, pattern.kind)
        pool.price(self.master.demand, bonus, np.inf)
        return pool.column(pattern)

    def reduced_cost(self, column: Column) -> float:
        """What one server more of a column is worth at the duals of the last solve."""
        kind = column.pattern.kind
        bonus = bonus_of(self.instance, self.master.rows, self.master.counts, kind)
        value = self.pools[kind].reduced(column, self.master.demand, bonus)
        return value - float(self.master.servers[kind])


def begin(
    instance: Instance,
    rows: Sequence[Row],
    patterns: Iterable[Pattern],
    params: ColumnParams,
    seed: int,
    *,
    dives: bool = False,
) -> Generation:
    """An empty master, and pools with some contents.

    Parameters
    ----------
    instance : Instance
        Normalized.
    rows : sequence of Row
        Rows on replica counts.
    patterns : iterable of Pattern
        Contents that are known.
    params : ColumnParams
        What steers it.
    seed : int
        Of all annealing.
    dives : bool
        Whether dives start from it.
    """
    flows = flat_flows(instance)
    master = ColumnMaster(instance, flows, rows, params.price, dives=dives)
    kinds = range(len(instance.cluster.server_types))
    gen = Generation(
        instance, flows, master, [ContentPool(instance, t, flows) for t in kinds], params, seed
    )
    for pattern in patterns:
        gen.pools[pattern.kind].add(pattern)
    return gen


def columns_of(gen: Generation, solution: Solution) -> list[Column]:
    """Each server of a solution of the normalized instance, with its rates, as a column.

    Its contents go to the pools.
    """
    instance, flows, placement = gen.instance, gen.flows, solution.placement
    place = np.zeros(len(instance.workflows), dtype=np.int64)
    place[list(instance.active_workflows)] = flows.node_ptr[:-1]
    node = place[solution.flows.workflow] + solution.flows.node
    found = []
    for s in np.unique(placement.server).tolist():
        here, mine = placement.server == s, solution.flows.server == s
        content = list(
            zip(placement.model[here].tolist(), placement.start[here].tolist(), strict=True)
        )
        rates = np.zeros(len(flows.node_model))
        np.add.at(rates, node[mine], solution.flows.rate[mine])
        pattern = canonical(instance, int(instance.cluster.server_type[s]), content)
        gen.pools[pattern.kind].add(pattern)
        found.append(column_of(flows, pattern, rates))
    return found
