"""Every content of one server with exclusive GPUs, bounded by arrays: no solver is believed.

For multipliers sigma >= 0 of the load rows (what the nodes of a model take <= its replicas), the
best rates of a content n are worth at most

    sum_m sigma[m] n[m] + sum_w rate_w max over sets A of served nodes of w of
        ( worth of the parts inside A - sum over A of (price + sigma load) ),

for without load rows each node is served at full rate or not at all (Picard 1976). Any sigma is
valid; linear programs only say which are good.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from placement.problem.cluster import FloatArray, IntArray
from placement.support.equality import ByContent
from placement.verify.matrix_program import Clock, Program, Undecided
from placement.verify.scaled_problem import Flow, Scaled
from placement.verify.valid_rows import CountRow, KeptRow, Prices, ServerRow

MOST_CONTENTS = 1_500_000
MOST_NODES = 10
BATCH = 48
"""Contents for which one linear program seeks multipliers."""

SAME_BOUND = 1e-8


@dataclass(frozen=True, eq=False)
class _Table(ByContent):
    """A workflow: which of its nodes each content serves, as bits, shape (R,)."""

    flow: Flow
    column: IntArray
    served: np.ndarray


class Listing:
    """Contents of one server of a type.

    Attributes
    ----------
    models : list of int
        M models that fit.
    counts : int16, shape (R, M)
    """

    def __init__(self, scaled: Scaled, t: int) -> None:
        self.scaled, self.t = scaled, t
        self.speed = scaled.speeds[t]
        self.models = scaled.fitting(t)
        self.counts = _counts([int(scaled.gpus[m]) for m in self.models], scaled.types[t].gpus)
        self._column = {m: i for i, m in enumerate(self.models)}
        company = scaled.instance.company
        if company:
            lists = [{m for m, n in zip(self.models, row, strict=True) if n} for row in self.counts]
            kept = np.array([not company.broken(held) for held in lists], dtype=np.bool_)
            self.counts = self.counts[kept]
        self._tables = [self._table(f) for f in scaled.flows]

    def _table(self, flow: Flow) -> _Table:
        column = np.array([self._column.get(m, -1) for m in flow.models])
        served = np.zeros(len(self.counts), dtype=np.uint16)
        for v, i in enumerate(column.tolist()):
            if i >= 0:
                served |= (self.counts[:, i] > 0).astype(np.uint16) << np.uint16(v)
        return _Table(flow, column, served)

    def maximal(self) -> np.ndarray:
        """Whether no replica can be added, shape (R,)."""
        k = np.array([int(self.scaled.gpus[m]) for m in self.models], dtype=np.int64)
        free = self.scaled.types[self.t].gpus - self.counts.astype(np.int64) @ k
        return np.asarray(free < k.min(initial=1 << 30))

    def features(self, prices: Prices) -> FloatArray:
        """What the priced rows add to the value of each content, shape (R,)."""
        total = np.zeros(len(self.counts))
        for row, mu in prices.rows:
            if not all(m in self._column for m in row.models):
                continue
            columns = [self._column[m] for m in row.models]
            held = self.counts[:, columns]
            if isinstance(row, CountRow):
                price = -mu * row.weight[self.t]
                if row.threshold == 0:
                    total += price * held[:, 0]
                else:
                    total += price * (held >= row.threshold).all(axis=1)
            elif isinstance(row, KeptRow):
                total += mu * row.weight[self.t] * held[:, 0] * (held > 0).all(axis=1)
            else:
                total += mu * row.factor * self.steps(row, held).min(axis=1)
        return total

    def steps(self, row: ServerRow, held: np.ndarray) -> FloatArray:
        """F by each of the row's models, shape (R, models of the row)."""
        most = int(held.max(initial=0))
        table = np.array(
            [[row.step(self.t, i, n) for n in range(most + 1)] for i in range(len(row.models))]
        )
        return np.stack([table[i][held[:, i]] for i in range(held.shape[1])], axis=1)

    def bound(self, prices: Prices, sigma: FloatArray, rows: IntArray | slice) -> FloatArray:
        """Bound on the worth of contents at some prices, but for their features.

        Parameters
        ----------
        prices : Prices
            Worth of a unit of rate, by node and by part kept.
        sigma : float64, shape (M,)
            Multipliers of the load rows of the M models, at least 0; any are valid.
        rows : int64, shape (B,), or slice
            The contents.

        Returns
        -------
        float64, shape (B,)
            Lagrangian bounds: sum of counts times sigma, and each workflow at its best.
        """
        value = np.zeros(len(self.counts[rows]))
        for i in np.flatnonzero(sigma):
            value += self.counts[rows, i] * sigma[i]
        for table in self._tables:
            value += self._best(table, prices, sigma)[table.served[rows]]
        return value

    def _best(self, table: _Table, prices: Prices, sigma: FloatArray) -> FloatArray:
        """Most that a workflow is worth by the set of nodes that can be served, shape (2^V,)."""
        flow, nodes = table.flow, len(table.flow.models)
        sets = np.arange(1 << nodes)
        best = np.zeros(1 << nodes)
        for v, i in enumerate(table.column.tolist()):
            cost = prices.node[flow.w, v]
            if i >= 0:
                cost += sigma[i] * flow.load[v] / float(self.speed[self.models[i]])
            best -= cost * ((sets >> v) & 1)
        for part, (_, together) in flow.parts.items():
            need = sum(1 << v for v in together)
            best += prices.kept[part] * (sets & need == need)
        for v in range(nodes):
            having = sets[(sets >> v) & 1 == 1]
            best[having] = np.maximum(best[having], best[having ^ (1 << v)])
        return best * flow.rate

    def multipliers(self, prices: Prices, rows: IntArray, clock: Clock, solver: str) -> FloatArray:
        """Good multipliers for each of some contents, shape (B, M); NaN where it has no replica.

        Parameters
        ----------
        prices : Prices
            Worth of a unit of rate, by node and by part kept.
        rows : int64, shape (B,)
            The contents, solved in one linear program.
        clock : Clock
            Seconds left.
        solver : str
            As `--solver` has it.

        Raises
        ------
        Undecided
            The time ended, or the solver gave no multipliers.
        """
        program, load_rows = Program(), {}
        for b, counts in enumerate(self.counts[rows].tolist()):
            held = {m: n for m, n in zip(self.models, counts, strict=True) if n}
            for m, r in serve(program, self.scaled, self.t, prices, held).items():
                load_rows[r] = b, self._column[m]
        answer = program.maximise(clock, solver)
        if answer.duals is None:
            raise Undecided(f"{solver} gave no multipliers")
        sigma = np.full((len(rows), len(self.models)), np.nan)
        for r, at in load_rows.items():
            sigma[at] = max(0.0, answer.duals[r])
        return sigma


def serve(
    program: Program, scaled: Scaled, t: int, prices: Prices, held: dict[int, int]
) -> dict[int, int]:
    """Add the rates of one server that holds these replicas; returns the load row of each model.

    Parameters
    ----------
    program : Program
        Takes the columns and rows.
    scaled : Scaled
        The problem in the verifier's units.
    t : int
        Server type.
    prices : Prices
        Worth of a unit of rate, by node and by part kept.
    held : dict
        Replicas of each model on the server.
    """
    speed = scaled.speeds[t]
    work: dict[int, list[tuple[int, float]]] = {}
    for flow in scaled.flows:
        rate: dict[int, int] = {}
        for v, m in enumerate(flow.models):
            if held.get(m):
                rate[v] = program.column(-prices.node[flow.w, v], flow.rate)
                if flow.load[v] > 0:
                    work.setdefault(m, []).append((rate[v], flow.load[v] / float(speed[m])))
        for part, (_, together) in flow.parts.items():
            if prices.kept[part] > 0 and all(v in rate for v in together):
                kept = program.column(prices.kept[part], flow.rate)
                for v in together:
                    program.row([(kept, 1.0), (rate[v], -1.0)], 0.0)
    return {m: program.row(terms, float(held[m])) for m, terms in work.items()}


class Priced:
    """The contents of a listing at some prices, with the best bound on each that is known."""

    def __init__(self, listing: Listing, prices: Prices, clock: Clock, solver: str) -> None:
        self.listing, self.prices, self.clock, self.solver = listing, prices, clock, solver
        self.fixed = listing.features(prices)
        self.sigma = np.zeros(len(listing.models))
        self.good: tuple[FloatArray, ...] = ()
        self.bounds = listing.bound(prices, self.sigma, slice(None)) + self.fixed

    def above(self, level: float, most: int, among: np.ndarray | None = None) -> IntArray | None:
        """Contents whose bound cannot be brought down to `level`; None where more than `most`.

        Parameters
        ----------
        level : float
            Worth of a server.
        most : int
            Contents beyond which it is given up.
        among : bool, shape (R,), optional
            Contents to look at; else all.

        Returns
        -------
        int64 or None
            Rows of the listing.

        Raises
        ------
        Undecided
            The time ended, or the solver gave no multipliers.
        """
        stays: list[int] = []
        rows = np.flatnonzero(self.bounds > level)
        if among is not None:
            rows = rows[among[rows]]
        while len(rows):
            batch = rows[np.argsort(-self.bounds[rows], kind="stable")[:BATCH]]
            self._evaluate(batch)
            stays += batch[self.bounds[batch] > level].tolist()
            if len(stays) > most:
                return None
            rows = self._lower(np.setdiff1d(rows, batch), level)
        return np.array(stays, dtype=np.int64)

    def highest(self) -> float:
        """The largest bound of any content, that of the best one.

        Raises
        ------
        Undecided
        """
        known: set[int] = set()
        best = float("-inf")
        while True:
            top = np.argsort(-self.bounds, kind="stable")[: BATCH + len(known)]
            batch = np.array([r for r in top.tolist() if r not in known][:BATCH], dtype=np.int64)
            if not len(batch) or self.bounds[batch[0]] <= best + SAME_BOUND:
                break
            self._evaluate(batch)
            known |= set(batch.tolist())
            best = max(best, float(self.bounds[batch].max()))
            self._lower(np.flatnonzero(self.bounds > best + SAME_BOUND), best + SAME_BOUND)
        return float(self.bounds.max())

    def _evaluate(self, batch: IntArray) -> None:
        """Bound some contents as well as any multipliers can; learn from these."""
        self.clock.check()
        found = self.listing.multipliers(self.prices, batch, self.clock, self.solver)
        for row, sigma in zip(batch, np.where(np.isnan(found), self.sigma, found), strict=True):
            self._tighten(np.array([row]), sigma)
        best = found[int(np.argmax(self.bounds[batch]))]
        self.sigma = np.nanmean(np.vstack([found, self.sigma]), axis=0)
        self.good = (self.sigma, np.where(np.isnan(best), self.sigma, best))

    def _lower(self, rows: IntArray, level: float) -> IntArray:
        """Bound contents by what was learnt; those left above a level."""
        for sigma in self.good:
            self._tighten(rows, sigma)
            rows = rows[self.bounds[rows] > level]
        return rows

    def _tighten(self, rows: IntArray, sigma: FloatArray) -> None:
        bound = self.listing.bound(self.prices, sigma, rows) + self.fixed[rows]
        self.bounds[rows] = np.minimum(self.bounds[rows], bound)


def listings(scaled: Scaled) -> list[Listing]:
    """Contents of every server type; none where GPUs are shared or there are too many."""
    if not scaled.counts_suffice or max(len(f.models) for f in scaled.flows) > MOST_NODES:
        return []
    kinds = range(len(scaled.types))
    if sum(_ways(scaled, t) for t in kinds) > MOST_CONTENTS:
        return []
    return [Listing(scaled, t) for t in kinds]


def _ways(scaled: Scaled, t: int) -> int:
    ways = [1] + [0] * scaled.types[t].gpus
    for m in scaled.fitting(t):
        k = int(scaled.gpus[m])
        for g in range(k, len(ways)):
            ways[g] += ways[g - k]
    return sum(ways)


def _counts(k: list[int], gpus: int) -> np.ndarray:
    """Count vectors with sum k n <= gpus."""
    rows = np.zeros((1, 0), dtype=np.int16)
    used = np.zeros(1, dtype=np.int64)
    for block in k:
        parts, sums = [], []
        for n in range(gpus // block + 1):
            room = used + n * block <= gpus
            column = np.full((int(room.sum()), 1), n, dtype=np.int16)
            parts.append(np.hstack([rows[room], column]))
            sums.append(used[room] + n * block)
        rows, used = np.concatenate(parts), np.concatenate(sums)
    return rows
