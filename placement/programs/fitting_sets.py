"""What of a workflow one server can keep at all: the sets of its nodes that fit there together.

Let F be the sets of nodes of one workflow whose models fit on a server, one replica each, and f(S)
the locality of keeping the nodes S together: `link` for every link inside, and `whole` where S is
all of them. What a server keeps of rates a[v] are sums of minima, so with S_t = {v: a[v] >= t}
(Lovász, Submodular functions and convexity, 1983)

    whole c + sum link l = integral of f(S_t) dt,    S_t in F for every t > 0.

Prices p with sum over S of p[v] >= f(S) for all S in F therefore give, on every server,

    whole c + sum link l <= sum_v p[v] a[v],

and, summed over the servers, no plan keeps more of the workflow than sum_v p[v] of its rate. The
least such sum is a small linear program. Where all nodes fit together its rows say nothing new;
where they do not, relaxations that serve on slivers of replicas learn it only from them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from itertools import combinations

import pulp

from placement.params.search_params import DEFAULTS, SearchParams
from placement.problem.blocks import block_starts, gpu_rooms_gb
from placement.problem.cluster import ServerType
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.space import total_room_gb
from placement.programs.space_rows import memory_row, sharing_row
from placement.solver.milp import Manner, Pairs, SolverSettings, Stop, duals, linear, solve_program

CACHED = 4_096

Prices = tuple[float, ...]
Block = tuple[int, float]
"""GPUs of a model's block, and its memory on each."""


def has_set_rows(instance: Instance, params: SearchParams = DEFAULTS) -> bool:
    """Whether programs of this instance have rows on what does not fit together."""
    limits = params.fitting_sets
    if instance.models_per_gpu == 1 or instance.cluster.n_servers > limits.most_servers:
        return False
    nodes = (len(instance.workflows[w].node_model) for w in instance.active_workflows)
    return sum(1 << n for n in nodes if n <= limits.most_nodes) <= limits.most_sets


def node_prices(instance: Instance, params: SearchParams = DEFAULTS) -> dict[int, Prices]:
    """Least prices of every active workflow's nodes: locality for each request per second."""
    prices, limits = {}, params.fitting_sets
    for w in instance.active_workflows:
        flow = instance.workflows[w]
        whole, link = instance.locality_weights(w)
        nodes, search = range(len(flow.node_model)), limits.packing_nodes
        if len(nodes) > limits.most_nodes or _fits(instance, flow, nodes, search):
            prices[w] = _as_if_together(flow, whole, link)
        else:
            prices[w] = _least_prices(instance, flow, whole, link, search)
    return prices


def separating_prices(instance: Instance, params: SearchParams = DEFAULTS) -> dict[int, Prices]:
    """Prices of the workflows whose models fit on no server together: only these say anything."""
    return {
        w: prices
        for w, prices in node_prices(instance, params).items()
        if sum(prices) < _all_kept(instance, w) * (1 - 1e-9)
    }


def _all_kept(instance: Instance, w: int) -> float:
    whole, link = instance.locality_weights(w)
    return whole + link * float(instance.workflows[w].link_weights.sum())


def _as_if_together(flow: WorkflowDemand, whole: float, link: float) -> Prices:
    """Half of every link to each of its ends: all links inside a set are paid by the set."""
    nodes = len(flow.node_model)
    prices = [whole / nodes] * nodes
    for ends, weight in zip(flow.links.tolist(), flow.link_weights.tolist(), strict=True):
        for end in ends:
            prices[end] += link * weight / 2
    return tuple(prices)


def _least_prices(
    instance: Instance, flow: WorkflowDemand, whole: float, link: float, search: int
) -> Prices:
    """Duals of the best fractional division of the nodes into sets that fit together."""
    nodes = range(len(flow.node_model))
    links = list(zip(flow.links.tolist(), flow.link_weights.tolist(), strict=True))
    all_kept = whole + link * float(flow.link_weights.sum())
    if all_kept <= 0:
        return (0.0,) * len(nodes)
    # A rare workflow is worth next to nothing, and its prices shall be as exact as any.
    whole, link = whole / all_kept, link / all_kept
    worth: dict[tuple[int, ...], float] = {}
    too_large: list[frozenset[int]] = []
    for size in range(1, len(nodes) + 1):
        for part in combinations(nodes, size):
            inside = sum(weight for (u, v), weight in links if u in part and v in part)
            kept = link * inside + (whole if size == len(nodes) else 0.0)
            if size > 1 and (kept <= 0 or any(q <= set(part) for q in too_large)):
                continue
            if _fits(instance, flow, part, search):
                worth[part] = kept
            else:
                too_large.append(frozenset(part))
    problem = pulp.LpProblem("together", pulp.LpMaximize)
    share = {part: pulp.LpVariable("y_" + "_".join(map(str, part)), 0) for part in worth}
    for v in nodes:
        problem += linear([(y, 1.0) for part, y in share.items() if v in part]) == 1, f"node_{v}"
    problem += linear([(y, worth[part]) for part, y in share.items()])
    solve_program(problem, SolverSettings())
    found = duals(problem)
    prices = [max(0.0, found[f"node_{v}"]) for v in nodes]
    # A solver's duals may be a hair too small; each set must be paid in full.
    short = max(kept - sum(prices[v] for v in part) for part, kept in worth.items())
    return tuple(all_kept * (p + max(0.0, short)) for p in prices)


def _fits(instance: Instance, flow: WorkflowDemand, part: Iterable[int], search: int) -> bool:
    models = sorted({int(flow.node_model[v]) for v in part})
    blocks = tuple(
        (int(instance.gpus_required[m]), float(instance.memory_per_gpu_gb[m])) for m in models
    )
    limit = min(instance.models_per_gpu, len(blocks))
    return any(
        blocks_fit(server, blocks, limit, search) for server in instance.cluster.server_types
    )


def _fit_side_by_side(server: ServerType, blocks: tuple[Block, ...]) -> bool:
    """Whether every block can have its own GPUs: most need no program."""
    return (
        server.plain
        and sum(k for k, _ in blocks) <= server.gpus
        and all(block_starts(server, k, need) for k, need in blocks)
    )


@lru_cache(maxsize=CACHED)
def blocks_fit(
    server: ServerType,
    blocks: tuple[Block, ...],
    limit: int,
    nodes: int = DEFAULTS.fitting_sets.packing_nodes,
) -> bool:
    """Whether a server can hold these blocks, at most `limit` on one GPU.

    Parameters
    ----------
    server : ServerType
        Type of the server, empty.
    blocks : tuple of (int, float)
        GPUs of each, and memory in GB on each of them.
    limit : int
        Most blocks on one GPU.
    nodes : int
        Of branch and bound, after which blocks that may or may not fit count as fitting.
    """
    if _fit_side_by_side(server, blocks):
        return True
    if sum(k * need for k, need in blocks) > total_room_gb(server):
        return False
    problem = pulp.LpProblem("fit", pulp.LpMaximize)
    memory: dict[int, Pairs] = defaultdict(list)
    for b, (k, need) in enumerate(blocks):
        starts = block_starts(server, k, need)
        if not starts:
            return False
        places = [pulp.LpVariable(f"x_{b}_{i}", 0, 1, pulp.LpInteger) for i in starts]
        problem += linear([(x, 1.0) for x in places]) == 1
        for i, x in zip(starts, places, strict=True):
            for g in range(i, i + k):
                memory[g].append((x, need))
    rooms = gpu_rooms_gb(server)
    for g, held in memory.items():
        problem += memory_row(held, float(rooms[g]))
        problem += sharing_row(held, limit)
    problem += linear([])
    outcome = solve_program(
        problem, SolverSettings(), stop=Stop(node_limit=nodes), manner=Manner(light=True)
    )
    return outcome.status != "infeasible"
