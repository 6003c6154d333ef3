"""Where proofs are hard: every method under the cap of the integer program's plan, over time.

    python -m benchmarks.hard [--only TEXT] [--limits 5 60] [--seeds 0 1] [--out FOLDER]

Every rival has the same limit and the same cap on GPU loads; each solve has a process of its own,
so that memory is its own too.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any

from benchmarks.instances import cluster_of, demand_for_load, mixed_cluster, synthetic_workload
from benchmarks.kept import keep
from placement.contest import Contest
from placement.problem.instance import Instance
from placement.problem.instance_building import build_instance
from placement.problem.names import Method
from placement.problem.outcome import Infeasible, SolveOptions
from placement.problem.rules import Rules
from placement.problem.workload import Edge, Node, Workload

Row = dict[str, Any]

LIMITS_S = (10.0, 30.0, 60.0, 180.0)
RIVALS: tuple[Method, ...] = (
    "greedy", "greedy-servers", "greedy-no-affinity", "random", "local-search", "partition",
)  # fmt: skip
"""Every heuristic that needs no simulator."""

WORSE = 1e-6
"""Locality by which a plan counts as worse than another: what solvers' rows hold to."""


@dataclass(frozen=True)
class Case:
    """A problem that is drawn from a seed.

    Parameters
    ----------
    models, workflows, servers : int
        A workflow calls two to six models; where there is one workflow, all of them in a row.
    load : float
        Offered load over all GPU speeds.
    mixed : bool
        Three server types in place of one.
    """

    models: int
    workflows: int
    servers: int
    load: float
    exclusive: bool = False
    mixed: bool = False

    @property
    def name(self) -> str:
        """Say all of it in a line."""
        return (
            f"{self.models} models, {self.workflows} workflows, {self.servers} servers"
            f"{' of three types' if self.mixed else ''}, {self.load:.0%}, "
            f"{'exclusive' if self.exclusive else 'sharing'}"
        )

    def instance(self, seed: int) -> Instance:
        """Draw it."""
        cluster = mixed_cluster(self.servers) if self.mixed else cluster_of(self.servers)
        workload = synthetic_workload(self.models, self.workflows, seed=seed)
        if self.workflows == 1:
            workload = in_a_row(workload)
        demand = demand_for_load(workload, cluster, self.load, seed=seed)
        return build_instance(workload, demand, cluster, Rules(exclusive=self.exclusive))


def in_a_row(workload: Workload) -> Workload:
    """Have the first workflow call every model, one after the other."""
    nodes = tuple(Node(f"step-{m}", m) for m in range(len(workload.models)))
    edges = tuple(Edge(a, b) for a, b in pairwise(range(len(nodes))))
    return replace(workload, workflows=(replace(workload.workflows[0], nodes=nodes, edges=edges),))


CASES = (
    Case(30, 1, 8, 0.6),
    Case(200, 60, 128, 0.75, exclusive=True),
    Case(200, 60, 128, 0.75),
    Case(50, 60, 128, 0.9, exclusive=True),
    Case(50, 60, 128, 0.9),
    Case(60, 1_000, 128, 0.75),
    Case(24, 20, 40, 0.75, exclusive=True, mixed=True),
    Case(24, 20, 1_280, 0.75, exclusive=True),
    Case(24, 20, 1_280, 0.9, exclusive=True),
    Case(50, 60, 1_280, 0.9, exclusive=True),
    Case(50, 60, 1_280, 0.9),
)


def measure(case: Case, seed: int, method: Method, limit_s: float, cap: float | None) -> Row:
    """Solve a case by one method, under a cap where there is one."""
    contest = Contest(case.instance(seed), "online", 0)
    row: Row = {"case": case.name, "seed": seed, "method": method, "limit_s": limit_s}
    begin = time.monotonic()
    options = SolveOptions(method=method, time_limit_s=limit_s)
    try:
        result = contest.solve(options, load_cap=cap)
    except Infeasible as error:
        return {**row, "reason": str(error)}
    found = result.certificate
    return {
        **row,
        "objective": found.objective,
        "best_bound": found.best_bound,
        "gap": found.gap,
        "status": found.status,
        "cap": found.load_cap,
        "kept": cap is None or found.load_cap <= cap * (1 + WORSE),
        "seconds": time.monotonic() - begin,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def alone(case: Case, seed: int, method: Method, limit_s: float, cap: float | None) -> Row:
    """`measure` in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (case, seed, method, limit_s, cap))


def contest_of(case: Case, seed: int, limit_s: float, methods: Sequence[Method]) -> list[Row]:
    """The integer program, and each rival under the cap of its plan."""
    mine = alone(case, seed, "ilp", limit_s, None)
    return [mine, *(alone(case, seed, m, limit_s, mine.get("cap")) for m in methods)]


def line(rows: Sequence[Row]) -> str:
    """A line of the table: one contest; rivals that beat the integer program are bold."""
    mine = rows[0]
    if "reason" in mine:
        return f"| {mine['case']} | {mine['seed']} | {mine['limit_s']:g} | {mine['reason']} |"
    cells = []
    for row in rows[1:]:
        if "reason" in row or not row["kept"]:
            cells.append("no plan" if "reason" in row else "over the cap")
        else:
            text = f"{row['objective']:.4f}"
            cells.append(f"**{text}**" if row["objective"] > mine["objective"] + WORSE else text)
    return (
        f"| {mine['case']} | {mine['seed']} | {mine['limit_s']:g} | {mine['objective']:.4f} | "
        f"{mine['best_bound']:.4f} | {100 * mine['gap']:.2f} | {mine['cap']:.3f} | "
        f"{mine['seconds']:.1f} | {mine['memory_mb']:.0f} | {' | '.join(cells)} |"
    )


def page(contests: Sequence[Sequence[Row]], methods: Sequence[Method]) -> str:
    """The table, and how often each rival was better."""
    names = ["case", "seed", "limit s", "objective", "best bound", "gap %", "cap", "s", "MB"]
    head = [*names, *methods]
    lost = dict.fromkeys(methods, 0)
    for mine, *rivals in contests:
        for row in rivals:
            ahead = row.get("objective", 0.0) > mine.get("objective", 0.0) + WORSE
            lost[row["method"]] += bool(ahead and row.get("kept"))
    return "\n".join(
        [
            "# Hard cases over time",
            "",
            "The integer program's objective, proven bound and gap when it is stopped, and what "
            "every heuristic reaches in the same time under the same cap on GPU loads (bold where "
            "that is more; *over the cap*: the method found no routing under it); made by `python "
            "-m benchmarks.hard` on 2 cores.",
            "",
            "| " + " | ".join(head) + " |",
            "|---" * len(head) + "|",
            *map(line, contests),
            "",
            f"Of {len(contests)} contests the integer program's plan is worse than that of "
            + ", ".join(f"{m} in {n}" for m, n in lost.items())
            + ".",
            "",
        ]
    )


def main() -> None:
    """Measure every case, or those named, and keep the page after every contest."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="part of a case's name")
    parser.add_argument("--limits", type=float, nargs="+", default=LIMITS_S)
    parser.add_argument("--seeds", type=int, nargs="+", default=(0,))
    parser.add_argument("--methods", nargs="+", default=RIVALS)
    parser.add_argument("--out", type=Path, help="folder for hard.md")
    arguments = parser.parse_args()
    contests = []
    for case, seed, limit_s in product(CASES, arguments.seeds, arguments.limits):
        if arguments.only not in case.name:
            continue
        contests.append(contest_of(case, seed, limit_s, arguments.methods))
        print(line(contests[-1]), flush=True)
        if arguments.out:
            keep(arguments.out, "hard", page(contests, arguments.methods))
    if not arguments.out:
        print(page(contests, arguments.methods))


if __name__ == "__main__":
    main()
