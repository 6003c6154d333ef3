"""The search over columns of fixed rates, where contents are too many to be listed.

Two sides at once, on two cores. One *tightens*: columns by annealing, and where it finds nothing
more exact pricing, which lowers the bound. The other *proposes*: a dive from the relaxation, or
from the best plan with some of its servers freed, and an integer program over what that leaves,
with free flows. After each round, a fixed amount of work, they tell each other their columns. It
ends where bound and plan meet, or neither side has found anything.
"""

from __future__ import annotations

from math import ceil

import numpy as np

from placement.patterns.column_bound import ColumnBound
from placement.patterns.column_plan import ColumnPlans
from placement.patterns.columns.generation import begin
from placement.patterns.incumbent import Search
from placement.patterns.pricing.content_list import count_contents
from placement.problem.instance import Instance
from placement.problem.normalization import normalize
from placement.programs.least_replicas import WORK_MARGIN
from placement.solver.beside import both
from placement.solver.milp import SolverSettings
from placement.solver.solver_names import solver_name


def columns_suit(instance: Instance, settings: SolverSettings) -> bool:
    """Whether columns of fixed rates know all that an instance asks for, and are the better way.

    Parameters
    ----------
    instance : Instance
        With the cap.
    settings : SolverSettings
        Solver and parameters.
    """
    params, normal = settings.params, normalize(instance)
    nodes = (len(instance.workflows[w].node_model) for w in instance.active_workflows)
    types = instance.cluster.server_types
    # Of types that differ in speed, whole replicas are the harder part: dives choose their numbers.
    uneven = len({t.speed for t in types}) > 1
    return (
        instance.counts_suffice
        and not instance.ruled
        and not instance.cluster.paced
        and not any(t.model_speeds for t in types)
        and solver_name(settings.name) == "HiGHS"
        and max(nodes) <= params.columns.most_nodes
        and tightness(normal) >= params.columns.least_tight
        and (
            uneven
            or sum(count_contents(normal, t) for t in range(len(types)))
            > params.contents.most_contents
        )
    )


def tightness(instance: Instance) -> float:
    """Part of the GPUs that whole replicas for each model's work take, at the mean speed."""
    types = instance.cluster.server_types
    mean = sum(t.count * t.usable_gpus * t.speed for t in types) / instance.cluster.n_gpus

    def replicas(work: float) -> int:
        if work <= 0:  # offline, the cap is 0 where nothing takes any time
            return 1
        return max(1, ceil(work / (instance.load_cap * mean) * (1 - WORK_MARGIN)))

    needed = sum(
        int(instance.gpus_required[m]) * replicas(float(instance.model_work[m]))
        for m in instance.used_models
    )
    return float(needed / instance.cluster.n_gpus)


def search_columns(search: Search) -> None:
    """Tighten and propose until bound and plan meet, or nothing more is found."""
    params, pool, budget = search.params.columns, search.pool, search.budget
    seed = search.settings.seed
    relaxed, dived = (
        begin(search.normal, pool.rows, pool.patterns, params, seed, dives=dives)
        for dives in (False, True)
    )
    bound = ColumnBound(relaxed, search.pricings, search.settings, pool.proven, search.gap)
    plans = ColumnPlans(search, dived, np.random.default_rng(seed))
    bound.converge(budget.part(params.first_share))
    _exchange(search, bound, plans)
    while not search.closed() and not budget.expired and not (bound.tight and plans.stuck):
        both(
            lambda: plans.propose(1 if not plans.dived else params.tries),
            lambda: bound.tighten(budget, params.proofs),
        )
        _exchange(search, bound, plans)


def _exchange(search: Search, bound: ColumnBound, plans: ColumnPlans) -> None:
    """Tell each side what the other has found."""
    search.add(bound.gen.master.used())
    search.prove(bound.bound)
    plans.gen.learn(bound.gen)
    bound.gen.master.add(plans.found)
    plans.found.clear()
    search.report("columns")
