"""The judges of every method: evaluate, violations, and the split into home and spill shares."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from placement.problem.cluster import Cluster, ServerType
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.plan import route
from placement.problem.solution import Flows, Placement, Solution, evaluate, gpu_loads, violations


def chain(rate: float = 1.0, work_s: float = 0.25) -> WorkflowDemand:
    """A chain of two calls to two models."""
    return WorkflowDemand(
        id="chain",
        rate=rate,
        node_model=np.array([0, 1]),
        work_s=np.array([work_s, work_s]),
        links=np.array([[0, 1]]),
    )


def instance(**changes: object) -> Instance:
    base = Instance(
        model_ids=("a", "b"),
        gpus_required=np.array([1, 2]),
        memory_per_gpu_gb=np.array([10.0, 20.0]),
        workflows=(chain(),),
        cluster=Cluster.homogeneous(8, 4),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def two_servers(share_on_first: float = 0.75) -> Solution:
    """Both models on both servers; server 0 serves `share_on_first` of node 0, half of node 1."""
    p = share_on_first
    return Solution(
        placement=Placement.sorted(
            np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
        ),
        flows=Flows(
            workflow=np.zeros(4, dtype=np.int64),
            node=np.array([0, 0, 1, 1]),
            server=np.array([0, 1, 0, 1]),
            rate=np.array([p, 1 - p, 0.5, 0.5]),
        ),
        load=np.array([0.25 * p, 0.125, 0.25 * (1 - p), 0.125]),
    )


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


def test_gpu_loads_cover_every_gpu_of_a_block() -> None:
    """A replica on k GPUs makes all k of them busy, and shared GPUs add up."""
    problem = instance(gpus_required=np.array([1, 3]))
    placement = Placement.sorted(np.array([1, 0]), np.array([1, 1]), np.array([0, 1]))
    np.testing.assert_allclose(
        gpu_loads(problem, placement, np.array([0.5, 0.25])), [0, 0, 0, 0, 0.5, 0.75, 0.5, 0]
    )


def test_a_feasible_solution_has_no_violation() -> None:
    """The base case keeps every rule."""
    assert violations(instance(), two_servers()) == []


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"load_cap": 0.1}, "exceeds the cap"),
        ({"memory_per_gpu_gb": np.array([10.0, 81.0])}, "81 GB placed"),
        ({"gpus_required": np.array([1, 4])}, "leaves"),
        ({"exclusive": True, "gpus_required": np.array([2, 2])}, "at most 1"),
        ({"workflows": (chain(rate=2.0),)}, "served of"),
        ({"workflows": (chain(work_s=0.3),)}, "carried by its replicas"),
        (
            {"cluster": Cluster((ServerType("s", 2, 4, 80.0, speed=2.0),))},
            "carried by its replicas",
        ),
    ],
)
def test_every_broken_rule_is_said(changes: dict[str, object], word: str) -> None:
    """Each rule of the program, broken alone, gives a sentence that names it."""
    faults = violations(instance(**changes), two_servers())
    assert any(word in fault for fault in faults), faults


def test_a_used_model_without_replica_is_said() -> None:
    """Coverage: every used model has a replica."""
    solution = two_servers()
    keep = solution.placement.model == 0
    bare = Placement(
        *(
            a[keep]
            for a in (solution.placement.model, solution.placement.server, solution.placement.start)
        )
    )
    faults = violations(instance(), replace(solution, placement=bare, load=solution.load[keep]))
    assert faults == ["model b: used, but without a replica"]


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


def test_a_large_cluster_takes_memory_by_its_gpus_not_by_models_times_servers() -> None:
    """A few replicas on a million servers: what is empty costs a few numbers a server."""
    models, servers = 400, 1_000_000
    flow = WorkflowDemand("w", 1.0, np.arange(2), np.ones(2), np.array([[0, 1]]))
    instance = Instance(
        tuple(f"m{i}" for i in range(models)), np.ones(models, dtype=np.int64), np.ones(models),
        (flow,), Cluster.homogeneous(servers, 1), load_cap=1.0,
    )  # fmt: skip
    first, second = np.array([0, 1]), np.array([0, servers - 1])
    placement = Placement(first, second, np.zeros(2, dtype=np.int64))
    flows = Flows(np.zeros(2, dtype=np.int64), first, second, np.ones(2))
    tracemalloc.start()
    assert violations(instance, Solution(placement, flows, np.ones(2))) == []
    wrong = violations(instance, Solution(placement, flows, np.array([1.0, 0.5])))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert wrong == [
        f"model m1 on server {servers - 1}: 1 busy seconds per second routed there, "
        "0.5 carried by its replicas"
    ]
    assert peak < 200 * servers
