"""The best routing rates of a placement that stands: linear programs, no integers.

Identical servers (same type, same replicas at the same GPUs) are one group with a count, and
share the group's rates equally; so the programs grow with the variety of servers, not with
their number. Nothing is lost: averaging the rates of identical servers keeps every row, and
never lowers a sum of minima.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pulp

from placement.problem.blocks import BoolArray
from placement.problem.cluster import IntArray, ServerType
from placement.problem.instance import Instance
from placement.problem.normalization import normalize, restore
from placement.problem.shared_capacity import standing_kept
from placement.problem.solution import (
    TOLERANCE,
    Flows,
    Placement,
    Solution,
    flows_by_workflow,
    settle,
)
from placement.programs.flows import (
    Place,
    add_demand,
    keepable,
    kept_terms,
    nodes_with_requests,
    scale_of,
)
from placement.programs.space_rows import by_model, loads_of, loads_on_gpus
from placement.solver.budget import Budget
from placement.solver.milp import Pairs, SolverSettings, linear, solve_program
from placement.support.equality import ByContent

LEAST_PART = 1e-12
"""Part of a workflow's rate below which nothing is routed."""

SHORTFALL_PRICE = 10.0
"""Locality that all demand left unserved would cost: serving it is worth more than keeping it."""


@dataclass(frozen=True, eq=False)
class Group(ByContent):
    """Identical servers: their numbers and type, the content of each, what may carry load.

    `carrying` is a bool a replica.
    """

    servers: IntArray
    kind: ServerType
    model: IntArray
    start: IntArray
    carrying: BoolArray


def group_servers(
    instance: Instance, placement: Placement, carrying: BoolArray | None = None
) -> list[Group]:
    """Group the servers that hold any replica by type and content, in order of first server.

    Parameters
    ----------
    carrying : bool, shape (R,), optional
        Replicas that may carry load; all by default.
    """
    cluster = instance.cluster
    if carrying is None:
        carrying = np.ones(placement.n_replicas, dtype=np.bool_)
    columns = (placement.model, placement.start, carrying)
    found: dict[tuple[object, ...], list[int]] = {}
    bounds = np.searchsorted(placement.server, np.arange(cluster.n_servers + 1))
    for s in range(cluster.n_servers):
        rows = slice(bounds[s], bounds[s + 1])
        if bounds[s] == bounds[s + 1]:
            continue
        content = tuple(column[rows].tobytes() for column in columns)
        found.setdefault((int(cluster.server_type[s]), *content), []).append(s)
    groups = []
    for key, servers in found.items():
        rows = slice(bounds[servers[0]], bounds[servers[0] + 1])
        kind = cluster.server_types[int(str(key[0]))]
        model, start = placement.model[rows], placement.start[rows]
        groups.append(Group(np.array(servers), kind, model, start, carrying[rows]))
    return groups


class RoutingProgram:
    """Rates a[w, v, g], loads h[r, g] and localities c, l of one fixed placement.

    Parameters
    ----------
    sense : int
        ``pulp.LpMaximize`` or ``pulp.LpMinimize``.
    cap : pulp.LpVariable, optional
        Most load of one GPU, in `instance.load_unit`; the instance's by default.
    elastic : bool
        Demand may stay unserved: `unserved` has the rates, with their part in `shortfall`.
    carrying : bool, shape (R,), optional
        Replicas that may carry load; what shares a GPU counts as loaded. All by default.

    Attributes
    ----------
    instance : Instance
        Normalized.
    scale : float
        Objectives are this many times the locality: far above a solver's tolerances.
    """

    def __init__(
        self,
        instance: Instance,
        placement: Placement,
        sense: int,
        cap: pulp.LpVariable | None = None,
        *,
        elastic: bool = False,
        carrying: BoolArray | None = None,
    ) -> None:
        self.given = instance
        self.instance = normalize(instance)
        self.scale = scale_of(instance)
        self.elastic = elastic
        self.placement = placement
        self.groups = group_servers(instance, placement, carrying)
        self.problem = pulp.LpProblem("routing", sense)
        self._cap = cap
        self.places = [
            Place(self.problem, self.instance, f"_{g}", self.instance.speeds_of(group.kind))
            for g, group in enumerate(self.groups)
        ]
        self.rate: dict[tuple[int, int, int], pulp.LpVariable] = {}
        self.load: dict[tuple[int, int], pulp.LpVariable] = {}
        self.unserved: Pairs = []
        self._flows(elastic)
        for g in range(len(self.groups)):
            self._capacity(g)

    def _at_most_cap(self, terms: Pairs, count: float) -> pulp.LpConstraint:
        if self._cap is not None:
            return linear([*terms, (self._cap, -count)]) <= 0
        return linear(terms) <= count * self.instance.load_cap

    def _flows(self, elastic: bool) -> None:
        holds = [set(group.model[group.carrying].tolist()) for group in self.groups]
        # Calls that take no time are served by idle replicas as well.
        stands = [set(group.model.tolist()) for group in self.groups]
        for w, n, m in nodes_with_requests(self.instance):
            served: Pairs = []
            able = holds if self.instance.workflows[w].work_s[n] > 0 else stands
            for g, (models, place) in enumerate(zip(able, self.places, strict=True)):
                if m in models:
                    self.rate[w, n, g] = a = place.serve(w, n)
                    served.append((a, 1.0))
            u = add_demand(self.problem, self.instance, (w, n), served, elastic=elastic)
            if u is not None:
                self.unserved.append((u, shortfall_weight(self.instance, w, n)))

    def _capacity(self, g: int) -> None:
        group = self.groups[g]
        mine = np.flatnonzero(group.carrying)
        load = loads_of(group.model[mine].tolist(), f"_{g}")
        self.load |= {(r, g): h for r, (_, h) in zip(mine.tolist(), load, strict=True)}
        starts = group.start[mine].tolist()
        for m, terms in by_model(self.instance, group.kind, load, starts).items():
            self.places[g].do_work(m, terms, f"work_{m}_{g}")
        for i, terms, kept in loads_on_gpus(self.instance, group.kind, load, starts):
            self.problem += self._at_most_cap(terms, len(group.servers) * kept), f"gpu_{i}_{g}"

    def locality(self) -> Pairs:
        """Add c and l, and return `scale` times the locality without its constant part."""
        terms: Pairs = []
        for w in self.instance.active_workflows:
            parts = keepable(self.instance, w)
            for place in self.places:
                terms += kept_terms(place.keep(parts))
        return terms

    def spread(self, tangents: int) -> Pairs:
        """Add a piecewise linear square of each GPU's effective load, and return their sum."""
        terms: Pairs = []
        cap = self.instance.load_cap if self._cap is None else 1.0
        for g, group in enumerate(self.groups):
            count = len(group.servers)
            covers: dict[int, list[int]] = {}
            for r in np.flatnonzero(group.carrying).tolist():
                start, k = int(group.start[r]), self.instance.gpus_required[group.model[r]]
                for i in range(start, start + int(k)):
                    covers.setdefault(i, []).append(r)
            blocks = Counter(tuple(replicas) for replicas in covers.values())
            for b, (replicas, gpus) in enumerate(blocks.items()):
                square = pulp.LpVariable(f"q_{b}_{g}", 0)
                terms.append((square, float(gpus)))
                held = [(int(group.model[r]), int(group.start[r])) for r in replicas]
                kept = standing_kept(self.instance, group.kind, held)
                loads: Pairs = [(self.load[r, g], 1.0 / kept) for r in replicas]
                for j in range(tangents):
                    p = cap * (j + 1) / tangents
                    row = [(square, 1.0), *((h, -2 * p * c) for h, c in loads)]
                    self.problem += linear(row) >= -p * p * count
        return terms

    def solution(self) -> Solution:
        """Read the rates back and share each group's among its servers."""
        placement = self.placement
        workflow, node, server, rate = [], [], [], []
        for (w, v, g), a in self.rate.items():
            value = a.varValue or 0.0
            if value > LEAST_PART * self.instance.workflows[w].rate:
                servers = self.groups[g].servers
                workflow += [w] * len(servers)
                node += [v] * len(servers)
                server += servers.tolist()
                rate += [value / len(servers)] * len(servers)
        load = np.zeros(placement.n_replicas)
        first = np.searchsorted(placement.server, np.arange(self.instance.cluster.n_servers))
        for (r, g), h in self.load.items():
            servers = self.groups[g].servers
            load[first[servers] + r] = max(0.0, h.varValue or 0.0) / len(servers)
        flows = Flows(
            np.array(workflow, dtype=np.int64),
            np.array(node, dtype=np.int64),
            np.array(server, dtype=np.int64),
            np.array(rate, dtype=np.float64),
        )
        solution = Solution(placement, flows, load)
        settled = settle(self.instance, solution, elastic=self.elastic)
        return restore(self.given, self.instance, settled, elastic=self.elastic)


def best_routing(
    instance: Instance,
    placement: Placement,
    settings: SolverSettings,
    *,
    budget: Budget | None = None,
    carrying: BoolArray | None = None,
) -> Solution | None:
    """Route a placement for the most locality; None where `load_cap` cannot be kept in time.

    Parameters
    ----------
    instance : Instance
        With the cap.
    placement : Placement
        Is kept.
    settings : SolverSettings
        Solver and threads.
    budget : Budget, optional
        When to stop.
    carrying : bool, shape (R,), optional
        Replicas that may carry load: where sharing loses, all that may count as loaded.

    Returns
    -------
    Solution or None
        With the rates as `settle` leaves them: they add up, and the loads carry them.
    """
    budget = budget or Budget()
    with budget.bounded():
        program = RoutingProgram(instance, placement, pulp.LpMaximize, carrying=carrying)
        program.problem += linear(program.locality())
        if solve_program(program.problem, settings, budget=budget).found:
            return program.solution()
    return None


def elastic_routing(
    instance: Instance,
    placement: Placement,
    settings: SolverSettings,
    *,
    budget: Budget | None = None,
) -> Solution | None:
    """Serve as much as a placement can under the cap, for the most locality; None without one.

    Parameters
    ----------
    instance : Instance
        With the cap.
    placement : Placement
        Is kept.
    settings : SolverSettings
        Solver and threads.
    budget : Budget, optional
        When to stop.

    Returns
    -------
    Solution or None
        Its `shortfall` is what stays unserved; None where the time ended first.
    """
    budget = budget or Budget()
    with budget.bounded():
        program = RoutingProgram(instance, placement, pulp.LpMaximize, elastic=True)
        prices = [(u, -SHORTFALL_PRICE * program.scale * part) for u, part in program.unserved]
        program.problem += linear([*program.locality(), *prices])
        if solve_program(program.problem, settings, budget=budget).found:
            return program.solution()
    return None


def shortfall_weight(instance: Instance, w: int, v: int) -> float:
    """Share of all GPU-seconds that one execution a second of a node asks for.

    Parameters
    ----------
    instance : Instance
        With the offered load of all models.
    w, v : int
        Workflow, and node of it.
    """
    flow = instance.workflows[w]
    k = instance.gpus_required[flow.node_model[v]]
    total = float(instance.offered_load.sum())
    return float(flow.work_s[v] * k / total) if total > 0 else 0.0


def shortfall(instance: Instance, solution: Solution) -> float:
    """Share of all GPU-seconds asked for that a solution leaves unserved."""
    flows, missing = solution.flows, 0.0
    parts = flows_by_workflow(instance, flows)
    for w in instance.active_workflows:
        flow, mine = instance.workflows[w], parts[w]
        served = np.bincount(flows.node[mine], flows.rate[mine], len(flow.node_model))
        for v in np.flatnonzero(flow.rate - served > TOLERANCE * flow.rate):
            missing += float(flow.rate - served[v]) * shortfall_weight(instance, w, int(v))
    return missing


def balance_routing(
    instance: Instance,
    placement: Placement,
    settings: SolverSettings,
    *,
    least_locality: float,
    budget: Budget | None = None,
    carrying: BoolArray | None = None,
) -> Solution | None:
    """Route for the least sum of squared GPU loads among routings worth `least_locality`.

    Parameters
    ----------
    instance : Instance
        With the cap.
    placement : Placement
        Is kept.
    settings : SolverSettings
        Solver and threads.
    least_locality : float
        Of the routing, the constant part included.
    budget : Budget, optional
        When to stop.
    carrying : bool, shape (R,), optional
        As for `best_routing`.

    Returns
    -------
    Solution or None
        None where no such routing is found in time. Squares are taken by tangents.
    """
    budget = budget or Budget()
    with budget.bounded():
        program = RoutingProgram(instance, placement, pulp.LpMinimize, carrying=carrying)
        locality = program.locality()
        if locality:
            floor = least_locality - instance.locality_constant
            program.problem += linear(locality) >= program.scale * floor, "locality"
        program.problem += linear(program.spread(settings.params.balance.tangents))
        if solve_program(program.problem, settings, budget=budget).found:
            return program.solution()
    return None
