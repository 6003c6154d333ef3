"""The objective traffic: edges by the seconds that crossing costs them, against brute force."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from placement.problem.cluster import Cluster, Network
from placement.problem.instance import Instance
from placement.problem.instance_building import build_instance
from placement.problem.outcome import SolveOptions
from placement.problem.plan_building import build_plan
from placement.problem.rules import Rules
from placement.problem.solution import Placement, evaluate
from placement.problem.trace import Demand
from placement.problem.workload import Edge, Model, Node, Workflow, Workload
from placement.programs.routing import best_routing
from placement.solve import solve_instance
from placement.solver.milp import SolverSettings
from placement.verify.proof import check_bound

WIRES = Network(1e-5, 450.0, 1e-3, 2.0)


def build(seed: int, objective: str = "traffic") -> tuple[Workload, Instance]:
    """Four models, two to a server: some edges have to cross."""
    rng = np.random.default_rng(seed)
    models = tuple(Model(name, name, 40.0, 1, 1.0) for name in "abcd")
    flows = []
    for w in range(2):
        edges = tuple(
            Edge(u, v, float(rng.choice([0.0, 1.0, 300.0, 4000.0])))
            for u in range(4)
            for v in range(u + 1, 4)
            if rng.random() < 0.6
        )
        nodes = tuple(Node(f"n{v}", int(m)) for v, m in enumerate(rng.permutation(4)))
        flows.append(Workflow(f"w{w}", f"w{w}", nodes, edges))
    workload = Workload(models, tuple(flows))
    demand = Demand(np.array([3, 1]), np.array([0.3, 0.1]), (np.full(4, 0.5),) * 2, 10.0)
    cluster = replace(Cluster.homogeneous(2, 1), network=WIRES)
    rules = Rules(objective)  # type: ignore[arg-type]
    return workload, build_instance(workload, demand, cluster, rules)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("form", ["compact", "patterns"])
def test_the_least_seconds_cross(seed: int, form: str) -> None:
    """Against every way to put two models on each server; and the bound is proven anew."""
    workload, instance = build(seed)
    result = solve_instance(instance, SolveOptions(form=form))  # type: ignore[arg-type]
    settled = result.instance
    best = 0.0
    for sides in product(range(2), repeat=4):
        if sum(sides) != 2:
            continue
        placement = Placement.of((m, s, 0) for m, s in enumerate(sides))
        routed = best_routing(settled, placement, SolverSettings())
        if routed is not None:
            best = max(best, evaluate(settled, routed).objective)
    assert result.certificate.objective == pytest.approx(best, abs=1e-6)
    assert result.certificate.best_bound == pytest.approx(best, abs=1e-5)
    assert check_bound(build_plan(result, workload)).holds


def test_seconds_count_and_edges_do_not() -> None:
    """The objective is the seconds that do not cross over all there are, by hand."""
    workload, instance = build(1)
    placement = Placement.of([(0, 0, 0), (1, 0, 0), (2, 1, 0), (3, 1, 0)])
    routed = best_routing(instance, placement, SolverSettings())
    assert routed is not None
    kept = total = crossing = 0.0
    for flow, rate in zip(workload.workflows, (0.3, 0.1), strict=True):
        for e in flow.edges:
            far = WIRES.delay_s(e.payload_mb, same_server=False)
            seconds = rate * (far - WIRES.delay_s(e.payload_mb, same_server=True))
            total += seconds
            together = flow.nodes[e.source].model // 2 == flow.nodes[e.target].model // 2
            kept += seconds * together
            crossing += rate * (not together)
    found = evaluate(instance, routed)
    assert found.objective == pytest.approx(kept / total)
    edges = sum(r * len(f.edges) for f, r in zip(workload.workflows, (0.3, 0.1), strict=True))
    assert found.edge_locality == pytest.approx(1 - crossing / edges)


def test_without_a_network_traffic_says_nothing() -> None:
    """It is refused with what to do."""
    workload, instance = build(0, "edges")
    demand = Demand(np.array([1, 1]), np.ones(2), (np.full(4, 0.1),) * 2, 10.0)
    cluster = replace(instance.cluster, network=Network())
    with pytest.raises(ValueError, match="give the cluster a network"):
        build_instance(workload, demand, cluster, Rules("traffic"))


def test_a_workflow_that_crosses_for_nothing_is_none_that_all_do() -> None:
    """Of two workflows one has no edges: the other's seconds are weighed as without it."""
    workload, instance = build(1)
    first, second = workload.workflows
    mixed = Workload(workload.models, (first, replace(second, edges=())))
    demand = Demand(np.array([3, 1]), np.array([0.3, 0.1]), (np.full(4, 0.5),) * 2, 10.0)
    found = build_instance(mixed, demand, instance.cluster, Rules("traffic"))
    assert found.workflows[0].link_weights == pytest.approx(instance.workflows[0].link_weights)
    assert found.workflows[0].link_weights.any()
    assert not found.workflows[1].link_weights.any()


@pytest.mark.parametrize("form", ["compact", "patterns"])
@pytest.mark.parametrize(("part", "lost_s"), [(0.25, 1.0), (0.6, 2.0), (1.0, 2.0)])
def test_a_shared_prefix_is_weighed_by_what_it_saves(form: str, part: float, lost_s: float) -> None:
    """Of three edges that cannot all be kept the one goes that costs least, by hand.

    b and c fit on no server together; m, called twice, fits beside each. The call of m that
    follows b and the one that follows c share a prefix of 4 s: where 1 s of it is saved they part,
    else the data of 2 s crosses and not that of 3 s.
    """
    models = (Model("b", "b", 50.0, 1, 1.0), Model("c", "c", 50.0, 1, 1.0))
    workload = Workload(
        (*models, Model("m", "m", 20.0, 1, 1.0)),
        (
            Workflow(
                "w",
                "w",
                (Node("b", 0), Node("c", 1), Node("first", 2), Node("again", 2)),
                (Edge(0, 2, 2000.0), Edge(1, 3, 3000.0), Edge(2, 3, shared_prefix=part)),
            ),
        ),
    )
    prefill = (np.array([0.0, 0.0, 9.0, 4.0]),)
    demand = Demand(np.ones(1), np.full(1, 0.01), (np.full(4, 10.0),), 100.0, prefill)
    wires = Network(inter_bandwidth_gb_per_s=1.0)
    cluster = replace(Cluster.homogeneous(2, 1), network=wires)
    instance = build_instance(workload, demand, cluster, Rules("traffic"))
    result = solve_instance(instance, SolveOptions(form=form))  # type: ignore[arg-type]
    best = 1 - lost_s / (2.0 + 3.0 + 4.0 * part)
    assert result.certificate.objective == pytest.approx(best, abs=1e-6)
    assert result.certificate.best_bound == pytest.approx(best, abs=1e-5)
    assert check_bound(build_plan(result, workload)).holds
