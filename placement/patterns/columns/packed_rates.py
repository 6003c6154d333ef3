"""Rates of packed servers that serve all there is: a linear program over what they serve together.

    max  sum worth[s,S] y[s,S] - price sum u[m]
         y[s,S] <= the rate that server s serves the set S of nodes at
         sum_s p[m,s] + u[m] + work of m in sets served = all work of model m
         sum of h over the replicas of m on s = work of m in y and p
         sum of h on every GPU <= what it bears

Every set may be served less, and its nodes by whichever servers hold their models, so that what no
server has room for finds the place where that costs least.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pulp

from placement.patterns.columns.content_pool import Column, column_of
from placement.patterns.columns.flat_problem import FlatFlows, flat_server
from placement.problem.cluster import FloatArray, IntArray
from placement.problem.instance import Instance
from placement.solver.budget import Budget
from placement.solver.milp import Pairs, SolverSettings, linear, solve_program
from placement.support.equality import ByContent

MISSED = 1e-6
"""Part of a model's work that counts as served: what solvers' rows hold to."""


@dataclass(frozen=True, eq=False)
class ServedRates(ByContent):
    """Servers with what they serve.

    Parameters
    ----------
    columns : tuple of Column
        Of the servers.
    loads : tuple of float64 arrays
        Work of each replica of their contents.
    left : float64, shape (N,)
        Rate of each node that nobody serves.
    """

    columns: tuple[Column, ...]
    loads: tuple[FloatArray, ...]
    left: FloatArray


def serve_all(
    instance: Instance,
    flows: FlatFlows,
    columns: Sequence[Column],
    settings: SolverSettings,
    budget: Budget,
    *,
    price: float,
    rates: FloatArray | None = None,
) -> ServedRates | None:
    """Serve what is left beside and instead of what packed servers serve.

    Parameters
    ----------
    instance : Instance
        Normalized.
    flows : FlatFlows
        Its workflows.
    columns : sequence of Column
        Of the servers.
    settings : SolverSettings
    budget : Budget
    price : float
        Of a unit of work that is not served.
    rates : float64, shape (N,), optional
        What is to be served of every node; all by default.

    Returns
    -------
    ServedRates or None
        The same servers at other rates; None where the time ended.
    """
    problem = pulp.LpProblem("rates", pulp.LpMaximize)
    kinds = [flat_server(instance, t) for t in range(len(instance.cluster.server_types))]
    wanted = flows.rate[flows.node_flow] if rates is None else rates
    asked = _work(flows, wanted)
    objective: Pairs = []
    done: dict[int, Pairs] = defaultdict(list)  # work of each model, over all servers
    servers: list[_Server] = []
    for s, column in enumerate(columns):
        mine = _Server(column, [], {}, [])
        servers.append(mine)
        work: dict[int, Pairs] = defaultdict(list)
        for i, (nodes, rate, worth) in enumerate(_sets(flows, column)):
            y = pulp.LpVariable(f"y_{s}_{i}", 0, rate)
            mine.sets.append((nodes, y))
            objective.append((y, worth))
            for v in nodes.tolist():
                work[int(flows.node_model[v])].append((y, float(flows.node_work[v])))
        for m in sorted(column.pattern.models):
            mine.pools[m] = pulp.LpVariable(f"p_{s}_{m}", 0)
            work[m].append((mine.pools[m], 1.0))
            done[m] += work[m]
        server = kinds[column.pattern.kind]
        on: list[Pairs] = [[] for _ in server.room_gb]
        loaded = np.zeros(len(on), dtype=np.int64)
        for r, (m, start) in enumerate(column.pattern.content):
            mine.loads.append(pulp.LpVariable(f"h_{s}_{r}", 0))
            work[m].append((mine.loads[-1], -1.0))
            for g in range(start, start + int(flows.gpus_required[m])):
                on[g].append((mine.loads[-1], 1.0))
                loaded[g] += bool(server.counted[m])
        for terms in work.values():
            problem += linear(terms) == 0
        for terms, together in zip(on, loaded.tolist(), strict=True):
            kept = float(server.kept[min(together, len(server.kept) - 1)])
            problem += linear(terms) <= server.cap * kept
    for m in np.flatnonzero(asked > 0).tolist():
        missed = pulp.LpVariable(f"u_{m}", 0)
        objective.append((missed, -price))
        problem += linear([*done[m], (missed, 1.0)]) == float(asked[m])
    problem += linear(objective)
    if not solve_program(problem, settings, budget=budget).found:
        return None
    return _read(flows, servers, wanted)


@dataclass
class _Server:
    """Variables of one server: of sets, of other work by model, and of what each replica does."""

    column: Column
    sets: list[tuple[IntArray, pulp.LpVariable]]
    pools: dict[int, pulp.LpVariable]
    loads: list[pulp.LpVariable]


def _work(flows: FlatFlows, rates: FloatArray) -> FloatArray:
    """Work of each model at some rates, shape (M,)."""
    models = len(flows.gpus_required)
    return np.bincount(flows.node_model, rates * flows.node_work, models).astype(np.float64)


def _value(variable: pulp.LpVariable) -> float:
    return max(0.0, variable.varValue or 0.0)


def _read(flows: FlatFlows, servers: Sequence[_Server], asked_rates: FloatArray) -> ServedRates:
    """The solution of the program; what it misses by rounding is served."""
    rest, rates = asked_rates, list[FloatArray]()
    for mine in servers:
        served = np.zeros(len(rest))
        for nodes, y in mine.sets:
            served[nodes] += _value(y)
        rates.append(served)
        rest = rest - served
    rest = np.maximum(rest, 0.0)
    asked, wanted = _work(flows, asked_rates), _work(flows, rest)
    pools = [{m: _value(p) for m, p in mine.pools.items()} for mine in servers]
    for m in np.flatnonzero(wanted > 0).tolist():
        holding = [pool for pool in pools if m in pool]
        given = sum(pool[m] for pool in holding)
        if given < wanted[m] <= given + MISSED * asked[m] and holding:
            max(holding, key=lambda pool: pool[m])[m] += wanted[m] - given
    for served, pool in zip(rates, pools, strict=True):
        for m, work in pool.items():
            nodes = flows.model_node[flows.model_ptr[m] : flows.model_ptr[m + 1]]
            idle = nodes[flows.node_work[nodes] <= 0]  # served wherever their model is
            served[idle] += rest[idle]
            rest[idle] = 0.0
            busy = nodes[flows.node_work[nodes] > 0]
            each = rest[busy] * flows.node_work[busy]
            taken = np.clip(work - (np.cumsum(each) - each), 0.0, each)
            served[busy] += taken / flows.node_work[busy]
            rest[busy] = (each - taken) / flows.node_work[busy]
    return ServedRates(
        tuple(
            column_of(flows, mine.column.pattern, r) for mine, r in zip(servers, rates, strict=True)
        ),
        tuple(np.array([_value(h) for h in mine.loads]) for mine in servers),
        rest,
    )


def _sets(flows: FlatFlows, column: Column) -> Iterator[tuple[IntArray, float, float]]:
    """Nodes that a column serves together, at what rate, and what a unit of that keeps."""
    for w in np.unique(flows.node_flow[column.node]).tolist():
        mine = flows.node_flow[column.node] == w
        nodes, rates, before = column.node[mine], column.rate[mine], 0.0
        for rate in np.unique(rates).tolist():
            together = nodes[rates >= rate]
            held = sum(1 << int(v - flows.node_ptr[w]) for v in together)
            worth = 0.0
            for p in range(int(flows.part_ptr[w]), int(flows.part_ptr[w + 1])):
                if int(flows.part_set[p]) & held == flows.part_set[p]:
                    worth += float(flows.part_worth[p])
            if worth > 0:  # the others are as well served wherever there is room
                yield together, rate - before, worth
                before = rate
