"""Verify a plan without trusting whoever wrote it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from placement.compact import solve_compact
from placement.outcome import Budget, relative_gap
from placement.patterns import recompute_bound
from placement.plan import Plan, expected_metrics
from placement.solution import evaluate, violations
from placement.solvers import SolverSettings

TOLERANCE = 1e-6
BOUND_TOLERANCE = 1e-6
"""Slack of a recomputed bound: two optimal solves agree to about 1e-9, their duals' sums less."""


def check_plan(plan: Plan) -> list[str]:
    """Verify memory, blocks, sharing, flows, loads, and that every figure stated follows.

    No solver is needed. An empty list means that the plan holds.
    """
    instance, certificate = plan.instance, plan.certificate
    faults = [
        f"workflow {w.id}: has requests but no routing, and is not listed as dropped"
        for w, shares in zip(instance.workflows, plan.routing, strict=True)
        if w.rate > 0 and shares is None
    ]
    if not math.isclose(certificate.load_cap, instance.load_cap, rel_tol=TOLERANCE):
        faults.append(
            f"certificate: load_cap {certificate.load_cap:.6g} is not the rules' "
            f"{instance.load_cap:.6g}"
        )
    if faults:
        return faults
    solution = plan.solution()
    faults = violations(instance, solution)
    if faults:
        return faults
    evaluation = evaluate(instance, solution)
    for name, value in expected_metrics(instance, evaluation).items():
        stated = plan.expected.get(name)
        if stated is None or not math.isclose(stated, value, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
            faults.append(f"expected: {name} is stated as {stated}, the routing gives {value:.9g}")
    objective = evaluation.objective
    if not math.isclose(certificate.objective, objective, abs_tol=TOLERANCE):
        faults.append(
            f"certificate: objective is stated as {certificate.objective:.9g}, "
            f"the routing gives {objective:.9g}"
        )
    if certificate.best_bound < objective - TOLERANCE:
        faults.append(
            f"certificate: no bound can be below the plan itself: {certificate.best_bound:.9g} "
            f"against {objective:.9g}"
        )
    gap = relative_gap(objective, certificate.best_bound)
    if not math.isclose(certificate.gap, gap, rel_tol=1e-3, abs_tol=TOLERANCE):
        faults.append(f"certificate: gap is stated as {certificate.gap:.6g}, it is {gap:.6g}")
    if certificate.bottleneck_lower > certificate.bottleneck_upper * (1 + TOLERANCE):
        faults.append("certificate: the interval of the least bottleneck load is empty")
    return faults


@dataclass(frozen=True)
class BoundCheck:
    """A bound proven anew, how, and whether it supports the one stated."""

    recomputed: float
    stated: float
    how: str

    @property
    def holds(self) -> bool:
        """Whether no plan can be better than stated, as far as the new proof goes."""
        return self.recomputed <= self.stated + BOUND_TOLERANCE


def check_bound(plan: Plan, settings: SolverSettings, *, time_limit_s: float = 60.0) -> BoundCheck:
    """Prove the bound anew: from the stored duals where there are any, else by branch and bound.

    Any multipliers give a valid Lagrangian bound (Geoffrion 1974), so nothing in the file has to
    be trusted: one pricing problem per server type is solved, and its own proven bound used.
    """
    stated = plan.certificate.best_bound
    if stated >= 1.0:
        return BoundCheck(1.0, stated, "no locality exceeds 1")
    if plan.certificate.duals is not None:
        bound = recompute_bound(plan.instance, plan.certificate.duals, settings)
        return BoundCheck(bound, stated, "Lagrangian bound at the stored duals")
    outcome = solve_compact(
        plan.instance, settings, Budget(time_limit_s), start=plan.solution(), gap=0.0
    )
    return BoundCheck(outcome.best_bound, stated, "branch and bound, run again")
