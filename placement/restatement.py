"""A plan that another search found, stated with the proof of a solve.

The bound of a solve is one on all plans under its cap; so it holds for a plan that was found under
further demands, as long as these do not force a cap above it; under a lower one it holds all the
more.
"""

from __future__ import annotations

from dataclasses import replace

from placement.problem.instance import Instance
from placement.problem.outcome import NO_BOUND, SolveResult, earned_status, relative_gap
from placement.problem.solution import Solution, evaluate

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
        Of status ``refined`` unless the bound is reached; with bound 1 where its cap is higher.
    """
    evaluation, certificate = evaluate(instance, solution), best.certificate
    cap, options = instance.load_cap, best.options
    wider = cap > certificate.load_cap * (1 + SAME)
    bound = 1.0 if wider else max(evaluation.objective, certificate.best_bound)
    gap = relative_gap(evaluation.objective, bound)
    status = earned_status(certificate.method, gap, options.gap, "refined")
    upper = certificate.bottleneck_upper
    if cap < certificate.load_cap * (1 - SAME):
        # The plan's placement is one with less load than any that the solve knew.
        targeted = options.mode == "online" and cap <= options.max_utilization
        upper = min(upper, cap if targeted else cap / (1 + options.headroom_slack))
    certificate = replace(
        certificate,
        status="refined" if wider else status,
        objective=evaluation.objective,
        best_bound=bound,
        gap=gap,
        load_cap=cap,
        bottleneck_upper=upper,
    )
    if wider:
        certificate = replace(certificate, proof=NO_BOUND, duals=None)
    return replace(
        best,
        instance=replace(best.instance, load_cap=cap),
        solution=solution,
        evaluation=evaluation,
        certificate=certificate,
    )
