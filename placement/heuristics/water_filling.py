"""Route the demand over a placement by water-filling: a fast lower bound on its locality.

Compiled, because local search scores tens of thousands of placements with it. The rates it
finds are feasible, so where all demand is served the score is a lower bound on what the
routing program would reach for the same placement.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from placement.heuristics import search_arrays
from placement.heuristics.search_arrays import (
    Demands,
    Servers,
    flatten_demand,
    lay_out,
    richest_first,
)
from placement.params.search_params import DEFAULTS, SearchParams
from placement.problem.cluster import FloatArray
from placement.problem.instance import Instance
from placement.problem.solution import Flows, Placement, Solution, settle
from placement.support.machine_code import compiled

CALLED = (search_arrays.__file__,)
"""What compiled code is made of, beside this file."""

UNSERVED_PENALTY = 10.0
"""Score lost when nothing is served; far above any locality, so overload is mended first."""

SERVED_ROUNDING = 1e-8
"""Part of a node's rate that may be missing in a routing: the noise of repeated subtraction."""

# Rates and residual capacities below these count as none: the noise of repeated subtraction.
_EPS = 1e-9


@dataclass(frozen=True)
class Filling:
    """Score of a placement: locality less the penalty, and the share of demand not served."""

    score: float
    unserved: float


def water_fill(instance: Instance, placement: Placement) -> Filling:
    """Score a placement by water-filling its routing."""
    if not instance.active_workflows:
        return Filling(1.0, 0.0)
    value, unserved = fill_score(flatten_demand(instance), lay_out(instance, placement))
    return Filling(value + instance.locality_constant - UNSERVED_PENALTY * unserved, unserved)


def filled_routing(
    instance: Instance, placement: Placement, params: SearchParams = DEFAULTS
) -> Solution | None:
    """The rates of water-filling as a routing: found in a moment, however many workflows there are.

    Parameters
    ----------
    instance : Instance
        With the cap; normalized.
    placement : Placement
        Is kept.
    params : SearchParams
        Says how many rates may be recorded.

    Returns
    -------
    Solution or None
        None where demand stays unserved under the cap, or the rates are too many to record.
    """
    demand, servers = flatten_demand(instance), lay_out(instance, placement)
    if len(demand.node_model) * len(servers.gpus) > params.portfolio.recorded_rates:
        return None
    served = np.zeros((len(demand.node_model), len(servers.gpus)))
    carried = np.zeros(servers.model.shape)
    fill(demand, servers, served, carried)
    # Node by node: what a rare one lacks is next to nothing of all that is served.
    asked = np.repeat(demand.rate, np.diff(demand.node_ptr))
    if (served.sum(axis=1) < asked * (1 - SERVED_ROUNDING)).any():
        return None
    order = np.repeat(richest_first(instance), np.diff(demand.node_ptr))
    position = np.arange(len(order)) - np.repeat(demand.node_ptr[:-1], np.diff(demand.node_ptr))
    node, server = np.nonzero(served)
    flows = Flows(order[node], position[node], server, served[node, server])
    column = np.arange(placement.n_replicas) - np.searchsorted(placement.server, placement.server)
    return settle(instance, Solution(placement, flows, carried[placement.server, column]))


@compiled(calls=CALLED)
def fill_score(demand: Demands, servers: Servers) -> tuple[float, float]:  # pragma: no cover
    """As `fill`, without a record of the rates."""
    found: tuple[float, float] = fill(demand, servers, np.zeros((0, 0)), np.zeros((0, 0)))
    return found


@compiled(calls=CALLED)
def fill(
    demand: Demands, servers: Servers, served: FloatArray, carried: FloatArray
) -> tuple[float, float]:  # pragma: no cover
    """Value of the locality reached, and the share of node executions left unserved.

    Whole workflows first, on the servers that can host the fewest kinds; then groups of linked
    nodes, the most links first; then what remains, node by node.

    Parameters
    ----------
    served : float64, shape (sum of V, S), or empty
        Takes the rate of each node on each server.
    carried : float64, shape (S, K), or empty
        Takes the busy fraction of each replica.
    """
    n_servers = len(servers.gpus)
    n_flows = len(demand.rate)
    n_models = len(demand.gpus_required)
    free = np.zeros((n_servers, servers.gpus.max()))
    has = np.zeros((n_servers, n_models), dtype=np.bool_)
    together = np.zeros(free.shape[1], dtype=np.int64)
    for s in range(n_servers):
        together[:] = 0
        for r in range(servers.size[s]):
            m = servers.model[s, r]
            has[s, m] = True
            if demand.counted[m]:
                for g in range(servers.start[s, r], servers.start[s, r] + demand.gpus_required[m]):
                    together[g] += 1
        for g in range(servers.gpus[s]):
            free[s, g] = demand.load_cap * demand.kept[min(together[g], len(demand.kept) - 1)]
    left = np.empty(len(demand.node_model))
    need = np.zeros(free.shape[1])
    active = np.zeros(len(demand.node_model), dtype=np.bool_)
    present = np.zeros((n_flows, n_servers), dtype=np.int64)
    kinds = np.zeros(n_servers, dtype=np.int64)
    most_links = 0
    for w in range(n_flows):
        first, last = demand.node_ptr[w], demand.node_ptr[w + 1]
        left[first:last] = demand.rate[w]
        most_links = max(most_links, demand.link_ptr[w + 1] - demand.link_ptr[w])
        for s in range(n_servers):
            whole = True
            for v in range(first, last):
                if not has[s, demand.node_model[v]]:
                    whole = False
                    break
            if whole:
                present[w, s] = -1
                kinds[s] += 1
                continue
            for e in range(demand.link_ptr[w], demand.link_ptr[w + 1]):
                if (
                    has[s, demand.node_model[demand.link_u[e]]]
                    and has[s, demand.node_model[demand.link_v[e]]]
                ):
                    present[w, s] += 1
    value = 0.0
    picky_first = np.argsort(kinds, kind="mergesort")
    for w in range(n_flows):
        first, last = demand.node_ptr[w], demand.node_ptr[w + 1]
        active[first:last] = True
        for s in picky_first:
            if left[first] <= _EPS:
                break
            if present[w, s] < 0:
                value += demand.whole_value[w] * _fill_group(
                    demand, servers, s, first, last, active, left, free, need, served, carried
                )
    for links in range(most_links, 0, -1):
        for w in range(n_flows):
            if demand.link_ptr[w + 1] - demand.link_ptr[w] < links:
                continue
            for s in range(n_servers):
                # A server that could host all of it has run out of some model: count again.
                if present[w, s] < 0:
                    here = demand.link_ptr[w + 1] - demand.link_ptr[w] - 1
                else:
                    here = present[w, s]
                if here == links:
                    value += _fill_links(
                        demand, servers, s, w, active, left, free, need, has, served, carried
                    )
    unserved = 0.0
    for w in range(n_flows):
        for v in range(demand.node_ptr[w], demand.node_ptr[w + 1]):
            active[v] = True
            for s in range(n_servers):
                if left[v] <= _EPS:
                    break
                if has[s, demand.node_model[v]]:
                    _fill_group(
                        demand, servers, s, v, v + 1, active, left, free, need, served, carried
                    )
            unserved += left[v] * demand.missing[w]
    return value, unserved


@compiled(calls=CALLED)
def _fill_links(demand, servers, s, w, active, left, free, need, has, served, carried):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Serve groups of linked nodes of w on s, dropping nodes as they run out."""
    first, last = demand.node_ptr[w], demand.node_ptr[w + 1]
    value = 0.0
    for _ in range(last - first):
        active[first:last] = False
        links, worth = 0, 0.0
        for e in range(demand.link_ptr[w], demand.link_ptr[w + 1]):
            u, v = demand.link_u[e], demand.link_v[e]
            if (
                left[u] > _EPS
                and left[v] > _EPS
                and has[s, demand.node_model[u]]
                and has[s, demand.node_model[v]]
                and _best_replica(demand, servers, s, demand.node_model[u], free) >= 0
                and _best_replica(demand, servers, s, demand.node_model[v], free) >= 0
            ):
                active[u] = True
                active[v] = True
                links += 1
                worth += demand.link_value[e]
        if links == 0:
            return value
        value += worth * _fill_group(
            demand, servers, s, first, last, active, left, free, need, served, carried
        )
    return value


@compiled(calls=CALLED)
def _best_replica(demand, servers, s, model, free):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Replica of the model on s whose block can do most more work; -1 for none."""
    best, most, doing = -1, _EPS, 0.0
    last = servers.speed.shape[2] - 1
    for r in range(servers.size[s]):
        if servers.model[s, r] != model:
            continue
        room = np.inf
        for g in range(servers.start[s, r], servers.start[s, r] + demand.gpus_required[model]):
            room = min(room, free[s, g])
        if last == 0:
            if room > most:
                best, most = r, room
        elif room > _EPS:
            work = room * servers.speed[s, model, min(servers.start[s, r], last)]
            if work > doing:
                best, doing = r, work
    return best


@compiled(calls=CALLED)
def _fill_group(demand, servers, s, first, last, active, left, free, need, served, carried):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Serve the active nodes in [first, last) on s at one common rate, as high as it goes."""
    total = 0.0
    # Each round empties a GPU or a node's demand, so the rounds are few; the limit is a guard.
    for _ in range(servers.size[s] + last - first + 2):
        need[:] = 0.0
        amount = np.inf
        for v in range(first, last):
            if not active[v]:
                continue
            model = demand.node_model[v]
            r = _best_replica(demand, servers, s, model, free)
            if r < 0:
                return total
            amount = min(amount, left[v])
            at = min(servers.start[s, r], servers.speed.shape[2] - 1)
            for g in range(servers.start[s, r], servers.start[s, r] + demand.gpus_required[model]):
                need[g] += demand.node_work[v] / servers.speed[s, model, at]
        for g in range(servers.gpus[s]):
            if need[g] > 0:
                amount = min(amount, free[s, g] / need[g])
        if amount <= _EPS or amount == np.inf:
            return total
        if served.size:
            for v in range(first, last):
                if active[v]:
                    # The replicas that were chosen above: nothing has been taken off them yet.
                    model = demand.node_model[v]
                    r = _best_replica(demand, servers, s, model, free)
                    at = min(servers.start[s, r], servers.speed.shape[2] - 1)
                    served[v, s] += amount
                    carried[s, r] += amount * demand.node_work[v] / servers.speed[s, model, at]
        for g in range(servers.gpus[s]):
            free[s, g] -= need[g] * amount
        for v in range(first, last):
            if active[v]:
                left[v] -= amount
        total += amount
    return total
