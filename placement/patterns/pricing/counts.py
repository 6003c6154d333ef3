"""The pricing problem: the content of one server that is worth most at given duals.

Sets: used models m that fit the server, active workflows w with nodes v and links uv.
Maximise  sum whole c[w] + sum link l[w,uv] - sum pi[w,v] a[w,v] - sum mu[r] f[r]
over counts n[m] and their features f[r] (`Row`), loads h[m] <= cap n[m], rates
a[w,v] <= min(lambda_w, lambda_w n[m]).

Exclusive GPUs: sum k n <= G. Blocks on an empty server can be laid end to end, so this is exact
where no GPU is excluded, and else a relaxation.
Shared GPUs: memory and load of the server in sum, at most j blocks with more than 1/(j+1)
of a GPU's memory on each GPU, and the cuts of `sharing_cuts`, found as they are broken. Every real
content keeps these rows, so the maximum of this
relaxation is at least the true one, and a bound computed with it is valid.

Where sharing loses, a content without its idle replicas is worth as much and keeps all rows: n
counts those that can be loaded (`slicing_row`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import pulp

from placement.params.pricing_params import PricingParams
from placement.params.search_params import DEFAULTS, SearchParams
from placement.patterns.duals import Duals
from placement.patterns.master_rows import Row
from placement.patterns.pattern import Pattern, lay_out
from placement.patterns.pricing.features import Features
from placement.patterns.sharing_cuts import SharingCut, pairs_apart, separate, stands_alone
from placement.problem.cluster import FloatArray
from placement.problem.instance import Instance
from placement.problem.shared_capacity import (
    can_load,
    is_loaded,
    loses_by_sharing,
    loss_per_replica,
)
from placement.problem.space import largest_room_gb, models_that_fit, most_replicas, total_room_gb
from placement.programs.fitting_sets import has_set_rows, separating_prices
from placement.programs.flows import Part, Place, keepable, kept_terms
from placement.programs.space_rows import company_rows
from placement.solver.budget import Budget
from placement.solver.milp import Manner, Pairs, SolverSettings, Stop, linear, solve_program


def space_rows(
    instance: Instance, kind: int, held: Pairs, models: list[int], thresholds: int
) -> list[pulp.LpConstraint]:
    """Rows that every content of `count` servers of a type keeps, on replica counts.

    Parameters
    ----------
    instance : Instance
        Models and rules of space.
    kind : int
        Server type.
    held : list of (variable, float)
        Replicas of each model.
    models : list of int
        The models, in the order of `held`.
    thresholds : int
        Most j of the rows on blocks with more than 1/(j+1) of a GPU's memory.
    """
    server = instance.cluster.server_types[kind]
    k, memory = instance.gpus_required, instance.memory_per_gpu_gb
    pairs = list(zip((v for v, _ in held), models, strict=True))
    if instance.models_per_gpu == 1:
        return [linear([(n, float(k[m])) for n, m in pairs]) <= server.usable_gpus]
    rows = [linear([(n, float(k[m] * memory[m])) for n, m in pairs]) <= total_room_gb(server)]
    limit = instance.max_models_per_gpu
    if limit is not None:
        rows.append(linear([(n, float(k[m])) for n, m in pairs]) <= server.usable_gpus * limit)
    room = largest_room_gb(server)
    for j in range(1, thresholds + 1):
        large = [(n, float(k[m])) for n, m in pairs if memory[m] > room / (j + 1)]
        if large:
            rows.append(linear(large) <= j * server.usable_gpus)
    return rows


def slicing_row(
    instance: Instance, kind: int, held: Pairs, loads: Pairs, servers: int = 1
) -> pulp.LpConstraint | None:
    """What slices take off the load of so many servers of a type in sum; None where nothing.

    With d of `loss_per_replica`, G GPUs bear sum k h <= cap (G - d (sum k n - G)).

    Parameters
    ----------
    instance : Instance
        Says what sharing takes off a GPU.
    kind : int
        Server type.
    held : terms
        Replicas of the models that can be loaded, each times its GPUs.
    loads : terms
        Loads over the cap, each times its GPUs.
    servers : int
        Of the type, which the replicas and loads are the sums of.
    """
    server = instance.cluster.server_types[kind]
    lost = loss_per_replica(instance, server)
    if lost <= 0:
        return None
    taken = [(n, lost * k) for n, k in held]
    return linear([*loads, *taken]) <= server.usable_gpus * servers * (1 + lost)


@dataclass(frozen=True)
class Priced:
    """The best content found at some duals, and a proven bound on the value of any.

    `others` are the contents that the search met on its way, worse at these duals: they cost
    nothing and save rounds.
    """

    pattern: Pattern
    value: float
    best_bound: float
    others: tuple[Pattern, ...] = ()


class PricingProblem(Protocol):
    """What column generation asks of the pricing problem of one server type."""

    rows: tuple[Row, ...]

    @property
    def placed(self) -> bool:
        """Whether it decides the place of every replica where GPUs are shared."""

    def solve(
        self,
        duals: Duals,
        settings: SolverSettings,
        budget: Budget | None,
        *,
        gap: float = 0.0,
    ) -> Priced | None:
        """Price at some duals; None where the time ended before anything was known.

        Parameters
        ----------
        duals : Duals
            Of demand and rows.
        settings : SolverSettings
            Solver and threads.
        budget : Budget or None
            When to stop.
        gap : float
            Absolute gap that is close enough.
        """


class QuickPricing(Protocol):
    """Heuristic pricing of one server type: contents worth much, and no bound."""

    @property
    def central(self) -> bool:
        """Whether it takes long enough for duals amid the optimal ones to be worth their time."""

    def solve(self, rows: Sequence[Row], duals: Duals, most: int) -> dict[Pattern, float]:
        """Contents of highest value at some duals, highest first, and what each is worth.

        Parameters
        ----------
        rows : sequence of Row
            Rows on replica counts, in the order of the multipliers.
        duals : Duals
            Of demand and rows.
        most : int
            Contents wanted.
        """


class Pricing:
    """One server type's pricing problem, built once and solved at many duals."""

    placed: bool = False

    def __init__(
        self,
        instance: Instance,
        kind: int,
        rows: Sequence[Row] = (),
        params: SearchParams = DEFAULTS,
    ) -> None:
        self.instance = instance
        self.kind = kind
        self.rows = tuple(rows)
        self.problem = pulp.LpProblem(f"pricing_{kind}", pulp.LpMaximize)
        server = instance.cluster.server_types[kind]
        k = instance.gpus_required
        self.count: dict[int, pulp.LpVariable] = {}
        self.load: dict[int, pulp.LpVariable] = {}
        for m in models_that_fit(instance, server):
            most = most_replicas(instance, m, server)
            self.count[m] = n = pulp.LpVariable(f"n_{m}", 0, most, pulp.LpInteger)
            self.load[m] = h = pulp.LpVariable(f"h_{m}", 0)
            self.problem += linear([(h, 1.0), (n, -instance.load_cap)]) <= 0
        held = [(n, 1.0) for n in self.count.values()]
        for row in space_rows(instance, kind, held, list(self.count), params.pricing.thresholds):
            self.problem += row
        if instance.company:
            here = {m: [(n, 1.0)] for m, n in self.count.items()}
            for row in company_rows(instance, server, here, "", by_place=False):
                self.problem += row
        if instance.models_per_gpu > 1:
            loads = [(h, float(k[m])) for m, h in self.load.items()]
            self.problem += linear(loads) <= server.usable_gpus * instance.load_cap
            if instance.load_cap > 0:
                fastest = instance.speeds[kind].tolist()
                counted = [m for m in self.count if can_load(instance, m, fastest[m])]
                row = slicing_row(
                    instance,
                    kind,
                    [(self.count[m], float(k[m])) for m in counted],
                    [(h, c / instance.load_cap) for h, c in loads],
                )
                if row is not None:
                    self.problem += row
        self.value: Pairs = []
        self._kept: dict[Part, pulp.LpVariable] = {}
        self._flows(instance.speeds[kind], params)
        self._features = Features(self.problem, kind, self.count)
        for row in self.rows:
            if self._features.get(row.feature) is None and set(row.models) <= set(self.count):
                self._features.add(row.feature, row.variable(self._features))
        if instance.models_per_gpu > 1:
            for cut in pairs_apart(instance, server, list(self.count)):
                self._add_cut(cut)

    def _add_cut(self, cut: SharingCut) -> None:
        terms: Pairs = []
        server = self.instance.cluster.server_types[self.kind]
        for m, f in cut.weight.items():
            if m not in self.count:
                continue
            k, alone = int(self.instance.gpus_required[m]), stands_alone(self.instance, server, m)
            terms.append((self.count[m], f * k if alone else f))
            if k > 1 and not alone:
                terms.append((self._features.at_least(m, 1), f * (k - 1)))
        self.problem += linear(terms) <= cut.gpus

    def _flows(self, speed: FloatArray, params: SearchParams) -> None:
        instance = self.instance
        place = Place(self.problem, instance, "", speed)
        prices = separating_prices(instance, params) if has_set_rows(instance, params) else {}
        for w in instance.active_workflows:
            flow = instance.workflows[w]
            for v, m in enumerate(flow.node_model.tolist()):
                if m in self.count:
                    held = [self.count[m]]
                    place.serve(w, v, held, carries=instance.load_cap, most=flow.rate)
            kept = place.keep(keepable(instance, w))
            self.value += kept_terms(kept)
            self._kept |= {part: variable for part, variable, _ in kept}
            if w in prices:
                place.pay(w, kept, prices[w])
        for m in place.work:
            place.do_work(m, [(self.load[m], 1.0)])
        self.rate = place.rate

    def solve(
        self,
        duals: Duals,
        settings: SolverSettings,
        budget: Budget | None,
        *,
        gap: float = 0.0,
    ) -> Priced | None:
        """Price at some duals; None where the time ended before anything was known.

        Parameters
        ----------
        gap : float
            Absolute gap that is close enough.
        """
        worth: dict[pulp.LpVariable, float] = defaultdict(float, self.value)
        for key, a in self.rate.items():
            worth[a] -= duals.demand[key]
        for row, dual in zip(self.rows, duals.rows, strict=True):
            feature = self._features.get(row.feature)
            if feature is not None:
                worth[feature] -= row.signed(dual) * row.weight_on(self.kind)
            if row.kept in self._kept:
                worth[self._kept[row.kept]] -= row.signed(dual)
        self.problem.setObjective(linear(worth.items()))
        params, (relative, nodes) = settings.params.pricing, self._limits(settings.params.pricing)
        met: list[list[float]] = []
        for _ in range(params.most_cuts):
            met.clear()
            outcome = solve_program(
                self.problem,
                settings,
                stop=Stop(gap=relative, abs_gap=gap, node_limit=nodes),
                manner=Manner(light=True),
                budget=budget,
                on_solution=met.append,
            )
            cut = self._broken_cut(settings, budget) if outcome.status == "optimal" else None
            if cut is None:
                break
            self._add_cut(cut)
        if not outcome.found or outcome.objective is None:
            return None
        pattern = self._pattern(lambda variable: variable.varValue or 0.0)
        others = []
        for values in met[len(met) - min(len(met), params.most_others) :]:
            others.append(self._pattern(lambda variable, at=values: at[variable.index]))  # type: ignore[misc]
        return Priced(
            pattern,
            outcome.objective,
            max(0.0, outcome.best_bound),
            tuple(other for other in dict.fromkeys(others) if other != pattern),
        )

    def _limits(self, params: PricingParams) -> tuple[float, int | None]:
        """Relative gap at which a solve stops, and its branch-and-bound nodes."""
        return params.gap, None

    def _broken_cut(self, settings: SolverSettings, budget: Budget | None) -> SharingCut | None:
        if self.instance.models_per_gpu == 1:
            return None
        held = {m: round(n.varValue or 0.0) for m, n in self.count.items()}
        server = self.instance.cluster.server_types[self.kind]
        return separate(self.instance, server, held, settings, budget)

    def _pattern(self, value: Callable[[pulp.LpVariable], float]) -> Pattern:
        held = {m: round(value(n)) for m, n in self.count.items()}
        loads = {m: value(self.load[m]) / n for m, n in held.items() if n > 0}
        if loses_by_sharing(self.instance) and self.instance.idle_are_spare:
            # What is idle would count as loaded.
            held = {m: n for m, n in held.items() if self._busy(m, loads.get(m, 0.0))}
        return lay_out(self.instance, self.kind, held, loads)

    def _busy(self, m: int, load: float) -> bool:
        speed = float(self.instance.speeds[self.kind, m])
        return not can_load(self.instance, m, speed) or is_loaded(self.instance, load)
