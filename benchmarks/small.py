"""Small clusters against a plain solver: this tool beside HiGHS on the compact program.

    python -m benchmarks.small [--servers 2 4] [--sharing exclusive] [--loads 0.9] [--seeds 0 1]
        [--limit S] [--out FOLDER]

The cases are those of `tight`, of servers that are alike. Three runs a case, all on one thread and
in seconds of the processor, so that a busy machine counts for little: HiGHS with its defaults on
the compact program of docs/model.md, with the cap given, and nothing else; this tool for the same
(`--max-utilization` is the cap, and loads are not evened); this tool with all that it does.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, product
from pathlib import Path

import numpy as np

from benchmarks.kept import keep
from benchmarks.tight import Case
from placement.problem.instance import Instance
from placement.problem.outcome import SolveOptions, relative_gap
from placement.programs.compact import CompactProgram
from placement.solve import solve_instance
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings, Stop, linear, solve_program

SERVERS = (1, 2, 4, 8)
LOADS = (0.6, 0.75, 0.9)
SEEDS = (0, 1, 2)
LIMIT_S = 30.0
HEAD = """# Small clusters against a plain solver

Processor seconds, each run on one thread: HiGHS by itself on the compact program with the cap
given, this tool for the same, and this tool with all its phases (the least cap, even loads). A run
is closed at a gap of 1e-4; limits of {limit:g} s. Made by `python -m benchmarks.small`.
"""
ABOVE = 1e-9
"""Part by which the cap that is given exceeds what the plan was made under: floats round."""

SLOWEST = 0.25
"""Part of a processor that a run has at least: HiGHS keeps a limit of its own, by the wall."""

COLUMNS = (
    "case", "HiGHS: s", "gap %", "this tool, the same: s", "gap %", "times HiGHS", "form",
    "all phases: s", "gap %", "times HiGHS",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """Seconds of the processor, what was left open, and the form that had the last word."""

    seconds: float
    gap: float
    form: str = ""


def budget(limit_s: float) -> Budget:
    """So many seconds of the processor."""
    return Budget(limit_s, clock=time.process_time, pace=SLOWEST)


def plain(instance: Instance, limit_s: float, gap: float) -> Run:
    """HiGHS with its defaults on the compact program, from the first row on."""
    begin = time.process_time()
    program = CompactProgram(instance)
    program.route()
    program.problem += linear(program.locality()) + program.scale * instance.locality_constant
    found = solve_program(
        program.problem, SolverSettings(threads=1), stop=Stop(gap=gap), budget=budget(limit_s)
    )
    seconds = time.process_time() - begin
    left = relative_gap(found.objective or 0.0, min(found.best_bound, program.scale))
    return Run(seconds, left)


def tool(instance: Instance, limit_s: float, options: SolveOptions) -> tuple[Run, float]:
    """A solve, and the cap of its plan."""
    begin = time.process_time()
    found = solve_instance(instance, options, budget=budget(limit_s)).certificate
    return Run(time.process_time() - begin, found.gap, found.form), found.load_cap


@dataclass(frozen=True)
class Row:
    """The three runs of one case."""

    case: Case
    plain: Run
    same: Run
    everything: Run

    def cells(self) -> list[str]:
        """As the columns have them."""
        return [
            self.case.name,
            *_time_and_gap(self.plain),
            *_time_and_gap(self.same),
            f"{self.same.seconds / self.plain.seconds:.2f}",
            self.same.form,
            *_time_and_gap(self.everything),
            f"{self.everything.seconds / self.plain.seconds:.2f}",
        ]


def _time_and_gap(run: Run) -> list[str]:
    gap = "none" if run.gap == float("inf") else f"{100 * run.gap:.2f}"
    return [f"{run.seconds:.2f}", gap]


def measure(case: Case, limit_s: float) -> Row:
    """Solve one case in the three ways."""
    instance, options = case.instance(), SolveOptions(threads=1, time_limit_s=None)
    everything, cap = tool(instance, limit_s, options)
    given = replace(options, max_utilization=cap * (1 + ABOVE), balance=False)
    same, _ = tool(instance, limit_s, given)
    capped = replace(instance, load_cap=cap)
    return Row(case, plain(capped, limit_s, options.gap), same, everything)


def summary(rows: Sequence[Row], gap: float = SolveOptions().gap) -> Iterator[str]:
    """A line a size and sharing: seconds in sum, and how many are closed."""
    yield "| servers | sharing | cases | HiGHS: s | closed | the same: s | closed | all phases: s |"
    yield "|---" * 8 + "|"
    for (servers, sharing), group in groupby(rows, lambda r: (r.case.servers, r.case.sharing)):
        mine = list(group)
        cells = [str(servers), sharing, str(len(mine))]
        for runs in ([r.plain for r in mine], [r.same for r in mine]):
            cells.append(f"{np.sum([r.seconds for r in runs]):.2f}")
            cells.append(str(sum(r.gap <= gap for r in runs)))
        cells.append(f"{np.sum([r.everything.seconds for r in mine]):.2f}")
        yield "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print a table; with --out write it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--servers", type=int, nargs="+", default=SERVERS)
    parser.add_argument("--sharing", nargs="+", default=("exclusive", "sharing"))
    parser.add_argument("--loads", type=float, nargs="+", default=LOADS)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds of the processor")
    parser.add_argument("--out", type=Path, help="folder for small.md")
    asked = parser.parse_args()
    # What is compiled is loaded once, and not at the cost of the first case.
    measure(Case(2, "exclusive", 0.75, "online", "plain", 1), asked.limit)
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    print("\n".join(lines))
    rows = []
    for servers, sharing, load, seed in product(
        asked.servers, asked.sharing, asked.loads, asked.seeds
    ):
        rows.append(measure(Case(servers, sharing, load, "online", "plain", seed), asked.limit))
        lines.append("| " + " | ".join(rows[-1].cells()) + " |")
        print(lines[-1], flush=True)
    short = list(summary(rows))
    print("\n".join(["", *short]))
    if asked.out:
        head = HEAD.format(limit=asked.limit)
        keep(asked.out, "small", "\n".join([head, *short, "", *lines]) + "\n")


if __name__ == "__main__":
    main()
