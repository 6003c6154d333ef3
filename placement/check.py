"""Verify a plan without trusting whoever wrote it; `placement.verify` proves its bound anew."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np

from placement.migration import same_hardware
from placement.problem.cluster import Cluster
from placement.problem.degrees import of_plan
from placement.problem.instance_building import build_instance
from placement.problem.names import LOAD_AFTER_LOSS
from placement.problem.outcome import (
    OPTIMAL_GAP,
    Status,
    cap_for,
    earned_status,
    relative_gap,
)
from placement.problem.plan import Plan
from placement.problem.plan_building import expected_metrics, placed_nodes
from placement.problem.rules import Rules
from placement.problem.solution import TOLERANCE, evaluate
from placement.problem.spare_claims import spare_faults
from placement.problem.trace import Trace, measure_demand
from placement.problem.variants import as_run
from placement.problem.violations import violations
from placement.problem.workload import Workload
from placement.programs.after_loss import losses
from placement.programs.demands import mean_demand
from placement.solver.milp import SolverSettings

GAP_TOLERANCE = 1e-9
"""Slack of a gap against the objective and bound that are stated with it."""


def check(
    plan: Plan, workload: Workload | None = None, trace: Trace | None = None, *others: Trace
) -> list[str]:
    """Say what does not hold of a plan.

    Parameters
    ----------
    plan : Plan
        Whoever wrote it is not trusted: every figure is computed anew, without a solver.
    workload : Workload, optional
        Models and workflows that the plan is to be for; looked at where there is a trace too.
    trace : Trace, optional
        The requests that it is to be for.
    *others : Trace
        Further requests that it was placed for at once (`--scenarios`).

    Returns
    -------
    list of str
        A sentence for each fault; an empty list means that the plan holds.

    Raises
    ------
    ValueError
        Where a workload comes without a trace, or a trace without a workload.
    """
    if (workload is None) != (trace is None):
        missing = "a trace" if trace is None else "a workload"
        raise ValueError(f"check: {missing} is missing; give workload and trace, or neither")
    faults = check_plan(plan)
    if workload is not None and trace is not None:
        faults += check_inputs(plan, workload, trace, *others)
    return faults


def check_plan(plan: Plan) -> list[str]:
    """Verify memory, blocks, sharing, flows, loads, and that every figure stated follows.

    No solver is needed, but for a plan that claims to survive the loss of a server: a linear
    program routes what is left, and the loads are judged as those of the plan. An empty list means
    that the plan holds.
    """
    changed = [] if plan.intact else ["digest: the file was changed after it was written"]
    return changed + (_service_faults(plan) or [*_figure_faults(plan), *_survival_faults(plan)])


def _survival_faults(plan: Plan) -> list[str]:
    """The load that is stated for the worst loss, against every loss routed anew."""
    stated = plan.expected.get(LOAD_AFTER_LOSS)
    if stated is None:
        return []
    worst = losses(plan.instance, plan.placement, SolverSettings())[0]
    if worst.rest is None:
        return [f"expected: without server {worst.server} a model that is used has no replica left"]
    found = f"without server {worst.server} some GPU has to be busy {worst.load:.6g} of the time"
    if not worst.borne:
        return [f"expected: the plan does not survive: {found}"]
    if stated < worst.load * (1 - TOLERANCE):
        return [f"expected: {LOAD_AFTER_LOSS} is stated as {stated:.6g}; {found}"]
    return []


def _service_faults(plan: Plan) -> list[str]:
    """What the plan does: who is served, what sits where, what every replica carries."""
    unserved = [
        f"workflow {w.id}: has requests but no routing, and is not listed as dropped"
        for w, shares in zip(plan.instance.workflows, plan.routing, strict=True)
        if w.rate > 0 and shares is None
    ]
    broken = unserved or violations(plan.instance, plan.solution())
    if broken or plan.certificate.status == "refined" or LOAD_AFTER_LOSS in plan.expected:
        # What stands there for other demands, for a loss, or because it runs may be idle here.
        return broken
    return spare_faults(plan.instance, plan.solution(), plan.mode)


def _figure_faults(plan: Plan) -> list[str]:
    """What the plan states about itself, against what its routing gives."""
    instance, certificate = plan.instance, plan.certificate
    evaluation = evaluate(instance, plan.solution())
    objective, load = evaluation.objective, evaluation.max_utilization
    faults = []
    for name, value in expected_metrics(instance, evaluation).items():
        stated = plan.expected.get(name)
        if stated is None or not math.isclose(stated, value, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
            faults.append(f"expected: {name} is stated as {stated}, the routing gives {value:.9g}")
    faults += _status_faults(plan)
    if not math.isclose(certificate.load_cap, instance.load_cap, rel_tol=TOLERANCE):
        faults.append(
            f"certificate: load_cap {certificate.load_cap:.6g} is not the rules' "
            f"{instance.load_cap:.6g}"
        )
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
    gap = relative_gap(certificate.objective, certificate.best_bound)
    if not math.isclose(certificate.gap, gap, rel_tol=TOLERANCE, abs_tol=GAP_TOLERANCE):
        faults.append(f"certificate: gap is stated as {certificate.gap:.6g}, it is {gap:.6g}")
    return faults + _bottleneck_faults(plan, load)


def _status_faults(plan: Plan) -> list[str]:
    """The status against the gap, the gap asked for and the method."""
    certificate, wanted = plan.certificate, plan.gap
    status, gap = certificate.status, certificate.gap
    if status not in get_args(Status):
        return [f"certificate: {status!r} is no status; solve again"]
    if status == "gap" and wanted is None:
        return ["rules: status is 'gap', and no gap asked for is stated; solve again"]
    if wanted is None and status in ("time limit", "work limit", "interrupted"):
        wanted = OPTIMAL_GAP
    earned = earned_status(certificate.method, gap, wanted or 0.0, status)
    if status == earned or (status == "refined" and _shares_cap(plan)):
        return []
    return [
        f"certificate: status is {status!r}; a gap of {gap:.3g} by method {certificate.method!r} "
        + (f"where {wanted:g} was asked for " if wanted is not None else "")
        + f"is {earned!r}"
    ]


def _bottleneck_faults(plan: Plan, load: float) -> list[str]:
    """The interval of U*, the least bottleneck load, and the cap that follows from it."""
    certificate = plan.certificate
    lower, upper = certificate.bottleneck_lower, certificate.bottleneck_upper
    faults = []
    if not 0 <= lower <= upper * (1 + TOLERANCE):
        faults.append("certificate: the interval of the least bottleneck load is empty")
    elif lower > load * (1 + TOLERANCE):
        faults.append(
            f"certificate: bottleneck_lower is {lower:.6g}, and the plan itself has {load:.6g}"
        )
    slack, cap = certificate.headroom_slack, plan.instance.load_cap
    if slack < 0:
        return [*faults, f"certificate: headroom_slack is {slack:g}, and must not be negative"]
    target, expected = _target(plan), _expected_cap(plan)
    close = math.isclose(cap, expected, rel_tol=TOLERANCE, abs_tol=1e-12)
    if not close and not _shares_cap(plan):
        faults.append(
            f"rules: load_cap is {cap:.6g}; {plan.mode}"
            + (f" with a target of {target:g}" if plan.mode == "online" and target else "")
            + f" and a least bottleneck load of {upper:.6g} it is {expected:.6g}"
        )
    return faults


def _target(plan: Plan) -> float | None:
    upper, cap = plan.certificate.bottleneck_upper, plan.instance.load_cap
    if plan.max_utilization is None and plan.mode == "online" and upper <= cap:
        # An older file: the target is whatever the cap is, for the least load is below it.
        return cap
    return plan.max_utilization


def _expected_cap(plan: Plan) -> float:
    certificate = plan.certificate
    target = 0.0 if plan.mode == "offline" else _target(plan) or 0.0
    return cap_for(certificate.bottleneck_upper, target, certificate.headroom_slack)


def _shares_cap(plan: Plan) -> bool:
    """Whether further demands or limits set a higher cap; such a plan claims no locality."""
    certificate = plan.certificate
    claims_nothing = certificate.status == "refined" and certificate.best_bound >= 1.0
    return claims_nothing and plan.instance.load_cap > _expected_cap(plan)


def check_cluster(plan: Plan, cluster: Cluster) -> list[str]:
    """Compare a plan's servers, network and sharing with those of a file: rules are the plan's."""
    mine = plan.cluster
    same = (
        same_hardware(mine, cluster)
        and mine.network == cluster.network
        and mine.sharing == cluster.sharing
    )
    return [] if same else ["cluster: its servers or network are not the file's"]


def check_inputs(plan: Plan, workload: Workload, trace: Trace, *others: Trace) -> list[str]:
    """Compare models, workflows, rates and service times with the config and trace themselves.

    Parameters
    ----------
    plan : Plan
        What is claimed.
    workload : Workload
        Models and workflows.
    trace : Trace
        The requests.
    *others : Trace
        Further requests that the plan was placed for: it is routed for the mean of all.

    Returns
    -------
    list of str
        A sentence for each difference.
    """
    mine = plan.instance
    workload = of_plan(as_run(workload, trace, *others), plan)
    demand = mean_demand([measure_demand(workload, t) for t in (trace, *others)])
    # Where a GPU holds one replica, an adapter's memory is another.
    sharing = Rules(
        plan.objective, exclusive=mine.exclusive, max_models_per_gpu=mine.max_models_per_gpu
    )
    theirs = build_instance(workload, demand if others else trace, plan.cluster, sharing)
    if mine.model_ids != theirs.model_ids:
        return ["models: the plan and the config list different ones"]
    node_ids = placed_nodes(workload)
    if plan.workflow_ids != tuple(w.id for w in theirs.workflows) or plan.node_ids != node_ids:
        return ["workflows: the plan and the config list different ones, or different nodes"]
    faults = [
        f"models: GPUs or memory of {name} are not the config's"
        for m, name in enumerate(mine.model_ids)
        if mine.gpus_required[m] != theirs.gpus_required[m]
        or not math.isclose(mine.memory_per_gpu_gb[m], theirs.memory_per_gpu_gb[m])
    ]
    faults += [
        f"models: gpu_fraction of {name} is not the config's"
        for m, name in enumerate(mine.model_ids)
        if not math.isclose(mine.fraction(m), theirs.fraction(m))
    ]
    asked = {(name, key) for name, key, _ in theirs.placement_rules.single()}
    kept = {(name, key) for name, key, _ in mine.placement_rules.single()}
    faults += [
        f"rules: {key} of model {name} stands in the config, and not in the plan"
        for name, key in sorted(asked - kept)
    ]
    if theirs.cluster != mine.cluster:
        faults.append("rules: where models of the config may stand is not what the plan says")
    for ours, other in zip(mine.workflows, theirs.workflows, strict=True):
        # A workflow that a partial plan drops has no rate there.
        rate = 0.0 if other.id in plan.dropped else other.rate
        if not math.isclose(ours.rate, rate, rel_tol=TOLERANCE):
            faults.append(f"workflow {ours.id}: rate {ours.rate:.6g}/s is not the trace's")
        if not np.array_equal(ours.node_model, other.node_model):
            faults.append(f"workflow {ours.id}: its nodes call other models in the config")
        if not np.allclose(ours.work_s, other.work_s, rtol=TOLERANCE):
            faults.append(f"workflow {ours.id}: its service times are not the trace's")
        if not np.array_equal(ours.links, other.links):
            faults.append(f"workflow {ours.id}: its links are not the config's")
        elif not np.allclose(ours.link_weights, other.link_weights, rtol=TOLERANCE, atol=0):
            faults.append(f"workflow {ours.id}: what crossing costs its links is not as stated")
    return faults
