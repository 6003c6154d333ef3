"""The compiled simplex method against a linear program, where workflows of a server are many."""

from dataclasses import replace

import highspy
import numpy as np
import pytest

from placement.patterns.columns.content_pool import ContentPool
from placement.patterns.columns.content_search import value_contents
from placement.patterns.columns.content_value import WORTHLESS, price_seconds
from placement.patterns.columns.flat_problem import flat_flows
from placement.problem.instance import Instance
from placement.problem.normalization import normalize
from placement.programs.flows import keepable
from tests.placement.heuristics.cases import random_instance


def crowded(seed: int, *, exclusive: bool) -> Instance:
    """Copies of drawn workflows at drawn rates: far more than a server serves."""
    rng = np.random.default_rng(seed)
    one = random_instance(seed, servers=1, load=1.2, exclusive=exclusive)
    copies = tuple(
        replace(flow, id=f"{flow.id}-{i}", rate=flow.rate * rng.uniform(0.02, 0.4))
        for i in range(30)
        for flow in one.workflows
    )
    return normalize(replace(one, workflows=copies), 0.8)


def valued(pool: ContentPool, least: float) -> np.ndarray:
    """All contents of a pool, sought no lower than `least`."""
    n = len(pool.patterns)
    values = np.zeros(n)
    value_contents(
        pool.flows, pool.server, pool.prices, pool._model[:n], pool._start[:n], pool._size[:n],
        least, pool._room, values,
    )  # fmt: skip
    return values


def by_program(pool: ContentPool, number: int, demand: np.ndarray) -> float:
    """What a content is worth by a linear program over the rates of all nodes that it holds."""
    instance, flows, server = pool.instance, pool.flows, pool.server
    model = highspy.Highs()
    model.setOptionValue("output_flag", False)
    content = pool.patterns[number].content
    replicas = {m: sum(o == m for o, _ in content) for m, _ in content}
    rows: dict[int, dict[int, float]] = {}
    column, limits, kept = 0, dict[int, float](), []
    for i, w in enumerate(instance.active_workflows):
        rate = dict[int, int]()
        for v, m in enumerate(instance.workflows[w].node_model.tolist()):
            if m not in replicas:
                continue
            n, rate[v] = int(flows.node_ptr[i]) + v, column
            model.addCol(float(demand[n]), 0.0, float(flows.rate[i]), 0, [], [])
            work = float(flows.node_work[n]) / replicas[m]
            if server.counts:
                rows.setdefault(m, {})[column] = work
                limits[m] = server.cap
            else:
                for o, start in content:
                    for g in range(start, start + int(flows.gpus_required[m])) if o == m else ():
                        row = rows.setdefault(g, {})
                        row[column] = row.get(column, 0.0) + work
            column += 1
        kept += [
            (worth, [rate[v] for v in nodes])
            for _, nodes, worth in keepable(instance, w)
            if all(v in rate for v in nodes)
        ]
    if not server.counts:
        for g in rows:
            beside = [
                m for m, i in content
                if i <= g < i + flows.gpus_required[m] and server.counted[m]
            ]  # fmt: skip
            limits[g] = server.cap * float(server.kept[min(len(beside), len(server.kept) - 1)])
    for worth, ends in kept:
        model.addCol(-worth, 0.0, highspy.kHighsInf, 0, [], [])
        for end in ends:
            model.addRow(-highspy.kHighsInf, 0.0, 2, [column, end], [1.0, -1.0])
        column += 1
    for r, terms in rows.items():
        model.addRow(-highspy.kHighsInf, limits[r], len(terms), list(terms), list(terms.values()))
    model.run()
    return -float(model.getInfo().objective_function_value)


@pytest.mark.parametrize("exclusive", [True, False])
def test_rates_of_many_workflows_are_those_of_a_linear_program(exclusive: bool) -> None:
    """None is left out, at whatever price of GPU-seconds the method begins."""
    scarce = 0
    for seed in range(4):
        instance, rng = crowded(seed, exclusive=exclusive), np.random.default_rng(seed)
        pool = ContentPool(instance, 0, flat_flows(instance))
        # Nodes that are worth something by themselves, as where all work has to be done.
        demand = rng.normal(-0.01, 0.02, len(pool.flows.node_model))
        pool.price(demand, np.zeros(len(instance.model_ids)), -np.inf)
        for pattern in pool.anneal([], pool.anchors, 30, (0.5, 0.05), seed):
            pool.add(pattern)
        wanted = [by_program(pool, i, demand) for i in range(len(pool.patterns))]
        for second in (0.0, 1e-8, 0.05, 3.0):
            price_seconds(pool.flows, second, pool.prices)
            assert valued(pool, -np.inf) == pytest.approx(wanted, abs=1e-7)
        for pattern, value in zip(pool.patterns, wanted, strict=True):
            column = pool.column(pattern)
            assert pool.reduced(column, demand, np.zeros(9)) == pytest.approx(value, abs=1e-7)
        scarce += pool._room.second[0] > 0
    assert scarce >= 2


@pytest.mark.parametrize("exclusive", [True, False])
def test_worth_below_what_is_asked_for_is_told_and_no_other(exclusive: bool) -> None:
    """At any price of GPU-seconds: it only helps to tell sooner."""
    instance, rng = crowded(5, exclusive=exclusive), np.random.default_rng(5)
    pool = ContentPool(instance, 0, flat_flows(instance))
    demand = rng.normal(-0.01, 0.02, len(pool.flows.node_model))
    pool.price(demand, np.zeros(len(instance.model_ids)), -np.inf)
    for pattern in pool.anneal([], pool.anchors, 30, (0.5, 0.05), 5):
        pool.add(pattern)
    values = valued(pool, -np.inf)
    for second in (0.0, 0.02, 0.2, 2.0):
        price_seconds(pool.flows, second, pool.prices)
        for least in values.tolist():
            told = valued(pool, least + 1e-6)
            assert (told[values < least] == WORTHLESS).all()
            assert told[values > least + 2e-6] == pytest.approx(values[values > least + 2e-6])
