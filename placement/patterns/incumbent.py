"""The incumbent of a search over patterns, and the integer programs that improve it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from placement.heuristics.mending import mend
from placement.params.search_params import SearchParams
from placement.patterns.column_generation import Pool
from placement.patterns.exchanges import neighbours
from placement.patterns.master_rows import Row
from placement.patterns.node_set_master import master_of
from placement.patterns.pattern import Pattern, expand, patterns_of
from placement.patterns.pricing.content_list import Contents
from placement.patterns.pricing.contents import ContentDraft, ContentPricing
from placement.patterns.pricing.counts import PricingProblem, QuickPricing
from placement.patterns.pricing.problems import pricings_for
from placement.patterns.proven_bound import ProvenBound
from placement.problem.instance import Instance
from placement.problem.outcome import Progress, ProgressCallback, relative_gap
from placement.problem.solution import Solution, evaluate
from placement.programs.routing import best_routing
from placement.solver.budget import Budget
from placement.solver.milp import Manner, SolverSettings, Stop, solve_program
from placement.support.equality import ByContent


@dataclass(frozen=True, eq=False)
class Incumbent(ByContent):
    """The best solution known, and its locality."""

    solution: Solution | None = None
    worth: float = -math.inf


def incumbent_of(instance: Instance, solution: Solution | None) -> Incumbent:
    """A solution with its locality; none is worth less than any."""
    if solution is None:
        return Incumbent()
    return Incumbent(solution, evaluate(instance, solution).objective)


class Findings:
    """What a search has found: its pool and its incumbent, the one thing in it that changes.

    A step that runs out of time is left by an exception from wherever it is (`Budget.bounded`), and
    a value that it were to return would be lost with what it had found. Steps of a search so tell
    its findings of every pool and every better plan at once; all else takes values and returns
    them.

    Parameters
    ----------
    pool : Pool
        To begin with.
    incumbent : Incumbent
        The best solution known.
    """

    def __init__(self, pool: Pool, incumbent: Incumbent) -> None:
        self._pool, self._incumbent = pool, incumbent

    @property
    def pool(self) -> Pool:
        """Patterns, the best bound and the last master."""
        return self._pool

    @property
    def incumbent(self) -> Incumbent:
        """The best solution."""
        return self._incumbent

    def learn(self, pool: Pool) -> None:
        """Go on with a pool that was made of this one."""
        self._pool = pool

    def keep(self, found: Incumbent) -> None:
        """Keep a solution that is as good."""
        if found.worth >= self._incumbent.worth:
            self._incumbent = found


@dataclass(frozen=True)
class Search:
    """One run: what is given, where its patterns come from, and what it has found so far.

    Parameters
    ----------
    instance, normal : Instance
        As given, and normalized.
    settings : SolverSettings
        Solver and parameters.
    budget : Budget
        When to stop.
    gap : float
        Relative gap at which to stop.
    progress : callable or None
        Told of every better incumbent and bound.
    findings : Findings
        Pool and incumbent.
    contents, drafts : sequence of Contents, of ContentDraft
        Every content of each server type, where they are few enough: priced exactly, or of large
        clusters as a draft.
    knapsacks : sequence of QuickPricing
        Quick pricing, one a server type.
    exact : sequence of PricingProblem
        What the first proofs are priced with, one a server type.
    finished : bool
        Whether patterns were generated until nothing more was to be had, or time had.
    """

    instance: Instance
    normal: Instance
    settings: SolverSettings
    budget: Budget
    gap: float
    progress: ProgressCallback | None
    findings: Findings
    contents: Sequence[Contents] = ()
    knapsacks: Sequence[QuickPricing] = ()
    drafts: Sequence[ContentDraft] = ()
    exact: Sequence[PricingProblem] = ()
    finished: bool = False

    @property
    def pool(self) -> Pool:
        """Patterns, the best bound and the last master, as they are by now."""
        return self.findings.pool

    @property
    def incumbent(self) -> Incumbent:
        """The best solution, as it is by now."""
        return self.findings.incumbent

    @property
    def params(self) -> SearchParams:
        """What steers the search."""
        return self.settings.params

    @property
    def few(self) -> bool:
        """Whether the cluster is small."""
        return self.instance.cluster.n_servers <= self.params.patterns.few_servers

    @property
    def best(self) -> Solution | None:
        """The incumbent's solution."""
        return self.incumbent.solution

    @property
    def worth(self) -> float:
        """Locality of the incumbent."""
        return self.incumbent.worth

    def pricings(self, rows: tuple[Row, ...] | None = None) -> list[PricingProblem]:
        """Pricing problems that know some rows, or the pool's."""
        return pricings_for(
            self.normal,
            self.pool.rows if rows is None else rows,
            positions=self.pool.proven.placed,
            contents=self.contents,
            params=self.params,
        )

    def closed(self) -> bool:
        """Whether the incumbent is within the gap asked for."""
        return relative_gap(self.worth, self.pool.best_bound) <= self.gap

    def report(self, phase: str, best_bound: float = 1.0) -> None:
        """Tell the progress, with a bound that is not in the pool yet where that is better."""
        if self.progress is not None:
            bound = min(best_bound, self.pool.best_bound)
            worth = self.worth if self.best is not None else None
            detail = f"{len(self.pool.patterns)} patterns"
            self.progress(Progress(phase, self.budget.elapsed_s, worth, bound, detail))

    def offer(self, servers: dict[Pattern, int]) -> bool:
        """Expand and route an integer plan; keep it where it is better."""
        placement = mend(self.instance, expand(self.instance, servers))
        if placement is None or set(self.instance.used_models) - set(placement.model.tolist()):
            return False
        routed = best_routing(self.instance, placement, self.settings, budget=self.budget.outer)
        if routed is None:
            return False
        worth = evaluate(self.instance, routed).objective
        if worth <= self.worth + 1e-9:
            return False
        self.findings.keep(Incumbent(routed, worth))
        return True

    def add(self, patterns: Iterable[Pattern]) -> None:
        """Add patterns to the pool."""
        self.findings.learn(self.pool.having(patterns))

    def prove(self, proven: ProvenBound) -> None:
        """Go on from another proof of the bound."""
        self.findings.learn(replace(self.pool, proven=proven))


def integer(
    search: Search,
    patterns: Sequence[Pattern],
    limits: Callable[[Pattern], tuple[int, int]] | None = None,
    *,
    node_limit: int | None = None,
    share: float | None = None,
    start: Mapping[Pattern, int] | None = None,
    gap: float = 1e-9,
) -> bool:
    """Solve the integer master over some patterns; True where the incumbent improved.

    Parameters
    ----------
    search : Search
        Its findings are told of a better incumbent.
    patterns : sequence of Pattern
        Columns of the master.
    limits : callable, optional
        Least and most servers of a pattern.
    node_limit : int, optional
        Nodes of branch and bound; those of the parameters by default.
    share : float, optional
        Of the time left; that of the parameters by default.
    start : mapping of Pattern to int, optional
        Servers of each pattern where branch and bound begins, which may leave demand unserved; the
        incumbent's by default.
    gap : float
        Relative gap at which it ends, where that asked of the plan is not more.
    """
    params = search.params.integer_plan
    improved, budget = False, search.budget.part(share or params.share)
    with budget.bounded():
        form = master_of(search.normal, search.params)
        master = form(search.normal, patterns, search.pool.rows, integer=True)
        if limits is not None:
            for pattern, n in master.servers.items():
                n.lowBound, n.upBound = limits(pattern)
        held: Mapping[Pattern, int] = start or {}
        if start is None and search.best is not None:
            held = patterns_of(search.instance, search.best.placement)
        # A start that is none wastes the solver's time on mending it.
        started = bool(held) and all(
            pattern in master.servers
            and master.servers[pattern].lowBound <= count <= master.servers[pattern].upBound
            for pattern, count in held.items()
        )
        if started:
            for variable in master.problem.variables():
                variable.varValue = None
            for pattern, n in master.servers.items():
                n.varValue = held.get(pattern, 0)
        outcome = solve_program(
            master.problem,
            search.settings,
            stop=Stop(
                gap=max(search.gap / (4 if search.few else 2), gap),
                node_limit=node_limit or params.nodes,
                target=master.value_of(search.pool.best_bound / (1 + search.gap)),
            ),
            manner=Manner(warm_start=started),
            budget=budget,
        )
        improved = outcome.found and search.offer(dict(master.counts()))
    search.report("integer plan")
    return improved


def round_near(search: Search) -> bool:
    """Hold the relaxation's counts to within one of their floors; True where that was better."""
    if not search.pool.fractions:
        return False
    used = list(search.pool.fractions)
    near = search.params.integer_plan.near_nodes
    return integer(search, used, _within(search.pool, 1), node_limit=near)


def round_up(search: Search) -> None:
    """Hold the relaxation's counts to within one of their floors; on few servers, none of them."""
    if not search.pool.fractions:
        return
    round_near(search)
    if search.few and not search.closed() and not search.budget.expired:
        integer(search, list(search.pool.patterns))


def offer_promising(search: Search) -> None:
    """Offer the contents that are worth most.

    Patterns made for the relaxation rarely add up to whole servers: what rounding leaves over
    wants variety. What is not closed so is looked at again from the incumbent, and with more.
    """
    pool, budget, params = search.pool, search.budget, search.params.integer_plan
    if pool.duals is None:
        return
    drafts = [draft.pricing for draft in search.drafts if draft.pricing is not None]
    for contents in search.contents:
        drafts.append(ContentPricing(contents, pool.rows))
        drafts[-1].solve(pool.duals, search.settings, budget)  # its bounds are loose before
    held: dict[Pattern, int] = {}
    for most in params.promising:
        near = dict.fromkeys([*held, *pool.fractions])
        for draft in drafts:
            found = draft.promising(pool.duals, search.settings, budget, most // len(drafts))
            near |= dict.fromkeys(found)
        integer(search, list(near), _within(pool, 1, held), node_limit=params.wide_nodes)
        if search.closed() or budget.expired or search.best is None:
            break
        held = patterns_of(search.instance, search.best.placement)


def widen(search: Search) -> None:
    """Offer every pattern met, where the gap is worth a program that takes long."""
    pool, params = search.pool, search.params.integer_plan
    if relative_gap(search.worth, pool.best_bound) > params.wide_gap and not search.budget.expired:
        every = list(dict.fromkeys([*pool.patterns, *pool.reserve]))
        integer(search, every, _within(pool, 2), node_limit=params.wide_nodes)


def _within(
    pool: Pool, width: int, held: Mapping[Pattern, int] = MappingProxyType({})
) -> Callable[[Pattern], tuple[int, int]]:
    """Bounds around the floor of the relaxation's number of servers, and around what is held."""
    fractions = dict(pool.fractions)

    def limits(pattern: Pattern) -> tuple[int, int]:
        whole = int(fractions.get(pattern, 0.0) + 1e-6)
        least, most = max(0, whole - width), whole + width
        return min(least, held.get(pattern, least)), max(most, held.get(pattern, most))

    return limits


def neighbourhoods(search: Search) -> None:
    """Add the neighbours of the patterns in use and solve again, while that helps."""
    for _ in range(search.params.integer_plan.exchange_rounds):
        if search.closed() or search.budget.expired or search.best is None:
            return
        used = list(patterns_of(search.instance, search.best.placement))
        near = list(
            dict.fromkeys([*used, *search.pool.fractions, *neighbours(search.normal, used)])
        )
        if not integer(search, near):
            return
        search.add(patterns_of(search.instance, search.best.placement))
