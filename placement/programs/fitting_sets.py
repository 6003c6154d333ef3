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

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import lru_cache
from itertools import product

import pulp

from placement.params.program_params import FittingSetParams
from placement.params.search_params import DEFAULTS, SearchParams
from placement.problem.instance import Instance
from placement.programs.best_fitting_set import UNPAID, BestSet, Division, Prices
from placement.programs.block_packing import CACHED
from placement.programs.flows import keepable, scale_of
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings, linear, solve_program

MIDDLE = 0.5
"""Of the way from the last prices to the best that pay for all."""


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


def _division(instance: Instance, w: int, kept: float) -> Division:
    flow = instance.workflows[w]
    models = list(dict.fromkeys(flow.node_model.tolist()))
    return Division(
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
def _least_prices(division: Division, params: FittingSetParams) -> tuple[Prices, int]:
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
    searches = [BestSet(division, kind, params) for kind in kinds]
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


def _as_if_together(division: Division) -> Prices:
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
