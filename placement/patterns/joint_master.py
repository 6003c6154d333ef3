"""Server patterns for several scenarios: the master shares n[p], each scenario has its own flows.

Master: max sum_k w_k value_k, or max T with T <= value_k, over n[p] and flows a^k, h^k, c^k, l^k
that each keep the rows of the single-demand master with the same n[p].

Bound. For any theta >= 0 with sum 1, min_k f_k(x) <= sum_k theta_k f_k(x) for every placement x,
so what bounds the weighted sum bounds the worst case (the average has theta = w). Relax the
demand rows of every scenario with any multipliers pi^k, as in `placement.patterns.duals`: what is
left falls apart into one problem per server, the joint pricing problem

    max  sum_k ( theta_k value_k - sum_wv pi^k[w,v] a^k[w,v] )

over one content and its flows in every scenario. So

    sum_k theta_k const_k + sum_k pi^k lambda^k + sum_t count_t (proven bound of pricing t)

bounds every placement, whatever theta, pi and the incumbents were (weak duality; Geoffrion,
Lagrangean relaxation for integer programming, Math. Prog. Study 2, 1974). The duals of the rows
of T give the theta for which the bound meets the linear relaxation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pulp

from placement.params.search_params import DEFAULTS, SearchParams
from placement.patterns.duals import zero_duals
from placement.patterns.initial_patterns import first_patterns
from placement.patterns.master_rows import rule_rows
from placement.patterns.pattern import Pattern, expand, lay_out, patterns_of
from placement.patterns.pricing.counts import Pricing
from placement.patterns.restricted_master import Master
from placement.problem.cluster import FloatArray
from placement.problem.names import Criterion
from placement.problem.normalization import normalize
from placement.problem.outcome import relative_gap
from placement.problem.solution import Placement
from placement.programs.demands import Scenario
from placement.programs.joint import join, scenario_weights, set_criterion, tie
from placement.solver.budget import Budget
from placement.solver.milp import Manner, SolverSettings, Stop, linear, solve_program
from placement.solver.milp import duals as read_duals
from placement.support.equality import ByContent

DemandDuals = list[dict[tuple[int, int], float]]
"""pi^k[w, v] of each normalized scenario."""


@dataclass(frozen=True, eq=False)
class Multipliers(ByContent):
    """theta of the scenarios, adding up to 1, and pi^k of their demand rows."""

    theta: FloatArray
    demand: DemandDuals

    def mix(self, other: Multipliers, weight: float) -> Multipliers:
        """`weight` of these and the rest of the others; thetas still add up to 1."""
        rest = 1 - weight
        return Multipliers(
            weight * self.theta + rest * other.theta,
            [
                {key: weight * pi + rest * theirs[key] for key, pi in mine.items()}
                for mine, theirs in zip(self.demand, other.demand, strict=True)
            ],
        )


class ScenarioMaster:
    """Masters of all scenarios (normalized) over the same patterns, tied by their counts."""

    def __init__(
        self,
        scenarios: Sequence[Scenario],
        criterion: Criterion,
        patterns: Sequence[Pattern],
        *,
        integer: bool = False,
    ) -> None:
        self.criterion = criterion
        self.scenarios = scenarios
        self.masters = [
            Master(s, patterns, rule_rows(s), integer=integer and k == 0)
            for k, s in enumerate(scenarios)
        ]
        values = [list(m.problem.objective.items()) for m in self.masters]
        self.problem = join([m.problem for m in self.masters])
        for master in self.masters[1:]:
            pairs = zip(master.servers.values(), self.masters[0].servers.values(), strict=True)
            tie(self.problem, pairs)
        constants = [s.locality_constant * s.cluster.n_servers for s in scenarios]
        set_criterion(self.problem, criterion, values, constants)

    def multipliers(self) -> Multipliers:
        """Theta and pi after a linear solve."""
        rows = read_duals(self.problem)
        theta = scenario_weights(rows, self.criterion, len(self.scenarios))
        demand = [
            {(w, v): rows[f"k{k}_demand_{w}_{v}"] for w, v in zero_duals(s).demand}
            for k, s in enumerate(self.scenarios)
        ]
        return Multipliers(theta, demand)


class ScenarioPricing:
    """One server type's joint pricing problem: one content, the flows of every scenario."""

    def __init__(
        self, scenarios: Sequence[Scenario], kind: int, params: SearchParams = DEFAULTS
    ) -> None:
        self.scenarios = scenarios
        self.kind = kind
        self.parts = [Pricing(s, kind, params=params) for s in scenarios]
        self.problem = join([p.problem for p in self.parts])
        for part in self.parts[1:]:
            tie(self.problem, zip(part.count.values(), self.parts[0].count.values(), strict=True))

    def solve(
        self, at: Multipliers, settings: SolverSettings, budget: Budget | None
    ) -> tuple[Pattern, float] | None:
        """The best content found, and a proven bound on the value of any; None without either.

        Parameters
        ----------
        at : Multipliers
            Weights of the scenarios, and their duals of demand.
        settings : SolverSettings
            Solver and threads.
        budget : Budget or None
            When to stop.
        """
        terms: list[tuple[pulp.LpVariable, float]] = []
        for part, theta, pi in zip(self.parts, at.theta, at.demand, strict=True):
            terms += [(v, float(theta) * c) for v, c in part.value]
            terms += [(a, -pi[key]) for key, a in part.rate.items()]
        self.problem.setObjective(linear(terms))
        outcome = solve_program(
            self.problem, settings, stop=Stop(gap=settings.params.pricing.gap), budget=budget
        )
        if not outcome.found:
            return None
        counts = {m: round(n.varValue or 0.0) for m, n in self.parts[0].count.items()}
        loads = {
            m: max(self._load(k, m) for k in range(len(self.parts))) / n
            for m, n in counts.items()
            if n > 0
        }
        pattern = lay_out(self.scenarios[0], self.kind, counts, loads)
        return pattern, max(0.0, outcome.best_bound)

    def _load(self, k: int, m: int) -> float:
        """Load of a model in a scenario, in the unit that all have in common."""
        return (self.parts[k].load[m].varValue or 0.0) * (self.scenarios[k].load_unit or 1.0)


def scenario_bound(
    scenarios: Sequence[Scenario], at: Multipliers, pricing_bounds: Sequence[float]
) -> float:
    """The bound of the module's docstring, for normalized scenarios and any multipliers.

    Parameters
    ----------
    scenarios : sequence of Scenario
        K demands on one cluster.
    at : Multipliers
        Weights of the scenarios, and their duals of demand.
    pricing_bounds : sequence of float
        Of each server type: what one server is worth at most, over all scenarios.
    """
    cluster = scenarios[0].cluster
    total = sum(t.count * b for t, b in zip(cluster.server_types, pricing_bounds, strict=True))
    for scenario, pi in zip(scenarios, at.demand, strict=True):
        total += sum(p * scenario.workflows[w].rate for (w, _), p in pi.items())
    constant = sum(
        theta * s.locality_constant for theta, s in zip(at.theta, scenarios, strict=True)
    )
    return min(1.0, float(total / cluster.n_servers + constant))


@dataclass(frozen=True, eq=False)
class ScenarioPool(ByContent):
    """Patterns found, the best bound with its multipliers, and the last relaxation's counts."""

    patterns: Mapping[Pattern, None] = field(default_factory=dict)
    best_bound: float = 1.0
    multipliers: Multipliers | None = None
    fractions: Mapping[Pattern, float] = field(default_factory=dict)

    def having(self, patterns: Iterable[Pattern]) -> ScenarioPool:
        """Add patterns; the same pool where none is new."""
        every = dict(self.patterns) | {p: None for p in patterns if p.content}
        return self if len(every) == len(self.patterns) else replace(self, patterns=every)


def generate_scenarios(
    scenarios: Sequence[Scenario],
    criterion: Criterion,
    starts: Sequence[Placement],
    settings: SolverSettings,
    budget: Budget,
    *,
    gap: float,
) -> ScenarioPool:
    """Column generation from the patterns of the starts, until relaxation and bound meet.

    Parameters
    ----------
    scenarios : sequence of Scenario
        K demands on one cluster, each with its cap.
    criterion : {'average', 'worst'}
        How the localities of the scenarios become one number.
    starts : sequence of Placement
        Their servers are the first patterns.
    settings : SolverSettings
        For master and pricing.
    budget : Budget
        When to stop; what was found stays, and the bound is valid.
    gap : float
        Relative gap at which to stop.
    """
    pool = ScenarioPool()
    with budget.bounded():
        for found in _grown(scenarios, criterion, starts, settings, budget, gap):
            pool = found  # so that it is there whenever time ends
    return pool


def _grown(
    scenarios: Sequence[Scenario],
    criterion: Criterion,
    starts: Sequence[Placement],
    settings: SolverSettings,
    budget: Budget,
    gap: float,
) -> Iterator[ScenarioPool]:
    """The pool after every step, as each adds to it."""
    normal, params = [normalize(s) for s in scenarios], settings.params.scenario_patterns
    pool = ScenarioPool()
    for start in starts:
        pool = pool.having(patterns_of(scenarios[0], start))
    for scenario in normal:
        pool = pool.having(first_patterns(scenario, settings.params))
    yield pool
    kinds = range(len(normal[0].cluster.server_types))
    pricings = [ScenarioPricing(normal, t, settings.params) for t in kinds]
    centre: Multipliers | None = None
    for _ in range(params.rounds):
        master = ScenarioMaster(normal, criterion, list(pool.patterns))
        outcome = solve_program(master.problem, settings, budget=budget)
        if outcome.objective is None:
            return
        relaxation = outcome.objective / normal[0].cluster.n_servers
        servers = master.masters[0].servers
        fractions = {p: n.varValue for p, n in servers.items() if n.varValue}
        pool = replace(pool, fractions=fractions)
        yield pool
        exact = master.multipliers()
        known = len(pool.patterns)
        for weight in (params.smoothing, 0.0) if centre is not None else (0.0,):
            at = exact if centre is None else centre.mix(exact, weight)
            priced = [p.solve(at, settings, budget) for p in pricings]
            found = [p for p in priced if p is not None]
            if len(found) < len(priced):
                return
            bound = scenario_bound(normal, at, [b for _, b in found])
            if centre is None or bound < pool.best_bound:
                centre = at
            if bound < pool.best_bound:
                pool = replace(pool, best_bound=bound, multipliers=at)
            pool = pool.having(pattern for pattern, _ in found)
            yield pool
            if len(pool.patterns) > known:
                break
        if len(pool.patterns) == known or relative_gap(relaxation, pool.best_bound) <= gap:
            return


def integer_scenarios(
    scenarios: Sequence[Scenario],
    criterion: Criterion,
    pool: ScenarioPool,
    settings: SolverSettings,
    budget: Budget,
    *,
    start: Placement,
    gap: float,
) -> Iterator[Placement | None]:
    """Whole numbers of servers: near the relaxation's counts first, then over the whole pool.

    Parameters
    ----------
    scenarios : sequence of Scenario
        K demands on one cluster, each with its cap.
    criterion : {'average', 'worst'}
        How the localities of the scenarios become one number.
    pool : ScenarioPool
        Patterns, and the relaxation's counts.
    settings : SolverSettings
        For the integer programs.
    budget : Budget
        Shared by both programs.
    start : Placement
        Where branch and bound begins.
    gap : float
        Relative gap at which to stop.

    Yields
    ------
    Placement or None
        Of each program; None where it found nothing.
    """
    normal = [normalize(s) for s in scenarios]
    held = patterns_of(scenarios[0], start)
    near = [*pool.fractions, *(p for p in held if p not in pool.fractions)]
    params = settings.params.scenario_patterns
    # Both where there is one part only.
    first, last = params.plan_shares[0], params.plan_shares[-1]
    for patterns, part in ((near, first), (list(pool.patterns), last)):
        found: dict[Pattern, int] | None = None
        phase = budget.part(part)
        with phase.bounded():
            master = ScenarioMaster(normal, criterion, patterns, integer=True)
            for each in master.masters:
                for pattern, n in each.servers.items():
                    n.varValue = held.get(pattern, 0)
            outcome = solve_program(
                master.problem,
                settings,
                stop=Stop(gap=gap, node_limit=params.nodes),
                manner=Manner(warm_start=True),
                budget=phase,
            )
            if outcome.found:
                found = dict(master.masters[0].counts())
        yield None if found is None else expand(scenarios[0], found)
        if found is not None:
            held = {p: n for p, n in found.items() if p in pool.patterns}
