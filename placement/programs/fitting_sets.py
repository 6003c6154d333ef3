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

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numpy as np
import pulp

from placement.params.program_params import FittingSetParams
from placement.params.search_params import DEFAULTS, SearchParams
from placement.problem.blocks import block_starts, gpu_rooms_gb
from placement.problem.cluster import FloatArray, IntArray, ServerType
from placement.problem.instance import Instance
from placement.problem.space import largest_room_gb, total_room_gb
from placement.programs.flows import keepable, scale_of
from placement.solver.budget import Budget
from placement.solver.milp import Manner, Pairs, SolverSettings, Stop, linear, solve_program

CACHED = 4_096

SUMS_OFF = 1e-9
"""Part of a block's memory by which sums of floats may be off."""

UNPAID = 1e-7
"""Share of all that can be kept by which a set must be worth more than its price to count."""

MIDDLE = 0.5
"""Of the way from the last prices to the best that pay for all; and what counts as in a set."""

LARGE_PARTS = 4
"""Parts of a GPU, a half to a fifth, that blocks may be larger than: rows on how many fit."""

Prices = tuple[float, ...]
Block = tuple[int, float]
"""GPUs of a model's block, and its memory on each."""


@dataclass(frozen=True)
class _Division:
    """A workflow that is to be divided among servers: all that its prices depend on.

    Parameters
    ----------
    kinds : tuple of ServerType
        One of them holds a set.
    blocks : tuple of (int, float)
        GPUs and memory of a replica of each model that is called.
    calls : tuple of int
        Which of these each node calls.
    parts : tuple of (tuple of int, float)
        Nodes of what can be kept, and its share of all that can be.
    limit : int
        Most replicas on one GPU.
    """

    kinds: tuple[ServerType, ...]
    blocks: tuple[Block, ...]
    calls: tuple[int, ...]
    parts: tuple[tuple[tuple[int, ...], float], ...]
    limit: int

    def worth(self, nodes: frozenset[int]) -> float:
        """What is kept of a unit of rate where these nodes are together."""
        return sum(worth for part, worth in self.parts if nodes.issuperset(part))

    def fit(self, kind: ServerType, models: Iterable[int], search: int) -> bool:
        """Whether a server of a type can hold a replica of each of these."""
        blocks = tuple(sorted(self.blocks[m] for m in models))
        return blocks_fit(kind, blocks, min(self.limit, len(blocks)), search)


def has_set_rows(instance: Instance, params: SearchParams = DEFAULTS) -> bool:
    """Whether programs of this instance have rows on what does not fit together."""
    return (
        instance.models_per_gpu > 1
        and instance.cluster.n_servers <= params.fitting_sets.most_servers
    )


def node_prices(
    instance: Instance, params: SearchParams = DEFAULTS, budget: Budget | None = None
) -> dict[int, Prices]:
    """Low prices of every active workflow's nodes: locality for each request per second.

    Every workflow is divided roughly first, then those that keep most as well as can be, as long
    as there is work left for it: whatever the prices are then, they pay for all sets.

    Parameters
    ----------
    instance : Instance
    params : SearchParams
        Of its `fitting_sets`, which say how much work that is.
    budget : Budget, optional
        When to stop.
    """
    limits = params.fitting_sets
    kept = {w: _all_kept(instance, w) for w in instance.active_workflows}
    divisions = {w: _division(instance, w, kept[w]) for w in kept if kept[w] > 0}
    prices = {w: _as_if_together(division) for w, division in divisions.items()}
    order = sorted(divisions, key=lambda w: -kept[w] * instance.workflows[w].rate)
    left = limits.work
    with budget.bounded() if budget is not None else nullcontext():
        for most, w in product((limits.first_rounds, limits.rounds), order):
            # A round solves two programs a server type, and few more for sets that do not fit.
            each = len(prices[w]) ** 2
            rounds = min(most, left // (2 * len(instance.cluster.server_types) * each))
            if rounds > 0:
                prices[w], programs = _least_prices(divisions[w], replace(limits, rounds=rounds))
                left -= programs * each
    free = {w: (0.0,) * len(instance.workflows[w].node_model) for w in kept}
    return free | {w: tuple(kept[w] * p for p in each) for w, each in prices.items()}


def _division(instance: Instance, w: int, kept: float) -> _Division:
    flow = instance.workflows[w]
    models = list(dict.fromkeys(flow.node_model.tolist()))
    return _Division(
        instance.cluster.server_types,
        tuple(
            (int(instance.gpus_required[m]), float(instance.memory_per_gpu_gb[m])) for m in models
        ),
        tuple(models.index(m) for m in flow.node_model.tolist()),
        # A rare workflow is worth next to nothing, and its prices shall be as exact as any.
        tuple(
            (part.nodes, part.worth / scale_of(instance) / kept)
            for part in keepable(instance, w)
            if part.worth > 0
        ),
        instance.models_per_gpu,
    )


def separating_prices(instance: Instance, params: SearchParams = DEFAULTS) -> dict[int, Prices]:
    """Prices of the workflows whose models fit on no server together: only these say anything."""
    return {
        w: prices
        for w, prices in node_prices(instance, params).items()
        if sum(prices) < _all_kept(instance, w) * (1 - 1e-9)
    }


def mostly_divided(instance: Instance, params: SearchParams = DEFAULTS) -> bool:
    """Whether most of the locality is that of workflows too long for any server."""
    kept = {
        w: _all_kept(instance, w) * instance.workflows[w].rate for w in instance.active_workflows
    }
    divided = sum(kept[w] for w in separating_prices(instance, params))
    return divided > sum(kept.values()) / 2


def _all_kept(instance: Instance, w: int) -> float:
    whole, link = instance.locality_weights(w)
    return whole + link * float(instance.workflows[w].link_weights.sum())


@lru_cache(maxsize=CACHED)
def _least_prices(division: _Division, params: FittingSetParams) -> tuple[Prices, int]:
    """Duals of the best fractional division of the nodes into sets that fit together.

    And how many programs were solved for sets.

    The sets that count are met by cutting planes: at prices that pay for those met, an integer
    program finds the set that is worth most beyond its price. Half of that on every node more pays
    for all, for two nodes at least keep something. Between the last prices and the best that pay
    for all, good ones are found sooner (Ben-Ameur and Neto, Networks 49, 2007).
    """
    nodes = range(len(division.calls))
    models, kinds = range(len(division.blocks)), division.kinds
    best = _as_if_together(division)
    if any(division.fit(kind, models, params.packing_nodes) for kind in kinds):
        return best, 0
    searches = [_BestSet(division, kind, params) for kind in kinds]
    worth: dict[frozenset[int], float] = {}
    for _ in range(params.rounds):
        last = _cheapest(len(nodes), worth)
        if sum(best) - sum(last) <= UNPAID:
            break
        for weight in (MIDDLE, 0.0):
            at = tuple(weight * b + (1 - weight) * p for b, p in zip(best, last, strict=True))
            found = [search.beyond(at) for search in searches]
            new = {q: division.worth(q) for sets, _ in found for q in sorted(sets, key=sorted)}
            worth |= new
            # Of the sets that are known, the prices pay in full and not up to a tolerance.
            missing = (kept - sum(at[v] for v in q) for q, kept in worth.items())
            short = max(0.0, *(beyond for _, beyond in found), *missing)
            paying = tuple(p + short / min(2, len(nodes)) for p in at)
            best = min(best, paying, key=sum)
            if any(kept > sum(last[v] for v in q) + UNPAID for q, kept in new.items()):
                break
        else:
            break
    return best, sum(search.programs for search in searches)


def _as_if_together(division: _Division) -> Prices:
    """Every part paid by its nodes in equal shares: all parts inside a set are paid by the set."""
    prices = [0.0] * len(division.calls)
    for part, worth in division.parts:
        for v in part:
            prices[v] += worth / len(part)
    return tuple(prices)


def _cheapest(nodes: int, worth: Mapping[frozenset[int], float]) -> Prices:
    """Least prices that pay for some sets."""
    problem = pulp.LpProblem("prices", pulp.LpMinimize)
    price = [pulp.LpVariable(f"p_{v}", 0) for v in range(nodes)]
    problem += linear([(p, 1.0) for p in price])
    for part, kept in worth.items():
        problem += linear([(price[v], 1.0) for v in sorted(part)]) >= kept
    solve_program(problem, SolverSettings())
    return tuple(max(0.0, p.varValue or 0.0) for p in price)


class _BestSet:
    """The set of nodes that fits on a server of a type and is worth most beyond its price.

    Binaries z choose models, nodes follow theirs; memory counts over the server in sum, as do the
    parts of a GPU that large blocks take, and sets that then do not fit on its GPUs are cut off as
    they are met.
    """

    def __init__(self, division: _Division, kind: ServerType, params: FittingSetParams) -> None:
        self._division, self._kind, self._params = division, kind, params
        self.programs = 0
        self._problem = problem = pulp.LpProblem("together", pulp.LpMaximize)
        blocks = division.blocks
        self._held = [pulp.LpVariable(f"z_{m}", 0, 1, pulp.LpInteger) for m in range(len(blocks))]
        self._there = [pulp.LpVariable(f"x_{v}", 0, 1) for v in range(len(division.calls))]
        for x, m in zip(self._there, division.calls, strict=True):
            problem += linear([(x, 1.0), (self._held[m], -1.0)]) <= 0
        self._worth: Pairs = []
        for e, (part, worth) in enumerate(division.parts):
            kept = pulp.LpVariable(f"y_{e}", 0, 1)
            self._worth.append((kept, worth))
            for v in part:
                problem += linear([(kept, 1.0), (self._there[v], -1.0)]) <= 0
        room, usable = total_room_gb(kind), kind.usable_gpus * division.limit
        pairs = list(zip(self._held, blocks, strict=True))
        problem += linear([(z, k * need / room) for z, (k, need) in pairs]) <= 1
        problem += linear([(z, float(k)) for z, (k, _) in pairs]) <= usable
        for parts in _parts_of_gpus(kind, blocks):
            taken = [(z, k * parts[need]) for z, (k, need) in pairs if need in parts]
            problem += linear(taken) <= kind.usable_gpus

    def beyond(self, prices: Prices) -> tuple[set[frozenset[int]], float]:
        """Sets that are worth more than their prices, and a bound on by how much any is.

        Where too many do not fit, one after the other, or a program has too many nodes, what was
        found by then is worth less than the bound.

        Parameters
        ----------
        prices : tuple of float
            Of each node.
        """
        paid = [(x, -p) for x, p in zip(self._there, prices, strict=True)]
        self._problem.setObjective(linear([*self._worth, *paid]))
        for _ in range(self._params.covers):
            met: list[list[float]] = []
            self.programs += 1
            outcome = solve_program(
                self._problem,
                SolverSettings(),
                stop=Stop(gap=0.0, abs_gap=UNPAID / 10, node_limit=self._params.nodes),
                manner=Manner(light=True),
                on_solution=met.append,
            )
            best = self._nodes_of(lambda variable: variable.varValue or 0.0)
            sets = {self._nodes_of(lambda variable, at=at: at[variable.index]) for at in met}  # type: ignore[misc]
            apart = {q for q in {best, *sets} if not self._fits(q)}
            for q in apart:
                self._cut_off(q)
            if best not in apart:
                break
        return {q for q in {best, *sets} - apart if q}, max(0.0, outcome.best_bound)

    def _nodes_of(self, value: Callable[[pulp.LpVariable], float]) -> frozenset[int]:
        return frozenset(v for v, x in enumerate(self._there) if value(x) > MIDDLE)

    def _models(self, nodes: Iterable[int]) -> list[int]:
        return sorted({self._division.calls[v] for v in nodes})

    def _fits(self, nodes: Iterable[int]) -> bool:
        return self._division.fit(self._kind, self._models(nodes), self._params.packing_nodes)

    def _cut_off(self, nodes: Iterable[int]) -> None:
        """Let no set hold all these models, or those of them that do not fit by themselves.

        Nor as many of them and of all that are as large as any of them (extended covers; Balas,
        Mathematical Programming 8, 1975). Those left out first are the largest, so that these are
        many.
        """
        blocks = self._division.blocks
        models = self._models(nodes)
        for m in sorted(models, key=lambda m: blocks[m], reverse=True):
            fewer = [o for o in models if o != m]
            if not self._division.fit(self._kind, fewer, self._params.packing_nodes):
                models = fewer
        gpus, need = (max(sizes) for sizes in zip(*(blocks[m] for m in models), strict=True))
        others = (m for m in range(len(blocks)) if m not in models)
        larger = [m for m in others if blocks[m][0] >= gpus and blocks[m][1] >= need]
        held = [(self._held[m], 1.0) for m in (*models, *larger)]
        self._problem += linear(held) <= len(models) - 1


def _parts_of_gpus(kind: ServerType, blocks: Iterable[Block]) -> Iterator[dict[float, float]]:
    """Parts of a GPU by memory, of which those that fit on one add up to at most 1.

    Beside memory itself: with nothing of less than some memory, what leaves less than that free
    takes all (Martello and Toth, Discrete Applied Mathematics 28, 1990); and of what takes more
    than 1 / (j + 1), j fit at most.
    """
    room = largest_room_gb(kind)
    needs = {need for _, need in blocks}
    for least in sorted(need for need in needs if need <= room / 2):
        full = room * (1 + SUMS_OFF) - least
        yield {need: 1.0 if need > full else need / room for need in needs if need >= least}
    for j in range(1, LARGE_PARTS + 1):
        yield {need: 1.0 / j for need in needs if need > room * (1 + SUMS_OFF) / (j + 1)}


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
        Blocks laid down, after which blocks that may or may not fit count as fitting.
    """
    if _fit_side_by_side(server, blocks):
        return True
    if sum(k * need for k, need in blocks) > total_room_gb(server):
        return False
    # What takes most comes first: what does not fit is seen sooner.
    order = sorted(blocks, reverse=True)
    starts = [block_starts(server, k, need) for k, need in order]
    room, places, laid = gpu_rooms_gb(server), np.full(server.gpus, limit), 0

    def lay(b: int, room: FloatArray, places: IntArray) -> bool:
        nonlocal laid
        if b == len(order) or laid >= nodes:
            return True
        k, need = order[b]
        slots = [slice(i, i + k) for i in starts[b]]
        slots = [g for g in slots if room[g].min() >= need * (1 - SUMS_OFF) and places[g].min() > 0]
        tried = set[tuple[float, int]]()
        for g in sorted(slots, key=lambda g: float(room[g].sum())):
            # All blocks to come take one GPU: those with equal room are one as good as another.
            alike = float(room[g.start]), int(places[g.start])
            if k == 1 and alike in tried:
                continue
            tried.add(alike)
            laid += 1
            left, fewer = room.copy(), places.copy()
            left[g] -= need
            fewer[g] -= 1
            if lay(b + 1, left, fewer):
                return True
        return False

    return lay(0, room, places)
