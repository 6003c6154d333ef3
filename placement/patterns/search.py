"""From patterns to the best integer plan: restricted programs, neighbours, the compact form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from placement.improve.beyond_cap import oscillates, search_beyond
from placement.improve.large_neighbourhood import Goal, search_servers
from placement.patterns.bounding import add_patterns, add_placed, bound_apart, cut, tighten
from placement.patterns.branching import BRANCHING_INTEGRALITY, BranchingSteps, branch
from placement.patterns.column_generation import MAX_ROUNDS, Pool
from placement.patterns.diving import dive
from placement.patterns.enumeration import candidates, solve_over
from placement.patterns.incumbent import (
    NEIGHBOUR_SERVERS,
    Search,
    incumbent_of,
    integer,
    neighbourhoods,
    offer_promising,
    round_near,
    round_up,
    widen,
)
from placement.patterns.initial_patterns import first_patterns
from placement.patterns.master_rows import rounding_rows
from placement.patterns.pattern import canonical, patterns_of
from placement.patterns.pricing.content_list import listed_contents
from placement.patterns.pricing.contents import ContentDraft
from placement.patterns.pricing.counts import PricingProblem
from placement.patterns.pricing.knapsack import knapsacks
from placement.patterns.pricing.positions import PositionPricing
from placement.patterns.proven_bound import ProvenBound
from placement.problem.instance import Instance
from placement.problem.normalization import normalize
from placement.problem.outcome import FormOutcome, Progress, ProgressCallback, Status, relative_gap
from placement.problem.solution import Solution
from placement.problem.space import keep_what_fits
from placement.programs.compact import solve_compact
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings

COMPACT_FORM_SERVERS = 12
"""Clusters up to this size give what time is left to the compact form."""

DIVE_SERVERS = 64
"""Clusters up to this size are searched by diving; larger ones round well."""

FREED_SERVERS = 32
"""Clusters up to this size place a few servers anew at a time, over and over."""

FIRST_SHARE = 0.62
"""Part of the time left, on small shared clusters, for patterns: plans made of many are better."""

ROUNDED_GAP, COMBINED_SHARE = 0.015, 0.3
"""Gap to the relaxation above which the plan rounded from it is sought among all patterns too."""

BEYOND_GAP = 0.05
"""Gap to the relaxation above which starts from beyond the cap are better than the rounded plan."""

ANEW_SHARE = 0.85
"""Part of the time left for placing servers anew on small shared clusters."""

PLAN_SHARE = 0.6
"""Part of the time for the patterns of a first plan of many servers with many models."""

BEYOND_SHARE = 0.5
"""Part of the time for starts from beyond the cap, on small shared clusters."""

BRANCH_SERVERS = 32
"""Clusters up to this size are closed by branch and price."""

BRANCH_NODES = 400

LISTED_SHARE = 0.9
"""Part of the time left for branching over listed contents: little is found in other ways."""

FINISH_SHARE = 0.8
"""Part of the time left for one integer program over all that a better plan can hold."""

LISTED_SERVERS = 64
"""Clusters up to this size are priced over all contents, where these are few enough."""

PROOF = (
    "Lagrangian relaxation of the demand rows, of the whole replicas that each model's work "
    "needs and of those that what is kept takes: multipliers times right-hand sides plus, for "
    "every server, the proven bound of its pricing problem; valid for any duals, "
    "whatever the incumbents were"
)
TREE_PROOF = (
    "branch and price: the plans are split by how many servers hold what, no plan is lost, and "
    "each part has a Lagrangian bound of its own, with its own multipliers, or an integer program "
    "over all that a better plan can hold by these; the largest holds"
)


def solve_patterns(
    instance: Instance,
    settings: SolverSettings,
    budget: Budget,
    *,
    start: Solution | None,
    gap: float,
    progress: ProgressCallback | None = None,
) -> FormOutcome:
    """Maximise the locality by column generation over server patterns.

    Parameters
    ----------
    instance : Instance
        With the cap.
    settings : SolverSettings
        Solver and threads.
    budget : Budget
        When to stop.
    start : Solution or None
        The first incumbent.
    gap : float
        Relative gap at which to stop.
    progress : callable, optional
        Told of every better incumbent and bound.

    Raises
    ------
    RuntimeError
        No plan was found and no `start` was given.
    """
    normal = normalize(instance)
    pool = Pool(ProvenBound(rounding_rows(normal)))
    search = Search(
        instance=instance,
        normal=normal,
        settings=settings,
        budget=budget,
        pool=pool,
        gap=gap,
        progress=progress,
        incumbent=incumbent_of(instance, start),
    )
    if start is not None:
        for pattern in patterns_of(instance, start.placement):
            pool.add(pattern)
    with budget.bounded():
        _run(search)
    bound, proof = pool.best_bound, PROOF if pool.proven.tree is None else TREE_PROOF
    duals: dict[str, object] | None = pool.proven.as_json(search.normal)
    if (
        not search.closed()
        and not budget.expired
        and instance.cluster.n_servers <= COMPACT_FORM_SERVERS
        and search.best is not None
    ):
        found = solve_compact(
            instance, settings, budget, start=search.best, gap=gap, progress=_tighter(search)
        )
        search.incumbent = incumbent_of(instance, found.solution)
        if found.best_bound < bound:
            bound, proof, duals = found.best_bound, found.proof, None
    if search.best is None:
        raise RuntimeError("column generation ended without a plan")
    status: Status = "gap"
    if relative_gap(search.worth, bound) <= 1e-6:
        status = "optimal"
    elif relative_gap(search.worth, bound) > gap and budget.cut_short:
        status = "interrupted" if budget.interrupted else "time limit"
    return FormOutcome(
        solution=search.best,
        best_bound=max(bound, search.worth),
        status=status,
        proof=proof,
        duals=duals,
    )


def _run(search: Search) -> None:
    """The phases, one after the other; what they find is in the search whenever they end."""
    instance, normal, budget, pool = search.instance, search.normal, search.budget, search.pool
    for pattern in first_patterns(normal):
        pool.add(pattern)
    listed = listed_contents(normal)
    if instance.cluster.n_servers <= LISTED_SERVERS:
        search.contents = listed
    else:
        search.drafts = [ContentDraft(c, pool.rows) for c in listed]
    search.knapsacks = knapsacks(normal)
    pricings: Sequence[PricingProblem] = search.pricings()
    shared = instance.models_per_gpu > 1
    anew = oscillates(instance, search.settings.params.beyond_cap)
    if anew:
        kinds = range(len(instance.cluster.server_types))
        pricings = [PositionPricing(normal, t, pool.rows) for t in kinds]
        bound_apart(search)
    many = instance.cluster.n_servers > NEIGHBOUR_SERVERS
    if many and search.knapsacks and not search.drafts:
        # Proofs take long there: a plan first.
        add_patterns(search, (), PLAN_SHARE)
        round_up(search)
    # The cuts bring their own patterns: where they are soon priced, one proof before is enough.
    proofs = 1 if many and search.knapsacks else MAX_ROUNDS
    finished = add_patterns(
        search, pricings, FIRST_SHARE if anew else None, drafts=False, proofs=proofs
    )
    if anew:
        _search_shared(search)
    if many:
        # A first plan comes soon there; of few servers, programs with the cuts find better ones.
        cut(search)
        round_up(search)
        if search.knapsacks and relative_gap(search.worth, pool.relaxation) <= search.gap:
            # What is missing is the proof, which is sooner had without the cuts.
            pool.proven = pool.proven.without_cuts()
            finished = add_patterns(search, pricings, drafts=False)
            round_up(search)
    if finished:
        pricings = tighten(search, pricings)
    if not many:
        round_up(search)
    listing = search.drafts or (instance.cluster.n_servers > BRANCH_SERVERS and search.contents)
    if listing and not search.closed() and not budget.expired:
        offer_promising(search)
    elif many and not search.closed() and not budget.expired:
        round_up(search)
        widen(search)
    if anew:
        pricings = add_placed(search)
    if search.contents:
        _close(search)
    if not search.closed() and instance.cluster.n_servers <= DIVE_SERVERS:
        _dive(search, pricings)
    if instance.cluster.n_servers <= NEIGHBOUR_SERVERS:
        neighbourhoods(search)
    if not search.contents:
        _close(search)
    if not shared:
        _place_anew(search)


def _search_shared(search: Search) -> None:
    """Round the relaxation, place servers anew, and combine the contents met on the way."""
    rounded = round_near(search)
    if rounded and relative_gap(search.worth, search.pool.relaxation) > ROUNDED_GAP:
        integer(search, list(search.pool.patterns), share=COMBINED_SHARE)
    if relative_gap(search.worth, search.pool.relaxation) > BEYOND_GAP:
        _start_beyond(search)
    _place_anew(search, ANEW_SHARE)
    if not search.closed() and not search.budget.expired:
        integer(search, list(search.pool.patterns))


def _dive(search: Search, pricings: Sequence[PricingProblem]) -> None:
    """Dive, then combine what the dive has priced with all the rest."""
    phase = search.budget.part(0.5)
    found = dive(search.normal, search.settings, phase, search.pool, pricings)
    if found is not None:
        search.offer(found)
    search.report("dive")
    if not search.closed() and not search.budget.expired:
        integer(search, list(search.pool.patterns))


def _close(search: Search) -> None:
    """Close the gap from above by branching; integral relaxations are plans."""
    if (
        search.instance.cluster.n_servers > BRANCH_SERVERS
        or search.closed()
        or search.budget.expired
        or search.pool.duals is None
    ):
        return
    phase = search.budget.part(LISTED_SHARE if search.contents else 0.6)
    pool = search.pool

    def improve(part: Pool) -> None:
        if part.fractions and all(
            abs(n - round(n)) < BRANCHING_INTEGRALITY for n in part.fractions.values()
        ):
            search.offer({p: round(n) for p, n in part.fractions.items()})

    tree, least = branch(
        search.normal,
        search.settings,
        phase,
        pool,
        BranchingSteps(
            pricings=search.pricings,
            enough=lambda: search.worth * (1 + search.gap / 2),
            finish=partial(_finish, search),
            improve=improve,
            report=lambda bound: search.report("branching", bound),
        ),
        node_limit=BRANCH_NODES,
    )
    if least < pool.best_bound - 1e-12:
        pool.proven = replace(pool.proven, value=least, tree=tree)


def _start_beyond(search: Search) -> None:
    """Look for a better incumbent from placements that overload GPUs a little."""
    if search.best is None or search.closed() or search.budget.expired:
        return
    _improve(search, search.budget.part(BEYOND_SHARE), search_beyond, "beyond the cap")


def _finish(search: Search, part: Pool) -> tuple[float, float] | None:
    """Close a part of the plans by an integer program over all that a better one can hold."""
    if not search.contents or part.duals is None or search.best is None:
        return None
    worth, phase = search.worth, search.budget.part(FINISH_SHARE)
    args = search.normal, search.settings, phase, part.rows
    listed = candidates(*args, part.duals, search.contents, worth)
    if listed is None:
        return None
    held = patterns_of(search.instance, search.best.placement)
    start = held if held.keys() <= listed.most.keys() else None
    found, bound = solve_over(*args, listed, start)
    if found is not None:
        search.offer(found)
    return None if bound is None else (worth, bound)


def _place_anew(search: Search, share: float = 0.6) -> None:
    """Free a few servers of the incumbent at a time; the patterns found go to the pool."""
    if (
        search.instance.cluster.n_servers > FREED_SERVERS
        or search.best is None
        or search.closed()
        or search.budget.expired
    ):
        return
    _improve(search, search.budget.part(share), search_servers, "servers anew")


def _improve(search: Search, phase: Budget, find: Callable[..., Solution], name: str) -> None:
    """Search from the incumbent for a better one; the patterns found go to the pool."""
    assert search.best is not None

    def better(solution: Solution) -> None:
        found = incumbent_of(search.instance, solution)
        if found.worth > search.worth:
            search.incumbent = found
        search.report(name)

    kinds = search.instance.cluster.server_type

    def keep(server: int, content: list[tuple[int, int]]) -> None:
        kind = int(kinds[server])
        server_type = search.instance.cluster.server_types[kind]
        content = keep_what_fits(search.instance, server_type, content)
        search.pool.add(canonical(search.instance, kind, content))

    best = find(
        search.instance,
        search.settings,
        phase,
        search.best,
        Goal(search.pool.best_bound, search.gap),
        report=better,
        met=keep,
    )
    search.incumbent = incumbent_of(search.instance, best)
    for pattern in patterns_of(search.instance, best.placement):
        search.pool.add(pattern)


def _tighter(search: Search) -> ProgressCallback:
    """Show the better of two bounds while the compact form runs."""

    def report(event: Progress) -> None:
        if search.progress is not None:
            known = search.pool.best_bound
            bound = known if event.best_bound is None else min(known, event.best_bound)
            search.progress(
                Progress(event.phase, event.seconds, event.incumbent, bound, event.detail)
            )

    return report
