"""ILP, local search and greedy on the original's own data, placement and routing apart.

    python -m benchmarks.gswarm_data DATA [--out FILE.json] [--time-limit S]

DATA is the folder with simple_config.json, complex_config.json and their request traces. An edge
whose end is no node of its workflow is left out (the complex config has one).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

from placement.atomic import write_atomically
from placement.cluster import Cluster
from placement.instance import build_instance
from placement.outcome import SolveOptions
from placement.plan import route
from placement.reading.config import read_config
from placement.reading.requests import read_requests
from placement.solve import solve
from placement.trace import Trace, measure_demand
from placement.workload import Workload
from runtime.metrics import measure
from runtime.simulate import simulate

METHODS = ("ilp", "local-search", "greedy")
ROUTINGS = ("locality", "earliest")
CASES = [("simple", gpus, k) for gpus in (8, 16) for k in (4, 8)] + [
    ("complex", gpus, 8) for gpus in (24, 32, 64, 96)
]


def load(data: Path, name: str) -> tuple[Workload, Trace]:
    """Read a config, its dangling edges left out, and its trace."""
    config = json.loads((data / f"{name}_config.json").read_text())
    for flow in config["workflows"].values():
        known = {node["id"] for node in flow["nodes"]}
        flow["edges"] = [e for e in flow["edges"] if {e["from"], e["to"]} <= known]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_text(json.dumps(config))
        workload = read_config(path)
    trace = next(p for p in sorted(data.glob(f"{name}_requests.*")))
    return workload, read_requests(trace, workload)


def rows_of(data: Path, time_limit_s: float) -> list[dict[str, Any]]:
    """Solve and simulate every case."""
    rows = []
    inputs = {name: load(data, name) for name in ("simple", "complex")}
    for (name, gpus, per_server), mode in product(CASES, ("online", "offline")):
        workload, trace = inputs[name]
        cluster = Cluster.homogeneous(gpus, per_server, 80.0)
        instance = build_instance(workload, measure_demand(workload, trace), cluster)
        for method in METHODS:
            options = SolveOptions(method=method, mode=mode, time_limit_s=time_limit_s)  # type: ignore[arg-type]
            result = solve(instance, options)
            shares = route(result.instance, result.solution.flows)
            for routing in ROUTINGS:
                run = simulate(
                    workload,
                    trace,
                    cluster,
                    result.solution.placement,
                    shares,
                    mode=mode,  # type: ignore[arg-type]
                    policy=routing,
                )
                m = measure(run)
                rows.append(
                    {
                        "case": name,
                        "gpus": gpus,
                        "gpus_per_server": per_server,
                        "mode": mode,
                        "method": method,
                        "routing": routing,
                        "server_efficiency": m.server_efficiency,
                        "csc": m.cross_server_communications,
                        "utilization_variance": m.utilization_variance,
                        "makespan_s": m.makespan_s,
                        "p99_s": m.request_latency.p99,
                        "objective": result.evaluation.objective,
                        "best_bound": result.certificate.best_bound,
                        "status": result.certificate.status,
                        "max_utilization": result.evaluation.max_utilization,
                        "solve_s": result.certificate.seconds,
                    }
                )
                print(_line(rows[-1]), flush=True)
    return rows


def _line(row: dict[str, Any]) -> str:
    size = f"{row['gpus']} / {row['gpus_per_server']}"
    return (
        f"| {row['case']} | {size} | {row['mode']} | {row['method']} | {row['routing']} "
        f"| {row['server_efficiency']:.1f} | {row['csc']} | {row['utilization_variance']:.0f} "
        f"| {row['makespan_s']:.0f} | {row['p99_s']:.1f} | {row['objective']:.4f} "
        f"| {row['best_bound']:.4f} | {row['status']} | {row['solve_s']:.1f} |"
    )


def main() -> None:
    """Print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--time-limit", type=float, default=60.0)
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"{arguments.data} is no folder; name the one with simple_config.json")
    print(
        "| case | GPUs / server | mode | placement | routing | SE % | CSC | variance | makespan s "
        "| P99 s | objective | bound | status | solve s |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    rows = rows_of(arguments.data, arguments.time_limit)
    if arguments.out:
        write_atomically(arguments.out, json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
