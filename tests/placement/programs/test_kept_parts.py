"""Parts that routings keep together, against what routings are worth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from placement.params.search_params import DEFAULTS
from placement.problem.cluster import Cluster
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.solution import Flows, Placement, Solution, evaluate
from placement.problem.violations import violations
from placement.programs.kept_parts import Part, parts_of, whole_parts
from placement.programs.routing import balance_routing, best_routing
from placement.solver.milp import SolverSettings
from tests.placement import oracle
from tests.placement.cases import drawn_placement

NODES = SolverSettings()
PARTS = SolverSettings(params=DEFAULTS.changed({"portfolio": {"many_nodes": 0}}))


def routed(draw: int) -> Iterator[tuple[Instance, Solution]]:
    """Tiny instances with twice the least load as their cap, each with a best routing."""
    for seed in range(60):
        rng = np.random.default_rng([seed, draw])
        instance = oracle.random_instance(rng, exclusive=seed % 2 > 0, load_cap=1.0)
        placement, contents = drawn_placement(instance, rng)
        instance = replace(instance, load_cap=2 * oracle.route(instance, contents, bottleneck=True))
        best = best_routing(instance, placement, NODES)
        assert best is not None
        yield instance, best


def drawn_instance(rng: np.random.Generator) -> Instance:
    """Three workflows on four servers, some links of no worth, one workflow without requests."""
    flows = []
    for w in range(3):
        nodes = int(rng.integers(1, 6))
        ends = [(u, v) for v in range(nodes) for u in range(v) if rng.random() < 0.5]
        links = np.array(ends, dtype=np.int64).reshape(-1, 2)
        flows.append(
            WorkflowDemand(
                f"w{w}", float(w), rng.integers(0, 2, nodes), np.ones(nodes), links,
                weights=rng.choice([0.0, 1.0, 2.5], len(links)),
            )
        )  # fmt: skip
    return Instance(
        ("a", "b"), np.ones(2, dtype=np.int64), np.ones(2), tuple(flows),
        Cluster.homogeneous(4, 1), alpha=float(rng.choice([0.0, 0.3, 1.0])),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(30))
def test_the_parts_of_a_routing_serve_and_keep_what_it_does(seed: int) -> None:
    """Of rates drawn at will: those of a node's parts add up to its own, and what each part keeps
    by itself adds up to the locality.
    """
    rng = np.random.default_rng(seed)
    instance = drawn_instance(rng)
    rows = [
        (w, n, s, r * flow.rate)
        for w, flow in enumerate(instance.workflows)
        for n in range(len(flow.node_model))
        for s, r in enumerate(rng.choice([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.1, 0.2, 0.3, 0.4]]))
        if r * flow.rate > 0
    ]
    workflow, node, server, rate = zip(*rows, strict=True)
    flows = Flows(np.array(workflow), np.array(node), np.array(server), np.array(rate))
    parts = parts_of(instance, flows)
    kept = instance.locality_constant
    served = [np.zeros(len(flow.node_model)) for flow in instance.workflows]
    for w, nodes, amount in parts:
        flow, (whole, link) = instance.workflows[w], instance.locality_weights(w)
        served[w][list(nodes)] += amount
        inside = [set(ends) <= set(nodes) for ends in flow.links.tolist()]
        kept += amount * (link * float(flow.link_weights[inside].sum()))
        kept += amount * whole * (len(nodes) == len(flow.node_model))
    for flow, sums in zip(instance.workflows, served, strict=True):
        np.testing.assert_allclose(sums, flow.rate)
    nothing = np.zeros(0, dtype=np.int64)
    solution = Solution(Placement(nothing, nothing, nothing), flows, np.zeros(0))
    assert kept == pytest.approx(evaluate(instance, solution).objective)
    assert len({(p.workflow, p.nodes) for p in parts}) == len(parts)


def test_what_is_together_where_everything_is_kept() -> None:
    """Whole workflows where they count, else what links of some weight connect."""
    links = np.array([[0, 1], [3, 1], [2, 4]])
    flow = WorkflowDemand("w", 2.0, np.zeros(6, dtype=np.int64), np.ones(6), links,
                          weights=np.array([1.0, 1.0, 0.0]))  # fmt: skip
    idle = replace(flow, rate=0.0)
    one = np.ones(1, dtype=np.int64)
    cluster = Cluster.homogeneous(1, 1)
    whole = Instance(("m",), one, np.ones(1), (idle, flow), cluster, alpha=0.5)
    assert whole_parts(whole) == [Part(1, (0, 1, 2, 3, 4, 5), 2.0)]
    by_links = whole_parts(replace(whole, alpha=0.0))
    assert by_links == [Part(1, nodes, 2.0) for nodes in ((0, 1, 3), (2,), (4,), (5,))]


def test_moving_parts_evens_as_well_where_everything_is_kept() -> None:
    """The same squares, to what a solver rounds, as the program over all nodes finds."""
    whole = moved = 0
    for instance, best in routed(11):
        if evaluate(instance, best).objective < 1 - 1e-9:
            continue
        floor = 1 - 1e-9
        placement = best.placement
        by_nodes = balance_routing(instance, placement, NODES, least_locality=floor)
        for known in (None, best):
            found = balance_routing(instance, placement, PARTS, least_locality=floor, known=known)
            assert by_nodes is not None
            assert found is not None
            assert violations(instance, found) == []
            assert evaluate(instance, found).objective >= 1 - 1e-7
            squares = [np.mean(evaluate(instance, s).gpu_load ** 2) for s in (by_nodes, found)]
            # Tangents stand for the square to within (cap / 16)^2 / 4 a GPU.
            slack = (instance.load_cap / 16) ** 2 / 4 + 1e-6
            assert squares[1] == pytest.approx(squares[0], abs=slack)
            moved += np.mean(evaluate(instance, best).gpu_load ** 2) > squares[1] + slack
        whole += 1
    assert whole > 15
    assert moved > 5


def test_moving_the_parts_of_a_routing_costs_nothing_of_it() -> None:
    """Where links cross servers, too: the locality stays, and the squares fall or stay."""
    crossed = fell = 0
    for instance, best in routed(12):
        placement = best.placement
        worth = evaluate(instance, best).objective
        found = balance_routing(instance, placement, PARTS, least_locality=worth, known=best)
        assert found is not None
        assert violations(instance, found) == []
        assert evaluate(instance, found).objective >= worth - 1e-7
        before, after = (np.mean(evaluate(instance, s).gpu_load ** 2) for s in (best, found))
        slack = (instance.load_cap / 16) ** 2 / 4 + 1e-6
        assert after <= before + slack
        crossed += worth < 1 - 1e-6
        fell += after < before - slack
    assert crossed > 10
    assert fell > 5
