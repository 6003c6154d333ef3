"""Methods on equal terms: one instance, one mode and seed, and where it is asked for one cap."""

from __future__ import annotations

from dataclasses import dataclass, replace

from placement.heuristics.selective_replication import Score
from placement.problem.instance import Instance
from placement.problem.instance_building import build_instance
from placement.problem.names import Method, Mode
from placement.problem.outcome import (
    ProgressCallback,
    SolveOptions,
    SolveResult,
    earned_status,
    relative_gap,
)
from placement.problem.plan import Plan
from placement.problem.plan_building import build_plan
from placement.problem.rules import Rules
from placement.problem.trace import Trace
from placement.problem.variants import as_run
from placement.problem.workload import Workload
from placement.solve import solve_instance

SAME_CAP = 1e-6
"""Relative difference of caps on GPU loads that counts as none: what solvers' rows hold to."""


@dataclass(frozen=True)
class Contest:
    """What every method is given.

    Parameters
    ----------
    instance : Instance
    mode : str
    seed : int
    score : callable, optional
        What a simulator says of a placement; ``selective-replication`` needs it.
    """

    instance: Instance
    mode: Mode
    seed: int = 0
    score: Score | None = None

    def solve(
        self,
        options: SolveOptions,
        progress: ProgressCallback | None = None,
        *,
        load_cap: float | None = None,
    ) -> SolveResult:
        """Place by one method.

        Parameters
        ----------
        options : SolveOptions
            Its mode and seed are replaced by those of the contest.
        progress : callable, optional
        load_cap : float, optional
            Cap on GPU loads in place of the one that the mode and the method's own least
            bottleneck load give.

        Raises
        ------
        Infeasible
        """
        options = replace(options, mode=self.mode, seed=self.seed)
        if load_cap is not None:
            # A target that is known to be attainable is the cap, whatever the mode.
            options = replace(options, mode="online", max_utilization=load_cap)
        return solve_instance(self.instance, options, progress=progress, score=self.score)

    def solve_at_cap(
        self,
        options: SolveOptions,
        own: SolveResult,
        load_cap: float,
        progress: ProgressCallback | None = None,
    ) -> SolveResult:
        """Place once more under a looser cap than the method's own; the better plan counts.

        What the method found under its own cap keeps the looser one too, so more room never
        makes a method worse.

        Parameters
        ----------
        options : SolveOptions
        own : SolveResult
            What the method found under its own cap.
        load_cap : float
        progress : callable, optional

        Raises
        ------
        Infeasible
        """
        if own.certificate.load_cap >= load_cap * (1 - SAME_CAP):
            return own
        again = self.solve(options, progress, load_cap=load_cap)
        kept = again.certificate.load_cap <= load_cap * (1 + SAME_CAP)
        if kept and again.evaluation.objective >= own.evaluation.objective:
            return again
        # Where the method missed the cap, its bound is one over more plans than keep it.
        bound, objective = again.certificate.best_bound, own.evaluation.objective
        gap, stopped = relative_gap(objective, bound), again.certificate.status
        return replace(
            own,
            instance=replace(own.instance, load_cap=load_cap),
            options=again.options,
            certificate=replace(
                again.certificate,
                load_cap=load_cap,
                objective=objective,
                best_bound=max(bound, objective),
                gap=gap,
                status=earned_status(options.method, gap, options.gap, stopped),
            ),
        )


def rival_plan(method: Method, plan: Plan, workload: Workload, trace: Trace) -> Plan:
    """Place by another method on the cluster and by the rules of a plan.

    Parameters
    ----------
    method : str
        One that needs no simulator.
    plan : Plan
    workload : Workload
    trace : Trace
        What the plan is shown with: its demand is the rival's too.

    Raises
    ------
    Infeasible
        The method finds no place for every used model.
    """
    rules = plan.instance
    workload = as_run(workload, trace)
    instance = build_instance(
        workload,
        trace,
        plan.cluster,
        Rules(
            plan.objective,
            rules.alpha,
            rules.exclusive,
            rules.max_models_per_gpu,
            rules.placement_rules,
        ),
    )
    options = SolveOptions(
        method=method,
        mode=plan.mode,
        max_utilization=rules.load_cap,
        headroom_slack=plan.certificate.headroom_slack,
        seed=plan.certificate.seed,
        allow_partial=bool(plan.dropped),
    )
    result = solve_instance(instance, options)
    return build_plan(result, workload)
