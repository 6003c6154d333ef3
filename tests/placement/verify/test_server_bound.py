"""The most that one server is worth, against every content of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import linprog

from placement.problem.cluster import Cluster, GpuSharing, ServerType
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.shared_capacity import kept_at_most
from placement.verify.matrix_program import Answer, Clock
from placement.verify.scaled_problem import Scaled
from placement.verify.server_bound import ServerProgram, highest_worth
from placement.verify.valid_rows import Row, kept_rows, prices_of, replica_rows, split_rows
from tests.placement import oracle
from tests.placement.verify.worth import every_content, worth


def drawn_rows(scaled: Scaled, rng: np.random.Generator) -> list[Row | None]:
    """Rows of every sort: whole replicas, what is kept, and both sides of a split."""
    rows: list[Row | None] = list(replica_rows(scaled))
    instance = scaled.instance
    speeds = sorted({t.speed for t in scaled.types})
    for flow in scaled.flows:
        name = {"workflow": instance.workflows[flow.w].id}
        share = {**name, "share": float(rng.uniform(0.1, 0.9))}
        by_model = [
            {**name, "model": instance.model_ids[m], "speed": speed}
            for m in flow.models
            for speed in speeds
        ]
        rows += kept_rows(scaled, [share, *by_model])
    some = [instance.model_ids[m] for m in rng.permutation(scaled.used)]
    for models, threshold in ((some[:1], 0), (some[:1], 2), (some[:2], 1)):
        split = {"models": models, "threshold": threshold, "most": int(rng.integers(0, 3))}
        rows += split_rows(scaled, split) or ()
    return rows


@pytest.mark.parametrize("exclusive", [True, False])
def test_no_content_is_worth_more_and_one_is_worth_as_much(exclusive: bool) -> None:
    """At drawn multipliers of rows of every sort, for every server type."""
    priced = 0
    for seed in range(15):
        rng = np.random.default_rng([seed, exclusive])
        instance = oracle.random_instance(rng, exclusive=exclusive, load_cap=0.8)
        scaled = Scaled(instance)
        rows = drawn_rows(scaled, rng)
        data: dict[str, object] = {
            "demand": {
                w.id: rng.normal(0.1, 0.2, len(w.node_model)).tolist() for w in instance.workflows
            },
            "replicas": rng.normal(0.0, 0.1, len(rows)).tolist(),
        }
        prices = prices_of(scaled, rows, data)
        priced += len(prices.rows)
        for t in range(len(scaled.types)):
            best = max(worth(scaled, t, prices, c) for c in every_content(scaled, t))
            found = highest_worth(scaled, t, prices, -np.inf, Clock(None), "HiGHS")
            assert found == pytest.approx(best, abs=1e-6), seed
            # What is enough need not be brought down, and nothing is proven that is not so.
            early = highest_worth(scaled, t, prices, best + 0.5, Clock(None), "HiGHS")
            assert early >= best - 1e-6
    assert priced > 60


@pytest.mark.parametrize("exclusive", [True, False])
def test_most_replicas_are_those_of_some_content(exclusive: bool) -> None:
    """No content holds more; of exclusive GPUs one holds as many."""
    for seed in range(10):
        rng = np.random.default_rng([seed, exclusive])
        scaled = Scaled(oracle.random_instance(rng, exclusive=exclusive, load_cap=0.8))
        for t in range(len(scaled.types)):
            held = [[m for m, _ in content] for content in every_content(scaled, t)]
            for m in scaled.fitting(t):
                most = max(models.count(m) for models in held)
                assert most <= scaled.most(t, m) <= scaled.types[t].gpus
                assert most == scaled.most(t, m) or not exclusive


def test_numbers_that_no_gpus_hold_are_cut_off_and_no_content_is() -> None:
    """Weights of drawn numbers, against the least GPUs that sets of models cover them with."""
    broken = whole = 0
    for seed in range(40):
        rng = np.random.default_rng([seed, 7])
        instance = oracle.random_instance(rng, exclusive=False, load_cap=0.8)
        memory = rng.choice([20.0, 26.0, 30.0, 41.0, 45.0], len(instance.model_ids))
        instance = replace(instance, memory_per_gpu_gb=memory)
        scaled = Scaled(instance)
        prices = prices_of(scaled, [], {"demand": {
            w.id: [0.0] * len(w.node_model) for w in instance.workflows
        }, "replicas": []})  # fmt: skip
        program = ServerProgram(scaled, 0, prices)
        gpus = scaled.types[0].usable_gpus
        point = np.zeros(len(program.program.cost))
        numbers = {m: int(rng.integers(0, 3)) for m in program.count}
        for m, n in numbers.items():
            point[program.count[m]] = n
        # Replicas of one model stand side by side or one GPU on, those of large ones apart.
        apart = {m: 2 * memory[m] > 80.0 for m in numbers}
        touched = {
            m: n * int(scaled.gpus[m]) if apart[m] else n + int(scaled.gpus[m]) - 1
            for m, n in numbers.items() if n
        }  # fmt: skip
        sets = [
            some for size in range(1, len(touched) + 1) for some in combinations(touched, size)
            if memory[list(some)].sum() <= 80.0
        ]  # fmt: skip
        least = 0.0
        if touched:
            rows = [[-float(m in some) for some in sets] for m in touched]
            least = linprog(np.ones(len(sets)), rows, [-t for t in touched.values()]).fun
        cut = program.broken_cut(Answer("optimal", 0.0, point=point), Clock(None), "HiGHS")
        assert (cut is not None) == (least > gpus + 1e-6), seed
        if cut is None:
            whole += 1
            continue
        broken += 1
        assert all(sum(cut.get(m, 0.0) for m in some) <= 1 + 1e-9 for some in sets)
        assert sum(f * touched[m] for m, f in cut.items()) == pytest.approx(least, abs=1e-6)
    assert broken > 5
    assert whole > 5


def one_gpu(
    rng: np.random.Generator, *, efficiency: float = 1.0, most: int | None = None
) -> tuple[Instance, np.ndarray]:
    """Four models of a GPU each, called for half of one GPU; their memory."""
    memory = rng.uniform(20.0, 60.0, 4)
    flows = tuple(
        WorkflowDemand(f"w{m}", 1.0, np.array([m]), np.array([0.5]), np.zeros((0, 2), np.int64))
        for m in range(4)
    )
    cluster = Cluster((ServerType("s", 1, 1, 100.0),), sharing=GpuSharing(efficiency=(efficiency,)))
    names, ones = tuple(f"m{m}" for m in range(4)), np.ones(4, dtype=np.int64)
    return (
        Instance(names, ones, memory, flows, cluster, load_cap=1.0, max_models_per_gpu=most),
        memory,
    )


@pytest.mark.parametrize("seed", range(8))
def test_on_one_gpu_the_rows_in_sum_say_all(seed: int) -> None:
    """Memory, numbers and slices of a GPU are those of its server: the best set, and no other."""
    rng = np.random.default_rng(seed)
    efficiency, most = (float(rng.uniform(0.5, 0.9)), (None, 1, 2)[seed % 3])
    instance, memory = one_gpu(rng, efficiency=1.0 if seed % 2 else efficiency, most=most)
    scaled = Scaled(instance)
    kept = kept_at_most(instance, 4)
    demand = {w.id: [-float(rng.uniform(0.1, 1.0))] for w in instance.workflows}
    data: dict[str, object] = {"demand": demand, "replicas": []}
    prices = prices_of(scaled, [], data)
    worths = {
        flow.w: (sum(prices.kept[part] for part in flow.parts) - prices.node[flow.w, 0])
        / flow.load[0]
        for flow in scaled.flows
    }
    best = 0.0
    for size in range(1, (most or 4) + 1):
        for some in combinations(range(4), size):
            if memory[list(some)].sum() > 100.0:
                continue
            # What is worth most is carried first.
            left, total = kept[size], 0.0
            for m in sorted(some, key=lambda m: -worths[m]):
                total += worths[m] * min(left, 0.5)
                left -= min(left, 0.5)
            best = max(best, total)
    found = ServerProgram(scaled, 0, prices).program.maximise(Clock(None), "HiGHS")
    assert found.bound == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_on_one_gpu_the_numbers_are_those_of_a_knapsack(seed: int) -> None:
    """Replicas that are worth something for standing there: the best set that fits its memory."""
    rng = np.random.default_rng(seed)
    instance, memory = one_gpu(rng, most=(None, 2)[seed % 2])
    scaled, value = Scaled(instance), rng.uniform(0.5, 1.0, 4)
    dear = {w.id: [9.0] for w in instance.workflows}  # nothing is served
    program = ServerProgram(scaled, 0, prices_of(scaled, [], {"demand": dear, "replicas": []}))
    for m, n in program.count.items():
        program.program.cost[n] = float(value[m])
    best = max(
        value[list(some)].sum()
        for size in range(1, (instance.max_models_per_gpu or 4) + 1)
        for some in combinations(range(4), size)
        if memory[list(some)].sum() <= 100.0
    )
    found = program.program.maximise(Clock(None), "HiGHS")
    assert found.bound == pytest.approx(best, abs=1e-6)
