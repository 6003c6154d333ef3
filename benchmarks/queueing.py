"""Systems whose answer queueing theory knows, as simulations, and its closed forms."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from placement.problem.cluster import Cluster, FloatArray, GpuSharing
from placement.problem.solution import Placement
from placement.problem.trace import Trace
from placement.problem.workload import Edge, Model, Node, Workflow, Workload
from runtime.metrics import measure
from runtime.result import RunResult
from runtime.simulate import Dispatch, simulate_placement

START = datetime(2026, 1, 1, tzinfo=UTC)
SERIAL, EVEN = GpuSharing("serial"), GpuSharing("time-sliced", (1.0,))
"""One execution on a GPU at a time; and as many as there are, at no cost."""
WARM_UP = 0.1
"""Fraction of the requests left out at the beginning, when the queues are still empty."""

Service = Callable[[np.random.Generator, int], FloatArray]
Statistic = Callable[[RunResult], float]


def model(
    name: str,
    gpus: int = 1,
    concurrency: int = 1,
    slowdown: tuple[float, ...] = (),
    fraction: float = 1.0,
) -> Model:
    """Make a model; a batching one is not slowed down by what it serves at once, by default."""
    return Model(
        name, name, float(gpus), gpus, 1.0, max_concurrency=concurrency,
        slowdown=slowdown or (1.0,) * concurrency, gpu_fraction=fraction,
    )  # fmt: skip


def exponential(mean: float) -> Service:
    """Exponential service times."""
    return lambda rng, n: rng.exponential(mean, n)


def constant(mean: float) -> Service:
    """Equal service times."""
    return lambda rng, n: np.full(n, mean)


def lognormal(mean: float, variation: float) -> Service:
    """Lognormal service times with a coefficient of variation."""
    sigma = math.sqrt(math.log(1 + variation**2))
    return lambda rng, n: rng.lognormal(math.log(mean) - sigma**2 / 2, sigma, n)


@dataclass(frozen=True)
class System:
    """Poisson streams of workflows on one server.

    Parameters
    ----------
    models, workflows
        As a workload has them.
    rates : tuple of float, length W
        Requests per second of each workflow.
    service : tuple of W tuples
        How each node's service times are drawn.
    replicas : tuple of (model, first GPU)
    gpus : int
        Of the server.
    policy : str
        How calls are routed.
    sharing : GpuSharing
        How replicas share a GPU.
    """

    models: tuple[Model, ...]
    workflows: tuple[Workflow, ...]
    rates: tuple[float, ...]
    service: tuple[tuple[Service, ...], ...]
    replicas: tuple[tuple[int, int], ...]
    gpus: int
    policy: str = "earliest"
    sharing: GpuSharing = SERIAL


def run(rng: np.random.Generator, requests: int, system: System) -> RunResult:
    """Simulate so many requests of a system.

    Parameters
    ----------
    rng : Generator
        Of arrivals and service times.
    requests : int
    system : System
    """
    rate, workflows = sum(system.rates), system.workflows
    arrival = np.cumsum(rng.exponential(1 / rate, requests))
    workflow = rng.choice(len(system.rates), requests, p=np.array(system.rates) / rate)
    sizes = np.array([len(w.nodes) for w in workflows])[workflow]
    offset = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    times = np.empty(offset[-1])
    for w, nodes in enumerate(system.service):
        first = offset[:-1][workflow == w]
        for v, draw in enumerate(nodes):
            times[first + v] = draw(rng, len(first))
    trace = Trace(
        range(requests),  # type: ignore[arg-type]
        arrival - arrival[0],
        workflow.astype(np.int64),
        times,
        offset,
        START,
    )
    placed, start = np.array(system.replicas, dtype=np.int64).T
    # Not `Placement.sorted`, which leaves one of equal replicas on the same GPUs.
    placement = Placement(placed, np.zeros_like(placed), start)
    cluster = replace(Cluster.homogeneous(system.gpus, system.gpus), sharing=system.sharing)
    return simulate_placement(
        Workload(system.models, workflows),
        trace,
        cluster,
        placement,
        dispatch=Dispatch(policy=system.policy),
        engine="compiled",
    )


def chain(*models: int) -> Workflow:
    """Call models one after the other."""
    nodes = tuple(Node(f"n{v}", m) for v, m in enumerate(models))
    return Workflow("chain", "chain", nodes, tuple(Edge(v, v + 1) for v in range(len(nodes) - 1)))


def parallel(count: int) -> Workflow:
    """Call models 0 to `count` - 1 at once; the request ends with the last."""
    return Workflow("fork", "fork", tuple(Node(f"n{v}", v) for v in range(count)))


def settled(run: RunResult) -> slice:
    """Requests after the warm-up."""
    n = len(run.problem.arrival_s)
    return slice(int(WARM_UP * n), n)


def mean_waiting(run: RunResult) -> float:
    """Mean waiting time of the executions after the warm-up."""
    first = run.problem.offset[settled(run).start]
    return float((run.start_s - run.ready_s)[first:].mean())


def latencies(run: RunResult) -> FloatArray:
    """Response time of each request after the warm-up."""
    ends = np.maximum.reduceat(run.end_s, run.problem.offset[:-1])
    return np.asarray((ends - run.problem.arrival_s)[settled(run)])


def mean_latency(run: RunResult) -> float:
    """Mean response time of the requests after the warm-up."""
    return float(latencies(run).mean())


def p99_latency(run: RunResult) -> float:
    """99th percentile of the response times after the warm-up."""
    return float(np.percentile(latencies(run), 99))


def mean_utilization(run: RunResult) -> float:
    """Mean utilization over all GPUs, as the metrics report it, in percent."""
    return measure(run).average_utilization


def erlang_c(servers: int, load: float) -> float:
    """Probability that an arrival waits in M/M/c (Erlang 1917); `load` is per server."""
    offered = servers * load
    blocked = 1.0
    for n in range(1, servers + 1):
        blocked = offered * blocked / (n + offered * blocked)
    return blocked / (1 - load * (1 - blocked))


def sharing_sojourn(rate: float, pace: Callable[[int], float]) -> float:
    """Mean sojourn in a queue that serves all n present alike, at the rate pace(n) in all.

    With exponential services of mean 1 the number present is a birth and death process, and the
    mean is the same for every law of that mean (Kelly 1979, 3.3: symmetric queues).
    """
    weight, total, present = 1.0, 1.0, 0.0
    n = 0
    while weight > 1e-15 * total:
        n += 1
        weight *= rate / pace(n)
        total += weight
        present += n * weight
    return present / total / rate


def pollaczek_khinchine(rate: float, mean: float, second_moment: float) -> float:
    """Mean wait in M/G/1 (Pollaczek 1930, Khinchine 1932)."""
    return rate * second_moment / (2 * (1 - rate * mean))
