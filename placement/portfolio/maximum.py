"""The most locality under the cap: the compact form first, else heuristics and then a program."""

from __future__ import annotations

from dataclasses import replace

from placement.patterns import solve_patterns
from placement.portfolio.compact_first import solve_first, suits_compact
from placement.portfolio.preparation import Start, best_start, first_start
from placement.portfolio.starts import Placer, best_of
from placement.problem.outcome import (
    NO_BOUND,
    OPTIMAL_GAP,
    FormOutcome,
    Progress,
    ProgressCallback,
    SolveOptions,
    relative_gap,
)
from placement.problem.solution import Solution, evaluate
from placement.programs.compact_search import solve_compact
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings


def maximise_locality(
    placer: Placer, budget: Budget, note: ProgressCallback
) -> tuple[Start, FormOutcome, str]:
    """Where the search started, the best plan it found, and by which form.

    Parameters
    ----------
    placer : Placer
        Knows the instance, with the target as its cap, and the options.
    budget : Budget
        Of the whole solve.
    note : callable
        Told of each step, and of every better plan and bound.
    """
    options, params = placer.options, placer.params.portfolio
    start, known = first_start(placer, budget, note), list[Solution]()
    if suits_compact(placer, start):
        tried = solve_first(placer, start, budget.part(params.compact_share), note)
        if tried.status == "optimal":
            return start, tried, "compact"
        known = [tried.solution]
    start = best_start(placer, start, budget, known=known)
    worth = evaluate(start.instance, start.solution).objective
    note(Progress("start", budget.elapsed_s, worth, 1.0))
    found, form = _locality(start, options, placer.settings, budget, note)
    best = best_of(start.instance, [found.solution, start.solution])
    return start, replace(found, solution=best), form


def _locality(
    start: Start,
    options: SolveOptions,
    settings: SolverSettings,
    budget: Budget,
    note: ProgressCallback,
) -> tuple[FormOutcome, str]:
    form, params = options.form, settings.params.portfolio
    if form == "auto":
        few = start.instance.cluster.n_servers <= params.compact_servers
        form = "compact" if few else "patterns"
    worth = evaluate(start.instance, start.solution).objective
    if form == "patterns" and relative_gap(worth, 1.0) <= OPTIMAL_GAP:
        return FormOutcome(start.solution, 1.0, "optimal", NO_BOUND), form
    run = solve_compact if form == "compact" else solve_patterns
    found = run(
        start.instance,
        settings,
        # Balance comes after and is part of what was promised within the limit.
        budget.part(params.program_share),
        start=start.solution,
        gap=options.gap,
        progress=note,
    )
    return found, form
