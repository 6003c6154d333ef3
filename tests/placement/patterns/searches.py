"""A search over patterns in the middle of its run, made by hand."""

from __future__ import annotations

from dataclasses import replace

from placement.heuristics.greedy import greedy
from placement.params.search_params import DEFAULTS
from placement.patterns.column_generation import Pool, Relaxation
from placement.patterns.duals import zero_duals
from placement.patterns.incumbent import Findings, Search, incumbent_of
from placement.patterns.initial_patterns import first_patterns
from placement.patterns.master_rows import standing_rows
from placement.patterns.proven_bound import ProvenBound
from placement.problem.normalization import normalize
from placement.programs.least_load import least_bottleneck
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from tests.placement.heuristics.cases import random_instance

FEW = DEFAULTS.changed({"local_search": {"moves": 100, "chunk_moves": 100}})
NO_SOLVER = SolverSettings(name="none such", params=FEW)
"""Whatever solves a program with these raises `SolverUnavailable`."""


def search_at(
    *,
    gap: float = 0.01,
    bound: float = 1.0,
    relaxation: float = 0.9,
    settings: SolverSettings = NO_SOLVER,
    servers: int = 3,
    exclusive: bool = True,
) -> Search:
    """A search that has an incumbent, first patterns, a relaxation of two of them and a bound.

    Parameters
    ----------
    gap : float
        Asked for.
    bound, relaxation : float
        As multiples of the incumbent's locality.
    settings : SolverSettings
        Solver and parameters.
    servers : int
        In the cluster.
    exclusive : bool
        Whether GPUs are.
    """
    drawn = random_instance(7, servers=servers, load=0.5, exclusive=exclusive)
    least, start = least_bottleneck(drawn, greedy(drawn), SolverSettings())
    instance = replace(drawn, load_cap=max(0.9, 1.05 * least))
    normal, incumbent = normalize(instance), incumbent_of(instance, start)
    rows = standing_rows(normal)
    proven = ProvenBound(rows, bound * incumbent.worth, zero_duals(normal, rows))
    pool = Pool(proven).having(first_patterns(normal))
    first, second = list(pool.patterns)[:2]
    relaxed = Relaxation(relaxation * incumbent.worth, {first: 1.4, second: 0.3})
    pool = replace(pool, relaxed=relaxed, reduced=dict.fromkeys(pool.patterns, 0.0), rounds=1)
    return Search(
        instance=instance,
        normal=normal,
        settings=settings,
        budget=Budget(),
        gap=gap,
        progress=None,
        findings=Findings(pool, incumbent),
    )
