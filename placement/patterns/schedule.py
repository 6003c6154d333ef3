"""The phases of the search over patterns, as data: which run, in which order, for which instances.

Three kinds of phases alternate. Some *tighten*: they price patterns, cut and split, which lowers
the bound. Some *propose*: patterns or whole plans, from the relaxation, from the neighbours of the
incumbent, or from servers placed anew. Some *combine* what was proposed by one integer program.
Which of them suit is said by features of the instance alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from placement.improve.beyond_cap import goes_beyond_cap
from placement.patterns.bounding import (
    add_patterns,
    add_placed,
    bound_apart,
    close_by_branching,
    cut,
    tighten,
)
from placement.patterns.column_search import columns_suit, search_columns
from placement.patterns.columns.annealed_contents import (
    AnnealedContents,
    annealing_suits,
    contents_are_annealed,
)
from placement.patterns.columns.compiled_pricing import ready
from placement.patterns.dive import dive
from placement.patterns.incumbent import (
    Search,
    integer,
    neighbourhoods,
    offer_promising,
    round_near,
    round_up,
    widen,
)
from placement.patterns.initial_patterns import first_patterns
from placement.patterns.packed_search import packing_suits, search_packings
from placement.patterns.pricing.content_list import listed_contents
from placement.patterns.pricing.contents import ContentDraft
from placement.patterns.pricing.knapsack import knapsacks
from placement.patterns.pricing.problems import pricings_for
from placement.patterns.proposing import mend_end, place_anew, start_beyond
from placement.problem.instance import Instance
from placement.problem.outcome import relative_gap
from placement.programs.fitting_sets import mostly_divided
from placement.solver.milp import SolverSettings

Feature = Literal[
    "packed", "columns", "apart", "shared", "crowded", "few", "many", "listed", "drafted", "quick"
]
"""What phases depend on.

packed, columns
    What a search of its own is for: thousands of workflows, models too many to list contents.
shared
    Models share GPUs; crowded: on so few servers that what fits under the cap is rare.
apart
    The bound of every workflow apart may be as good as the first proof.
few, many
    Servers: whole plans of few are hard to find, bounds of many are hard to prove.
listed, drafted
    Every content of a server is known and priced exactly; on many servers, as a draft.
quick
    There is quick pricing.
"""
Features = frozenset[Feature]


@dataclass(frozen=True)
class Phase:
    """One step of the search, and the instances that it is for.

    Parameters
    ----------
    run : callable
        Takes the search, tells its findings what it finds, and returns the search to go on with;
        None where there is nothing left to do.
    needs, lacks : frozenset of Feature
        All of the first and none of the second make it suit.
    """

    run: Callable[[Search], Search | None]
    needs: Features = frozenset()
    lacks: Features = frozenset()

    def suits(self, features: Features) -> bool:
        """Whether it is for instances of these features."""
        return self.needs <= features and not self.lacks & features


def features_of(instance: Instance, settings: SolverSettings) -> Features:
    """Those that an instance has from the start.

    Parameters
    ----------
    instance : Instance
        With the cap.
    settings : SolverSettings
        Solver and parameters.
    """
    params = settings.params
    shared, columns = instance.models_per_gpu > 1, columns_suit(instance, settings)
    has: dict[Feature, bool] = {
        "packed": packing_suits(instance, params),
        "columns": columns,
        "shared": shared,
        "apart": shared or columns,
        "crowded": goes_beyond_cap(instance, params.beyond_cap),
        "few": instance.cluster.n_servers <= params.patterns.few_servers,
        "many": instance.cluster.n_servers > params.patterns.few_servers,
    }
    return frozenset(name for name, here in has.items() if here)


def run_phases(search: Search) -> None:
    """Run the phases that suit, one after the other; the findings have what they find by then."""
    features = features_of(search.instance, search.settings)
    for phase in PHASES:
        if not phase.suits(features | _found(search)):
            continue
        left = phase.run(search)
        if left is None:
            return
        search = left


def _found(search: Search) -> Features:
    has: dict[Feature, bool] = {
        "listed": bool(search.contents),
        "drafted": bool(search.drafts),
        "quick": bool(search.knapsacks),
    }
    return frozenset(name for name, here in has.items() if here)


def _going(search: Search) -> bool:
    return not search.closed() and not search.budget.expired


def _bound_apart(search: Search) -> Search | None:
    bound_apart(search)
    return None if search.closed() else search


def _pack(search: Search) -> Search | None:
    if not ready(search.budget):
        return search
    search_packings(search)
    return search if _going(search) else None


def _begin(search: Search) -> Search:
    """First patterns, and every content of a server where those are few enough."""
    search.add(first_patterns(search.normal, search.params))
    contents = listed_contents(search.normal, search.params)
    if search.instance.cluster.n_servers <= search.params.patterns.listed_servers:
        return replace(search, contents=contents)
    return replace(search, drafts=[ContentDraft(c, search.pool.rows) for c in contents])


def _search_columns(search: Search) -> Search | None:
    if not ready(search.budget):
        return search
    search_columns(search)
    return None


def _price_quickly(search: Search) -> Search:
    """Heuristic pricing: knapsacks, or annealing where GPUs are shared."""
    normal, params = search.normal, search.params
    # On small clusters annealing is for the dive.
    suits = annealing_suits if params.dive.first_rounds else contents_are_annealed
    if not suits(normal, params) or not ready(search.budget):
        return replace(search, knapsacks=knapsacks(normal, params))
    kinds, seed = range(len(normal.cluster.server_types)), search.settings.seed
    annealed = [AnnealedContents(normal, t, params.columns, seed) for t in kinds]
    return replace(search, knapsacks=annealed)


def _price_by_counts(search: Search) -> Search:
    return replace(search, exact=search.pricings())


def _price_by_positions(search: Search) -> Search:
    """Few contents are real close to the cap; of long workflows most are, and counts are quick."""
    if mostly_divided(search.normal, search.params):
        return search
    placed = pricings_for(search.normal, search.pool.rows, positions=True, params=search.params)
    return replace(search, exact=placed)


def _plan_first(search: Search) -> Search:
    """Proofs take long where models are many: a plan of patterns that are quickly priced."""
    add_patterns(search, (), search.params.patterns.plan_share)
    round_up(search)
    return search


def _generate(search: Search, share: float | None = None) -> Search:
    """Tighten: patterns until the relaxation and the bound meet."""
    # The cuts bring their own patterns: where they are soon priced, one proof before is enough.
    proofs = None if search.few or not search.knapsacks else 1
    finished = add_patterns(search, search.exact, share, drafts=False, proofs=proofs)
    return replace(search, finished=finished)


def _generate_some(search: Search) -> Search:
    """Tighten, for a part of the time: close to the cap plans of many patterns are better."""
    return _generate(search, search.params.patterns.shared_share)


def _generate_quickly(search: Search) -> Search:
    """Tighten by quick pricing alone, until integer programs make plans of what it finds."""
    add_patterns(search, (), rounds=search.params.dive.first_rounds)
    return search


def _dive(search: Search) -> Search:
    """Propose plans by a dive where those at hand are far from the relaxation; place them anew."""
    far = relative_gap(search.worth, search.pool.relaxation) > search.params.patterns.beyond_gap
    if far and _going(search):
        mend_end(search, dive(search))
    return _place_some_anew(search)


def _combine_near(search: Search) -> Search:
    """Combine what the relaxation uses, and all patterns where that is far from it."""
    params = search.params.patterns
    rounded = round_near(search)
    if rounded and relative_gap(search.worth, search.pool.relaxation) > params.combined_gap:
        integer(search, list(search.pool.patterns), share=params.combined_share)
    return search


def _start_beyond(search: Search) -> Search:
    """Propose plans found beyond the cap where those at hand are far from the relaxation."""
    if relative_gap(search.worth, search.pool.relaxation) > search.params.patterns.beyond_gap:
        start_beyond(search)
    return search


def _place_some_anew(search: Search) -> Search:
    place_anew(search, search.params.patterns.anew_share)
    return search


def _place_last_anew(search: Search) -> Search:
    place_anew(search, search.params.patterns.last_anew_share)
    return search


def _combine_all(search: Search) -> Search:
    if _going(search):
        integer(search, list(search.pool.patterns))
    return search


def _cut(search: Search) -> Search:
    cut(search)
    return search


def _round_up(search: Search) -> Search:
    round_up(search)
    return search


def _prove_uncut(search: Search) -> Search:
    """What is missing where the plan is at the relaxation is the proof: sooner had without cuts."""
    if relative_gap(search.worth, search.pool.relaxation) > search.gap:
        return search
    search.prove(search.pool.proven.without_cuts())
    finished = add_patterns(search, search.exact, drafts=False)
    round_up(search)
    return replace(search, finished=finished)


def _tighten(search: Search) -> Search:
    """Cut and price again, where patterns were finished."""
    if search.finished:
        tighten(search, search.exact)
    return search


def _offer(search: Search) -> Search:
    """Propose the contents that are worth most, or where none are listed every pattern met."""
    listed = search.contents and (
        search.instance.cluster.n_servers > search.params.patterns.branch_servers
    )
    if not _going(search):
        return search
    if search.drafts or listed:
        offer_promising(search)
    elif not search.few:
        round_up(search)
        widen(search)
    return search


def _add_placed(search: Search) -> Search:
    add_placed(search)
    return search


def _exchange(search: Search) -> Search:
    neighbourhoods(search)
    return search


def _close(search: Search) -> Search:
    close_by_branching(search)
    return search


def _of(*features: Feature) -> Features:
    return frozenset(features)


PHASES: tuple[Phase, ...] = (
    Phase(_bound_apart, needs=_of("apart")),
    Phase(_pack, needs=_of("packed")),
    Phase(_begin),
    Phase(_search_columns, needs=_of("columns")),
    Phase(_price_quickly),
    Phase(_price_by_counts),
    Phase(_price_by_positions, needs=_of("crowded")),
    Phase(_plan_first, needs=_of("many", "quick"), lacks=_of("drafted")),
    Phase(_generate, lacks=_of("crowded")),
    Phase(_generate_quickly, needs=_of("crowded", "quick")),
    Phase(_combine_near, needs=_of("crowded", "quick")),
    # A dive takes long where servers are many, and may end without a plan: it goes second.
    Phase(_start_beyond, needs=_of("crowded", "quick")),
    Phase(_dive, needs=_of("crowded", "quick")),
    Phase(_generate_some, needs=_of("crowded")),
    Phase(_combine_near, needs=_of("crowded")),
    Phase(_start_beyond, needs=_of("crowded"), lacks=_of("quick")),
    Phase(_place_some_anew, needs=_of("crowded"), lacks=_of("quick")),
    Phase(_combine_all, needs=_of("crowded")),
    # A plan comes soon on many servers; of few, programs with the cuts find better ones.
    Phase(_cut, needs=_of("many")),
    Phase(_round_up, needs=_of("many")),
    Phase(_prove_uncut, needs=_of("many", "quick")),
    Phase(_tighten),
    Phase(_round_up, needs=_of("few")),
    Phase(_offer),
    Phase(_add_placed, needs=_of("crowded")),
    Phase(_close, needs=_of("listed")),
    Phase(_exchange, needs=_of("few")),
    Phase(_close, lacks=_of("listed")),
    Phase(_place_last_anew, lacks=_of("shared")),
)
"""The search, from the first bound to the last plan."""
