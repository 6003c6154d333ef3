"""The compiled values of contents against linear programs of all their rates."""

from dataclasses import replace

import highspy
import numpy as np
import pytest

from placement.patterns.columns.content_pool import ContentPool, bonus_of
from placement.patterns.columns.flat_problem import flat_flows
from placement.patterns.master_rows import rounding_rows
from placement.patterns.pricing.content_list import Contents, prices_at
from placement.patterns.pricing.contents import value_exactly
from placement.problem.instance import Instance
from placement.problem.normalization import normalize
from placement.problem.shared_capacity import standing_kept
from placement.programs.flows import keepable
from placement.solver.milp import SolverSettings
from tests.placement.heuristics.cases import random_instance
from tests.placement.patterns.pricing.cases import drawn, tiny

HIGHS = SolverSettings(threads=1)


def at(instance: Instance, demand: dict[tuple[int, int], float]) -> np.ndarray:
    """Multipliers of the nodes, end to end."""
    return np.array(
        [
            demand[w, v]
            for w in instance.active_workflows
            for v in range(len(instance.workflows[w].node_model))
        ]
    )


@pytest.mark.parametrize("seed", range(12))
def test_every_content_has_the_value_of_its_linear_program(seed: int) -> None:
    """All contents of two server types, with the rates in the column that make it so."""
    instance, rng = tiny(seed), np.random.default_rng(seed)
    rows = rounding_rows(instance)
    duals = drawn(instance, rows, rng)
    prices = prices_at(instance, rows, duals)
    demand = at(instance, duals.demand)
    for kind in range(len(instance.cluster.server_types)):
        contents = Contents(instance, kind)
        chosen = rng.permutation(len(contents))[:60]
        wanted, _ = value_exactly(contents, chosen, prices, HIGHS)
        wanted = wanted + contents.features(rows, duals)[chosen]
        pool = ContentPool(instance, kind, flat_flows(instance))
        patterns = [contents.pattern(int(row)) for row in chosen]
        numbers = [pool.add(pattern) for pattern in patterns if pattern.content]
        bonus = bonus_of(instance, rows, np.array(duals.rows), kind)
        pool.price(demand, bonus, -np.inf)
        full = np.array([bool(pattern.content) for pattern in patterns])
        assert pool.values[numbers] == pytest.approx(wanted[full], abs=1e-8)
        for i in numbers:
            column = pool.column(pool.patterns[i])
            assert pool.reduced(column, demand, bonus) == pytest.approx(pool.values[i], abs=1e-8)


def loads_and_value(
    instance: Instance, content: list[tuple[int, int]], demand: np.ndarray
) -> float:
    """Most that a server is worth whose replicas share the work of their model evenly."""
    model = highspy.Highs()
    model.setOptionValue("output_flag", False)
    free, column, cost, rows = highspy.kHighsInf, 0, [], []
    node, load = 0, [dict[int, float]() for _ in range(instance.cluster.server_types[0].gpus)]
    replicas = {m: sum(o == m for o, _ in content) for m, _ in content}
    for w in instance.active_workflows:
        flow, rate = instance.workflows[w], dict[int, int]()
        for v, m in enumerate(flow.node_model.tolist()):
            if m in replicas:
                rate[v] = column
                cost.append((-demand[node], flow.rate))
                for o, start in content:
                    for g in range(start, start + int(instance.gpus_required[m])):
                        if o == m:
                            share = float(flow.work_s[v]) / replicas[m]
                            load[g][column] = load[g].get(column, 0.0) + share
                column += 1
            node += 1
        for _, nodes, worth in keepable(instance, w):
            if all(v in rate for v in nodes):
                rows += [({column: 1.0, rate[v]: -1.0}, 0.0) for v in nodes]
                cost.append((worth, free))
                column += 1
    for g, terms in enumerate(load):
        here = [(m, i) for m, i in content if i <= g < i + int(instance.gpus_required[m])]
        kept = standing_kept(instance, instance.cluster.server_types[0], here)
        rows.append((terms, instance.load_cap * kept))
    for worth, most in cost:
        model.addCol(-worth, 0.0, most, 0, [], [])
    for terms, most in rows:
        model.addRow(-free, most, len(terms), list(terms), list(terms.values()))
    model.run()
    return -float(model.getInfo().objective_function_value)


@pytest.mark.parametrize("efficiency", [(), (0.9,)])
def test_shared_gpus_bear_what_their_replicas_keep_together(efficiency: tuple[float, ...]) -> None:
    """Annealed contents of a server that shares GPUs: the value is that of a linear program."""
    looked_at = 0
    for seed in range(6):
        drawn_case = random_instance(seed, servers=1, load=1.2, exclusive=False)
        sharing = replace(drawn_case.cluster.sharing, efficiency=efficiency)
        cluster = replace(drawn_case.cluster, sharing=sharing)
        instance = normalize(replace(drawn_case, cluster=cluster), 0.8)
        rng = np.random.default_rng(seed)
        pool = ContentPool(instance, 0, flat_flows(instance))
        demand = rng.normal(0.02, 0.05, len(pool.flows.node_model))
        pool.price(demand, np.zeros(len(instance.model_ids)), -np.inf)
        found = pool.anneal([], pool.anchors, 60, (0.5, 0.01), seed)
        for pattern, value in found.items():
            wanted = loads_and_value(instance, list(pattern.content), demand)
            assert value == pytest.approx(wanted, abs=1e-7)
            looked_at += len({m for m, _ in pattern.content}) > 1
    assert looked_at >= 10
