"""Which parts of the search over patterns earn their place: each switched off by its parameter.

    python -m benchmarks.ablation [--only TEXT] [--parts NAME …] [--seeds 0 1 2] [--jobs 2]
        [--out FOLDER]

Every solve has the same processor seconds for a clock. A part is judged by what is lost without it:
in the plan, in the bound, and in processor time where the rest is done sooner.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import hard, tight
from benchmarks.kept import keep
from placement.params.search_params import Changes, SearchParams
from placement.problem.instance import Instance
from placement.problem.outcome import SolveOptions
from placement.solve import solve_instance
from placement.solver.budget import Budget

Row = dict[str, Any]

LIMITS_S = {"easy": 5.0, "tight": 5.0, "hard": 5.0, "many models": 15.0}
"""Processor seconds of a solve, by kind of case: its clock is the processor's, so that a busy
machine changes nothing."""

PARTS: Mapping[str, Changes] = {
    "local search": {"local_search": {"start_moves": 1}},
    "smoothed duals": {"column_generation": {"smoothing": 0.0}},
    "listed contents": {"contents": {"most_contents": 0}},
    "sets that fit": {"fitting_sets": {"most_servers": 0}},
    "rounding cuts": {"cuts": {"passes": 0}},
    "dive": {"dive": {"first_rounds": 0}},
    "branching": {"patterns": {"branch_servers": 0}},
    "servers anew": {"patterns": {"freed_servers": 0}},
    "beyond the cap": {"beyond_cap": {"most_servers": 1}},
    "combined patterns": {"patterns": {"combined_gap": 1.0}},
    "exchanges": {"integer_plan": {"exchange_rounds": 0}},
    "promising contents": {"integer_plan": {"promising": (1,)}},
    "all patterns met": {"integer_plan": {"wide_gap": 1.0}},
    "compact form": {"patterns": {"compact_servers": 0}},
    "compact form first": {"compact": {"first_rates": 0}},
    "columns": {"columns": {"most_nodes": 0}},
    "smoothed duals of columns": {"columns": {"smoothing": 0.0}},
    "anchored annealing": {"columns": {"anchored": (0.01, 0.01)}},
    "plans of the columns": {"columns": {"proposals": 0}},
    "numbers by cutting planes": {"columns": {"count_rounds": 1}},
}
"""Part of the search -> how it is switched off."""

NEGLIGIBLE = 1e-4
"""Relative change of a plan or a bound that counts as none."""


def cases() -> dict[str, tuple[hard.Case | tight.Case, ...]]:
    """Easy, tight and hard ones, small enough to be solved a hundred times."""

    def small(servers: int, sharing: str, load: float) -> tight.Case:
        return tight.Case(servers, sharing, load, "online", "plain", 0)

    return {
        "easy": (hard.Case(10, 8, 65, 0.6, exclusive=True), small(3, "sharing", 0.5)),
        "tight": (small(5, "exclusive", 0.9), small(3, "sharing", 0.9)),
        "hard": (hard.Case(12, 8, 9, 0.75, exclusive=True, mixed=True),),
        "many models": (hard.Case(48, 16, 20, 0.75, exclusive=True),),
    }


def runs(kind: str, part: str) -> bool:
    """Whether a part is there at all: many models have a search of their own, columns."""
    return not part or (kind == "many models") == ("columns" in PARTS[part])


def instance_of(case: hard.Case | tight.Case, seed: int) -> Instance:
    """Draw a case from another seed."""
    if isinstance(case, tight.Case):
        return replace(case, seed=seed).instance()
    return case.instance(seed)


def measure(kind: str, case: hard.Case | tight.Case, seed: int, part: str) -> Row:
    """Solve a case without a part, or with all of them (``""``)."""
    params = SearchParams().changed(PARTS[part] if part else {})
    begin = time.process_time()
    budget = Budget(LIMITS_S[kind], clock=time.process_time)
    options = SolveOptions(time_limit_s=None, params=params)
    found = solve_instance(instance_of(case, seed), options, budget=budget).certificate
    return {
        "kind": kind,
        "case": case.name,
        "seed": seed,
        "part": part,
        "objective": found.objective,
        "best_bound": found.best_bound,
        "seconds": time.process_time() - begin,
        "deterministic": found.deterministic,
    }


def _measure(chosen: tuple[str, hard.Case | tight.Case, int, str]) -> Row:
    return measure(*chosen)


def losses(rows: Sequence[Row]) -> list[Row]:
    """What is lost without a part, in each solve: plan, bound and time, relative to all parts."""
    whole = {(r["case"], r["seed"]): r for r in rows if not r["part"]}
    found = []
    for row in rows:
        base = whole.get((row["case"], row["seed"]))
        if row["part"] and base is not None:
            found.append(
                {
                    "kind": row["kind"],
                    "part": row["part"],
                    "plan": 1 - row["objective"] / base["objective"],
                    "bound": row["best_bound"] / base["best_bound"] - 1,
                    "time": row["seconds"] / base["seconds"],
                }
            )
    return found


def page(rows: Sequence[Row]) -> str:
    """A line a part: its worth in the plans and bounds of each kind of case."""
    lost = losses(rows)
    kinds = list(dict.fromkeys(r["kind"] for r in rows))
    head = ["without", *(f"{kind}: plan %, bound %, time" for kind in kinds), "plans worse, better"]
    lines = []
    for part in PARTS:
        mine = [r for r in lost if r["part"] == part]
        if not mine:
            continue
        cells = []
        for kind in kinds:
            of = [r for r in mine if r["kind"] == kind]
            if not of:
                cells.append("")
                continue
            plan, bound = (100 * float(np.mean([r[key] for r in of])) for key in ("plan", "bound"))
            ratio = float(np.exp(np.mean(np.log([r["time"] for r in of]))))
            cells.append(f"{plan:.2f}, {bound:.2f}, {ratio:.2f}")
        worse = sum(r["plan"] > NEGLIGIBLE for r in mine)
        better = sum(r["plan"] < -NEGLIGIBLE for r in mine)
        lines.append(f"| {part} | {' | '.join(cells)} | {worse}, {better} of {len(mine)} |")
    base = [r for r in rows if not r["part"]]
    cut = sum(not r["deterministic"] for r in rows)
    return "\n".join(
        [
            "# What each part of the search is worth",
            "",
            "Each part of the search over patterns switched off, everything else as it is: what "
            "the plan loses and by how much the bound rises, in percent of those with all parts "
            "(below 0: it is better without), and processor time as a multiple; means over the "
            f"cases of a kind. Every solve has {LIMITS_S['easy']:g} processor seconds, with many "
            f"models {LIMITS_S['many models']:g}; {cut} of {len(rows)} took them all. Made by "
            "`python -m benchmarks.ablation`.",
            "",
            "| " + " | ".join(head) + " |",
            "|---" * len(head) + "|",
            *lines,
            "",
            "With all parts:",
            "",
            "| kind | case | seed | objective | best bound | gap % | processor s |",
            "|---|---|---|---|---|---|---|",
            *(
                f"| {r['kind']} | {r['case']} | {r['seed']} | {r['objective']:.4f} | "
                f"{r['best_bound']:.4f} | {100 * (r['best_bound'] / r['objective'] - 1):.2f} | "
                f"{r['seconds']:.1f} |"
                for r in base
            ),
            "",
        ]
    )


def main() -> None:
    """Measure every case without each part, or those named, and keep the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="part of a case's kind or name")
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=PARTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1, 2))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, help="folder for ablation.md")
    arguments = parser.parse_args()
    chosen = [
        (kind, case, seed, part)
        for seed, (kind, of) in product(arguments.seeds, cases().items())
        for case, part in product(of, ["", *arguments.parts])
        if arguments.only in f"{kind} {case.name}" and runs(kind, part)
    ]
    rows: list[Row] = []
    with multiprocessing.get_context("spawn").Pool(arguments.jobs) as pool:
        for row in pool.imap(_measure, chosen):
            rows.append(row)
            print(row, flush=True)
            if arguments.out:
                keep(arguments.out, "ablation", page(rows))
    print(page(rows))


if __name__ == "__main__":
    main()
