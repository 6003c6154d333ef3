"""Where the integer program starts: at the best of all heuristics that the tool ships.

Each runs just as it does under its own name (`propose`), so that no plan is worse than any of
them under the same cap, if there is time for all of them; the cheap ones come first, for whoever
has little.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from placement.heuristics import HEURISTICS, SEES_CAP
from placement.heuristics.compiled_search import at_hand
from placement.heuristics.local_search import Judge, filled_worth, local_search
from placement.heuristics.selective_replication import Score, selective_replication
from placement.heuristics.tiling import repeated_greedy
from placement.heuristics.water_filling import UNSERVED_PENALTY, filled_routing, water_fill
from placement.improve.beyond_cap import goes_beyond_cap
from placement.params.search_params import SearchParams
from placement.patterns import pattern_bottleneck
from placement.portfolio.partition import partition
from placement.problem.instance import Instance
from placement.problem.outcome import Bottleneck, SolveOptions, cap_for
from placement.problem.solution import Placement, Solution, evaluate
from placement.programs.bottleneck import compact_bottleneck
from placement.programs.flows import has_many_nodes
from placement.programs.idle_replicas import busy_replicas
from placement.programs.keeping import keep_rules
from placement.programs.least_load import least_bottleneck
from placement.programs.routing import best_routing
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings

CHEAP = ("greedy", "greedy-servers", "greedy-no-affinity", "random")
"""Heuristics that the program starts from however little time there is, in this order."""

STARTS = CHEAP[:3]
"""Heuristics from whose placements local search begins."""

LOCALITY_ROUNDING = 1e-9
"""Locality that a solution may lose to floats."""


def load_cap(options: SolveOptions, bottleneck: float) -> float:
    """Cap on GPU loads: the target rho, or (1 + eps) U* in overload and offline."""
    target = 0.0 if options.mode == "offline" else options.max_utilization
    return cap_for(bottleneck, target, options.headroom_slack)


@dataclass
class Placer:
    """Places by heuristics under any cap; what was placed once is not placed again.

    Parameters
    ----------
    instance : Instance
        With the target as its cap.
    """

    instance: Instance
    options: SolveOptions
    settings: SolverSettings
    score: Score | None = None
    _known: dict[tuple[str, float], Placement] = field(default_factory=dict)
    _headroom: Bottleneck | None = None

    @cached_property
    def plainest(self) -> Placement:
        """The first placement: that of greedy, of a fraction where the cluster is large."""
        placed = repeated_greedy(self.instance, self.params)
        return keep_rules(self.instance, placed, self.settings)

    @property
    def params(self) -> SearchParams:
        """What steers the searches."""
        return self.settings.params

    @property
    def target(self) -> float:
        """Load of the busiest GPU that is low enough; 0 where every bit less is a gain."""
        return 0.0 if self.options.mode == "offline" else self.options.max_utilization

    def headroom(self, budget: Budget) -> Bottleneck:
        """The least load of the busiest GPU that is known, the placement, and its lower bound."""
        if self._headroom is None:
            self._headroom = self._least_load(self.instance, self.plainest, budget)
        return self._headroom

    def _least_load(self, instance: Instance, first: Placement, budget: Budget) -> Bottleneck:
        settings = self.settings
        if instance.cluster.n_servers > self.params.portfolio.compact_servers:
            return pattern_bottleneck(instance, settings, budget, target=self.target, start=first)
        _, start = least_bottleneck(instance, first, settings, budget=budget.outer)
        return compact_bottleneck(instance, settings, budget, target=self.target, start=start)

    def place(self, method: str, cap: float, budget: Budget) -> Placement:
        """Placement of a method that sees this cap.

        Parameters
        ----------
        method : str
            Key of `HEURISTICS`.
        cap : float
            Busy fraction that no GPU is to exceed; only some methods look at it.
        budget : Budget
            For methods that search.
        """
        if (method, cap) not in self._known:
            placed = self._place(method, cap, budget)
            self._known[method, cap] = keep_rules(self.instance, placed, self.settings, budget)
        return self._known[method, cap]

    def _place(self, method: str, cap: float, budget: Budget) -> Placement:
        seen, seed = replace(self.instance, load_cap=cap), self.options.seed
        if method == "partition":
            return partition(seen, self.settings, seed=seed, budget=budget)
        if method == "selective-replication" and self.score is not None:
            return selective_replication(seen, self.score, budget=budget, params=self.params)
        if method == "local-search":
            judge = _judge(self.settings, budget.outer)
            return local_search(
                seen,
                seed=seed,
                budget=budget,
                judge=judge,
                more_starts=partial(self._roomy, budget),
                params=self.params,
            )
        return HEURISTICS[method](seen, seed, budget, self.params)

    def _roomy(self, budget: Budget, seen: Instance) -> list[Placement]:
        """The placement of least load, without its spares, where the greedy one cannot keep a cap.

        Of a fraction of the cluster, its own.
        """
        whole = seen.cluster == self.instance.cluster
        first = self.plainest if whole else repeated_greedy(seen, self.params)
        if whole:
            found = self.headroom(budget)
        else:
            part = budget.part(self.params.portfolio.roomy_share)
            found = self._least_load(seen, first, part)
        greedy_load, _ = least_bottleneck(seen, first, self.settings, budget=budget.outer)
        if greedy_load <= max(seen.load_cap, found.upper):
            return []
        return [busy_replicas(seen, found.solution).placement]


@dataclass(frozen=True)
class Proposal:
    """Placements of one method, and the least load of the busiest GPU that any of them reaches."""

    placements: tuple[Placement, ...]
    upper: float
    solution: Solution


def propose(placer: Placer, method: str, budget: Budget, *, cap: float | None = None) -> Proposal:
    """Place by a heuristic: for headroom where the target cannot be kept, then for locality.

    Parameters
    ----------
    placer : Placer
        Knows the instance, and what was placed before.
    method : str
        Key of `HEURISTICS`.
    budget : Budget
        For searches and for the program of least bottleneck.
    cap : float, optional
        The cap on GPU loads, where U* is known; else the method seeks one of its own.
    """
    options, instance, settings = placer.options, placer.instance, placer.settings
    if method == "local-search":
        return _search_under_cap(placer, budget)
    placements = [placer.place(method, cap or options.max_utilization, budget)]
    upper, solution = least_bottleneck(instance, placements[0], settings, budget=budget)
    missed = cap is None and load_cap(options, upper) != options.max_utilization
    if method in SEES_CAP and missed and not budget.expired:
        # The least bottleneck fixes the cap, so it is sought first, and then locality under it.
        roomy = placer.params.portfolio.headroom_factor * instance.load_floor
        placements.append(placer.place(method, roomy, budget))
        other = least_bottleneck(instance, placements[1], settings, budget=budget)
        upper, solution = min((upper, solution), other, key=lambda pair: pair[0])
        if not budget.expired:
            placements.append(placer.place(method, load_cap(options, upper), budget))
    return Proposal(tuple(placements), upper, solution)


def propose_alone(placer: Placer, method: str, budget: Budget) -> Proposal:
    """Place by a heuristic and nothing else; local search is no worse than what it starts from.

    Water-filling guides the search, and close to the cap it leaves unserved what a program serves.
    There what it found is no judge of its starts: they are proposed too, and where they know of
    less load of the busiest GPU, it is searched again under the cap that this gives. All of that
    takes time; without it a start may be better.

    Parameters
    ----------
    placer : Placer
        Knows the instance, and what was placed before.
    method : str
        Key of `HEURISTICS`.
    budget : Budget
        For searches and for the program of least bottleneck.
    """
    found = propose(placer, method, budget)
    if method != "local-search" or _serves_all(placer, found):
        return found
    proposed = [found, *(propose(placer, start, budget) for start in STARTS)]
    least = min(p.upper for p in proposed)
    if load_cap(placer.options, least) < load_cap(placer.options, found.upper):
        proposed.append(_search_under_cap(placer, budget, least))
    best = min(proposed, key=lambda p: p.upper)
    return Proposal(tuple(p for s in proposed for p in s.placements), best.upper, best.solution)


def _serves_all(placer: Placer, found: Proposal) -> bool:
    """Whether water-filling serves all under the target, so that its scores are localities."""
    if placer.target == 0.0 or found.upper > placer.target:
        return False
    seen = replace(placer.instance, load_cap=placer.target)
    return water_fill(seen, found.placements[-1]).unserved <= LOCALITY_ROUNDING


def _search_under_cap(placer: Placer, budget: Budget, reached: float = math.inf) -> Proposal:
    """Local search under the cap that the least known load of the busiest GPU gives."""
    known = placer.headroom(budget.part(placer.params.portfolio.headroom_share))
    cap = load_cap(placer.options, min(known.upper, reached))
    placement = placer.place("local-search", cap, budget)
    upper, solution = least_bottleneck(placer.instance, placement, placer.settings, budget=budget)
    if known.upper < upper:
        return Proposal((known.solution.placement, placement), known.upper, known.solution)
    return Proposal((placement,), upper, solution)


def propose_in_any_time(placer: Placer, budget: Budget) -> Proposal:
    """The plainest placement, and its least bottleneck load."""
    placement = placer.plainest
    part = budget.part(placer.params.portfolio.first_share)
    upper, solution = least_bottleneck(placer.instance, placement, placer.settings, budget=part)
    return Proposal((placement,), upper, solution)


def search_wider(
    placer: Placer, instance: Instance, budget: Budget, routed: Sequence[Solution]
) -> Placement | Solution | None:
    """Search locally; where the search finds nothing under the cap, once more under wider ones.

    The search routes by filling servers in turn, which may fail close to the cap where the
    routing program does not: what it finds under a wider cap is routed under the real one.
    Small shared clusters leave the wider caps to `search_beyond`; where GPUs are exclusive, the
    first integer program over patterns is there sooner.

    Parameters
    ----------
    routed : sequence of Solution
        What has a routing under the cap already.

    Returns
    -------
    Placement, Solution or None
        What was found: still to be routed, or with the routing that ended the search; None where
        that is in `routed`.
    """
    params = placer.params
    once = (
        instance.models_per_gpu == 1
        or goes_beyond_cap(instance, params.beyond_cap)
        or instance.cluster.n_servers > params.portfolio.most_searched_servers
    )
    first: Placement | None = None
    caps = params.portfolio.searched_caps
    for slack in caps[:1] if once else caps:
        placement = placer.place("local-search", instance.load_cap * slack, budget)
        if any(s.placement == placement for s in routed):
            return None
        first = first or placement
        if budget.expired:
            return placement
        if not once:
            solution = best_routing(instance, placement, placer.settings, budget=budget)
            if solution is not None:
                return solution
    return first


@dataclass(frozen=True)
class Routed:
    """Placements with rates: by a program, and the others as water-filling has them."""

    by_program: tuple[Solution, ...] = ()
    by_filling: tuple[Solution, ...] = ()

    @property
    def solutions(self) -> tuple[Solution, ...]:
        """All of them."""
        return (*self.by_program, *self.by_filling)


def route_all(
    instance: Instance,
    placements: Sequence[Placement],
    settings: SolverSettings,
    budget: Budget,
    *,
    last: bool = True,
) -> Routed:
    """Best routings of the placements under the cap of the instance, as far as there is time.

    Water-filling (once compiled) routes all of them before any program begins; what it finds best
    is the first to get one, for there may be time for no more.

    Parameters
    ----------
    placements : sequence of Placement
        Of those that are equal, one is routed.
    last : bool
        Nothing else is going to be placed. Else the best alone gets its program, and where there
        are many nodes not even that: whoever searches on needs the time more.

    Returns
    -------
    Routed
        Each in the order of the placements.
    """
    params = settings.params.portfolio
    different, filled, share = _different(placements), [], params.each_routing_share
    order = list(range(len(different)))
    if at_hand(budget):
        filled = [filled_routing(instance, placement, settings.params) for placement in different]
        # Of what it leaves a little unserved a program may yet serve all.
        worth = [
            filled_worth(instance, p) if s is None else evaluate(instance, s).objective
            for p, s in zip(different, filled, strict=True)
        ]
        order.sort(key=lambda i: -worth[i])
        share = 1.0  # all have rates already: what is begun is ended, if there is time for it
    by_filling = tuple(solution for solution in filled if solution is not None)
    if has_many_nodes(instance, params) and by_filling:
        everything = (
            max(evaluate(instance, s).objective for s in by_filling) >= 1 - LOCALITY_ROUNDING
        )
        if everything or not last:
            return Routed((), by_filling)
    found: dict[int, Solution] = {}
    for i in order if last else order[:1]:
        # Each gets its share, so that one large program does not take the time of all others.
        solution = best_routing(instance, different[i], settings, budget=budget.part(share))
        if solution is not None:
            found[i] = solution
    return Routed(
        tuple(found[i] for i in sorted(found)),
        tuple(s for i, s in enumerate(filled) if s is not None and i not in found),
    )


def best_of(instance: Instance, solutions: Sequence[Solution]) -> Solution:
    """The solution of highest locality; of equals the first."""
    return max(solutions, key=lambda s: evaluate(instance, s).objective)


def _different(placements: Sequence[Placement]) -> list[Placement]:
    seen = {
        (p.model.tobytes(), p.server.tobytes(), p.start.tobytes()): p for p in reversed(placements)
    }
    return list(reversed(seen.values()))


def _judge(settings: SolverSettings, budget: Budget) -> Judge:
    """Locality under the best routing; what cannot be routed, or not in time, comes after that."""

    def worth(instance: Instance, placement: Placement) -> float:
        if has_many_nodes(instance, settings.params.portfolio):
            return filled_worth(instance, placement)
        routed = best_routing(instance, placement, settings, budget=budget)
        if routed is None:
            return filled_worth(instance, placement) - UNSERVED_PENALTY
        return evaluate(instance, routed).objective

    return worth
