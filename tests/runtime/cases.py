"""Random simulations: every feature of the semantics, small enough to run in a millisecond."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from placement.problem.cluster import Cluster, GpuSharing, Network, ServerType
from placement.problem.names import Mode, SharingMode
from placement.problem.plan import Shares, WorkflowRouting
from placement.problem.solution import Placement
from placement.problem.trace import Trace
from placement.problem.workload import Edge, Model, Node, Workflow, Workload
from runtime.result import RunResult
from runtime.simulate import Dispatch, simulate_placement

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Case:
    """All that `simulate` takes."""

    workload: Workload
    trace: Trace
    cluster: Cluster
    placement: Placement
    routing: tuple[WorkflowRouting | None, ...]
    mode: Mode


def model(name: str, gpus: int = 1, slowdown: tuple[float, ...] = (1.0,), **more: float) -> Model:
    """Make a model of 1 GB a GPU."""
    return Model(
        id=name,
        name=name.upper(),
        memory_gb=more.get("memory_gb", float(gpus)),
        gpus_required=gpus,
        load_time_s=more.get("load_time_s", 5.0),
        max_concurrency=len(slowdown),
        slowdown=slowdown,
        prefill_time_s=more.get("prefill_time_s", 0.0),
        gpu_fraction=more.get("gpu_fraction", 1.0),
    )


def trace_of(
    workload: Workload, arrival_s: np.ndarray, workflow: np.ndarray, service_s: np.ndarray
) -> Trace:
    """Make a trace whose executions are listed request by request."""
    sizes = np.array([len(w.nodes) for w in workload.workflows])[workflow]
    return Trace(
        request_ids=[f"r{i}" for i in range(len(arrival_s))],
        arrival_s=np.asarray(arrival_s, dtype=np.float64),
        workflow=np.asarray(workflow, dtype=np.int64),
        service_s=np.asarray(service_s, dtype=np.float64),
        offset=np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
        start=START,
    )


def chain(models: int, payload_mb: float = 0.0) -> Workflow:
    """Make a workflow that calls model 0, 1, ... one after the other."""
    return Workflow(
        "chain",
        "chain",
        tuple(Node(f"n{m}", m) for m in range(models)),
        tuple(Edge(m, m + 1, payload_mb) for m in range(models - 1)),
    )


def random_case(
    seed: int,
    *,
    requests: int = 40,
    network: bool | None = None,
    sharing: SharingMode = "time-sliced",
    ties: bool = True,
    steps: bool = False,
) -> Case:
    """Draw models, DAGs, a cluster, a placement, shares and a trace.

    With `steps`, some nodes need no GPU, some edges carry nothing, some requests are turns of
    sessions, and some calls of a model read a context again. With `ties`, times are often multiples
    of 0.5, so that many events fall on one instant. What only time slicing knows is drawn apart, so
    that both kinds of sharing run the same cases.
    """
    rng = np.random.default_rng(seed)
    more = np.random.default_rng([seed, 1])
    n_models = int(rng.integers(1, 5))
    models = []
    for m in range(n_models):
        slots = int(rng.choice([1, 1, 1, 2, 3]))
        slowdown = np.concatenate(([1.0], 1.0 + np.cumsum(rng.random(slots - 1))))
        gpus = int(rng.choice([1, 1, 2, 3]))
        fraction = float(more.choice([1.0, 1.0, 0.5, 0.83]))
        prefill = float(more.choice([0.0, 0.25, 1.0]))
        details = {"gpu_fraction": fraction, "prefill_time_s": prefill}
        models.append(model(f"m{m}", gpus, tuple(slowdown.tolist()), **details))
    apart = np.random.default_rng([seed, 2])
    workflows = []
    for w in range(int(rng.integers(1, 4))):
        nodes = int(rng.integers(1, 6))
        # Nodes in no topological order, so that numbers of executions and order of time differ.
        place = rng.permutation(nodes)
        pairs = [(a, b) for a in range(nodes) for b in range(a + 1, nodes) if rng.random() < 0.45]
        workflows.append(
            Workflow(
                f"w{w}",
                f"w{w}",
                tuple(Node(f"n{v}", int(rng.integers(n_models))) for v in range(nodes)),
                tuple(
                    Edge(int(place[a]), int(place[b]), float(rng.choice([0.0, 500.0])))
                    for a, b in pairs
                ),
            )
        )
    if steps and apart.random() < 0.4:  # some nodes need no GPU, and some edges carry nothing
        models.append(replace(model("step"), gpus_required=0))
        workflows = [
            replace(
                w,
                nodes=tuple(
                    replace(n, model=n_models) if apart.random() < 0.3 else n for n in w.nodes
                ),
                edges=tuple(replace(e, carries=bool(apart.random() < 0.8)) for e in w.edges),
            )
            for w in workflows
        ]
    prefixes = np.random.default_rng([seed, 3])
    if steps and prefixes.random() < 0.6:  # calls of one model read the context of another again
        workflows = [
            replace(
                w,
                edges=tuple(
                    replace(e, shared_prefix=float(prefixes.choice([0.0, 0.5, 0.9, 1.0])))
                    if w.nodes[e.source].model == w.nodes[e.target].model
                    else e
                    for e in w.edges
                ),
            )
            for w in workflows
        ]
    workload = Workload(tuple(models), tuple(workflows))
    with_network = bool(rng.random() < 0.5) if network is None else network
    wires = Network(*rng.choice([0.0, 0.25, 1.5], 1), 2.0, 0.5, 1.0) if with_network else Network()
    types = tuple(
        ServerType(f"t{t}", int(rng.integers(1, 3)), int(rng.integers(3, 6)), 80.0, speed)
        for t, speed in enumerate(rng.choice([1.0, 2.0], int(rng.integers(1, 3))))
    )
    cards = np.random.default_rng([seed, 4])
    if cards.random() < 0.3:  # cards of one server differ in speed
        each = [tuple(cards.choice([0.5, 1.0, 2.0], t.gpus).tolist()) for t in types]
        types = tuple(
            replace(t, speed=max(v), gpu_speeds=v if min(v) < max(v) else ())
            for t, v in zip(types, each, strict=True)
        )
    efficiency = ((0.93,), (1.0,), (0.9, 0.8, 0.75))[more.integers(3)]
    cluster = Cluster(types, wires, GpuSharing(sharing, efficiency))
    placement = _random_placement(rng, workload, cluster)
    count = int(rng.integers(1, requests))
    grid = rng.random() < 0.5 and ties
    gaps = rng.choice([0.0, 0.0, 0.5, 1.0], count) if grid else rng.random(count)
    workflow = rng.integers(len(workflows), size=count)
    total = int(np.array([len(w.nodes) for w in workflows])[workflow].sum())
    grid = rng.random() < 0.5 and ties
    service = rng.choice([0.0, 0.5, 1.0, 2.0], total) if grid else rng.exponential(1.0, total)
    arrival = np.cumsum(gaps)
    trace = trace_of(workload, arrival - arrival[0], workflow, service)
    if steps and apart.random() < 0.5:
        trace = replace(trace, sessions=apart.integers(-1, 4, count))
    routing = tuple(_random_shares(rng, workload, w, placement) for w in workload.workflows)
    if more.random() < 0.5:
        part = np.where(more.random(total) < 0.5, np.nan, more.random(total))
        trace = replace(trace, stated_prefill_s=np.minimum(part, service))
    mode: Mode = "offline" if rng.random() < 0.3 else "online"
    return Case(workload, trace, cluster, placement, routing, mode)


def speed_on(cluster: Cluster, gpus: range) -> float:
    """Speed of a replica on some GPUs of one server: that of the slowest."""
    kind = cluster.server_types[cluster.server_type[cluster.gpu_server[gpus[0]]]]
    first = int(cluster.first_gpu[cluster.gpu_server[gpus[0]]])
    return min(kind.gpu_speeds[g - first] if kind.gpu_speeds else kind.speed for g in gpus)


def _random_placement(rng: np.random.Generator, workload: Workload, cluster: Cluster) -> Placement:
    replicas = set()
    share = rng.random() < 0.5
    held = np.zeros(cluster.n_gpus, dtype=int)
    for _ in range(int(rng.integers(1, 12))):
        m = int(rng.integers(sum(m.on_gpus for m in workload.models)))
        s = int(rng.integers(cluster.n_servers))
        k = workload.models[m].gpus_required
        i = int(rng.integers(cluster.server_gpus[s] - k + 1))
        block = slice(cluster.first_gpu[s] + i, cluster.first_gpu[s] + i + k)
        if (share or not held[block].any()) and (s, i, m) not in replicas:
            held[block] += 1
            replicas.add((s, i, m))
    server, start, models = (np.array(column) for column in zip(*sorted(replicas), strict=True))
    return Placement.sorted(models, server, start)


def _random_shares(
    rng: np.random.Generator, workload: Workload, workflow: Workflow, placement: Placement
) -> WorkflowRouting | None:
    """Home shares on any server that holds all models, and spills on any that holds one."""
    if rng.random() < 0.2:
        return None
    on_gpus = [workload.models[n.model].on_gpus for n in workflow.nodes]
    where = [
        np.unique(placement.server[placement.model == n.model])
        for n, needed in zip(workflow.nodes, on_gpus, strict=True)
        if needed
    ]
    if any(not len(w) for w in where) or not where:
        return None
    common = where[0]
    for other in where[1:]:
        common = np.intersect1d(common, other)
    total = rng.choice([0.0, 0.6, 1.0]) if len(common) else 0.0
    home = rng.dirichlet(np.ones(len(common))) * total if len(common) else np.zeros(0)
    spills = iter([Shares(w, rng.dirichlet(np.ones(len(w))) * (1 - total)) for w in where])
    nothing = Shares(np.zeros(0, dtype=np.int64), np.zeros(0))
    spill = tuple(next(spills) if needed else nothing for needed in on_gpus)
    return WorkflowRouting(Shares(common, home), spill)


def without_ties(case: Case, seed: int) -> Case:
    """The case with times of which no two fall together: ties have no order among servers."""
    rng = np.random.default_rng(seed)
    n = case.trace.n_executions
    trace = replace(
        case.trace,
        arrival_s=np.cumsum(rng.exponential(0.3, case.trace.n_requests)),
        service_s=rng.exponential(1.0, n) + 1e-3,
    )
    return replace(case, trace=trace, mode="online")


def crowded_case(seed: int) -> Case:
    """Draw a case whose models have load times and too much memory to be loaded all at once."""
    case = random_case(seed)
    rng = np.random.default_rng([seed, 9])
    models = tuple(
        replace(
            m,
            memory_gb=float(rng.choice([20.0, 30.0, 50.0])) * m.gpus_required,
            load_time_s=float(rng.choice([0.0, 0.5, 1.0, 3.0])),
        )
        for m in case.workload.models
    )
    return replace(case, workload=replace(case.workload, models=models))


def run_case(
    seed: int,
    policy: str,
    engine: str,
    sharing: SharingMode = "time-sliced",
    *,
    steps: bool = False,
    **more: object,
) -> RunResult:
    case = random_case(seed, sharing=sharing, steps=steps)
    return simulate_placement(
        case.workload,
        case.trace,
        case.cluster,
        case.placement,
        case.routing,
        dispatch=Dispatch(mode=case.mode, policy=policy, spill_patience=0.3),
        engine=engine,  # type: ignore[arg-type]
        **more,  # type: ignore[arg-type]
    )
