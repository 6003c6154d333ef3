"""What one server can be worth at most at some prices: a small integer program, written anew.

Exclusive GPUs: the numbers of replicas n with sum k n <= G, for blocks on an empty server can be
laid end to end. Shared GPUs: first the numbers alone, with rows on the server in sum that every
real content keeps, so what is proven holds; where that is not enough, the place of each replica.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from placement.problem.blocks import gpu_rooms_gb
from placement.problem.space import largest_room_gb, total_room_gb
from placement.verify.matrix_program import Answer, Clock, Program
from placement.verify.scaled_problem import Scaled
from placement.verify.time_slices import Slices
from placement.verify.valid_rows import CountRow, KeptRow, Prices, ServerRow

TINY = 1e-7
"""Rates below which the row "no rate without a replica" would be lost among tolerances."""

MOST_CUTS = 60
MOST_IN_CUT = 14
BROKEN = 1e-6


class ServerProgram:
    """The program of one server of a type.

    Attributes
    ----------
    count : dict of model to column
    """

    def __init__(self, scaled: Scaled, t: int, prices: Prices, *, placed: bool = False) -> None:
        self.scaled, self.t, self.prices = scaled, t, prices
        self.kind = scaled.types[t]
        self.program = Program()
        self.count: dict[int, int] = {}
        self._held: dict[tuple[int, int], int] = {}
        for m in scaled.fitting(t):
            self.count[m] = self.program.column(0.0, float(scaled.most(t, m)), whole=True)
        self._rates()
        if scaled.counts_suffice:
            gpus = [(n, float(scaled.gpus[m])) for m, n in self.count.items()]
            self.program.row(gpus, float(self.kind.usable_gpus))
        else:
            self._in_sum()
        scaled.keep_company(self.program, t, {m: [(n, 1.0)] for m, n in self.count.items()})
        for row, mu in prices.rows:
            if all(m in self.count for m in row.models):
                self._feature(row, mu)
        if placed:
            self._places()

    def _rates(self) -> None:
        program, scaled, speed = self.program, self.scaled, self.scaled.speeds[self.t]
        self.busy: dict[int, list[tuple[int, float]]] = defaultdict(list)
        for flow in scaled.flows:
            rate: dict[int, int] = {}
            for v, m in enumerate(flow.models):
                if m not in self.count:
                    continue
                a = rate[v] = program.column(-self.prices.node[flow.w, v], flow.rate)
                load = flow.load[v] / float(speed[m])
                if load > 0:
                    self.busy[m].append((a, load))
                if load * flow.rate <= 1 and flow.rate > TINY:
                    program.row([(a, 1.0), (self.count[m], -flow.rate)], 0.0)
            for part, (_, together) in flow.parts.items():
                worth = self.prices.kept[part]
                if worth > 0 and all(v in rate for v in together):
                    kept = program.column(worth, flow.rate)
                    for v in together:
                        program.row([(kept, 1.0), (rate[v], -1.0)], 0.0)
        for m, terms in self.busy.items():
            program.row([*terms, (self.count[m], -1.0)], 0.0)

    def _in_sum(self) -> None:
        """Memory, load and numbers of the server in sum, and models no two of which share a GPU."""
        scaled, kind, program = self.scaled, self.kind, self.program
        limit = largest_room_gb(kind)
        k = {m: float(scaled.gpus[m]) for m in self.count}
        memory = {m: float(scaled.memory[m]) for m in self.count}
        gpus = float(kind.usable_gpus)
        columns = self.count.items()
        program.row(
            [(n, k[m] * memory[m] / limit) for m, n in columns], total_room_gb(kind) / limit
        )
        loads = [(a, k[m] * load) for m, terms in self.busy.items() for a, load in terms]
        program.row(loads, gpus)
        Slices(scaled, self.t).in_sum(program, kind.usable_gpus, self.count, self.busy)
        if scaled.most_on_gpu is not None:
            program.row([(n, k[m]) for m, n in columns], gpus * scaled.most_on_gpu)
        # No more than j blocks of more than 1 / (j + 1) of the memory on a GPU.
        for j in range(1, 7):
            large = [(n, k[m]) for m, n in columns if memory[m] * (j + 1) > limit]
            if large:
                program.row(large, gpus * j)
        cliques: dict[frozenset[int], None] = {}
        for m in self.count:
            clique = {m}
            for o in sorted(self.count, key=lambda o: -memory[o]):
                if o not in clique and all(memory[o] + memory[c] > limit for c in clique):
                    clique.add(o)
            if len(clique) > 1:
                cliques[frozenset(clique)] = None
        for apart in cliques:
            self.cut(dict.fromkeys(sorted(apart), 1.0))

    def cut(self, weight: dict[int, float]) -> None:
        """Add sum weight * GPUs touched <= G.

        n replicas of k GPUs touch at least n + k - 1, and n k where no GPU holds two of them.
        """
        terms: list[tuple[int, float]] = []
        for m, f in weight.items():
            k = float(self.scaled.gpus[m])
            if self._apart(m):
                terms.append((self.count[m], f * k))
                continue
            terms.append((self.count[m], f))
            if k > 1:
                terms.append((self._at_least(m, 1), f * (k - 1)))
        self.program.row(terms, float(self.kind.usable_gpus))

    def _apart(self, m: int) -> bool:
        """Whether two replicas of a model never share a GPU."""
        most = self.scaled.most_on_gpu
        return bool(2 * self.scaled.memory[m] > largest_room_gb(self.kind) or most == 1)

    def _at_least(self, m: int, j: int) -> int:
        """Column that is 1 where the server has at least j replicas of m, else 0."""
        if (m, j) not in self._held:
            most = self.scaled.most(self.t, m)
            y = self._held[m, j] = self.program.column(0.0, 1.0 if j <= most else 0.0, whole=True)
            self.program.row([(y, float(j)), (self.count[m], -1.0)], 0.0)
            self.program.row([(self.count[m], 1.0), (y, j - 1.0 - most)], j - 1.0)
        return self._held[m, j]

    def _feature(self, row: CountRow | KeptRow | ServerRow, mu: float) -> None:
        program = self.program
        if isinstance(row, CountRow):
            price = -mu * row.weight[self.t]
            if row.threshold == 0:
                program.cost[self.count[row.models[0]]] += price
                return
            held = [self._at_least(m, row.threshold) for m in row.models]
            both = program.column(price, 1.0)
            for y in held:
                program.row([(both, 1.0), (y, -1.0)], 0.0)
            program.row([(both, -1.0), *((y, 1.0) for y in held)], len(held) - 1.0)
        elif isinstance(row, KeptRow):
            # It only rewards what is counted, so a column that is at most that will do.
            first, *others = row.models
            most = float(self.scaled.most(self.t, first))
            beside = program.column(mu * row.weight[self.t], most)
            program.row([(beside, 1.0), (self.count[first], -1.0)], 0.0)
            for m in others:
                program.row([(beside, 1.0), (self._at_least(m, 1), -most)], 0.0)
        else:
            able = program.column(mu * row.factor)
            for i, m in enumerate(row.models):
                most_m = self.scaled.most(self.t, m)
                steps = [row.step(self.t, i, n) for n in range(most_m + 1)]
                rises = [
                    (self._at_least(m, n), steps[n - 1] - steps[n])
                    for n in range(1, most_m + 1)
                    if steps[n] > steps[n - 1]
                ]
                program.row([(able, 1.0), *rises], 0.0)

    def _places(self) -> None:
        """Every replica on its block, memory and load GPU by GPU."""
        scaled, program, kind = self.scaled, self.program, self.kind
        pinned = scaled.pinned(self.t)
        memory: dict[int, list[tuple[int, float]]] = defaultdict(list)
        load: dict[int, list[tuple[int, float]]] = defaultdict(list)
        standing: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        at: dict[tuple[int, int], int] = {}
        slices = Slices(scaled, self.t)
        for m, n in self.count.items():
            k = int(scaled.gpus[m])
            places, carried = [], []
            for i in scaled.starts(self.t, m):
                x = program.column(0.0, 1.0, whole=True, low=float((m, i) in pinned))
                places.append((x, 1.0))
                at[m, i] = x
                z = slices.carrier(program, m, x)
                for g in range(i, i + k):
                    memory[g].append((x, float(scaled.memory[m])))
                    standing[g][m].append(z)
                if m in self.busy:
                    h = program.column(0.0, 1.0)
                    program.row([(h, 1.0), (z, -1.0)], 0.0)
                    carried.append((h, -scaled.pace(self.t, m, i)))
                    for g in range(i, i + k):
                        load[g].append((h, 1.0))
            program.row([*places, (n, -1.0)], 0.0, low=0.0)
            if m in self.busy:
                program.row([*self.busy[m], *carried], 0.0, low=0.0)
        scaled.on_bases(program, at)
        rooms = gpu_rooms_gb(kind)
        for g, terms in memory.items():
            program.row([(x, need / rooms[g]) for x, need in terms], 1.0)
            if scaled.most_on_gpu is not None:
                program.row([(x, 1.0) for x, _ in terms], float(scaled.most_on_gpu))
            if g in load:
                program.row([*load[g], *slices.gpu(program, standing[g])], 1.0)

    def broken_cut(self, answer: Answer, clock: Clock, solver: str) -> dict[int, float] | None:
        """Weights f with sum f <= 1 over every set that shares a GPU, that the numbers break.

        They are the dual solutions of the cutting-stock program (Gilmore and Gomory 1961).

        Parameters
        ----------
        answer : Answer
            With the point at which the program stands.
        clock : Clock
            Seconds left.
        solver : str
            As `--solver` has it.

        Returns
        -------
        dict or None
            Weight of each model, scaled so that no set that shares a GPU weighs more than 1.
        """
        if answer.point is None:
            return None
        scaled, memory = self.scaled, self.scaled.memory
        touched = {
            m: n * k if self._apart(m) else n + k - 1
            for m, c in self.count.items()
            if (k := float(scaled.gpus[m])) and (n := round(float(answer.point[c]))) > 0
        }
        if not touched:
            return None
        models = sorted(touched, key=lambda m: -touched[m] * memory[m])[:MOST_IN_CUT]
        program = Program()
        weight = {m: program.column(touched[m], 1.0) for m in models}
        sharing = self._sharing(models)
        for together in sharing:
            program.row([(weight[m], 1.0) for m in together], 1.0)
        found = program.maximise(clock, solver)
        if found.end != "optimal" or found.point is None:
            return None
        point = {m: max(0.0, round(float(found.point[c]), 9)) for m, c in weight.items()}
        # Weights a hair too heavy would cut off real contents.
        heaviest = max(1.0, max(sum(point[m] for m in together) for together in sharing))
        point = {m: f / heaviest for m, f in point.items() if f > BROKEN}
        over = sum(f * touched[m] for m, f in point.items())
        return point if over > self.kind.usable_gpus * (1 + BROKEN) else None

    def _sharing(self, models: list[int]) -> list[tuple[int, ...]]:
        """The largest sets of some models that fit on one GPU."""
        limit = largest_room_gb(self.kind)
        sets = np.arange(1 << len(models))
        held = (sets[:, None] >> np.arange(len(models))) & 1
        fits = held @ self.scaled.memory[models] <= limit
        if self.scaled.most_on_gpu is not None:
            fits &= held.sum(axis=1) <= self.scaled.most_on_gpu
        largest = fits.copy()
        for i in range(len(models)):
            without = sets[held[:, i] == 0]
            largest[without] &= ~fits[without | 1 << i]
        return [
            tuple(m for m, there in zip(models, held[q], strict=True) if there)
            for q in np.flatnonzero(largest)
        ]


def highest_worth(
    scaled: Scaled, t: int, prices: Prices, enough: float, clock: Clock, solver: str
) -> float:
    """Bound on what a server of a type is worth; sought no lower than `enough`.

    Parameters
    ----------
    scaled : Scaled
        The problem in the verifier's units.
    t : int
        Server type.
    prices : Prices
        Worth of a unit of rate, by node and by part kept, and of replicas by the priced rows.
    enough : float
        Worth below which the bound need not be brought.
    clock : Clock
        Seconds left.
    solver : str
        As `--solver` has it.

    Raises
    ------
    Undecided
        The time ended, or the solver gave no answer.
    """
    program = ServerProgram(scaled, t, prices)
    best = float("inf")
    for _ in range(1 if scaled.counts_suffice else MOST_CUTS):
        answer = program.program.maximise(clock, solver, enough=enough)
        best = min(best, answer.bound)
        if best <= enough or scaled.counts_suffice:
            return best
        cut = program.broken_cut(answer, clock, solver)
        if cut is None:
            break
        program.cut(cut)
    placed = ServerProgram(scaled, t, prices, placed=True)
    answer = placed.program.maximise(clock, solver, enough=enough)
    return min(best, answer.bound)
