"""The best routing rates of a placement that stands: linear programs, no integers.

Identical servers (same type, same replicas at the same GPUs) are one group with a count, and
share the group's rates equally; so the programs grow with the variety of servers, not with
their number. Nothing is lost: averaging the rates of identical servers keeps every row, and
never lowers a sum of minima.

Of many nodes, parts of workflows are routed as they are where that loses nothing (`kept_parts`):
one variable in place of one a node, and no rows for what is kept.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import pulp

from placement.problem.blocks import BoolArray
from placement.problem.instance import Instance
from placement.problem.normalization import at_rates_of, normalize, restore
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
    has_many_nodes,
    keepable,
    kept_terms,
    nodes_with_requests,
    scale_of,
)
from placement.programs.kept_parts import LEAST_PART, Part, parts_of, whole_parts
from placement.programs.server_groups import group_servers
from placement.programs.space_rows import by_model, loads_of, loads_on_gpus
from placement.solver.budget import Budget
from placement.solver.milp import Pairs, SolverSettings, linear, solve_program

SHORTFALL_PRICE = 10.0
"""Locality that all demand left unserved would cost: serving it is worth more than keeping it."""


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
    parts : sequence of Part, optional
        Route these as they are, each where all of its models are; every node by itself by default.

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
        parts: Sequence[Part] | None = None,
    ) -> None:
        self.given = instance
        self.instance = normalize(instance)
        self.scale = scale_of(instance)
        self.elastic, self.parts = elastic, parts
        self.placement = placement
        self.groups = group_servers(instance, placement, carrying)
        self.problem = pulp.LpProblem("routing", sense)
        self._cap = cap
        self.places = [
            Place(self.problem, self.instance, f"_{g}", self.instance.speeds_of(group.kind))
            for g, group in enumerate(self.groups)
        ]
        self.rate: dict[tuple[int, int, int], list[pulp.LpVariable]] = defaultdict(list)
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
        if self.parts is not None:
            self._part_flows(self.parts, holds, stands)
            return
        for w, n, m in nodes_with_requests(self.instance):
            served: Pairs = []
            able = holds if self.instance.workflows[w].work_s[n] > 0 else stands
            for g, (models, place) in enumerate(zip(able, self.places, strict=True)):
                if m in models:
                    a = place.serve(w, n)
                    self.rate[w, n, g].append(a)
                    served.append((a, 1.0))
            u = add_demand(self.problem, self.instance, (w, n), served, elastic=elastic)
            if u is not None:
                self.unserved.append((u, shortfall_weight(self.instance, w, n)))

    def _part_flows(
        self, parts: Sequence[Part], holds: list[set[int]], stands: list[set[int]]
    ) -> None:
        for p, (w, nodes, rate) in enumerate(parts):
            flow = self.instance.workflows[w]
            works = {int(flow.node_model[n]) for n in nodes if flow.work_s[n] > 0}
            rests = {int(flow.node_model[n]) for n in nodes if not flow.work_s[n] > 0}
            served: Pairs = []
            for g, place in enumerate(self.places):
                if works <= holds[g] and rests <= stands[g]:
                    y = place.serve_together(w, nodes, str(p))
                    served.append((y, 1.0))
                    for n in nodes:
                        self.rate[w, n, g].append(y)
            self.problem.addConstraint(linear(served) == rate, f"part_{p}")

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
        if self.parts is not None:
            return terms  # what is kept is the same, whatever the rates
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
        for (w, v, g), held in self.rate.items():
            value = sum(a.varValue or 0.0 for a in held)
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
    for parts in _ways(instance, settings, 1.0, None):
        with budget.bounded():
            begin = budget.elapsed_s
            program = RoutingProgram(
                instance, placement, pulp.LpMaximize, carrying=carrying, parts=parts
            )
            program.problem += linear(program.locality())
            if _solved(program, settings, budget, begin):
                return program.solution()
    return None


def _ways(
    instance: Instance, settings: SolverSettings, least_locality: float, known: Solution | None
) -> Iterator[list[Part] | None]:
    """Parts to route as they are, in turn; None for nodes by themselves, where nothing is lost.

    A routing that keeps everything is made of whole parts, and none keeps more.
    """
    if has_many_nodes(instance, settings.params.portfolio):
        normal = normalize(instance)
        if known is not None:
            yield parts_of(normal, at_rates_of(normal, instance, known).flows)
        elif least_locality >= 1.0 - TOLERANCE:
            yield whole_parts(normal)
    yield None


def _solved(
    program: RoutingProgram, settings: SolverSettings, budget: Budget, begin: float
) -> bool:
    """Solve a program, unless too little time is left: it takes longer than to write it down."""
    if not budget.affords_again(begin):
        return False
    return solve_program(program.problem, settings, budget=budget).found


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
        begin = budget.elapsed_s
        program = RoutingProgram(instance, placement, pulp.LpMaximize, elastic=True)
        prices = [(u, -SHORTFALL_PRICE * program.scale * part) for u, part in program.unserved]
        program.problem += linear([*program.locality(), *prices])
        if _solved(program, settings, budget, begin):
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
    known: Solution | None = None,
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
    known : Solution, optional
        Worth `least_locality`: of many nodes, the parts that it keeps together stay together.

    Returns
    -------
    Solution or None
        None where no such routing is found in time. Squares are taken by tangents.
    """
    budget = budget or Budget()
    for parts in _ways(instance, settings, least_locality, known):
        with budget.bounded():
            begin = budget.elapsed_s
            program = RoutingProgram(
                instance, placement, pulp.LpMinimize, carrying=carrying, parts=parts
            )
            locality = program.locality()
            if locality:
                floor = least_locality - instance.locality_constant
                program.problem += linear(locality) >= program.scale * floor, "locality"
            program.problem += linear(program.spread(settings.params.balance.tangents))
            if _solved(program, settings, budget, begin):
                return program.solution()
    return None
