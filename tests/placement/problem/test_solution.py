"""What a solution is worth: localities, loads, and the split into home and spill shares."""

from __future__ import annotations

import numpy as np
import pytest

from placement.problem.instance import WorkflowDemand
from placement.problem.plan_building import route
from placement.problem.solution import Flows, Placement, Solution, evaluate, gpu_loads
from tests.placement.problem.cases import instance, two_servers


def test_evaluate_counts_only_what_is_served_on_one_server() -> None:
    """c and l are the least of their ends' rates: 0.5 on server 0 and 0.25 on server 1."""
    got = evaluate(instance(), two_servers())
    assert got.server_efficiency == pytest.approx(0.75)
    assert got.edge_locality == pytest.approx(0.75)
    assert got.objective == pytest.approx(0.75)
    np.testing.assert_allclose(got.gpu_load, [0.1875, 0.125, 0.125, 0, 0.0625, 0.125, 0.125, 0])
    assert got.headroom == pytest.approx(1 / 0.1875)


def test_alpha_mixes_the_two_localities() -> None:
    """A workflow cut at one of two links keeps no whole request but half of its links."""
    workflow = WorkflowDemand(
        "w", 1.0, np.array([0, 1, 1]), np.full(3, 0.1), np.array([[0, 1], [1, 2]])
    )
    problem = instance(workflows=(workflow,), alpha=0.25)
    flows = Flows(np.zeros(3, dtype=int), np.arange(3), np.array([0, 1, 1]), np.ones(3))
    got = evaluate(problem, Solution(two_servers().placement, flows, np.zeros(4)))
    assert (got.server_efficiency, got.edge_locality) == (0.0, 0.5)
    assert got.objective == pytest.approx(0.75 * 0.5)


def test_a_workload_without_links_crosses_nothing() -> None:
    """Single-node workflows have edge locality 1 by definition."""
    workflow = WorkflowDemand(
        "w", 1.0, np.array([0]), np.array([0.1]), np.zeros((0, 2), dtype=np.int64)
    )
    problem = instance(workflows=(workflow,))
    flows = Flows(np.array([0]), np.array([0]), np.array([0]), np.array([1.0]))
    got = evaluate(problem, Solution(two_servers().placement, flows, np.array([0.1, 0, 0, 0])))
    assert got.objective == pytest.approx(1.0)
    assert problem.locality_constant == pytest.approx(0.5)


def test_a_placement_is_its_replicas_in_order() -> None:
    """As rows and back, whatever their order; of equal ones, one."""
    replicas = [(1, 0, 1), (0, 0, 0), (0, 1, 2), (0, 0, 0)]
    placement = Placement.of(replicas)
    assert placement.replicas() == [(0, 0, 0), (1, 0, 1), (0, 1, 2)]
    assert placement.only(placement.model == 0).replicas() == [(0, 0, 0), (0, 1, 2)]
    assert Placement.of([]).n_replicas == 0


def test_gpu_loads_cover_every_gpu_of_a_block() -> None:
    """A replica on k GPUs makes all k of them busy, and shared GPUs add up."""
    problem = instance(gpus_required=np.array([1, 3]))
    placement = Placement.sorted(np.array([1, 0]), np.array([1, 1]), np.array([0, 1]))
    np.testing.assert_allclose(
        gpu_loads(problem, placement, np.array([0.5, 0.25])), [0, 0, 0, 0, 0.5, 0.75, 0.5, 0]
    )


def test_home_and_spill_shares_of_every_node_add_up_to_one() -> None:
    """The routing table splits a[w, v, s] into c[w, s] and a rest, and loses nothing."""
    solution = two_servers(0.9)
    (routing,) = route(instance(), solution.flows)
    assert routing is not None
    np.testing.assert_allclose(routing.home.share, [0.5, 0.1])
    for spill in routing.spill:
        assert routing.home.share.sum() + spill.share.sum() == pytest.approx(1.0)
    np.testing.assert_array_equal(routing.spill[0].server, [0])
    np.testing.assert_array_equal(routing.spill[1].server, [1])
