"""The best start of the integer program, within parts of the time that is left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from placement.patterns.column_search import columns_suit
from placement.patterns.columns.annealed_contents import contents_are_annealed
from placement.patterns.packed_search import packing_suits
from placement.portfolio.starts import (
    CHEAP,
    LOCALITY_ROUNDING,
    Placer,
    best_of,
    load_cap,
    propose,
    propose_in_any_time,
    route_all,
    search_wider,
)
from placement.problem.instance import Instance
from placement.problem.outcome import Bottleneck, Progress, ProgressCallback
from placement.problem.solution import Placement, Solution, evaluate
from placement.programs.flows import has_many_nodes
from placement.solver.budget import Budget, tick


@dataclass(frozen=True)
class Start:
    """The best heuristic start under the cap, and what is known of U*.

    Parameters
    ----------
    instance : Instance
        With the cap that U* gives.
    bottleneck : Bottleneck
    solution : Solution
    placements : tuple of Placement
        Others that were met, and that no routing was sought for.
    """

    instance: Instance
    bottleneck: Bottleneck
    solution: Solution
    placements: tuple[Placement, ...] = ()


def first_start(placer: Placer, budget: Budget, note: ProgressCallback) -> Start:
    """The plainest placement, and what is known of U* and the cap before all other heuristics.

    Parameters
    ----------
    placer : Placer
        Of what is to be placed, with the target as its cap.
    budget : Budget
        Of the whole solve; shares of it go to each step.
    note : callable
        Told of each step.
    """
    note(Progress("start", budget.elapsed_s, None, None))
    first, params = propose_in_any_time(placer, budget), placer.params.portfolio
    with budget.phase("headroom", params.headroom_share) as phase:
        placer.headroom(phase)
    least = placer.headroom(budget)
    busiest = f"bottleneck load {least.upper * (placer.instance.load_unit or 1.0):.3f}"
    note(Progress("headroom", budget.elapsed_s, None, None, busiest))
    known = [(least.upper, least.solution), (first.upper, first.solution)]
    upper, solution = min(known, key=lambda pair: pair[0])
    return Start(
        replace(placer.instance, load_cap=load_cap(placer.options, upper)),
        Bottleneck(min(least.lower, upper), upper, solution),
        solution,
        (*first.placements, least.solution.placement),
    )


def best_start(
    placer: Placer, first: Start, budget: Budget, *, known: Sequence[Solution] = ()
) -> Start:
    """Heuristic placements, the cap that they can keep, and the best start under that cap.

    Parameters
    ----------
    placer : Placer
        Of what is to be placed, with the target as its cap.
    first : Start
        What is known without them (`first_start`).
    budget : Budget
        Of the whole solve; shares of it go to each step.
    known : sequence of Solution
        Other plans under the cap of `first`.
    """
    settings, options, params = placer.settings, placer.options, placer.params.portfolio
    least = first.bottleneck
    loads = [(least.upper, least.solution)]
    new = list(first.placements)
    routed: list[Solution] = list(known)
    cap, seen, suited = math.inf, placer.instance, False
    known_cap = first.instance.load_cap
    for methods, share in (
        (CHEAP, params.heuristics_share),
        (("local-search",), params.search_share),
    ):
        if methods != CHEAP and suited:
            break  # pricing needs the time, and finds plans where annealing of placements does not
        with budget.phase(methods[-1], share) as phase:
            for method in methods:
                tick()
                found = propose(placer, method, phase, cap=known_cap)
                # What was placed last saw the cap that counts.
                new += reversed(found.placements)
                loads.append((found.upper, found.solution))
        lowest = load_cap(options, min(upper for upper, _ in loads))
        if lowest < cap:
            # What is above the cap as known by now is routed once more.
            cap, seen = lowest, replace(placer.instance, load_cap=lowest)
            new = [*(s.placement for s in routed if not _keeps_cap(seen, s)), *new]
            routed = [s for s in routed if _keeps_cap(seen, s)]
        with budget.phase("routing", params.routing_share) as phase:
            # The best of what is there is routed before time goes into more; the others wait.
            suited = (
                columns_suit(seen, settings)
                or packing_suits(seen, placer.params)
                or (contents_are_annealed(seen, placer.params) and not has_many_nodes(seen, params))
            )
            last = methods != CHEAP or (suited and not packing_suits(seen, placer.params))
            found_rates = route_all(seen, new, settings, phase, last=last)
            routed += found_rates.solutions
            new = [p for p in new if all(s.placement != p for s in found_rates.by_program)]
    upper, solution = min(loads, key=lambda pair: pair[0])
    bottleneck = Bottleneck(min(least.lower, upper), upper, solution)
    instance = replace(placer.instance, load_cap=load_cap(options, upper))
    searched: Placement | Solution | None = None
    with budget.phase("local search under the cap", params.search_share) as phase:
        if not suited:
            searched = search_wider(placer, instance, phase, routed)
        if isinstance(searched, Solution):
            routed.append(searched)
        elif searched is not None:
            part = budget.part(params.routing_share)
            routed += route_all(instance, [searched], settings, part).solutions
    best = best_of(instance, [solution, *routed])
    return Start(instance, bottleneck, best)


def _keeps_cap(instance: Instance, solution: Solution) -> bool:
    return evaluate(instance, solution).max_utilization <= instance.load_cap * (
        1 + LOCALITY_ROUNDING
    )
