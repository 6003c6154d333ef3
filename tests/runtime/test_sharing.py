"""Time slices: what GPUs give is what executions get, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from placement.problem.cluster import Cluster, GpuSharing, ServerType
from placement.problem.gpu_sharing import paces
from placement.problem.solution import Placement
from placement.problem.trace import Trace
from placement.problem.workload import Edge, Model, Node, Workflow, Workload
from runtime.policies import BUILT_IN
from runtime.result import RunResult
from runtime.simulate import Dispatch, simulate_placement
from tests.runtime.cases import chain, model, random_case, trace_of


def paces_at(run: RunResult, time: float) -> dict[int, float]:
    """Pace of each replica at a time, from who is in service then and the definition."""
    problem = run.problem
    on = (run.start_s <= time) & (time < run.end_s)
    serving = sorted(set(run.replica[on].tolist()))
    pace = {}
    for p in serving:
        least = 1.0
        mine = range(
            problem.replica_first_gpu[p], problem.replica_first_gpu[p] + problem.replica_gpus[p]
        )
        for gpu in mine:
            here = [
                q
                for q in serving
                if 0 <= gpu - problem.replica_first_gpu[q] < problem.replica_gpus[q]
            ]
            fractions = problem.replica_fraction[here].tolist()
            given = paces(fractions, problem.kept.tolist())
            # What is asked of a GPU in a second is less than a second.
            assert sum(u * x for u, x in zip(fractions, given, strict=True)) <= 1 + 1e-9
            least = min(least, given[here.index(p)])
        n = int((run.replica[on] == p).sum())
        assert n <= problem.replica_slots[p]
        pace[p] = least * problem.replica_speed[p] / problem.slowdown[p, n - 1]
    return pace


@pytest.mark.parametrize("policy", list(BUILT_IN))
def test_every_execution_gets_its_work_from_the_paces_of_its_time(policy: str) -> None:
    """Between begin and end of an execution its replica's paces add up to its service time."""
    shared = 0
    for seed in range(3_000, 3_060):
        case = random_case(seed, ties=False, requests=12)
        plain = tuple(replace(m, prefill_time_s=0.0) for m in case.workload.models)
        trace = replace(case.trace, stated_prefill_s=None)
        run = simulate_placement(
            replace(case.workload, models=plain),
            trace,
            case.cluster,
            case.placement,
            case.routing,
            dispatch=Dispatch(mode=case.mode, policy=policy),
            engine="compiled",
        )
        shared += run.problem.sliced
        times = np.unique(np.concatenate((run.start_s[run.ran], run.end_s[run.ran])))
        served = np.zeros(len(run.replica))
        for begin, end in pairwise(times):
            pace = paces_at(run, (begin + end) / 2)
            for e in np.flatnonzero((run.start_s <= begin) & (run.end_s >= end)):
                served[e] += pace[int(run.replica[e])] * (end - begin)
        np.testing.assert_allclose(served[run.ran], trace.service_s[run.ran], atol=1e-7)
    assert shared > 15


@pytest.mark.parametrize("policy", list(BUILT_IN))
def test_no_replica_overtakes_its_queue_or_rests(policy: str) -> None:
    """A replica serves in the order in which data arrived, and waits only while it is full."""
    for seed in range(3_100, 3_160):
        case = random_case(seed, ties=False)
        run = simulate_placement(
            case.workload,
            case.trace,
            case.cluster,
            case.placement,
            case.routing,
            dispatch=Dispatch(mode=case.mode, policy=policy),
            engine="compiled",
        )
        if not run.problem.sliced:
            continue
        for p in range(run.problem.n_replicas):
            mine = np.flatnonzero(run.replica == p)
            mine = mine[np.lexsort((mine, run.ready_s[mine]))]
            # At one instant calls join in the order in which they were released.
            late = np.diff(run.start_s[mine]) < 0
            assert not (late & (np.diff(run.ready_s[mine]) > 0)).any()
            for e in mine[run.start_s[mine] > run.ready_s[mine]]:
                assert run.start_s[e] in run.end_s[mine]


def one_gpu(
    models: tuple[Model, ...], arrivals: list[float], workflow: list[int], service: list[float],
    efficiency: float = 0.93,
) -> RunResult:  # fmt: skip
    """Run workflows of one call each, workflow m of model m, all on one GPU."""
    flows = tuple(replace(chain(1), id=m.id, nodes=(Node("n", i),)) for i, m in enumerate(models))
    workload = Workload(models, flows)
    trace = trace_of(workload, np.array(arrivals), np.array(workflow), np.array(service))
    cluster = replace(Cluster.homogeneous(1, 1), sharing=GpuSharing("time-sliced", (efficiency,)))
    all_here = np.arange(len(models))
    placement = Placement.sorted(all_here, np.zeros_like(all_here), np.zeros_like(all_here))
    return simulate_placement(workload, trace, cluster, placement, engine="reference")


def test_two_replicas_share_a_gpu_by_hand() -> None:
    """Jobs of 1 and 2 s that begin together, at 0.93: 2 / 0.93 s, and 1 s more for the longer."""
    run = one_gpu((model("a"), model("b")), [0.0, 0.0], [0, 1], [1.0, 2.0])
    np.testing.assert_allclose(run.end_s, [2 / 0.93, 2 / 0.93 + 1.0])


def test_a_late_call_slows_down_who_is_there() -> None:
    """A batch of one that becomes two after 1 s: 3 s of work, half pace from then on, by hand."""
    batch = (model("a", 1, (1.0, 2.0)),)
    run = one_gpu(batch, [0.0, 1.0], [0, 0], [3.0, 1.0])
    # The second needs 1 s at half pace; the first has 2 s left at 1, and 1 s at 3.
    np.testing.assert_allclose(run.end_s, [4.0, 3.0])


@pytest.mark.parametrize(
    ("chunked", "ends"),
    [
        # Prefill of 1 s each, one after the other; then 2 and 1 s of the rest, at half pace.
        (False, [5.0, 4.0]),
        # Two in service from the beginning: 3 s and 2 s at half pace.
        (True, [5.0, 4.0]),
    ],
)
def test_a_prefill_holds_up_the_others_unless_it_is_chunked(
    chunked: bool, ends: list[float]
) -> None:
    """At a slowdown of n both take as long; at none, only a blocking prefill holds anyone up."""
    for slowdown, expected in (((1.0, 2.0), ends), ((1.0, 1.0), [3.0, 2.0] if chunked else [4, 3])):
        m = replace(model("a", 1, slowdown), prefill_time_s=1.0, chunked_prefill=chunked)
        run = one_gpu((m,), [0.0, 0.0], [0, 0], [3.0, 2.0])
        np.testing.assert_allclose(run.end_s, expected)


def test_a_prefill_is_the_trace_s_where_it_states_one_and_never_more_than_the_call() -> None:
    """Stated prefills of 0 and 0.5 s, one that is left to the model's 9 s: all of that call."""
    m = replace(model("a", 1, (1.0, 1.0, 1.0)), prefill_time_s=9.0)
    workload = Workload((m,), (chain(1),))
    trace = trace_of(workload, np.zeros(3), np.zeros(3, dtype=int), np.array([1.0, 1.0, 2.0]))
    stated: Trace = replace(trace, stated_prefill_s=np.array([0.0, 0.5, np.nan]))
    one = Placement.sorted(np.zeros(1, int), np.zeros(1, int), np.zeros(1, int))
    run = simulate_placement(workload, stated, Cluster.homogeneous(1, 1), one, engine="reference")
    # The first stands still for 0.5 + 2 s; the third ends with its prefill.
    np.testing.assert_allclose(run.end_s, [3.5, 3.0, 2.5])


def test_a_block_proceeds_at_its_slowest_gpu() -> None:
    """A block of two GPUs, one of them shared with a single: both at half pace on that GPU."""
    models = (model("block", 2), model("single"))
    flows = tuple(replace(chain(1), id=m.id, nodes=(Node("n", i),)) for i, m in enumerate(models))
    workload = Workload(models, flows)
    trace = trace_of(workload, np.zeros(2), np.array([0, 1]), np.array([2.0, 0.5]))
    cluster = Cluster((ServerType("s", 1, 2, 80.0),), sharing=GpuSharing("time-sliced", (1.0,)))
    placement = Placement.sorted(np.array([0, 1]), np.zeros(2, int), np.zeros(2, int))
    run = simulate_placement(workload, trace, cluster, placement, engine="reference")
    np.testing.assert_allclose(run.end_s, [2.5, 1.0])


@pytest.mark.parametrize("policy", list(BUILT_IN))
def test_a_lone_replica_is_served_as_one_at_a_time_serves_it(policy: str) -> None:
    """Beside GPUs that are shared, a replica alone on its own runs to the last bit as in serial."""
    rng = np.random.default_rng(3)
    models = (model("lone"), model("a"), model("b"))
    flows = (chain(1), Workflow("pair", "pair", (Node("x", 1), Node("y", 2)), (Edge(0, 1),)))
    workload = Workload(models, flows)
    workflow = rng.integers(2, size=400)
    sizes = np.array([1, 2])[workflow]
    trace = trace_of(
        workload, np.cumsum(rng.exponential(0.7, 400)), workflow, rng.exponential(1.0, sizes.sum())
    )
    placement = Placement.sorted(np.array([0, 1, 2]), np.zeros(3, int), np.array([0, 1, 1]))
    lone = np.flatnonzero(np.repeat(workflow, sizes) == 0)
    ends = []
    for sharing in (GpuSharing("serial"), GpuSharing("time-sliced")):
        cluster = replace(Cluster.homogeneous(2, 2), sharing=sharing)
        run = simulate_placement(
            workload, trace, cluster, placement, dispatch=Dispatch(policy=policy), engine="compiled"
        )
        ends.append(run.end_s)
    np.testing.assert_array_equal(ends[0][lone], ends[1][lone])
    assert (ends[0] != ends[1]).any()
