"""The search over server patterns, and after it, of small clusters, over the compact form."""

from __future__ import annotations

from placement.patterns.column_generation import Pool
from placement.patterns.incumbent import Findings, Search, incumbent_of
from placement.patterns.master_rows import standing_rows
from placement.patterns.pattern import patterns_of
from placement.patterns.proven_bound import ProvenBound
from placement.patterns.schedule import run_phases
from placement.problem.instance import Instance
from placement.problem.normalization import normalize
from placement.problem.outcome import FormOutcome, Progress, ProgressCallback, Status, relative_gap
from placement.problem.solution import Solution
from placement.programs.compact_search import solve_compact
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
        run_phases(search)
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
