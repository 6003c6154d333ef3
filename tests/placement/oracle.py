"""Brute force over all placements of a tiny cluster, routed by an independent linear program.

Where sharing a GPU costs nothing, only placements to which no replica can be added are enumerated:
one more never hurts, for it may stay idle. Where it does cost, all are, and every replica that can
be loaded counts as loaded: of those with idle replicas the same without them is there, too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations, combinations_with_replacement, product

import numpy as np
from scipy.optimize import linprog

from placement.problem.cluster import Cluster, GpuSharing, ServerType
from placement.problem.instance import Instance, WorkflowDemand

Content = tuple[tuple[int, int], ...]
"""(model, start) of each replica on one server."""


EVEN = GpuSharing(efficiency=(1.0,))
"""Slices that cost nothing."""

SLICED = (
    GpuSharing(efficiency=(0.5,)),
    GpuSharing(efficiency=(0.8,)),
    GpuSharing(),
    EVEN,
    GpuSharing(efficiency=(0.95, 0.7)),
    GpuSharing(efficiency=(1.3, 0.85)),
    GpuSharing("serial", (0.5,)),
)


def random_instance(
    rng: np.random.Generator,
    *,
    exclusive: bool,
    load_cap: float,
    sharing: GpuSharing = EVEN,
    fractions: Sequence[float] = (1.0,),
) -> Instance:
    """A tiny instance that the models fit, with 1- and 2-GPU blocks.

    Parameters
    ----------
    fractions : sequence of float
        Of which each model's ``gpu_fraction`` is drawn.
    """
    while True:
        n_models = int(rng.integers(2, 4))
        k = rng.integers(1, 3, n_models)
        types = tuple(
            ServerType(f"t{t}", 1, int(rng.integers(2, 4 if exclusive else 3)), 80.0, speed)
            for t, speed in enumerate(rng.choice([1.0, 1.0, 2.0], rng.integers(1, 3)))
        )
        if rng.random() < 0.6:
            types = (ServerType("s", 2, 2, 80.0),)
        memory = rng.choice([30.0, 45.0, 70.0], n_models)
        workflows = []
        for w in range(int(rng.integers(1, 3))):
            nodes = int(rng.integers(1, 4))
            edges = [(u, v) for v in range(nodes) for u in range(v) if rng.random() < 0.6]
            workflows.append(
                WorkflowDemand(
                    f"w{w}",
                    float(rng.uniform(0.1, 1.0)),
                    rng.integers(0, n_models, nodes),
                    rng.uniform(0.1, 1.0, nodes),
                    np.array(edges, dtype=np.int64).reshape(-1, 2),
                )
            )
        instance = Instance(
            tuple(f"m{m}" for m in range(n_models)),
            k.astype(np.int64),
            memory,
            tuple(workflows),
            Cluster(types, sharing=sharing),
            load_cap=load_cap,
            alpha=float(rng.choice([0.0, 0.5, 1.0])),
            exclusive=exclusive,
        )
        if set(fractions) != {1.0}:
            drawn = rng.choice(fractions, n_models)
            instance = replace(instance, gpu_fraction=tuple(float(u) for u in drawn))
        if next(placements(instance), None) is not None:
            return instance


def with_cards(rng: np.random.Generator, instance: Instance) -> Instance:
    """Give the GPUs of every server, and of a model now and then, speeds of their own."""

    def drawn(gpus: int) -> tuple[float, ...]:
        each = tuple(rng.choice([0.5, 1.0, 1.0, 2.0], gpus).tolist())
        return each if len(set(each)) > 1 else (2.0, *(0.5,) * (gpus - 1))

    types = []
    for kind in instance.cluster.server_types:
        each = drawn(kind.gpus)
        own = ((instance.model_ids[0], drawn(kind.gpus)),) if rng.random() < 0.3 else ()
        types.append(replace(kind, speed=max(each), gpu_speeds=each, model_speeds=own))
    return replace(instance, cluster=replace(instance.cluster, server_types=tuple(types)))


def contents(instance: Instance, kind: ServerType) -> list[Content]:
    """Every content of one server; where slices cost nothing, those to which none can be added."""
    blocks = [
        (m, i)
        for m in instance.used_models
        for i in range(kind.gpus - int(instance.gpus_required[m]) + 1)
    ]

    def fits(content: Content) -> bool:
        for g in range(kind.gpus):
            here = [m for m, i in content if i <= g < i + instance.gpus_required[m]]
            if instance.exclusive and len(here) > 1:
                return False
            if instance.max_models_per_gpu and len(here) > instance.max_models_per_gpu:
                return False
            if sum(instance.memory_per_gpu_gb[m] for m in here) > kind.gpu_memory_gb:
                return False
        return True

    found: list[Content] = [()]
    for block in blocks:
        found += [(*c, block) for c in found if fits((*c, block))]
    if costs(instance):
        return found
    return [
        c for c in found if not any(b not in c and fits(tuple(sorted((*c, b)))) for b in blocks)
    ]


def costs(instance: Instance) -> bool:
    """Whether replicas that share a GPU may get less of it than one alone."""
    sharing = instance.cluster.sharing
    return sharing.mode == "time-sliced" and min(sharing.efficiency) < 1


def capacity(instance: Instance, models: Sequence[int]) -> float:
    """What loaded replicas of these models can carry on one GPU: the least pace of any of them.

    As the Markov chain of the closed network gives it: each is at its host for a mean time 1 - u,
    or on the GPU for a mean time u, which k share at the rate eta(k).
    """
    if not costs(instance):
        return 1.0
    least = 1.0
    for size in range(2, len(models) + 1):
        for some in combinations([instance.fraction(m) for m in models], size):
            least = min(least, sum(stationary_paces(some, instance.cluster.sharing)))
    return least


def stationary_paces(fractions: Sequence[float], sharing: GpuSharing) -> list[float]:
    """Turns that each replica makes per unit of time in the closed network, from its chain."""
    u = np.clip(np.array(fractions), 0.0, 1 - 1e-9)
    n = len(u)
    states = list(product((False, True), repeat=n))
    number = {state: i for i, state in enumerate(states)}
    flow = np.zeros((len(states), len(states)))
    turns = np.zeros((n, len(states)))
    for state, i in number.items():
        k = sum(state)
        for r in range(n):
            other = (*state[:r], not state[r], *state[r + 1 :])
            rate = sharing.kept(k) / k / u[r] if state[r] else 1 / (1 - u[r])
            flow[i, number[other]] += rate
            flow[i, i] -= rate
            turns[r, i] = rate if state[r] else 0.0
    balance = np.vstack([flow.T, np.ones(len(states))])
    chance = np.linalg.lstsq(balance, np.append(np.zeros(len(states)), 1.0), rcond=None)[0]
    return [float(t) for t in turns @ chance]


def placements(instance: Instance) -> Iterator[tuple[Content, ...]]:
    """Every maximal placement that holds the used models, identical servers in one order."""
    per_type = [
        combinations_with_replacement(contents(instance, t), t.count)
        for t in instance.cluster.server_types
    ]
    for choice in product(*(list(p) for p in per_type)):
        servers = tuple(c for group in choice for c in group)
        if {m for c in servers for m, _ in c} >= set(instance.used_models):
            yield servers


def route(instance: Instance, servers: tuple[Content, ...], *, bottleneck: bool) -> float:
    """Best locality under the cap (-inf where it cannot be kept), or the least bottleneck."""
    columns: dict[tuple, int] = {}
    for w in instance.active_workflows:
        flow = instance.workflows[w]
        for s in range(len(servers)):
            columns["c", w, s] = len(columns)
            for e in range(len(flow.links)):
                columns["l", w, e, s] = len(columns)
            for v in range(len(flow.node_model)):
                columns["a", w, v, s] = len(columns)
    for s, content in enumerate(servers):
        for r in range(len(content)):
            columns["h", s, r] = len(columns)
    columns["U",] = n = len(columns)
    cost = np.zeros(n + 1)
    less: list[tuple[dict[int, float], float]] = []
    equal: list[tuple[dict[int, float], float]] = []
    rates = sum(w.rate for w in instance.workflows)
    link_rates = sum(w.rate * len(w.links) for w in instance.workflows)
    kinds = [t for t in instance.cluster.server_types for _ in range(t.count)]
    for w in instance.active_workflows:
        flow = instance.workflows[w]
        for v in range(len(flow.node_model)):
            equal.append(({columns["a", w, v, s]: 1.0 for s in range(len(servers))}, flow.rate))
        for s in range(len(servers)):
            cost[columns["c", w, s]] = -instance.alpha / rates
            for v in range(len(flow.node_model)):
                less.append(({columns["c", w, s]: 1.0, columns["a", w, v, s]: -1.0}, 0.0))
            for e, ends in enumerate(flow.links):
                cost[columns["l", w, e, s]] = -(1 - instance.alpha) / link_rates
                for v in ends:
                    less.append(
                        ({columns["l", w, e, s]: 1.0, columns["a", w, int(v), s]: -1.0}, 0.0)
                    )
    for s, content in enumerate(servers):
        for m in instance.used_models:
            each = kinds[s].speeds_of(instance.model_ids[m])
            row = {
                columns["h", s, r]: min(each[i : i + int(instance.gpus_required[m])])
                for r, (o, i) in enumerate(content)
                if o == m
            }
            for w in instance.active_workflows:
                flow = instance.workflows[w]
                for v in np.flatnonzero(flow.node_model == m):
                    row[columns["a", w, int(v), s]] = -flow.work_s[v]
                    if m not in {o for o, _ in content}:
                        equal.append(({columns["a", w, int(v), s]: 1.0}, 0.0))
            equal.append((row, 0.0))
        for g in range(max((i + int(instance.gpus_required[m]) for m, i in content), default=0)):
            row = {
                columns["h", s, r]: 1.0
                for r, (m, i) in enumerate(content)
                if i <= g < i + instance.gpus_required[m]
            }
            here = [
                m
                for m, i in content
                if i <= g < i + instance.gpus_required[m] and instance.model_work[m] > 0
            ]
            less.append(({**row, n: -capacity(instance, here)}, 0.0))
    bounds = [(0, None)] * (n + 1)
    if bottleneck:
        cost[:] = 0.0
        cost[n] = 1.0
    else:
        bounds[n] = (0, instance.load_cap)

    def dense(rows: list[tuple[dict[int, float], float]]) -> tuple[np.ndarray, np.ndarray]:
        matrix = np.zeros((len(rows), n + 1))
        for i, (row, _) in enumerate(rows):
            matrix[i, list(row)] = list(row.values())
        return matrix, np.array([b for _, b in rows])

    a_ub, b_ub = dense(less)
    a_eq, b_eq = dense(equal)
    found = linprog(cost, a_ub, b_ub, a_eq, b_eq, bounds, method="highs")
    if not found.success:
        return np.inf if bottleneck else -np.inf
    if bottleneck:
        return float(found.fun)
    return -float(found.fun) + (0.0 if link_rates else 1 - instance.alpha)


def best_locality(instance: Instance) -> float:
    """The optimum of objective 2 under the instance's cap, -inf where no placement keeps it."""
    return max(route(instance, p, bottleneck=False) for p in placements(instance))


def least_bottleneck(instance: Instance) -> float:
    """U*: the least bottleneck load of any placement."""
    return min(route(instance, p, bottleneck=True) for p in placements(instance))
