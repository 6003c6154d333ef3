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

from benchmarks.affinity_bound import Relaxation
from benchmarks.affinity_search import Problem, Services, anneal, gain
from benchmarks.kept import keep
from placement.problem.cluster import IntArray

DATA = Path("../shared/data/rasa/M3.json")

PUBLISHED = 0.8495
"""The best result shipped with the data, which has no bound."""

HOT, WARM = 5e-4, 5e-5
"""Temperatures at which annealing begins: from anything, and from a plan that it must not lose."""

ROUND = 1e-9
"""Relative room that is not used, for sums in another order."""


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
