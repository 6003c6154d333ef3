"""Every placement, router and scheduler over the suite of cases, and the page that shows it.

    python -m benchmarks.suite [--quick] [--out FOLDER] [--time-limit S] [--processes N]

Writes suite.json (every row) and suite.md (medians, win rates, where the program does not win).
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from benchmarks.suite_cases import Case, inputs_of, suite
from placement.atomic import write_atomically
from placement.instance import build_instance
from placement.outcome import Infeasible, SolveOptions
from placement.plan import route
from placement.solve import solve
from placement.trace import measure_demand
from runtime.metrics import Metrics, measure
from runtime.policies import BUILT_IN
from runtime.simulate import simulate

METHODS = ("ilp", "local-search", "greedy", "greedy-no-affinity")

Row = dict[str, Any]


def rows_of(case: Case, time_limit_s: float) -> list[Row]:
    """Solve and simulate one case by every method and policy."""
    workload, trace, cluster = inputs_of(case)
    instance = build_instance(
        workload, measure_demand(workload, trace), cluster, exclusive=case.exclusive
    )
    rows = []
    for method in METHODS:
        options = SolveOptions(method=method, mode=case.mode, time_limit_s=time_limit_s, threads=1)
        try:
            result = solve(instance, options)
        except (Infeasible, ValueError) as error:
            rows.append({**_of_case(case), "method": method, "infeasible": str(error)})
            continue
        shares = route(result.instance, result.solution.flows)
        solved = {
            "objective": result.evaluation.objective,
            "best_bound": result.certificate.best_bound if method == "ilp" else None,
            "gap": result.certificate.gap if method == "ilp" else None,
            "load_cap": result.certificate.load_cap,
            "max_utilization": result.evaluation.max_utilization,
            "solve_s": result.certificate.seconds,
        }
        for policy in BUILT_IN:
            run = simulate(
                workload, trace, cluster, result.solution.placement, shares,
                mode=case.mode, policy=policy,
            )  # fmt: skip
            rows.append(
                {**_of_case(case), "method": method, "routing": policy, **solved, **_of_run(run)}
            )
    return rows


def _of_case(case: Case) -> Row:
    return {
        "case": case.name,
        "workload": case.workload,
        "cluster": case.cluster,
        "mode": case.mode,
        "load": case.load,
        "exclusive": case.exclusive,
    }


def _of_run(run: Any) -> Row:
    m: Metrics = measure(run)
    return {
        "server_efficiency": m.server_efficiency,
        "csc": m.cross_server_communications,
        "utilization_variance": m.utilization_variance,
        "makespan_s": m.makespan_s,
        "p99_s": m.request_latency.p99,
        "mean_s": m.request_latency.mean,
        "throughput": m.throughput,
    }


def main() -> None:
    """Run the suite; what is done so far is always on disk."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--time-limit", type=float, default=10.0)
    parser.add_argument("--processes", type=int, default=2)
    a = parser.parse_args()
    begin = monotonic()
    rows: list[Row] = []
    with ProcessPoolExecutor(a.processes) as pool:
        for part in pool.map(partial(rows_of, time_limit_s=a.time_limit), suite(quick=a.quick)):
            rows += part
            print(f"{monotonic() - begin:6.0f} s  {part[0]['case']}", flush=True)
            write_atomically(a.out / "suite.json", json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
