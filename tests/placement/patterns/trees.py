"""Branch and price run to its end on a tiny instance."""

from __future__ import annotations

from dataclasses import replace

from placement.params.search_params import DEFAULTS
from placement.patterns.branching import BranchingSteps, branch
from placement.patterns.column_generation import Pool, Pricers, Until, generate
from placement.patterns.initial_patterns import first_patterns
from placement.patterns.master_rows import CountRow, rounding_rows
from placement.patterns.pricing.problems import pricings_for
from placement.patterns.proven_bound import Node, ProvenBound
from placement.problem.instance import Instance
from placement.problem.normalization import normalize
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings


def tree_of(instance: Instance, best: float, *, rounded: bool) -> tuple[Node, float, float]:
    """Branch down to a known optimum; the tree, its bound, the root's."""
    normal = normalize(instance)
    pool = Pool(ProvenBound(rounding_rows(normal) if rounded else ()))
    pool = pool.having(first_patterns(normal))

    def pricings(rows: tuple[CountRow, ...]):  # type: ignore[no-untyped-def]
        return pricings_for(normal, rows, positions=True)

    pool = generate(
        normal,
        SolverSettings(threads=1),
        Budget(),
        pool,
        Until(1e-7),
        Pricers(pricings(pool.rows)),
    )
    pool = replace(pool, proven=replace(pool.proven, placed=True))
    root = pool.best_bound
    params = DEFAULTS.changed({"branching": {"nodes": 40}})
    tree, bound = branch(
        normal,
        SolverSettings(threads=1, params=params),
        Budget(),
        pool,
        BranchingSteps(
            pricings=pricings,
            enough=lambda: best + 1e-6,
            finish=lambda _: None,
            improve=lambda _: None,
            report=lambda _: None,
        ),
    )
    return tree, bound, root
