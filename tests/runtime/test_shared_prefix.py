"""Contexts that are read again: what a shared prefix saves, by hand and in both engines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from placement.problem.cluster import Cluster, GpuSharing, Network
from placement.problem.names import SharingMode
from placement.problem.solution import Placement
from placement.problem.workload import Edge, Model, Node, Workflow, Workload
from runtime.outages import Outage
from runtime.result import RunResult
from runtime.simulate import Dispatch, simulate_placement
from tests.runtime.cases import model, run_case, trace_of

MODEL = model("m", prefill_time_s=2.0)
AGAIN = (Edge(0, 1, shared_prefix=0.75),)
APART, ALONE = Cluster.homogeneous(2, 1), Cluster.homogeneous(1, 1)
ENGINES = pytest.mark.parametrize("engine", ["reference", "compiled"])


def served(
    edges: tuple[Edge, ...],
    calls: list[tuple[float, list[float]]],
    *,
    engine: str = "reference",
    policy: str = "earliest",
    kind: Model = MODEL,
    cluster: Cluster = APART,
    outages: tuple[Outage, ...] = (),
) -> RunResult:
    """Requests, by arrival and seconds of their calls: of the workflow, or of a single call.

    A replica stands on every GPU.
    """
    nodes = 1 + max(e.target for e in edges)
    flows = tuple(
        Workflow(f"w{n}", f"w{n}", tuple(Node(f"n{v}", 0) for v in range(n)), joined)
        for n, joined in ((nodes, edges), (1, ()))
    )
    workload = Workload((kind,), flows)
    arrival = np.array([at for at, _ in calls])
    flow = np.array([int(len(seconds) == 1) for _, seconds in calls])
    trace = trace_of(workload, arrival, flow, np.concatenate([seconds for _, seconds in calls]))
    server = np.repeat(np.arange(cluster.n_servers), cluster.server_gpus)
    place = np.arange(cluster.n_gpus) - cluster.first_gpu[server]
    placement = Placement.sorted(np.zeros_like(server), server, place)
    return simulate_placement(
        workload,
        trace,
        cluster,
        placement,
        dispatch=Dispatch(policy=policy, outages=outages),
        engine=engine,  # type: ignore[arg-type]
    )


@ENGINES
@pytest.mark.parametrize("sharing", ["time-sliced", "serial"])
@pytest.mark.parametrize("slots", [1, 2])
@pytest.mark.parametrize("chunked", [False, True])
def test_the_second_call_saves_its_part_of_the_prefill(
    engine: str, sharing: SharingMode, slots: int, chunked: bool
) -> None:
    """Of 5 s it saves 0.75 x 2 s on the replica that ran the first, however prefills are run."""
    cluster = replace(Cluster.homogeneous(2, 1), sharing=GpuSharing(sharing))
    kind = replace(MODEL, max_concurrency=slots, slowdown=(1.0,) * slots, chunked_prefill=chunked)
    run = served(AGAIN, [(0.0, [3.0, 5.0])], engine=engine, kind=kind, cluster=cluster)
    assert run.replica.tolist() == [0, 0]
    assert run.end_s.tolist() == [3.0, 6.5]


@ENGINES
@pytest.mark.parametrize(
    ("policy", "per_server", "payload_mb", "there"),
    [
        ("earliest", 1, 0.0, 9.0),
        ("earliest", 1, 1400.0, 9.4),
        ("earliest", 2, 1400.0, 9.0),
        ("plan", 2, 0.0, 9.0),
        ("locality", 2, 1400.0, 9.0),
        ("sticky", 2, 0.0, 9.0),
    ],
)
def test_routers_count_what_is_saved(
    engine: str, policy: str, per_server: int, payload_mb: float, there: float
) -> None:
    """A call waits for the replica that has its context up to what that saves, and no longer.

    At 3 s replica 0 has `behind` seconds to do; replica 1 is free at 4, and the data there at 3
    plus what crossing takes. Of the call's 5 s replica 0 saves 1.5.
    """
    edges = (replace(AGAIN[0], payload_mb=payload_mb),)
    wires = Network(inter_bandwidth_gb_per_s=1.0)
    cluster = replace(Cluster.homogeneous(2, per_server), network=wires)
    for behind in (there - 6.6, there - 6.4):
        calls = [(0.0, [3.0, 5.0]), (1.0, [3.0]), (2.0, [behind])]
        run = served(edges, calls, engine=engine, policy=policy, cluster=cluster)
        assert run.replica.tolist() == [0, int(3 + behind + 3.5 > there), 1, 0]
        assert run.end_s[1] == pytest.approx(min(3 + behind + 3.5, there))


@ENGINES
def test_of_several_parents_the_longest_context_counts(engine: str) -> None:
    """Both parents ran on the only replica; what they have in common is not saved twice."""
    edges = (Edge(0, 2, shared_prefix=0.25), Edge(1, 2, shared_prefix=0.5))
    run = served(edges, [(0.0, [3.0, 3.0, 5.0])], cluster=ALONE, engine=engine)
    assert run.end_s.tolist() == [3.0, 6.0, 10.0]


@ENGINES
def test_the_others_of_a_batch_stand_still_for_the_rest_alone(engine: str) -> None:
    """Of two requests in one batch each stops the other for its prefill, less what it saves."""
    kind = replace(MODEL, max_concurrency=2, slowdown=(1.0, 1.0))
    calls = [(0.0, [4.0, 4.0])] * 2
    run = served(AGAIN, calls, cluster=ALONE, engine=engine, kind=kind)
    # Two prefills of 2 s, then both go on to 6; two of half a second, then both for 2 s.
    np.testing.assert_allclose(run.end_s, [6.0, 9.0, 6.0, 9.0])


def test_a_replica_that_was_loaded_anew_has_no_context() -> None:
    """Lost and back before the second call of the context, it has to read all of it again."""
    edges = (Edge(0, 1), Edge(1, 2), Edge(0, 2, shared_prefix=0.75))
    calls = [(0.0, [1.0, 9.0, 5.0])]
    for outages, end in (((), 13.5), ((Outage(0, None, 2.0, 3.0),), 15.0)):
        run = served(edges, calls, outages=outages)
        assert run.replica.tolist() == [0, 1, 0]
        assert run.end_s[2] == end


def test_an_interrupted_call_saves_nothing_elsewhere() -> None:
    """A second of its 3.5 s served, it takes 5 s on the replica that is left."""
    run = served(AGAIN, [(0.0, [3.0, 5.0])], outages=(Outage(0, None, 4.0),))
    assert run.end_s.tolist() == [3.0, 9.0]


@pytest.mark.parametrize("sliced", [True, False])
def test_the_random_cases_save(sliced: bool) -> None:
    """Among the cases on which engines and the independent model agree, contexts are read again."""
    saved = 0
    for seed in range(1, 400, 2):
        run = run_case(seed, "earliest", "reference", steps=True)
        problem = run.problem
        if not len(problem.prefix_s) or problem.sliced != sliced:
            continue
        for first, w in zip(problem.offset, problem.workflow, strict=False):
            for e in problem.workload.workflows[w].edges:
                u, v = first + e.source, first + e.target
                here = run.replica[u] == run.replica[
                    v
                ] >= 0 and e in problem.workload.crossing_edges(w)
                saved += bool(here and e.shared_prefix * problem.prefix_s[v])
    assert saved > 100
