"""The plan that a solve makes: its replicas named, its rates as shares, and what it expects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from placement.problem.cluster import FloatArray, IntArray
from placement.problem.instance import Instance
from placement.problem.outcome import SolveResult
from placement.problem.plan import Plan, Shares, WorkflowRouting
from placement.problem.solution import (
    Evaluation,
    Flows,
    Solution,
    all_dense_flows,
    evaluate,
    settle,
)
from placement.problem.spare_claims import without
from placement.problem.violations import violations
from placement.problem.workload import Workload


def placed_nodes(workload: Workload) -> tuple[tuple[str, ...], ...]:
    """Ids of the nodes of each workflow that need a GPU: those that a plan has."""
    return tuple(
        tuple(flow.nodes[v].id for v in workload.on_gpus(w))
        for w, flow in enumerate(workload.workflows)
    )


METRICS = ("server_efficiency", "edge_locality", "csc_rate", "max_utilization", "headroom")
"""What a plan promises, by `expected_metrics`."""


def build_plan(
    result: SolveResult,
    workload: Workload,
    *,
    inputs: dict[str, str] | None = None,
) -> Plan:
    """Turn the result of a solve into a plan that states what the solve was asked for.

    Parameters
    ----------
    result : SolveResult
        Of an instance built from `workload`.
    inputs : dict of str to str, optional
        SHA-256 of every input file by its role.
    """
    instance = result.instance
    plan = Plan(
        instance=instance,
        node_ids=placed_nodes(workload),
        placement=result.solution.placement,
        load=result.solution.load,
        routing=route(instance, result.solution.flows),
        expected=expected_metrics(instance, result.evaluation),
        certificate=result.certificate,
        inputs=inputs or {},
        mode=result.options.mode,
        max_utilization=result.options.max_utilization,
        gap=result.options.gap,
        dropped=tuple(instance.workflows[w].id for w in result.dropped_workflows),
        search_params=result.options.params.differences(),
    )
    # The shares leave a solver's noise out; on a slow server even that is load that goes with it.
    settled = settle(instance, plan.solution())
    if instance.placement_rules.spares == "none":
        settled = _without_noise(instance, settled, result.solution.load)
    metrics = expected_metrics(instance, evaluate(instance, settled))
    return replace(plan, placement=settled.placement, load=settled.load, expected=metrics)


def _without_noise(instance: Instance, settled: Solution, load: FloatArray) -> Solution:
    """Leave out replicas that carried a solver's noise alone, where no rule asks for them."""
    for r in np.flatnonzero((settled.load == 0) & (load > 0))[::-1].tolist():
        fewer = without(settled, r)
        if not violations(instance, fewer):
            settled = fewer
    return settled


def expected_metrics(instance: Instance, evaluation: Evaluation) -> dict[str, float]:
    """Metrics that a plan promises in the fluid limit."""
    number = sum(w.request_rate * len(w.links) for w in instance.workflows)
    links = number / instance.total_rate if instance.total_rate else 0.0
    return {
        "server_efficiency": evaluation.server_efficiency,
        "edge_locality": evaluation.edge_locality,
        "csc_rate": (1.0 - evaluation.edge_locality) * links,
        "max_utilization": evaluation.max_utilization,
        "headroom": evaluation.headroom,
    }


def route(instance: Instance, flows: Flows) -> tuple[WorkflowRouting | None, ...]:
    """Split routing rates into home and spill shares, one entry per workflow."""
    routing: list[WorkflowRouting | None] = []
    rates = all_dense_flows(instance, flows)
    for workflow, (servers, rate) in zip(instance.workflows, rates, strict=True):
        if workflow.rate <= 0 or not rate.size:
            routing.append(None)
            continue
        share = rate / workflow.rate
        home = share.min(axis=0)
        rest = share - home
        routing.append(
            WorkflowRouting(
                home=_shares(servers, home),
                spill=tuple(_shares(servers, row) for row in rest),
            )
        )
    return tuple(routing)


def _shares(server: IntArray, share: FloatArray) -> Shares:
    # A solver's rows hold to about 1e-7; a share below that is its noise.
    kept = share > 1e-9
    return Shares(server[kept], np.asarray(share[kept]))
