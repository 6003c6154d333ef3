"""Traces, clusters and the instance built from them."""

from datetime import datetime

import numpy as np
import pytest

from placement.problem.cluster import Cluster, Network
from placement.problem.instance_building import build_instance
from placement.problem.names import Objective
from placement.problem.rules import Rules
from placement.problem.trace import Trace, measure_demand
from placement.problem.workload import Edge, Model, Node, Workflow, Workload

WORKLOAD = Workload(
    models=(
        Model("a", "A", 10.0, 1, 1.0),
        Model("b", "B", 40.0, 2, 1.0, max_concurrency=4, slowdown=(1.0, 1.2, 1.6, 2.0)),
        Model("idle", "Idle", 40.0, 2, 1.0),
    ),
    workflows=(
        Workflow("w", "W", (Node("x", 0), Node("y", 1), Node("z", 0)), (Edge(0, 1), Edge(1, 2))),
        Workflow("never", "Never", (Node("x", 2),)),
        Workflow("single", "Single", (Node("x", 1),)),
    ),
)


def trace(arrival_s: list[float]) -> Trace:
    """Alternate `w` and `single`."""
    workflow = np.array([0, 2] * (len(arrival_s) // 2))
    sizes = np.where(workflow == 0, 3, 1)
    offset = np.concatenate(([0], np.cumsum(sizes)))
    return Trace(
        request_ids=[str(i) for i in range(len(arrival_s))],
        arrival_s=np.array(arrival_s),
        workflow=workflow,
        service_s=np.arange(1.0, offset[-1] + 1),
        offset=offset,
        start=datetime(2026, 1, 1),
    )


def test_demand_counts_the_trace() -> None:
    """Rates are requests over the span; service times are means per node."""
    demand = measure_demand(WORKLOAD, trace([0.0, 1.0, 3.0, 4.0]))
    np.testing.assert_array_equal(demand.requests, [2, 0, 2])
    np.testing.assert_allclose(demand.rate, [0.5, 0.0, 0.5])
    # Executions 1 2 3 | 4 | 5 6 7 | 8 in the order of the requests.
    np.testing.assert_allclose(demand.service_s[0], [3.0, 4.0, 5.0])
    np.testing.assert_allclose(demand.service_s[2], [6.0])


def test_requests_at_one_instant_count_by_their_mix() -> None:
    """Without a span the rates are the numbers of requests."""
    demand = measure_demand(WORKLOAD, trace([0.0, 0.0]))
    np.testing.assert_allclose(demand.rate, [1.0, 0.0, 1.0])


def test_the_instance_holds_work_links_and_used_models() -> None:
    """Batching lowers the busy time of an execution; unused models stay without demand."""
    demand = measure_demand(WORKLOAD, trace([0.0, 1.0, 3.0, 4.0]))
    instance = build_instance(WORKLOAD, demand, Cluster.homogeneous(8))
    assert instance.used_models == (0, 1)
    # Model b serves four at once, each twice as slowly: half a second a second of service.
    np.testing.assert_allclose(instance.workflows[0].work_s, [3.0, 2.0, 5.0])
    np.testing.assert_allclose(instance.model_work, [0.5 * 8.0, 0.5 * 2.0 + 0.5 * 3.0, 0.0])
    np.testing.assert_allclose(instance.offered_load, [4.0, 5.0, 0.0])
    assert instance.total_link_rate == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("objective", "alpha", "links"),
    [("mixed", 0.3, 2), ("workflow", 1.0, 2), ("edges", 0.0, 2), ("cooccurrence", 0.0, 3)],
)
def test_the_objective_chooses_alpha_and_links(
    objective: Objective, alpha: float, links: int
) -> None:
    """`cooccurrence` counts every pair of nodes of one request in place of the edges."""
    rules = Rules(objective, 0.3 if objective == "mixed" else None)
    instance = build_instance(WORKLOAD, trace([0.0, 1.0]), Cluster.homogeneous(8), rules)
    assert instance.alpha == alpha
    assert len(instance.workflows[0].links) == links


def test_the_last_server_is_smaller_where_gpus_are_no_multiple() -> None:
    """10 GPUs in servers of 4 are 4 + 4 + 2, numbered through."""
    cluster = Cluster.homogeneous(10, 4)
    np.testing.assert_array_equal(cluster.server_gpus, [4, 4, 2])
    np.testing.assert_array_equal(cluster.first_gpu, [0, 4, 8])
    np.testing.assert_array_equal(cluster.gpu_server, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2])
    assert (cluster.n_gpus, cluster.n_servers, cluster.max_gpus_per_server) == (10, 3, 4)


def test_a_cluster_smaller_than_a_server_is_one_small_server() -> None:
    """3 GPUs in servers of 4 make one server of 3."""
    np.testing.assert_array_equal(Cluster.homogeneous(3, 4).server_gpus, [3])


def test_network_delay_is_latency_plus_payload_over_bandwidth() -> None:
    """100 MB at 10 GB/s take 10 ms."""
    network = Network(inter_latency_s=0.001, inter_bandwidth_gb_per_s=10.0)
    assert network.delay_s(100.0, same_server=False) == pytest.approx(0.011)
    assert network.delay_s(100.0, same_server=True) == 0.0


def test_topological_order_puts_parents_first() -> None:
    """Ties break by node index, so the order is one order."""
    workflow = Workflow(
        "d",
        "D",
        tuple(Node(str(i), 0) for i in range(4)),
        (Edge(3, 1), Edge(3, 0), Edge(1, 2), Edge(0, 2)),
    )
    assert workflow.topological_order == (3, 0, 1, 2)
