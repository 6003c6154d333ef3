"""The headroom that simulations bear out is where queueing theory puts the end of stability."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from placement.params.search_params import DEFAULTS
from placement.params.simulation_params import HeadroomParams
from placement.problem.cluster import Cluster, GpuSharing, ServerType
from placement.problem.instance_building import build_instance
from placement.problem.solution import Placement, effective_loads
from placement.problem.trace import Trace
from placement.problem.workload import Model, Node, Workflow, Workload
from runtime.headroom import Bisection, SimulatedHeadroom, repeated, simulated_headroom

START = datetime(2026, 1, 1, tzinfo=UTC)
PARAMS = DEFAULTS.headroom


def singles(*models: Model) -> Workload:
    """A workflow of one call for each model."""
    flows = (Workflow(m.id, m.id, (Node("n", i),)) for i, m in enumerate(models))
    return Workload(models, tuple(flows))


def poisson(rates: list[float], means: list[float], requests: int, seed: int = 0) -> Trace:
    """Calls of each model at its rate, with exponential times."""
    rng = np.random.default_rng(seed)
    arrival = np.cumsum(rng.exponential(1 / sum(rates), requests))
    workflow = rng.choice(len(rates), requests, p=np.array(rates) / sum(rates))
    return Trace(
        request_ids=[str(i) for i in range(requests)],
        arrival_s=arrival - arrival[0],
        workflow=workflow.astype(np.int64),
        service_s=rng.exponential(np.array(means)[workflow]),
        offset=np.arange(requests + 1),
        start=START,
    )


def offered(trace: Trace, model: int) -> float:
    """Offered load of a model in the trace itself, in erlangs."""
    gap = trace.span_s / (trace.n_requests - 1)
    return float(trace.service_s[trace.workflow == model].sum()) / (trace.n_requests * gap)


MODEL = Model("m", "m", 10.0, 1, 0.0)


@pytest.mark.parametrize("replicas", [1, 4])
def test_plain_servers_saturate_at_a_load_of_one(replicas: int) -> None:
    """M/M/c: c over the offered load."""
    trace = poisson([0.4 * replicas], [1.0], 20_000)
    placement = Placement.sorted(np.zeros(replicas), np.zeros(replicas), np.arange(replicas))
    expected = replicas / offered(trace, 0)
    for begin in (expected, 0.4 * expected, 2.5 * expected):
        found = simulated_headroom(
            singles(MODEL), trace, Cluster.homogeneous(replicas, replicas), placement,
            by_rates=begin, policy="earliest",
        )  # fmt: skip
        assert found is not None
        assert found.factor == pytest.approx(expected, rel=0.025)
        assert found.factor < found.unstable <= 1.011 * found.factor


@pytest.mark.parametrize(("sharing", "kept"), [("time-sliced", 0.8), ("serial", 1.0)])
def test_two_that_share_a_gpu_saturate_at_what_they_keep_of_it(sharing: str, kept: float) -> None:
    """Equal loads: both are busy when the GPU is full, and get eta of it together."""
    trace = poisson([0.25, 0.25], [1.0, 1.0], 20_000)
    two = (MODEL, replace(MODEL, id="n", name="n"))
    cluster = replace(
        Cluster.homogeneous(1, 1),
        sharing=GpuSharing(sharing, (0.8,)),  # type: ignore[arg-type]
    )
    placement = Placement.sorted(np.array([0, 1]), np.zeros(2), np.zeros(2))
    load = offered(trace, 0) + offered(trace, 1)
    found = simulated_headroom(singles(*two), trace, cluster, placement, by_rates=1 / load)
    assert found is not None
    assert found.factor == pytest.approx(kept / load, rel=0.05)


@pytest.mark.parametrize(
    ("rates", "fractions", "exact"),
    [
        ([0.25, 0.25, 0.25], [1.0, 1.0, 1.0], True),
        ([0.5, 0.2, 0.02], [1.0, 1.0, 1.0], False),
        ([0.25, 0.25, 0.25], [0.95, 0.95, 0.95], True),
        ([0.5, 0.1, 0.1], [1.0, 0.9, 0.6], False),
    ],
)
def test_what_counts_as_a_full_gpu_is_borne(
    rates: list[float], fractions: list[float], exact: bool
) -> None:
    """Equal loads bear no more; where one is the largest, the others are not always busy."""
    trace = poisson(rates, [1.0] * len(rates), 20_000)
    models = tuple(replace(MODEL, id=f"m{m}", gpu_fraction=u) for m, u in enumerate(fractions))
    cluster = replace(Cluster.homogeneous(1, 1), sharing=GpuSharing("time-sliced", (0.9, 0.75)))
    zero = np.zeros(len(rates), dtype=np.int64)
    placement = Placement(np.arange(len(rates)), zero, zero)
    workload = singles(*models)
    instance = build_instance(workload, trace, cluster)
    load = float(effective_loads(instance, placement, instance.model_work)[0])
    assert load > 1.04 * instance.model_work.sum()
    found = simulated_headroom(workload, trace, cluster, placement, by_rates=1 / load)
    assert found is not None
    assert found.factor > 0.97 / load
    if exact:
        assert found.factor == pytest.approx(1 / load, rel=0.04)


def test_full_batches_bear_what_the_slowdown_leaves() -> None:
    """Four at once, each twice as slow: twice the rate of a plain server."""
    batching = replace(MODEL, max_concurrency=4, slowdown=(1.0, 4 / 3, 5 / 3, 2.0))
    trace = poisson([0.5], [1.0], 20_000)
    found = simulated_headroom(
        singles(batching), trace, Cluster.homogeneous(1, 1),
        Placement.sorted(np.zeros(1), np.zeros(1), np.zeros(1)), by_rates=1.0,
    )  # fmt: skip
    assert found is not None
    assert found.factor == pytest.approx(2 / offered(trace, 0), rel=0.03)


@pytest.mark.parametrize(
    ("gpus", "speed", "slots", "slowest"),
    [(64, 1.0, 64, 20.0), (64, 1.0, 16, 6.0), (1024, 0.1, 1, 1.0)],
)
def test_calls_that_last_long_once_served_take_nothing_off(
    gpus: int, speed: float, slots: int, slowest: float
) -> None:
    """What the GPUs bear when full, though the last calls outlast the run by much of it."""
    batching = replace(
        MODEL, max_concurrency=slots, slowdown=tuple(np.linspace(1.0, slowest, slots).tolist())
    )
    full = gpus * slots / slowest * speed
    trace = poisson([0.5 * full], [1.0], 20_000)
    cluster = Cluster((ServerType("s", gpus // 8, 8, 80.0, speed),))
    where = np.arange(gpus)
    placement = Placement.sorted(np.zeros(gpus), where // 8, where % 8)
    expected = full / offered(trace, 0)
    found = simulated_headroom(
        singles(batching), trace, cluster, placement, by_rates=expected, policy="least-loaded"
    )
    assert found is not None
    assert found.factor == pytest.approx(expected, rel=0.05)


def test_no_answer_where_as_many_are_served_at_once_as_a_run_has() -> None:
    """Batches that never fill: what they cannot do piles up inside them, and nothing waits."""
    slots = 20_000
    endless = replace(
        MODEL, max_concurrency=slots, slowdown=tuple(np.arange(1.0, slots + 1).tolist())
    )
    found = simulated_headroom(
        singles(endless), poisson([0.5 * 16], [1.0], 20_000), Cluster.homogeneous(16, 8),
        Placement.sorted(np.zeros(16), np.arange(16) // 8, np.arange(16) % 8), by_rates=2.0,
    )  # fmt: skip
    assert found is None


def test_a_block_among_singles_bears_less_than_its_rates_say() -> None:
    """It runs at half pace while any of its GPUs is shared: rates promise what cannot be."""
    block = replace(MODEL, id="b", name="b", gpus_required=4)
    alone = [replace(MODEL, id=f"s{i}", name=f"s{i}") for i in range(4)]
    trace = poisson([0.3, *[0.1] * 4], [1.0] * 5, 20_000)
    placement = Placement.sorted(np.arange(5), np.zeros(5), np.array([0, 0, 1, 2, 3]))
    cluster = replace(Cluster.homogeneous(4, 4), sharing=GpuSharing(efficiency=(1.0,)))
    busiest = offered(trace, 0) + max(offered(trace, m) for m in range(1, 5))
    found = simulated_headroom(
        singles(block, *alone), trace, cluster, placement, by_rates=1 / busiest
    )
    assert found is not None
    assert 0.7 < found.factor * busiest < 0.88


def test_no_answer_where_there_is_none() -> None:
    """All at once, one request, nothing to do, no time left."""
    placement = Placement.sorted(np.zeros(1), np.zeros(1), np.zeros(1))
    workload, cluster = singles(MODEL), Cluster.homogeneous(1, 1)
    trace = poisson([0.5], [1.0], 2_000)
    at_once = replace(trace, arrival_s=np.zeros(trace.n_requests))
    for given, begin in ((at_once, 1.0), (trace, float("inf"))):
        assert simulated_headroom(workload, given, cluster, placement, by_rates=begin) is None
    asked: list[bool] = []

    def in_time() -> bool:
        asked.append(True)
        return len(asked) < 3

    assert (
        simulated_headroom(
            workload, trace, cluster, placement, by_rates=1.0, how=Bisection(in_time)
        ) is None
    )  # fmt: skip
    assert len(asked) == 3


def test_parameters_say_how_long_runs_are_and_how_close_the_factor() -> None:
    """A coarse search of short runs ends with the bracket and the length that were asked for."""
    coarse = HeadroomParams(least_executions=3_000, close=1.3, raised=2.0, most_factor=2.5)
    placement = Placement.sorted(np.zeros(1), np.zeros(1), np.zeros(1))
    trace = poisson([0.5], [1.0], 2_000)

    def found(begin: float) -> SimulatedHeadroom:
        how = Bisection(params=coarse)
        cluster = Cluster.homogeneous(1, 1)
        answer = simulated_headroom(
            singles(MODEL), trace, cluster, placement, by_rates=begin, how=how
        )
        assert answer is not None
        assert answer.executions == 4_000
        return answer

    expected = 1 / offered(trace, 0)
    near = found(expected / 1.4)
    assert near.factor == pytest.approx(expected, rel=0.3)
    assert near.factor < near.unstable <= 1.3 * near.factor
    # Raised twofold at a time: four times what it began with is the first beyond 2.5.
    assert found(expected / 10) == SimulatedHeadroom(
        pytest.approx(4 * expected / 10), float("inf"), "locality", 4_000
    )


def test_copies_of_a_trace_keep_its_rate_and_its_order() -> None:
    """Whole copies, one mean gap apart; of a long trace, whole requests from its beginning."""
    short = poisson([1.0], [1.0], 700)
    long = repeated(short)
    copies = -(-PARAMS.least_executions // 700)
    assert long.n_requests == 700 * copies
    assert (np.diff(long.arrival_s) >= 0).all()
    gap = short.span_s / (short.n_requests - 1)
    assert long.span_s / (long.n_requests - 1) == pytest.approx(gap)
    np.testing.assert_array_equal(long.service_s[700:1400], short.service_s)
    huge = poisson([1.0], [1.0], PARAMS.most_executions + 5)
    part = repeated(huge)
    assert part.n_executions == PARAMS.most_executions
    assert part.offset[-1] == len(part.service_s)
