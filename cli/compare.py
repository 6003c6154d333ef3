"""`gswarm-place compare`: every method and routing policy on one's own data."""

from __future__ import annotations

import csv
from typing import Any

import click

from cli.common import (
    Number,
    check_outputs,
    cluster_options,
    echo_json,
    input_options,
    load_inputs,
    make_cluster,
    mode_option,
    output_options,
    sharing_options,
)

METHODS = ("ilp", "local-search", "greedy", "greedy-no-affinity")
ROUTINGS = ("locality", "plan", "earliest", "least-loaded")
COLUMNS = {
    "method": "method",
    "routing": "routing",
    "server_efficiency": "SE%",
    "cross_server_communications": "CSC",
    "utilization_variance": "var.",
    "makespan": "span s",
    "p99": "P99 s",
    "throughput": "req/s",
    "gap": "gap%",
    "solve_seconds": "solve",
}


@click.command()
@input_options
@cluster_options
@mode_option
@sharing_options
@click.option(
    "--methods",
    default=",".join(METHODS[:3]),
    show_default=True,
    help=f"Placement methods, of: {', '.join(METHODS)}.",
)
@click.option("--routings", default=",".join(ROUTINGS), show_default=True, help="Routing policies.")
@click.option("--max-utilization", type=Number(0, 1, above_low=True), default=0.8)
@click.option(
    "--time-limit",
    type=Number(),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Of each solve.",
)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
@click.option("--csv", "csv_file", type=click.Path(), metavar="FILE", help="Write the rows as CSV.")
@output_options
def command(**options: Any) -> None:
    """Run every method and routing policy on your data: one ranked table.

    Placement and routing are each shown for themselves: every placement runs under every policy,
    on the same trace. Ranked by server efficiency, then by cross-server communications.

    \b
    Example:
      gswarm-place compare --config configs/multimodal.yaml \\
          --requests configs/multimodal_requests.jsonl --gpus 32 --gpus-per-server 8
    """
    from placement.atomic import replacing

    methods = _chosen(options["methods"], METHODS, "--methods")
    routings = _chosen(options["routings"], ROUTINGS, "--routings")
    check_outputs(
        {"--csv": options["csv_file"]},
        (options["config"], options["requests"], options["cluster_file"]),
    )
    rows = _rows(methods, routings, options)
    rows.sort(key=lambda r: (-r["server_efficiency"], r["cross_server_communications"]))
    if options["csv_file"] is not None:
        with replacing(options["csv_file"]) as path, path.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    if options["as_json"]:
        echo_json({"rows": rows})
    elif not options["quiet"]:
        _show(rows)


def _chosen(text: str, known: tuple[str, ...], option: str) -> list[str]:
    names = [n.strip() for n in text.split(",") if n.strip()]
    wrong = [n for n in names if n not in known]
    if wrong or not names:
        raise click.UsageError(
            f"{option}: {wrong or 'nothing'} given; take from {', '.join(known)}"
        )
    return names


def _rows(methods: list[str], routings: list[str], options: dict[str, Any]) -> list[dict[str, Any]]:
    from cli.terminal import SolveProgress
    from placement.instance import build_instance
    from placement.outcome import SolveOptions
    from placement.plan import route
    from placement.reading.cluster import check_fits
    from placement.solve import solve
    from placement.trace import measure_demand
    from runtime.metrics import measure
    from runtime.simulate import simulate

    cluster = make_cluster(
        options["gpus"],
        options["gpus_per_server"],
        options["gpu_memory_gb"],
        options["cluster_file"],
    )
    workload, trace = load_inputs(options["config"], options["requests"])
    instance = build_instance(
        workload,
        measure_demand(workload, trace),
        cluster,
        exclusive=options["exclusive"],
        max_models_per_gpu=options["max_models_per_gpu"],
    )
    check_fits(options["config"], workload, cluster, instance.used_models)
    rows = []
    for method in methods:
        with SolveProgress(quiet=options["quiet"] or options["as_json"]) as progress:
            result = solve(
                instance,
                SolveOptions(
                    method=method,
                    mode=options["mode"],
                    max_utilization=options["max_utilization"],
                    time_limit_s=options["time_limit"],
                    seed=options["seed"],
                ),
                progress=progress,
            )
        shares = route(result.instance, result.solution.flows)
        for routing in routings:
            m = measure(
                simulate(
                    workload,
                    trace,
                    cluster,
                    result.solution.placement,
                    shares,
                    mode=options["mode"],
                    policy=routing,
                )
            )
            rows.append(
                {
                    "method": method,
                    "routing": routing,
                    "scheduler": "static",
                    "server_efficiency": m.server_efficiency,
                    "cross_server_communications": m.cross_server_communications,
                    "utilization_variance": m.utilization_variance,
                    "makespan": m.makespan_s,
                    "p99": m.request_latency.p99,
                    "throughput": m.throughput,
                    "objective": result.evaluation.objective,
                    "best_bound": result.certificate.best_bound,
                    "gap": result.certificate.gap if method == "ilp" else None,
                    "solve_seconds": result.certificate.seconds,
                }
            )
    return rows


def _show(rows: list[dict[str, Any]]) -> None:
    from cli.terminal import output, table

    shown = table(*COLUMNS.values(), left=2)
    for row in rows:
        gap = "" if row["gap"] is None else f"{100 * row['gap']:.2f}"
        shown.add_row(
            row["method"],
            row["routing"],
            f"{row['server_efficiency']:.1f}",
            f"{row['cross_server_communications']:,}",
            f"{row['utilization_variance']:.0f}",
            f"{row['makespan']:,.0f}",
            f"{row['p99']:,.1f}",
            f"{row['throughput']:.2f}",
            gap,
            f"{row['solve_seconds']:.1f}",
        )
    output().print(shown)
