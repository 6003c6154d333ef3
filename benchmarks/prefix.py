"""What it is worth that routers know where a context was read before.

    python -m benchmarks.prefix [--requests N]

Agents call one model twice, with a search between, on eight replicas of four servers; of the second
call's prefill the replica of the first saves four fifths. Prints Markdown: latencies, how many
second calls came to the replica of the first, and how busy the GPUs are.
"""

from __future__ import annotations

from datetime import UTC, datetime

import click
import numpy as np

from placement.problem.cluster import Cluster
from placement.problem.names import Router
from placement.problem.solution import Placement
from placement.problem.trace import Trace
from placement.problem.workload import Edge, Model, Node, Workflow, Workload
from runtime.metrics import Metrics, measure
from runtime.simulate import Dispatch, simulate_placement

PREFILL_S, SHARED = 1.2, 0.8
LOADS = (0.5, 0.7, 0.85, 0.95, 1.05)
ROUTERS: tuple[Router, ...] = ("least-loaded", "earliest", "locality")
CLUSTER = Cluster.homogeneous(8, 2)


def make_workload() -> Workload:
    """One workflow: a call, a search that needs no GPU, and a call that reads on."""
    chat = Model("chat", "chat", 16.0, 1, 10.0, prefill_time_s=PREFILL_S)
    search = Model("search", "search", 0.0, 0, 0.0)
    nodes = (Node("plan", 0), Node("search", 1), Node("answer", 0))
    edges = (Edge(0, 1), Edge(1, 2), Edge(0, 2, shared_prefix=SHARED))
    return Workload((chat, search), (Workflow("agent", "agent", nodes, edges),))


def make_trace(requests: int, load: float) -> Trace:
    """Poisson arrivals; each call its prefill and an exponential time of 0.8 or 1.8 s."""
    rng = np.random.default_rng(0)
    service = rng.exponential((0.8, 2.0, 1.8), (requests, 3))
    service[:, [0, 2]] += PREFILL_S
    span = float(service[:, [0, 2]].sum()) / (load * CLUSTER.n_gpus)
    arrival = np.sort(rng.uniform(0.0, span, requests))
    return Trace(
        [f"r{i}" for i in range(requests)],
        arrival - arrival[0],
        np.zeros(requests, dtype=np.int64),
        service.ravel(),
        3 * np.arange(requests + 1),
        datetime(2026, 1, 1, tzinfo=UTC),
    )


def measured(requests: int, load: float, router: Router) -> tuple[Metrics, float]:
    """Metrics of a run, and the part of the second calls that found their context."""
    server, start = np.divmod(np.arange(CLUSTER.n_gpus), CLUSTER.max_gpus_per_server)
    placement = Placement(np.zeros_like(server), server, start)
    run = simulate_placement(
        make_workload(),
        make_trace(requests, load),
        CLUSTER,
        placement,
        dispatch=Dispatch(policy=router),
    )
    first, _, second = run.replica.reshape(-1, 3).T
    return measure(run), float((first == second).mean())


@click.command()
@click.option("--requests", default=20_000, show_default=True, help="Requests of the trace.")
def command(requests: int) -> None:
    """Print the table."""
    click.echo(
        "| load | router | context found | GPUs busy | mean | P99 |\n|---|---|---|---|---|---|"
    )
    for load in LOADS:
        for router in ROUTERS:
            m, found = measured(requests, load, router)
            latency = m.request_latency
            click.echo(
                f"| {load:g} | `{router}` | {found:.0%} | {m.average_utilization:.0f} % | "
                f"{latency.mean:.1f} s | {latency.p99:.1f} s |"
            )


if __name__ == "__main__":
    command()
