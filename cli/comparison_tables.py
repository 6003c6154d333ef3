"""The tables of `gswarm-place compare`, in a terminal and as CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from runtime.compare import Row

SHORT = {"time-sliced": "sliced", "serial": "serial"}
"""How GPUs are shared, in a narrow column."""

INTERVALS = ("server_efficiency", "cross_server_communications", "p99")


def write_csv(file: str, rows: Sequence[Row]) -> None:
    """One row each; a range becomes three columns: mean, low, high."""
    from placement.files.atomic import replacing

    flat = []
    for row in rows:
        parts = {
            f"{metric}_{part}": row["intervals"][metric][part]
            for metric in row.get("intervals", {})
            for part in ("mean", "low", "high")
        }
        flat.append({k: v for k, v in row.items() if k != "intervals"} | parts)
    with replacing(file) as path, path.open("w", newline="") as opened:
        writer = csv.DictWriter(opened, fieldnames=list(flat[0]))
        writer.writeheader()
        writer.writerows(flat)


def _names(row: Row, *, several: bool) -> tuple[str, ...]:
    """Placement and router of a row, and how its GPUs are shared where that is compared."""
    sharing = (SHORT[row["gpu_sharing"]],) if several else ()
    if row["scheduler"] == "static":
        return row["method"], row["routing"], *sharing
    return row["scheduler"], f"{row['switches']:,} switches", *sharing


def show_rows(
    console: Console, rows: Sequence[Row], repeat: int | None, *, several: bool = False
) -> None:
    """Print what was measured of every row, and what the plans promise.

    Parameters
    ----------
    console : Console
        Takes the tables.
    rows : sequence of dict
        Of `runtime.compare`, ranked.
    repeat : int, optional
        Resampled traces that the rows' ranges come from.
    several : bool
        Whether rows differ in how GPUs are shared.
    """
    from cli.terminal import table

    sharing = ("GPUs",) if several else ()
    names = ("SE %", "CSC", "var.", "P99 s", "req/s", "makespan")
    runs = table("placement", "router", *sharing, *names, left=2 + several)
    for row in rows:
        runs.add_row(
            *_names(row, several=several),
            f"{row['server_efficiency']:.1f}",
            f"{row['cross_server_communications']:,}",
            f"{row['utilization_variance']:,.0f}",
            f"{row['p99']:,.1f}",
            f"{row['throughput']:.2f}",
            f"{row['makespan']:,.0f} s",
        )
    console.print(runs)
    if repeat:
        columns = ("router", *sharing, "SE %", "CSC", "P99 s")
        spread = table("on another trace", *columns, left=2 + several)
        for row in rows:
            cells = [row["intervals"][metric] for metric in INTERVALS]
            spread.add_row(
                *_names(row, several=several),
                *(f"{c['low']:,.1f}..{c['high']:,.1f}" for c in cells),
            )
        console.print(spread)
        console.print(f"95 times of 100, from {repeat} resampled traces")
    plans = {(r["method"], r["gpu_sharing"]): r for r in rows if r["scheduler"] == "static"}
    if plans:
        console.print(_plans(list(plans.values()), several=several))


def _plans(rows: list[Row], *, several: bool) -> Table:
    """What each method's plan promises, best first: the objective, its bound, the busiest GPU."""
    from cli.terminal import percent, table

    columns = ("objective", "bound", "gap", "busiest", "cap", "solved in")
    shown = table("plan", *(("GPUs",) if several else ()), *columns, left=1 + several)
    for row in sorted(rows, key=lambda r: -r["objective"]):
        proven = row["best_bound"] is not None
        shown.add_row(
            row["method"],
            *((SHORT[row["gpu_sharing"]],) if several else ()),
            f"{row['objective']:.4f}",
            f"{row['best_bound']:.4f}" if proven else "none",
            percent(row["gap"], 2) if proven else "",
            percent(row["max_utilization"]),
            percent(row["load_cap"]),
            f"{row['solve_seconds']:.1f} s",
        )
    return shown
