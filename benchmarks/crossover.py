"""When locality matters: one trace at four payloads and on three networks.

    python -m benchmarks.crossover [--requests N] [--load F]

The plan of the integer program under the router `locality` against greedy's placement under
`earliest`, which is blind to servers but knows when data would be there. Prints Markdown: latencies
of requests and the seconds that a crossing costs.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import click
import numpy as np

from placement.files.network_entry import LINKS
from placement.problem.cluster import Cluster, Network
from placement.problem.names import Method, Objective, Router
from placement.problem.outcome import SolveOptions
from placement.problem.plan import Plan
from placement.problem.rules import Rules
from placement.problem.trace import Trace
from placement.problem.workload import Edge, Model, Node, Workflow, Workload
from placement.solve import solve
from runtime.metrics import Metrics
from runtime.simulate import simulate

PAYLOADS: tuple[tuple[str, float], ...] = (
    ("text, 0.01 MB", 0.01),
    ("image, 6 MB", 6.0),
    ("KV cache of 2,000 tokens, 650 MB", 650.0),
    ("KV cache of 30,000 tokens, 10,000 MB", 10_000.0),
)
"""A KV cache of 0.33 MB a token is that of a model with 80 layers, 8 heads of 128 and 2 bytes."""

NETWORKS = ("rdma-400", "rdma-100", "tcp-25")

ENTRANTS: tuple[tuple[str, Method, Router], ...] = (
    ("ILP, locality", "ilp", "locality"),
    ("ILP, earliest", "ilp", "earliest"),
    ("greedy, earliest", "greedy", "earliest"),
)

GPUS, PER_SERVER = 16, 4


def make_workload(payload_mb: float) -> Workload:
    """Six models of one GPU in three workflows; every edge carries the payload."""
    seconds = {"prefill": 0.4, "decode": 2.0, "plan": 1.0, "code": 1.5, "embed": 0.1, "write": 1.8}
    models = tuple(
        Model(name, name, 30.0, 1, 10.0, inference_time_mean_s=t) for name, t in seconds.items()
    )
    index = {m.id: i for i, m in enumerate(models)}
    chains = {
        "chat": ("prefill", "decode"),
        "agent": ("plan", "code", "write"),
        "search": ("embed", "prefill", "decode"),
    }
    return Workload(
        models,
        tuple(
            Workflow(
                name,
                name,
                tuple(Node(m, index[m]) for m in chain),
                tuple(Edge(v, v + 1, payload_mb) for v in range(len(chain) - 1)),
            )
            for name, chain in chains.items()
        ),
    )


def make_trace(workload: Workload, requests: int, load: float) -> Trace:
    """Poisson arrivals of the three workflows alike, and exponential service times."""
    rng = np.random.default_rng(1)
    workflow = rng.integers(len(workload.workflows), size=requests)
    sizes = np.array([len(w.nodes) for w in workload.workflows])[workflow]
    mean = np.concatenate(
        [
            [workload.models[n.model].inference_time_mean_s for n in workload.workflows[w].nodes]
            for w in workflow
        ]
    ).astype(np.float64)
    service = mean * rng.exponential(1.0, len(mean))
    span = float(service.sum()) / (load * GPUS)
    arrival = np.sort(rng.uniform(0.0, span, requests))
    return Trace(
        [f"r{i}" for i in range(requests)],
        arrival - arrival[0],
        workflow.astype(np.int64),
        service,
        np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
        datetime(2026, 1, 1, tzinfo=UTC),
    )


def measured(
    payload_mb: float, wires: Network, requests: int, load: float, objective: Objective = "mixed"
) -> list[Metrics]:
    """What each entrant makes of one payload on one network.

    Parameters
    ----------
    payload_mb : float
        Of every edge.
    wires : Network
    requests : int
    load : float
        Mean busy fraction of the GPUs.
    objective : str
        Of the integer program.
    """
    workload = make_workload(payload_mb)
    trace = make_trace(workload, requests, load)
    cluster = replace(Cluster.homogeneous(GPUS, PER_SERVER), network=wires)
    found, plans = [], dict[Method, Plan]()
    for _, method, router in ENTRANTS:
        if method not in plans:
            # A fifth of what is left above the load is room for queues.
            cap = load + (1.0 - load) / 5
            options = SolveOptions(method=method, max_utilization=cap, time_limit_s=30.0)
            plans[method] = solve(workload, trace, cluster, options, rules=Rules(objective))
        found.append(simulate(workload, trace, plans[method], policy=router).metrics)
    return found


@click.command()
@click.option("--requests", default=20_000, show_default=True, help="Requests of the trace.")
@click.option("--load", default=0.7, show_default=True, help="Mean load of the GPUs.")
def command(requests: int, load: float) -> None:
    """Print the table."""
    names = [name for name, _, _ in ENTRANTS]
    click.echo(
        f"| payload | network | a crossing | {' | '.join(f'{n}: P99' for n in names)} | ", nl=False
    )
    click.echo(f"{' | '.join(f'{n}: mean' for n in names)} | crossings |")
    click.echo("|---" * (4 + 2 * len(names)) + "|")
    for what, payload_mb in PAYLOADS:
        for network in NETWORKS:
            wires = Network(*LINKS["nvlink"], *LINKS[network])
            each = measured(payload_mb, wires, requests, load)
            cost = wires.delay_s(payload_mb, same_server=False)
            p99 = " | ".join(f"{m.request_latency.p99:.2f} s" for m in each)
            mean = " | ".join(f"{m.request_latency.mean:.2f} s" for m in each)
            crossed = ", ".join(f"{m.cross_server_communications:,}" for m in each)
            click.echo(f"| {what} | {network} | {cost:.2g} s | {p99} | {mean} | {crossed} |")


if __name__ == "__main__":
    command()
