"""From patterns to the best integer plan: restricted programs, neighbours, the compact form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from placement.improve.beyond_cap import goes_beyond_cap, search_beyond
from placement.improve.large_neighbourhood import Goal, search_servers
from placement.patterns.bounding import add_patterns, add_placed, bound_apart, cut, tighten
from placement.patterns.branching import BRANCHING_INTEGRALITY, BranchingSteps, branch
from placement.patterns.column_generation import Pool
from placement.patterns.column_search import columns_suit, search_columns
from placement.patterns.columns.annealed_contents import AnnealedContents, contents_are_annealed
from placement.patterns.columns.compiled_pricing import ready
from placement.patterns.enumeration import candidates, solve_over
from placement.patterns.incumbent import (
    Findings,
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
from placement.patterns.master_rows import standing_rows
from placement.patterns.packed_search import packing_suits, search_packings
from placement.patterns.pattern import canonical, patterns_of
from placement.patterns.pricing.content_list import listed_contents
from placement.patterns.pricing.contents import ContentDraft
from placement.patterns.pricing.counts import PricingProblem, QuickPricing
from placement.patterns.pricing.knapsack import knapsacks
from placement.patterns.pricing.problems import pricings_for
from placement.patterns.proven_bound import ProvenBound
from placement.problem.instance import Instance
from placement.problem.normalization import normalize
from placement.problem.outcome import FormOutcome, Progress, ProgressCallback, Status, relative_gap
from placement.problem.solution import Solution
from placement.problem.space import keep_what_fits
from placement.programs.compact_search import solve_compact
from placement.programs.fitting_sets import mostly_divided
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings

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
    params = settings.params.patterns
    pool = Pool(ProvenBound(standing_rows(normal)), params=settings.params.column_generation)
    if start is not None:
        pool = pool.having(patterns_of(instance, start.placement))
    search = Search(
        instance=instance,
        normal=normal,
        settings=settings,
        budget=budget,
        gap=gap,
        progress=progress,
        findings=Findings(pool, incumbent_of(instance, start)),
    )
    with budget.bounded():
        _run(search)
    proven = search.pool.proven
    bound, proof = proven.value, PROOF if proven.tree is None else TREE_PROOF
    duals: dict[str, object] | None = proven.as_json(normal)
    if (
        not search.closed()
        and not budget.expired
        and instance.cluster.n_servers <= params.compact_servers
        and search.best is not None
    ):
        found = solve_compact(
            instance, settings, budget, start=search.best, gap=gap, progress=_tighter(search)
        )
        search.findings.keep(incumbent_of(instance, found.solution))
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
    """The phases, one after the other; the findings have what they find whenever they end."""
    instance, normal, budget = search.instance, search.normal, search.budget
    params, servers, few = search.params, instance.cluster.n_servers, search.few
    share = params.patterns
    shared = instance.models_per_gpu > 1
    thin = columns_suit(instance, search.settings)
    if shared or thin:
        # Where GPUs are exclusive and contents can be listed, the first proof says more.
        bound_apart(search)
        if search.closed():
            return
    if packing_suits(instance, params) and ready(budget):
        search_packings(search)
        if search.closed() or budget.expired:
            return
    search.add(first_patterns(normal, params))
    listed = listed_contents(normal, params)
    if servers <= share.listed_servers:
        search = replace(search, contents=listed)
    else:
        search = replace(search, drafts=[ContentDraft(c, search.pool.rows) for c in listed])
    if thin and ready(budget):
        search_columns(search)
        return
    search = replace(search, knapsacks=_quick(search))
    pricings: Sequence[PricingProblem] = search.pricings()
    anew = goes_beyond_cap(instance, params.beyond_cap)
    if anew and not mostly_divided(normal, params):
        # Few contents are real close to the cap. Of long workflows most are, and counts are soon
        # priced.
        pricings = pricings_for(normal, search.pool.rows, positions=True, params=params)
    if not few and search.knapsacks and not search.drafts:
        # Proofs take long there: a plan first.
        add_patterns(search, (), share.plan_share)
        round_up(search)
    # The cuts bring their own patterns: where they are soon priced, one proof before is enough.
    proofs = 1 if not few and search.knapsacks else None
    part = share.shared_share if anew else None
    finished = add_patterns(search, pricings, part, drafts=False, proofs=proofs)
    if anew:
        _search_shared(search)
    if not few:
        # A first plan comes soon there; of few servers, programs with the cuts find better ones.
        cut(search)
        round_up(search)
        if search.knapsacks and relative_gap(search.worth, search.pool.relaxation) <= search.gap:
            # What is missing is the proof, which is sooner had without the cuts.
            search.prove(search.pool.proven.without_cuts())
            finished = add_patterns(search, pricings, drafts=False)
            round_up(search)
    if finished:
        pricings = tighten(search, pricings)
    if few:
        round_up(search)
    listing = search.drafts or (servers > share.branch_servers and search.contents)
    if listing and not search.closed() and not budget.expired:
        offer_promising(search)
    elif not few and not search.closed() and not budget.expired:
        round_up(search)
        widen(search)
    if anew:
        pricings = add_placed(search)
    if search.contents:
        _close(search)
    if few:
        neighbourhoods(search)
    if not search.contents:
        _close(search)
    if not shared:
        _place_anew(search, share.last_anew_share)


def _quick(search: Search) -> Sequence[QuickPricing]:
    """Heuristic pricing: knapsacks, or annealing on large clusters with shared GPUs."""
    normal, params = search.normal, search.params
    if not contents_are_annealed(normal, params) or not ready(search.budget):
        return knapsacks(normal, params)
    kinds, seed = range(len(normal.cluster.server_types)), search.settings.seed
    return [AnnealedContents(normal, t, params.columns, seed) for t in kinds]


def _search_shared(search: Search) -> None:
    """Round the relaxation, place servers anew, and combine the contents met on the way."""
    params, rounded = search.params.patterns, round_near(search)
    if rounded and relative_gap(search.worth, search.pool.relaxation) > params.combined_gap:
        integer(search, list(search.pool.patterns), share=params.combined_share)
    if relative_gap(search.worth, search.pool.relaxation) > params.beyond_gap:
        _start_beyond(search)
    _place_anew(search, params.anew_share)
    if not search.closed() and not search.budget.expired:
        integer(search, list(search.pool.patterns))


def _close(search: Search) -> None:
    """Close the gap from above by branching; integral relaxations are plans."""
    params = search.params.patterns
    if (
        search.instance.cluster.n_servers > params.branch_servers
        or search.closed()
        or search.budget.expired
        or search.pool.duals is None
    ):
        return
    phase = search.budget.part(params.listed_share if search.contents else params.branch_share)

    def improve(part: Pool) -> None:
        search.add(part.patterns)
        if part.fractions and all(
            abs(n - round(n)) < BRANCHING_INTEGRALITY for n in part.fractions.values()
        ):
            search.offer({p: round(n) for p, n in part.fractions.items()})

    tree, least = branch(
        search.normal,
        search.settings,
        phase,
        search.pool,
        BranchingSteps(
            pricings=search.pricings,
            enough=lambda: search.worth * (1 + search.gap / 2),
            finish=partial(_finish, search),
            improve=improve,
            report=lambda bound: search.report("branching", bound),
        ),
    )
    if least < search.pool.best_bound - 1e-12:
        search.prove(replace(search.pool.proven, value=least, tree=tree))


def _start_beyond(search: Search) -> None:
    """Look for a better incumbent from placements that overload GPUs a little."""
    if search.best is None or search.closed() or search.budget.expired:
        return
    _improve(
        search,
        search.budget.part(search.params.patterns.beyond_share),
        search_beyond,
        "beyond the cap",
    )


def _finish(search: Search, part: Pool) -> tuple[float, float] | None:
    """Close a part of the plans by an integer program over all that a better one can hold."""
    if not search.contents or part.duals is None or search.best is None:
        return None
    worth, phase = search.worth, search.budget.part(search.params.patterns.finish_share)
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


def _place_anew(search: Search, share: float) -> None:
    """Free a few servers of the incumbent at a time; the patterns found go to the pool."""
    if (
        search.instance.cluster.n_servers > search.params.patterns.freed_servers
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
        search.findings.keep(incumbent_of(search.instance, solution))
        search.report(name)

    kinds = search.instance.cluster.server_type

    def keep(server: int, content: list[tuple[int, int]]) -> None:
        kind = int(kinds[server])
        server_type = search.instance.cluster.server_types[kind]
        content = keep_what_fits(search.instance, server_type, content)
        search.add([canonical(search.instance, kind, content)])

    find(
        search.instance,
        search.settings,
        phase,
        search.best,
        Goal(search.pool.best_bound, search.gap),
        report=better,
        met=keep,
    )
    search.add(patterns_of(search.instance, search.best.placement))


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
