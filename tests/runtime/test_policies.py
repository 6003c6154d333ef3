"""What routers make of what they know: calls on their way, speeds, batches, neighbours, ties."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from placement.problem.cluster import Cluster, GpuSharing, Network, ServerType
from placement.problem.names import SharingMode
from placement.problem.solution import Placement
from placement.problem.workload import Edge, Node, Workflow, Workload
from runtime.metrics import measure
from runtime.result import RunResult
from runtime.simulate import Dispatch, simulate_placement
from tests.runtime.cases import chain, model, trace_of

EVERY = pytest.mark.parametrize("policy", ["earliest", "least-loaded", "locality"])
BLIND = pytest.mark.parametrize("policy", ["earliest", "least-loaded"])


def one_model(
    cluster: Cluster, gpus: list[int], slowdown: tuple[float, ...], rate: float, policy: str
) -> RunResult:
    """Poisson calls of about a second to replicas of one model, each on a server of one GPU."""
    rng = np.random.default_rng(0)
    workload = Workload((model("m", 1, slowdown),), (chain(1),))
    count = 2_000
    arrival = np.cumsum(rng.exponential(1 / rate, count))
    service = rng.uniform(0.9, 1.1, count)
    trace = trace_of(workload, arrival - arrival[0], np.zeros(count, dtype=int), service)
    server = np.array(gpus)
    placement = Placement.sorted(np.zeros_like(server), server, np.zeros_like(server))
    return simulate_placement(
        workload, trace, cluster, placement, dispatch=Dispatch(policy=policy), engine="compiled"
    )


@EVERY
@pytest.mark.parametrize("sharing", ["time-sliced", "serial"])
@pytest.mark.parametrize("latency_s", [0.0, 1e-6])
def test_what_is_on_its_way_counts_at_once(
    policy: str, sharing: SharingMode, latency_s: float
) -> None:
    """Eight children released at one instant take eight idle GPUs, whether data travels or not."""
    nodes = (Node("root", 0), *(Node(f"child{i}", 1) for i in range(8)))
    fork = Workflow("fork", "fork", nodes, tuple(Edge(0, i, 1.0) for i in range(1, 9)))
    workload = Workload((model("root"), model("child")), (fork,))
    trace = trace_of(workload, np.zeros(1), np.zeros(1, dtype=int), np.ones(9))
    wires = Network(latency_s, inter_latency_s=latency_s)
    cluster = Cluster((ServerType("s", 1, 9, 80.0),), wires, GpuSharing(sharing))
    placement = Placement.sorted(np.array([0] + [1] * 8), np.zeros(9, dtype=int), np.arange(9))
    run = simulate_placement(
        workload, trace, cluster, placement, dispatch=Dispatch(policy=policy), engine="reference"
    )
    assert run.end_s.max() == pytest.approx(2.0 + latency_s)


@BLIND
@pytest.mark.parametrize("speeds", [(1.0, 3.0), (3.0, 1.0)])
def test_the_faster_server_is_found_wherever_the_file_names_it(
    policy: str, speeds: tuple[float, float]
) -> None:
    """At a low rate calls run on the fast server, whichever stands first."""
    types = tuple(ServerType(f"t{i}", 1, 1, 80.0, s) for i, s in enumerate(speeds))
    run = one_model(Cluster(types), [0, 1], (1.0,), 0.3, policy)
    fast = int(np.argmax(speeds))
    assert (run.replica == fast).mean() > 0.8
    assert measure(run).request_latency.mean < 0.5


@EVERY
def test_idle_replicas_are_taken_before_a_batch_is_filled(policy: str) -> None:
    """Three calls a second to four replicas that batch: hardly anybody shares a batch."""
    slowdown = tuple(1.0 + 0.3 * n for n in range(8))
    run = one_model(Cluster.homogeneous(4, 1), [0, 1, 2, 3], slowdown, 3.0, policy)
    assert measure(run).request_latency.mean < 1.3


@BLIND
def test_ties_go_to_the_longest_idle(policy: str) -> None:
    """At any rate four equal replicas are equally busy."""
    run = one_model(Cluster.homogeneous(4, 1), [0, 1, 2, 3], (1.0,), 0.5, policy)
    calls = np.bincount(run.replica, minlength=4)
    assert calls.max() - calls.min() < 0.02 * calls.sum()
    # The first calls come to replicas that are idle since ever: the lowest first.
    assert run.replica[:1].tolist() == [0]


@EVERY
def test_a_busy_neighbour_counts(policy: str) -> None:
    """Of two idle replicas the one whose GPU nobody else uses is taken."""
    workload = Workload(
        (model("other"), model("m")),
        (chain(1), replace(chain(1), id="w", nodes=(Node("n", 1),))),
    )
    trace = trace_of(workload, np.array([0.0, 1.0]), np.array([0, 1]), np.array([9.0, 1.0]))
    cluster = Cluster.homogeneous(2, 2)
    # Replicas 0 and 1 share GPU 0; replica 2 has GPU 1.
    placement = Placement.sorted(np.array([0, 1, 1]), np.zeros(3, dtype=int), np.array([0, 0, 1]))
    run = simulate_placement(
        workload, trace, cluster, placement, dispatch=Dispatch(policy=policy), engine="reference"
    )
    assert run.replica.tolist() == [0, 2]
    np.testing.assert_allclose(run.end_s, [9.0, 2.0])
