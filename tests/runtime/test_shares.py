"""Targets meet the plan's shares, and children stay with their parents as often as those allow."""

from __future__ import annotations

import numpy as np
import pytest

from placement.problem.cluster import Cluster
from placement.problem.plan import Shares, WorkflowRouting
from placement.problem.solution import Placement
from placement.problem.workload import Edge, Node, Workflow, Workload
from runtime.arrays import NOWHERE
from runtime.shares import assign_targets, couple, draw_homes, spread_evenly
from tests.runtime.cases import model, trace_of

COUNT = 20_000
# Discrepancy of the golden-ratio sequence: under log K / K for an interval, two ends each.
NEAR = 2 * np.log(COUNT) / COUNT


def shares(row: np.ndarray) -> Shares:
    server = np.flatnonzero(row > 0)
    return Shares(server.astype(np.int64), row[server])


@pytest.mark.parametrize("seed", range(8))
def test_homes_meet_their_shares_at_every_moment(seed: int) -> None:
    """After any number of requests each server has its share of them, to within O(log K / K)."""
    rng = np.random.default_rng(seed)
    row = rng.dirichlet(np.ones(5)) * rng.choice([0.4, 1.0])
    homes = draw_homes(shares(row), COUNT)
    for first in (100, 1_000, COUNT):
        found = np.array([(homes[:first] == s).mean() for s in range(5)])
        np.testing.assert_allclose(found, row, atol=2 * np.log(first) / first)
    assert (homes == NOWHERE).mean() == pytest.approx(1 - row.sum(), abs=NEAR)


@pytest.mark.parametrize("seed", range(8))
def test_children_keep_their_shares_and_stay_as_often_as_these_allow(seed: int) -> None:
    """A coupled child has its own shares, and stays with probability sum of min(parent, child)."""
    rng = np.random.default_rng(seed)
    parent_row, child_row = rng.dirichlet(np.ones(6), 2) * rng.choice(
        [0.0, 1.0], (2, 6), p=(0.2, 0.8)
    )
    parent_row, child_row = parent_row / parent_row.sum(), child_row / child_row.sum()
    parent = rng.choice(6, COUNT, p=parent_row)
    child = couple(parent, shares(parent_row), shares(child_row))
    # The parents here are random, so that their counts are sqrt(K) off their shares.
    sd = 4 / np.sqrt(COUNT)
    found = np.bincount(child, minlength=6) / COUNT
    np.testing.assert_allclose(found, child_row, atol=sd)
    assert (child == parent).mean() == pytest.approx(
        np.minimum(parent_row, child_row).sum(), abs=sd
    )


def test_targets_of_a_workflow_meet_home_and_spill() -> None:
    """Every node is served on each server as often as home and spill together say."""
    flow = Workflow(
        "w", "W", tuple(Node(str(v), v) for v in range(3)), (Edge(0, 1), Edge(0, 2), Edge(1, 2))
    )
    workload = Workload(tuple(model(str(m)) for m in range(3)), (flow,))
    home = np.array([0.3, 0.2, 0.0, 0.0])
    rows = np.array([[0.1, 0.0, 0.4, 0.0], [0.0, 0.25, 0.25, 0.0], [0.2, 0.0, 0.0, 0.3]])
    routing = WorkflowRouting(shares(home), tuple(shares(row) for row in rows))
    server, held = np.nonzero(np.ones((4, 3)))
    placement = Placement.sorted(held, server, held)
    cluster = Cluster.homogeneous(12, 3)
    kinds = np.zeros(COUNT, dtype=np.int64)
    trace = trace_of(workload, np.arange(COUNT), kinds, np.ones(3 * COUNT))
    target = assign_targets(workload, trace, placement, cluster, (routing,)).reshape(COUNT, 3)
    whole = (target == target[:, :1]).all(axis=1)
    for v in range(3):
        found = np.bincount(target[:, v], minlength=4) / COUNT
        np.testing.assert_allclose(found, home + rows[v], atol=4 * NEAR)
    assert whole.mean() >= home.sum() - NEAR


def test_an_even_spread_follows_capacity() -> None:
    """Without a plan's shares a node goes to servers by replicas of its model there."""
    workload = Workload(
        (model("a"), model("b")), (Workflow("w", "W", (Node("x", 0), Node("y", 1)), (Edge(0, 1),)),)
    )
    # Server 0 holds a twice and b once, server 1 holds b once.
    placement = Placement.sorted(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1]), np.arange(4) % 3)
    routing = spread_evenly(workload, placement, Cluster.homogeneous(6, 3), 0)
    assert routing is not None
    np.testing.assert_array_equal(routing.home.server, [0])
    np.testing.assert_allclose(routing.home.share, [0.5])
    np.testing.assert_array_equal(routing.spill[0].server, [0])
    np.testing.assert_array_equal(routing.spill[1].server, [1])
