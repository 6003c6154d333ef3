"""ILP, local search and greedy on the original's own data, placement and routing apart.

    python -m benchmarks.gswarm_data [DATA] [--time-limit S] [--case simple] [--out FOLDER]

DATA is the folder with simple_config.json, complex_config.json and their request traces. An edge
of the complex config begins at an output: it is taken to begin at the node that makes it, which is
said. Writes gswarm_data.md after every case.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.kept import keep
from placement.files.config_file import read_config
from placement.files.request_file import read_requests
from placement.problem.cluster import Cluster
from placement.problem.instance_building import build_instance
from placement.problem.names import Method, Mode
from placement.problem.outcome import SolveOptions
from placement.problem.plan_building import route
from placement.problem.trace import Trace, measure_demand
from placement.problem.workload import Workload
from placement.solve import solve_instance
from runtime.metrics import measure
from runtime.simulate import Dispatch, simulate_placement

Row = dict[str, Any]
Case = tuple[str, int, int]
"""Name of the data, GPUs, GPUs of one server."""

DATA = Path("../shared/data/gswarm")
GPU_MEMORY_GB = 80.0
METHODS: tuple[Method, ...] = ("ilp", "local-search", "greedy")
ROUTINGS = ("plan", "locality", "earliest")
POINTS = 0.05
"""Percentage points of server efficiency that count as none."""
MODES: tuple[Mode, ...] = ("online", "offline")
CASES: list[Case] = [("simple", gpus, k) for gpus in (8, 16) for k in (4, 8)] + [
    ("complex", gpus, 8) for gpus in (24, 32, 64, 96)
]
MEASURES = (
    ("SE %", "server_efficiency", 1),
    ("CSC", "csc", 0),
    ("variance", "utilization_variance", 0),
    ("makespan s", "makespan_s", 0),
    ("P99 s", "p99_s", 1),
)
"""Heading, key and digits of what the simulator measures."""


def load(data: Path, name: str) -> tuple[Workload, Trace]:
    """Read a config and its trace."""
    workload = read_config(data / f"{name}_config.json")
    trace = next(p for p in sorted(data.glob(f"{name}_requests.*")))
    return workload, read_requests(trace, workload)


def rows_of(
    workload: Workload, trace: Trace, case: Case, mode: Mode, time_limit_s: float
) -> Iterator[Row]:
    """Solve one case by every method, and run the trace under every routing."""
    name, gpus, per_server = case
    cluster = Cluster.homogeneous(gpus, per_server, GPU_MEMORY_GB)
    instance = build_instance(workload, measure_demand(workload, trace), cluster)
    for method in METHODS:
        result = solve_instance(
            instance, SolveOptions(method=method, mode=mode, time_limit_s=time_limit_s)
        )
        shares = route(result.instance, result.solution.flows)
        row: Row = {
            "case": name,
            "gpus": gpus,
            "gpus_per_server": per_server,
            "mode": mode,
            "method": method,
            "objective": result.evaluation.objective,
            "best_bound": result.certificate.best_bound,
            "status": result.certificate.status,
            "max_utilization": result.evaluation.max_utilization,
            "replicas": result.solution.placement.n_replicas,
            "solve_s": result.certificate.seconds,
        }
        for routing in ROUTINGS:
            run = simulate_placement(
                workload,
                trace,
                cluster,
                result.solution.placement,
                shares,
                dispatch=Dispatch(mode=mode, policy=routing),
            )
            m = measure(run)
            row[routing] = {
                "server_efficiency": m.server_efficiency,
                "csc": m.cross_server_communications,
                "utilization_variance": m.utilization_variance,
                "makespan_s": m.makespan_s,
                "p99_s": m.request_latency.p99,
            }
        yield row


def page(rows: list[Row]) -> str:
    """Write the page: the table, and where the integer program has less server efficiency."""
    loads = [r["max_utilization"] for r in rows if r["method"] == "ilp"]
    head = (
        "# On the original's own data\n\n"
        "Written by `python -m benchmarks.gswarm_data`. These traces ask for more than the GPUs "
        f"can do: the busiest GPU of ilp's plans would need {min(loads):.1f} to {max(loads):.1f} "
        "times its time. So queues grow all through a run, latencies are of the order of the "
        "makespan, and what a router does with the waiting decides as much as the placement. "
        f"Figures stand for the routers {' / '.join(f'`{r}`' for r in ROUTINGS)}.\n\n"
    )
    return f"{head}{table(rows)}\n{_losses(rows)}\n"


def _losses(rows: list[Row]) -> str:
    found = []
    for case in dict.fromkeys(map(_case, rows)):
        mine = {r["method"]: r for r in rows if _case(r) == case}
        if "ilp" not in mine:
            continue
        ilp = mine.pop("ilp")
        for (rival, row), router in product(mine.items(), ("plan", "locality")):
            ours, theirs = (r[router]["server_efficiency"] for r in (ilp, row))
            if ours < theirs - POINTS:
                found.append(
                    f"- {case}, {rival}, router `{router}`: {ours:.1f} against {theirs:.1f}; "
                    f"replicas {ilp['replicas']} against {row['replicas']}, P99 "
                    f"{ilp[router]['p99_s']:,.0f} against {row[router]['p99_s']:,.0f} s, "
                    f"ilp under `plan` {ilp['plan']['server_efficiency']:.1f} and "
                    f"{ilp['plan']['p99_s']:,.0f} s"
                )
    head = "## Where the integer program has less server efficiency\n\n"
    if not found:
        return head + "In no case."
    return (
        head + "Under `plan`, which adds nothing of its own, a case here is a loss of the plan; "
        "under `locality` it is made by the router (`earliest` is blind to servers, and not "
        "counted). `locality` leaves home where waiting there takes longer than elsewhere by more "
        "than the service time of the request and the wait elsewhere. In overload the "
        "queues of evenly loaded servers differ by that much again and again, and the more models "
        "a plan holds on every server, the more often another replica tempts a request away: a "
        "placement with fewer replicas often has nowhere to go, and stays. Where that is not "
        "wanted, `--routing plan` keeps every request where the plan has it.\n\n" + "\n".join(found)
    )


def _case(row: Row) -> str:
    return f"{row['case']} {row['gpus']}/{row['gpus_per_server']} {row['mode']}"


def table(rows: list[Row]) -> str:
    """Lay rows out in Markdown; figures of the routings stand side by side."""
    head = [
        "case", "GPUs / server", "mode", "placement", "objective", "bound", "solve s",
        *(f"{name}, {' / '.join(ROUTINGS)}" for name, _, _ in MEASURES),
    ]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        bound = "none" if row["status"] == "heuristic" else f"{row['best_bound']:.4f}"
        cells = [
            row["case"], f"{row['gpus']} / {row['gpus_per_server']}", row["mode"], row["method"],
            f"{row['objective']:.4f}", bound, f"{row['solve_s']:.1f}",
            *(
                " / ".join(f"{row[routing][key]:.{digits}f}" for routing in ROUTINGS)
                for _, key, digits in MEASURES
            ),
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print each row as it comes; what is done so far is always on disk."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="?", default=DATA)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--time-limit", type=float, default=60.0)
    parser.add_argument("--case", choices=("simple", "complex"))
    a = parser.parse_args()
    if not (a.data / "simple_config.json").is_file():
        print(f"skipped: {a.data} has no simple_config.json; name the folder that has it")
        return
    inputs = {name: load(a.data, name) for name in ("simple", "complex")}
    rows: list[Row] = []
    for case, mode in product(CASES, MODES):
        if a.case not in (None, case[0]):
            continue
        for row in rows_of(*inputs[case[0]], case, mode, a.time_limit):
            rows.append(row)
            print(table([row]).splitlines()[-1], flush=True)
        keep(a.out, "gswarm_data", page(rows))
    print(page(rows))


if __name__ == "__main__":
    main()
