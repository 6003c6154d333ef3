"""Service affinity (ICDE 2024), the nearest relative: a public cluster, placed and bounded.

    python -m benchmarks.affinity [FILE] [--moves N] [--rounds N] [--seeds 0 1] [--out FOLDER]

FILE is M3.json of the repository Service-Affinity-Scheduling: services with the containers that
each must have, machines of ten sizes, and the traffic of pairs of services. Every container is
placed; a pair gains its traffic times the sum over machines of min(x_s / d_s, x_t / d_t). That is
the locality of links with replicas whose number is fixed and whose rate is limited.

Plans come from annealing, and from an integer program over the columns of the bound. That is the
bound of the search over columns: a warm master whose columns are contents of one machine, priced by
annealing and, for the bound, by branch and bound;

    sum_s pi_s d_s + sum_k max (affinity of what stands on k - sum_s pi_s x_s)

for prices pi >= 0 of containers. Containers without traffic are packed last, into what is left.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pulp

from benchmarks.affinity_search import Services, anneal, gain, price
from benchmarks.kept import keep
from placement.problem.cluster import FloatArray, IntArray
from placement.solver.beside import both
from placement.solver.budget import Budget
from placement.solver.milp import Manner, SolverSettings, Stop, linear, solve_program
from placement.solver.warm_program import WarmProgram

DATA = Path("../shared/data/rasa/M3.json")

PUBLISHED = 0.8495
"""The best result shipped with the data, which has no bound."""

WORTHWHILE = 1e-7
LATEST = 1_000
"""Contents of a size of machine that annealing may begin from: the last ones met."""

STARTS = 6
"""Of those, the best at the prices."""

PROMISING = 1_200
"""Contents of least reduced cost that the integer program chooses from."""

HOT, WARM = 5e-4, 5e-5
"""Temperatures at which annealing begins: from anything, and from a plan that it must not lose."""

ROUND = 1e-9
"""Relative room that is not used, for sums in another order."""


@dataclass(frozen=True, eq=False)
class Problem:
    """What is to be placed where.

    Parameters
    ----------
    services : Services
        Those with traffic.
    others : IntArray
        Containers of the services without, shape (T,).
    others_cpu, others_memory : float64, shape (T,)
        Of one of theirs.
    cpu, memory : float64, shape (K,)
        Of the machines.
    """

    services: Services
    others: IntArray
    others_cpu: FloatArray
    others_memory: FloatArray
    cpu: FloatArray
    memory: FloatArray

    def gained(self, x: IntArray) -> float:
        """Affinity of a placement of the services with traffic, shape (K, S)."""
        s = self.services
        share = x / s.containers
        first = np.repeat(np.arange(len(s.containers)), np.diff(s.ptr))
        both_ways = s.traffic * np.minimum(share[:, first], share[:, s.other]).sum(axis=0)
        return float(both_ways.sum() / 2)

    def sizes(self) -> tuple[FloatArray, IntArray]:
        """Sizes of machines, shape (Z, 2), and how many there are of each."""
        found, counts = np.unique(
            np.column_stack([self.cpu, self.memory]), axis=0, return_counts=True
        )
        return found, counts


@dataclass(frozen=True, eq=False)
class Plan:
    """A placement of every container: how it was found, what it gains, and processor seconds."""

    way: str
    gained: float
    seconds: float
    x: IntArray


def read(path: Path) -> tuple[Problem, IntArray]:
    """Read the file: the problem, and the services with traffic as they were found."""
    data = json.loads(path.read_text(encoding="utf-8"))
    listed = data["ServiceList"]
    if any(s["CompatibleMachines"] != "*" for s in listed):
        raise ValueError(f"{path}: CompatibleMachines is not '*'; no such data was ever tried")
    number = {s["Service"]: i for i, s in enumerate(listed)}
    pairs = [
        (number[t["Service1"]], number[t["Service2"]], float(t["Traffic"]))
        for t in data["TrafficList"]
    ]
    total = sum(t for _, _, t in pairs)
    linked = sorted({i for a, b, _ in pairs for i in (a, b)})
    place = {i: p for p, i in enumerate(linked)}
    near: list[list[tuple[int, float]]] = [[] for _ in linked]
    for a, b, traffic in pairs:
        near[place[a]].append((place[b], traffic / total))
        near[place[b]].append((place[a], traffic / total))
    containers = np.array([len(s["ContainerList"]) for s in listed])
    cpu = np.array([s["RequestCPU"] for s in listed], dtype=np.float64)
    memory = np.array([s["RequestMem"] for s in listed], dtype=np.float64)
    services = Services(
        containers[linked].astype(np.int64),
        cpu[linked],
        memory[linked],
        np.concatenate(([0], np.cumsum([len(n) for n in near]))).astype(np.int64),
        np.array([o for n in near for o, _ in n], dtype=np.int64),
        np.array([t for n in near for _, t in n], dtype=np.float64),
    )
    rest = np.setdiff1d(np.arange(len(listed)), linked)
    machines = data["MachineList"]
    problem = Problem(
        services,
        containers[rest],
        cpu[rest],
        memory[rest],
        np.array([m["TotalCPU"] for m in machines], dtype=np.float64) * (1 - ROUND),
        np.array([m["TotalMem"] for m in machines], dtype=np.float64) * (1 - ROUND),
    )
    owner = {c: number[s["Service"]] for s in listed for c in s["ContainerList"]}
    found = np.zeros((len(machines), len(linked)), dtype=np.int64)
    for k, machine in enumerate(machines):
        for container in machine["InitialDeployingContainers"]:
            if owner[container] in place:
                found[k, place[owner[container]]] += 1
    return problem, found


def packs(problem: Problem, x: IntArray) -> bool:
    """Whether the containers without traffic fit into what a placement leaves, largest first."""
    s = problem.services
    cpu, memory = problem.cpu - x @ s.cpu, problem.memory - x @ s.memory
    if min(cpu.min(), memory.min()) < 0 or (x.sum(axis=0) != s.containers).any():
        return False
    for t in np.argsort(-problem.others_cpu, kind="stable"):
        for _ in range(int(problem.others[t])):
            fits = (cpu >= problem.others_cpu[t]) & (memory >= problem.others_memory[t])
            if not fits.any():
                return False
            # The fullest that has room: large containers keep whole machines.
            k = int(np.where(fits, cpu, np.inf).argmin())
            cpu[k] -= problem.others_cpu[t]
            memory[k] -= problem.others_memory[t]
    return True


def improved(problem: Problem, x: IntArray, moves: int, hot: float, seed: int) -> IntArray:
    """Anneal from a placement."""
    s, start = problem.services, x.copy()
    cpu, memory = problem.cpu - start @ s.cpu, problem.memory - start @ s.memory
    kept: IntArray = anneal(s, start, cpu, memory, moves, hot, hot / 50, seed)
    return kept


def completed(problem: Problem, x: IntArray) -> IntArray:
    """Give every container a place: where it gains most, of machines with room."""
    s, x = problem.services, x.copy()
    cpu, memory = problem.cpu - x @ s.cpu, problem.memory - x @ s.memory
    for i in np.argsort(-s.cpu, kind="stable").tolist():
        for _ in range(int(s.containers[i] - x[:, i].sum())):
            gains = np.array([gain(s, here, i, 1) for here in x])
            fits = (cpu >= s.cpu[i]) & (memory >= s.memory[i])
            k = int(np.where(fits, gains + 1e-9 * cpu, -np.inf).argmax())
            x[k, i] += 1
            cpu[k] -= s.cpu[i]
            memory[k] -= s.memory[i]
    return x


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


def main() -> None:
    """Place, bound and print; with --out keep the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, nargs="?", default=DATA)
    parser.add_argument("--moves", type=int, default=6_000_000)
    parser.add_argument("--rounds", type=int, default=14, help="exact pricings")
    parser.add_argument("--nodes", type=int, default=60, help="of branch and bound, for a plan")
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1, 2))
    parser.add_argument("--out", type=Path, help="folder for affinity.md")
    arguments = parser.parse_args()
    problem, found = read(arguments.file)
    plans: list[Plan] = []

    def note(way: str, plan: IntArray, begin: float) -> None:
        if packs(problem, plan):
            plans.append(Plan(way, problem.gained(plan), time.process_time() - begin, plan))
            print(f"{way}: {plans[-1].gained:.4f} in {plans[-1].seconds:.0f} s", flush=True)

    for seed in arguments.seeds:
        begin = time.process_time()
        note(f"annealing, seed {seed}", improved(problem, found, arguments.moves, HOT, seed), begin)
    relaxation, begin = Relaxation(problem), time.process_time()
    for plan in plans:
        for z, size in enumerate(relaxation.sizes):
            like = (problem.cpu == size[0]) & (problem.memory == size[1])
            relaxation.add(z, list(plan.x[like]))
    relaxation.run(arguments.rounds)
    bounded = time.process_time() - begin
    whole = completed(problem, relaxation.plan(arguments.nodes))
    note("columns, whole machines", whole, begin)
    note("columns, and annealing", improved(problem, whole, arguments.moves, WARM, 0), begin)
    text = page(problem.gained(found), plans, relaxation, bounded)
    print(text)
    if arguments.out:
        keep(arguments.out, "affinity", text)


def page(began: float, plans: Sequence[Plan], relaxation: Relaxation, seconds: float) -> str:
    """The page: what was found, what no placement exceeds, and what was published.

    Parameters
    ----------
    began : float
        Affinity as found.
    plans : sequence of Plan
    relaxation : Relaxation
        After it ran.
    seconds : float
        It took of the processor.
    """
    best = max(p.gained for p in plans)
    rows = [("as found", began), ("best published", PUBLISHED)]
    lines = [f"| {name} | {100 * value:.2f} | |" for name, value in rows]
    lines += [f"| {p.way} | {100 * p.gained:.2f} | {p.seconds:.0f} |" for p in plans]
    lines.append(f"| no placement gains more than | {100 * relaxation.bound:.2f} | {seconds:.0f} |")
    return "\n".join(
        [
            "# Service affinity: a public cluster",
            "",
            "Share of the traffic that stays on one machine for M3 of Service-Affinity-Scheduling "
            "(547 services, 3,485 containers, 96 machines), every container placed; made by "
            "`python -m benchmarks.affinity FILE`. The bound is Lagrangian, over contents of one "
            "machine, with pricing problems bounded by HiGHS: it stands on that solver, and no "
            "second program has proven it.",
            "",
            "| | gained affinity % | processor s |",
            "|---|---|---|",
            *lines,
            "",
            f"The best plan is at most {100 * (relaxation.bound / best - 1):.2f} % from the best "
            f"there is, the best published at most "
            f"{100 * (relaxation.bound / PUBLISHED - 1):.2f} %. The relaxation over "
            f"{relaxation.program.columns:,} contents stands at "
            f"{100 * relaxation.program.value:.2f} %.",
            "",
        ]
    )


if __name__ == "__main__":
    main()
