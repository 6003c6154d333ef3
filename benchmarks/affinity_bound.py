"""Service affinity: a master over contents of one machine, and the bound that its prices prove.

For prices pi >= 0 of containers no placement gains more than

    sum_s pi_s d_s + sum_k max (affinity of what stands on k - sum_s pi_s x_s),

each maximum taken as the bound of a program that prices one machine.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pulp

from benchmarks.affinity_search import Problem, price
from placement.problem.cluster import FloatArray, IntArray
from placement.solver.beside import both
from placement.solver.budget import Budget
from placement.solver.milp import Manner, SolverSettings, Stop, linear, solve_program
from placement.solver.warm_program import WarmProgram

WORTHWHILE = 1e-7
LATEST = 1_000
"""Contents of a size of machine that annealing may begin from: the last ones met."""

STARTS = 6
"""Of those, the best at the prices."""

PROMISING = 1_200
"""Contents of least reduced cost that the integer program chooses from."""


class Pricing:
    """The content of a machine of one size that is worth most at given prices, exactly."""

    def __init__(self, problem: Problem, size: FloatArray) -> None:
        s = problem.services
        self.program = pulp.LpProblem("pricing", pulp.LpMaximize)
        room = [
            int(min(d, size[0] // c, size[1] // m))
            for d, c, m in zip(s.containers, s.cpu, s.memory, strict=True)
        ]
        self.held = [pulp.LpVariable(f"x{i}", 0, n, pulp.LpInteger) for i, n in enumerate(room)]
        for limit, each in zip(size, (s.cpu, s.memory), strict=True):
            scaled = each / limit
            self.program += linear(list(zip(self.held, scaled.tolist(), strict=True))) <= 1
        self.worth = []
        for i in range(len(room)):
            for e in range(int(s.ptr[i]), int(s.ptr[i + 1])):
                j = int(s.other[e])
                if i < j and room[i] and room[j]:
                    kept = pulp.LpVariable(f"k{e}", 0, 1)
                    for end in (i, j):
                        self.program += (
                            linear([(kept, float(s.containers[end])), (self.held[end], -1.0)]) <= 0
                        )
                    self.worth.append((kept, float(s.traffic[e])))

    def solve(self, prices: FloatArray, scale: float, gap: float) -> tuple[IntArray, float]:
        """The best content, and a proven bound on the worth of any.

        Parameters
        ----------
        prices : float64, shape (S,)
            Of a container.
        scale : float
            Unit of the objective: solvers drop what is small.
        gap : float
            Absolute gap that is close enough.
        """
        paid = zip(self.held, (-prices / scale).tolist(), strict=True)
        self.program.setObjective(
            linear([*((v, w / scale) for v, w in self.worth), *((v, p) for v, p in paid)])
        )
        outcome = solve_program(
            self.program,
            SolverSettings(threads=1),
            stop=Stop(gap=0.0, abs_gap=gap / scale),
            manner=Manner(light=True),
        )
        content = np.array([round(v.varValue or 0.0) for v in self.held], dtype=np.int64)
        return content, max(0.0, outcome.best_bound * scale)


class Relaxation:
    """The master over contents of one machine, and the best bound that prices have proven."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.sizes, self.counts = problem.sizes()
        self.demand = problem.services.containers.astype(np.float64)
        upper = np.concatenate([self.demand, self.counts.astype(np.float64)])
        self.program = WarmProgram(np.full(len(upper), -np.inf), upper)
        self.pricings = [Pricing(problem, size) for size in self.sizes]
        self.contents: list[list[IntArray]] = [[] for _ in self.sizes]
        self.affinity: list[list[float]] = [[] for _ in self.sizes]
        self.columns: list[tuple[int, IntArray]] = []
        self.known: set[tuple[int, bytes]] = set()
        self.bound, self.best = np.inf, np.zeros(len(self.demand))

    def add(self, size: int, contents: Sequence[IntArray]) -> int:
        """Take contents of a size of machine; how many of them were new."""
        new = []
        for content in contents:
            key = size, content.tobytes()
            if key not in self.known and content.any():
                self.known.add(key)
                new.append(content)
        if new:
            worth = [self.problem.gained(content[None, :]) for content in new]
            terms = []
            for content in new:
                rows = np.flatnonzero(content)
                terms.append(
                    (
                        np.append(rows, len(self.demand) + size),
                        np.append(content[rows].astype(np.float64), 1.0),
                    )
                )
            self.program.add_columns(np.array(worth), terms)
            self.contents[size] += new
            self.affinity[size] += worth
            self.columns += [(size, content) for content in new]
        return len(new)

    def run(self, rounds: int, moves: int = 4_000) -> None:
        """Price by annealing until that finds nothing, then exactly, so many rounds."""
        exact = 0
        while exact < rounds:
            self.program.solve(Budget())
            prices = np.maximum(0.0, self.program.duals[: len(self.demand)])
            cost = self.program.duals[len(self.demand) :]
            if sum(self._annealed(z, prices, float(cost[z]), moves) for z in range(len(cost))):
                continue
            exact += 1
            for weight in (0.5, 0.0) if np.isfinite(self.bound) else (0.0,):
                if self._exact(weight * self.best + (1 - weight) * prices, prices, cost):
                    break
            else:
                return

    def _annealed(self, size: int, prices: FloatArray, cost: float, moves: int) -> int:
        s, room = self.problem.services, self.sizes[size]
        starts = [np.zeros(len(self.demand), dtype=np.int64)]
        if self.contents[size]:
            held = np.array(self.contents[size][-LATEST:])
            worth = np.array(self.affinity[size][-LATEST:]) - held @ prices
            starts += list(held[np.argsort(-worth, kind="stable")[:STARTS]])
        found = []
        for number, start in enumerate(starts):
            seed = 7919 * len(self.known) + number
            scale = max(cost, 1e-5)
            content, more = price(
                s, start, prices, room[0], room[1], moves, 0.2 * scale, 1e-3 * scale, seed
            )
            if self._worth(start, prices) + more > cost + WORTHWHILE:
                found.append(content)
        return self.add(size, found)

    def plan(self, nodes: int) -> IntArray:
        """Whole machines of the most promising contents; what is left over has no place yet."""
        self.program.solve(Budget())
        problem = pulp.LpProblem("plan", pulp.LpMaximize)
        best = np.argsort(-self.program.reduced, kind="stable")[:PROMISING].tolist()
        used = [pulp.LpVariable(f"n{c}", 0, None, pulp.LpInteger) for c in best]
        worth, terms = [], [[] for _ in range(len(self.demand) + len(self.counts))]  # type: ignore[var-annotated]
        position = [0] * len(self.counts)
        affinity = []
        for z, _ in self.columns:
            affinity.append(self.affinity[z][position[z]])
            position[z] += 1
        for variable, c in zip(used, best, strict=True):
            z, content = self.columns[c]
            worth.append((variable, affinity[c]))
            terms[len(self.demand) + z].append((variable, 1.0))
            for i in np.flatnonzero(content).tolist():
                terms[i].append((variable, float(content[i])))
        problem.setObjective(linear(worth))
        for row, limit in zip(terms, [*self.demand, *self.counts], strict=True):
            problem += linear(row) <= float(limit)
        solve_program(problem, SolverSettings(threads=1), stop=Stop(gap=2e-3, node_limit=nodes))
        x = np.zeros((len(self.problem.cpu), len(self.demand)), dtype=np.int64)
        free = [
            np.flatnonzero((self.problem.cpu == a) & (self.problem.memory == b)).tolist()
            for a, b in self.sizes
        ]
        for variable, c in zip(used, best, strict=True):
            z, content = self.columns[c]
            for _ in range(round(variable.varValue or 0.0)):
                x[free[z].pop()] = content
        return x

    def _worth(self, content: IntArray, prices: FloatArray) -> float:
        return self.problem.gained(content[None, :]) - float(content @ prices)

    def _exact(self, at: FloatArray, prices: FloatArray, cost: FloatArray) -> int:
        """Price all sizes exactly; contents that the master wants. The bound may fall."""
        value = float(self.program.value)
        gap = max(1e-6, 0.02 * (min(self.bound, 1.0) - value)) / float(self.counts.sum())

        def some(of: range) -> list[tuple[IntArray, float]]:
            return [self.pricings[z].solve(at, max(float(cost[z]), 1e-4), gap) for z in of]

        sizes = len(self.pricings)
        even, odd = both(lambda: some(range(0, sizes, 2)), lambda: some(range(1, sizes, 2)))
        total, added = float(at @ self.demand), 0
        for z in range(sizes):
            content, bound = (odd if z % 2 else even)[z // 2]
            total += float(self.counts[z]) * bound
            if self._worth(content, prices) > cost[z] + WORTHWHILE:
                added += self.add(z, [content])
        if total < self.bound:
            self.bound, self.best = total, at
        print(
            f"relaxation {value:.4f}, bound {self.bound:.4f}, {self.program.columns} columns",
            flush=True,
        )
        return added
