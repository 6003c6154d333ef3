"""The phases that lower the bound: generation, rounding cuts, positions, branch and price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from placement.patterns.branching import BRANCHING_INTEGRALITY, BranchingSteps, branch
from placement.patterns.column_generation import Pool, Pricers, Until, generate
from placement.patterns.cutting_planes import add_broken_rows
from placement.patterns.duals import Duals, lagrangian
from placement.patterns.enumeration import candidates, solve_over
from placement.patterns.incumbent import Search
from placement.patterns.pattern import patterns_of
from placement.patterns.pricing.counts import PricingProblem
from placement.patterns.pricing.problems import pricings_for
from placement.patterns.proven_bound import ProvenBound
from placement.problem.outcome import relative_gap
from placement.programs.fitting_sets import node_prices

SOME = 1e-9
"""Locality by which a bound has to be lower to be another: less is how floats add up."""


def bound_apart(search: Search) -> None:
    """Begin with the bound that each workflow by itself proves: it costs next to nothing.

    At these prices no server is worth anything: they pay for every set of nodes that fits on one.
    """
    normal, pool = search.normal, search.pool
    scale = float(normal.cluster.n_servers)
    phase = search.budget.part(search.params.patterns.apart_share)
    demand = {
        (w, v): scale * price
        for w, prices in node_prices(normal, search.params, phase).items()
        for v, price in enumerate(prices)
    }
    duals = Duals(demand, (0.0,) * len(pool.rows))
    bound = lagrangian(normal, pool.rows, duals, [0.0] * len(normal.cluster.server_types))
    if bound < pool.best_bound - SOME:
        search.prove(ProvenBound(pool.rows, bound, duals))


def add_patterns(
    search: Search,
    pricings: Sequence[PricingProblem],
    share: float | None = None,
    *,
    quick: bool = True,
    drafts: bool = True,
    proofs: int | None = None,
    rounds: int | None = None,
    enough: float = float("-inf"),
) -> bool:
    """Generate patterns for a share of the time left; False where that was not enough.

    Parameters
    ----------
    pricings : sequence of PricingProblem
        None prove nothing.
    share : float
        Of the time left.
    quick, drafts : bool
        Whether to price with the search's knapsacks and drafts.
    proofs, rounds, enough : int or None, int or None, float
        Where to stop (`generate`).
    """
    # Whole plans of few servers take long to find, those of many follow from good patterns.
    params = search.params.patterns
    usual = params.few_share if search.few else params.many_share
    phase = search.budget.part(share or usual)

    def learn(pool: Pool) -> None:
        search.findings.learn(pool)
        search.report("patterns")

    found = generate(
        search.normal,
        search.settings,
        phase,
        search.pool,
        Until(search.gap / 4, rounds=rounds, proofs=proofs, enough=enough),
        Pricers(
            pricings,
            quick=search.knapsacks if quick else (),
            drafts=search.drafts if drafts else (),
        ),
        report=learn,
    )
    search.findings.learn(found)
    return not phase.expired


def cut(search: Search) -> bool:
    """Add the rounding cuts that the relaxation breaks; True where there were any."""
    if search.closed() or search.budget.expired:
        return False
    before, servers = search.pool, bool(search.drafts)
    search.findings.learn(
        add_broken_rows(search.normal, search.settings, search.budget, before, servers=servers)
    )
    return len(search.pool.rows) > len(before.rows)


def add_placed(search: Search, share: float | None = None) -> Sequence[PricingProblem]:
    """Price over positions where the relaxation is still below the bound."""
    pricings = pricings_for(search.normal, search.pool.rows, positions=True, params=search.params)
    left = relative_gap(search.pool.relaxation, search.pool.best_bound)
    if left > search.gap / 4 and not search.closed():
        add_patterns(search, pricings, share)
    return pricings


def tighten(search: Search, pricings: Sequence[PricingProblem]) -> Sequence[PricingProblem]:
    """Add the rounding cuts that the relaxation breaks and price again, while there are any."""
    few, params = search.few, search.params.cuts

    def enough() -> float:
        # Branching, on few servers, wants the relaxation itself.
        return float("-inf") if few or search.drafts else search.worth * (1 + search.gap)

    for _ in range(params.passes):
        if search.closed() or search.budget.expired:
            break
        if not cut(search) and len(pricings[0].rows) == len(search.pool.rows):
            break
        pricings = search.pricings()
        if search.drafts:
            # Drafts find what a proof would, so that one at the end will do; masters without
            # spare patterns are soon solved, and drafts find those again, too.
            for draft in search.drafts:
                draft.learn(search.pool.rows)
            search.findings.learn(search.pool.set_aside())
            finished = add_patterns(search, (), params.pass_share, quick=False)
        else:
            finished = add_patterns(search, pricings, params.pass_share, enough=enough())
        if not finished:
            break
    left = relative_gap(search.pool.relaxation, search.pool.best_bound)
    if not few and left > search.gap / 4 and not search.closed():
        add_patterns(search, pricings, quick=not search.drafts, enough=enough())
    return pricings


def close_by_branching(search: Search) -> None:
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
