"""The scaling study: 8 to 102,400 GPUs, every method side by side.

    python -m benchmarks.scaling [--quick] [--only REGEX] [--time-limit S] [--out FOLDER]

Every row runs in a process of its own, one after the other; FOLDER receives scaling.jsonl,
scaling.md and scaling.svg. Rows measured before are kept unless they are chosen again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.kept import keep, read_rows
from benchmarks.scaling_plot import plot
from benchmarks.scaling_rows import Row, chosen, measure, rows

GRACE_S = 120.0
"""A row that takes this much longer than its limit is ended and reported as such."""


def run_row(row: Row, time_limit_s: float) -> dict[str, Any]:
    """Measure a row in a new process."""
    command = [sys.executable, "-m", "benchmarks.scaling", "--row", json.dumps(row.__dict__)]
    command += ["--time-limit", str(time_limit_s)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=time_limit_s + GRACE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return {**row.__dict__, "case": row.case, "status": "over time"}
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        return {**row.__dict__, "case": row.case, "status": "error", "reason": last[0]}
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def add_case_bounds(measured: list[dict[str, Any]]) -> None:
    """Give every row its distance from the best bound that any row of its case proves.

    A bound holds for plans whose GPUs are no busier than its cap. A method that cannot keep the
    case's least cap has a wider one, and no distance: it gave up headroom, the first objective.
    """
    best: dict[str, float] = {}
    cap: dict[str, float] = {}
    solved = [row for row in measured if row.get("objective")]
    for row in solved:
        cap[row["case"]] = min(cap.get(row["case"], float("inf")), row["load_cap"])
    for row in solved:
        row.pop("gap_to_best_bound", None)
        row["keeps_cap"] = row["load_cap"] <= cap[row["case"]] * (1 + 1e-3)
        if row["keeps_cap"]:
            best[row["case"]] = min(best.get(row["case"], 1.0), row["best_bound"])
    for row in solved:
        if row["keeps_cap"]:
            bound = max(best[row["case"]], row["objective"])
            row["gap_to_best_bound"] = bound / row["objective"] - 1


def table(measured: list[dict[str, Any]]) -> str:
    """Markdown: one line a row."""
    lines = [
        "| servers x models, workflows | method | status | busiest GPU | objective | best bound "
        "| gap | to the case's best bound | seconds | CPU s | peak MB |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in measured:
        name = f"| {row['case']} | {row['method']} ({row['solver']}) | {row['status']} "
        if row.get("objective") is None:
            lines.append(name + "| | | | | | | | |")
            continue
        bound = "" if row["status"] == "heuristic" else f"{row['best_bound']:.6f}"
        gap = "" if row["status"] == "heuristic" else f"{row['gap']:.4%}"
        far = f"{row['gap_to_best_bound']:.3%}" if row["keeps_cap"] else "too busy"
        lines.append(
            f"{name}| {row['max_utilization']:.1%} | {row['objective']:.6f} | {bound} | {gap} "
            f"| {far} | {row['seconds']:.1f} | {row['cpu_seconds']:.1f} "
            f"| {row['peak_memory_mb']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def write_results(folder: Path, measured: list[dict[str, Any]]) -> None:
    """Write rows, table and plot."""
    add_case_bounds(measured)
    head = (
        f"# Scaling\n\n{os.cpu_count()} cores; servers of 8 GPUs with 80 GB (mixed: three types); "
        "made by `python -m benchmarks.scaling`. Seconds count every phase of the solve. A bound "
        "holds for plans that keep its cap on GPU loads; a method marked *too busy* could not keep "
        "the cap of the case's integer programs, so its objective is no match for theirs.\n\n"
    )
    keep(folder, "scaling", head + table(measured), measured)
    plot(measured, folder / "scaling.svg")


def main(arguments: list[str] | None = None) -> None:
    """Run the rows asked for and write the results after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three small sizes only")
    parser.add_argument("--only", metavar="REGEX", help="rows whose name matches")
    parser.add_argument("--list", action="store_true", help="print the rows' names")
    parser.add_argument("--time-limit", type=float, default=60.0, metavar="S")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--row", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.row:
        print(json.dumps(measure(Row(**json.loads(options.row)), options.time_limit)))
        return
    todo = chosen(rows(quick=options.quick), options.only)
    if options.list:
        print("\n".join(row.name for row in todo))
        return
    measured = read_rows(options.out / "scaling.jsonl")
    known = {(r["case"], r["method"], r["solver"]): r for r in measured}
    for row in todo:
        print(row.name, end=": ", flush=True)
        found = run_row(row, options.time_limit)
        known[row.case, row.method, row.solver] = found
        gap, seconds = found.get("gap"), found.get("seconds")
        shown = "" if gap is None else f", gap {gap:.4%}, {seconds:.1f} s"
        print(f"{found['status']}{shown}", flush=True)
        write_results(options.out, list(known.values()))


if __name__ == "__main__":
    main()
