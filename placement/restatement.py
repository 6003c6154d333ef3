"""A plan that another search found, stated with the proof of a solve.

The bound of a solve is one on all plans under its cap; so it holds for a plan that was found under
further demands, as long as these do not force a cap above it.
"""

from __future__ import annotations

import math
from dataclasses import replace

from placement.problem.instance import Instance
from placement.problem.outcome import SolveResult, earned_status, relative_gap
from placement.problem.solution import Solution, evaluate
from placement.solve import NO_BOUND

SAME = 1e-9
"""Relative difference of caps that is none."""


def restated(best: SolveResult, instance: Instance, solution: Solution) -> SolveResult:
    """State a plan with the bound of a solve without the demands that it keeps beside.

    Parameters
    ----------
    best : SolveResult
        Of the solve.
    instance : Instance
        The same, with the cap that the plan needs.
    solution : Solution
        The plan.

    Returns
    -------
    SolveResult
        Of status ``refined`` unless the bound is reached; with bound 1 where its cap is another.
    """
    evaluation, certificate = evaluate(instance, solution), best.certificate
    same = math.isclose(instance.load_cap, certificate.load_cap, rel_tol=SAME)
    bound = max(evaluation.objective, certificate.best_bound) if same else 1.0
    gap = relative_gap(evaluation.objective, bound)
    status = earned_status(certificate.method, gap, best.options.gap, "refined")
    certificate = replace(
        certificate,
        status=status if same else "refined",
        objective=evaluation.objective,
        best_bound=bound,
        gap=gap,
        load_cap=instance.load_cap,
    )
    if not same:
        certificate = replace(certificate, proof=NO_BOUND, duals=None)
    return replace(
        best,
        instance=replace(best.instance, load_cap=instance.load_cap),
        solution=solution,
        evaluation=evaluation,
        certificate=certificate,
    )
