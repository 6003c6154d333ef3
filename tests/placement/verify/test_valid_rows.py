"""Rows that every plan keeps, against every plan of tiny clusters; and what a file may say."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from placement.problem.model_rules import ModelRules
from placement.problem.placement_rules import PlacementRules
from placement.verify.scaled_problem import WHOLE_WORKFLOW, Scaled
from placement.verify.valid_rows import (
    MOST_PRICE,
    CountRow,
    KeptRow,
    ServerRow,
    kept_rows,
    prices_of,
    replica_rows,
    rule_rows,
    split_rows,
)
from tests.placement import oracle
from tests.placement.heuristics.cases import random_instance


@pytest.mark.parametrize("exclusive", [True, False])
def test_no_plan_breaks_a_row(exclusive: bool) -> None:
    """Whole replicas of each model, and what a workflow can be kept by them; many rows bind."""
    kinds = {"replicas": 0, "kept": 0, "server": 0, "tight": 0}
    for seed in range(40):
        rng = np.random.default_rng([seed, exclusive])
        instance = oracle.random_instance(rng, exclusive=exclusive, load_cap=1.0)
        # One workflow, kept whole: the locality is then what the rows bound.
        instance = replace(instance, workflows=instance.workflows[:1], alpha=1.0)
        if next(oracle.placements(instance), None) is None:
            continue
        least = oracle.least_bottleneck(instance)
        instance = replace(instance, load_cap=least * float(rng.choice([1.01, 1.3, 2.0])))
        scaled = Scaled(instance)
        flow = scaled.flows[0]
        name = {"workflow": instance.workflows[0].id}
        data = [{**name, "share": s} for s in (0.3, 0.45, 0.7)] + [
            {**name, "model": instance.model_ids[m], "speed": t.speed}
            for m in flow.models
            for t in scaled.types
        ]
        rows = [r for r in kept_rows(scaled, data) if r is not None]
        types = instance.cluster.server_type.tolist()
        for placed in oracle.placements(instance):
            locality = oracle.route(instance, placed, bottleneck=False)
            if locality == -np.inf:
                continue
            counts = [{m: [o for o, _ in c].count(m) for m, _ in c} for c in placed]
            for row in replica_rows(scaled):
                have = sum(
                    row.weight[t] * n.get(row.models[0], 0)
                    for t, n in zip(types, counts, strict=True)
                )
                assert have >= row.limit - 1e-9
                kinds["replicas"] += 1
            for kept in rows:
                most = kept.limit
                for t, n in zip(types, counts, strict=True):
                    numbers = [n.get(m, 0) for m in kept.models]
                    if isinstance(kept, KeptRow):
                        most += kept.weight[t] * (numbers[0] if all(numbers) else 0)
                    else:
                        assert isinstance(kept, ServerRow)
                        steps = [kept.step(t, i, k) for i, k in enumerate(numbers)]
                        most += kept.factor * min(steps)
                assert locality * flow.rate <= most + 1e-4
                kinds["kept" if isinstance(kept, KeptRow) else "server"] += 1
                kinds["tight"] += most < flow.rate - 1e-3
    assert min(kinds.values()) > 50, kinds


@pytest.mark.parametrize("limits", [(1, None, 2), (2, None, 1), (1, 3, 1), (2, 4, 2)])
def test_rules_that_say_something_are_the_rows_that_plans_keep(
    limits: tuple[int, int | None, int],
) -> None:
    """In the order in which multipliers are stored; who keeps the rules keeps them, no other."""
    instance = scaled_of().instance
    m = scaled_of().used[1]
    rules = PlacementRules(models={instance.model_ids[m]: ModelRules(*limits)})
    rows = rule_rows(Scaled(replace(instance, placement_rules=rules)))
    least, most, spread = limits
    asked = {(True, 0): least > 1, (False, 0): most is not None, (True, 1): spread > 1}
    assert [(r.at_least, r.threshold) for r in rows] == [k for k, there in asked.items() if there]
    assert all(r.models == (m,) and set(r.weight) == {1.0} for r in rows)
    for counts in [(1, 0), (2, 0), (3, 0), (1, 1), (2, 2), (4, 1), (5, 0)]:
        enough = least <= sum(counts) and spread <= sum(map(bool, counts))
        keeps = enough and (most is None or sum(counts) <= most)
        kept = True
        for row in rows:
            feature = sum(n > 0 if row.threshold else n for n in counts)
            kept &= feature >= row.limit if row.at_least else feature <= row.limit
        assert kept == keeps


def scaled_of(seed: int = 2) -> Scaled:
    rng = np.random.default_rng(seed)
    return Scaled(oracle.random_instance(rng, exclusive=True, load_cap=0.8))


@pytest.mark.parametrize("fraction", [0.25, 1.0])
def test_a_server_keeps_what_its_replicas_can_and_no_more_than_the_rate(fraction: float) -> None:
    """In whole references, and a part of one that counts from none to a whole at its fraction."""
    row = ServerRow((0, 1), 1.0, (0, 1), 0.4, fraction, ((0.3, 0.5), (0.2, 0.9)), 0.0)
    for t, one in enumerate(row.one):
        for i, able in enumerate(one):
            assert row.step(t, i, 0) == 0.0
            for n in range(1, 7):
                kept = min(n * able, 1.0) / 0.4
                part = kept - int(kept)
                assert row.step(t, i, n) == pytest.approx(int(kept) + min(1.0, part / fraction))


def test_a_split_is_two_sides_of_which_one_holds() -> None:
    """At most k, or at least k + 1, of the same feature with the same weights."""
    scaled = scaled_of()
    name = scaled.instance.model_ids[scaled.used[0]]
    found = split_rows(scaled, {"models": [name], "threshold": 0, "most": 3})
    assert found is not None
    below, above = found
    assert (below.at_least, below.limit) == (False, 3.0)
    assert (above.at_least, above.limit) == (True, 4.0)
    assert below.models == above.models == (scaled.used[0],)
    assert below.weight == above.weight == (1.0,) * len(scaled.types)


@pytest.mark.parametrize(
    "wrong",
    [
        {"models": []}, {"models": "m0"}, {"models": ["m0", "m1", "m0"]}, {"models": ["nobody"]},
        {"models": [["m0"]]}, {"threshold": -1}, {"threshold": 1.0}, {"threshold": None},
        {"most": 0.5}, {"most": "3"}, {"most": None}, {"models": ["m0", "m1"], "threshold": 0},
    ],
)  # fmt: skip
def test_what_is_no_split_is_none(wrong: dict[str, object]) -> None:
    """Two models need a threshold: their numbers together are no feature."""
    scaled = scaled_of()
    m0, m1 = (scaled.instance.model_ids[m] for m in scaled.used[:2])
    names = {"m0": m0, "m1": m1}
    split: dict[str, object] = {"models": ["m0"], "threshold": 1, "most": 2} | wrong
    if isinstance(split["models"], list):
        split["models"] = [names.get(x, x) if isinstance(x, str) else x for x in split["models"]]
    assert split_rows(scaled, split) is None
    assert split_rows(scaled, {"models": [m0, m1], "threshold": 1, "most": 2}) is not None


@pytest.mark.parametrize(
    "wrong",
    [
        3, "x", {}, {"workflow": "nobody", "share": 0.5}, {"share": 0.5},
        {"workflow": "w0", "link": 99, "share": 0.5}, {"workflow": "w0", "link": "0", "share": 0.5},
        {"workflow": "w0"}, {"workflow": "w0", "share": 0.0}, {"workflow": "w0", "share": -1.0},
        {"workflow": "w0", "share": 1e-12}, {"workflow": "w0", "share": 0.5},
        {"workflow": "w0", "share": float("nan")}, {"workflow": "w0", "share": float("inf")},
        {"workflow": "w0", "model": "nobody", "speed": 1.0},
        {"workflow": "w0", "model": "m0", "speed": 0.0},
        {"workflow": "w0", "model": "m0", "speed": float("inf")},
        {"workflow": "w0", "model": "m0", "speed": "1"},
        {"model": "m0", "weight": "1"}, {"model": "m0", "weight": [1.0, 1.0, 1.0]},
        {"model": "m0", "weight": [-1.0]}, {"model": "m0", "weight": [float("nan")]},
        {"model": "nobody", "weight": [1.0]}, {"weight": [1.0]},
        {"model": "m0", "weight": [0.0]},
    ],
)  # fmt: skip
def test_what_names_no_row_is_none(wrong: object) -> None:
    """And keeps its place, so that the multipliers of the others stay theirs."""
    scaled = scaled_of()
    good = {"workflow": "w0", "link": WHOLE_WORKFLOW, "share": 0.3}
    found = list(kept_rows(scaled, [wrong, good]))
    assert found[0] is None
    assert isinstance(found[1], ServerRow)
    assert list(kept_rows(scaled, {"not": "a list"})) == []


@pytest.mark.parametrize("unit", [1.0, 1e-8, 1e5])
@pytest.mark.parametrize("seed", range(8))
def test_weighted_replicas_are_at_least_what_whole_ones_weigh(seed: int, unit: float) -> None:
    """Against all numbers of two types that do the work of a model; whatever a file weighs.

    A file may weigh in units far below the tolerances of a solver, and no row may say more then.
    """
    rng = np.random.default_rng(seed)
    scaled = Scaled(random_instance(seed, models=4, load=0.6, mixed_types=True))
    for m in scaled.used:
        weight = (rng.uniform(0, 2, 2).round(3) * unit).tolist()
        (row,) = kept_rows(scaled, [{"model": scaled.instance.model_ids[m], "weight": weight}])
        most = [scaled.most(t, m) * k.count if scaled.starts(t, m) else 0
                for t, k in enumerate(scaled.types)]  # fmt: skip
        every = product(*(range(n + 1) for n in most))
        covers = [n for n in every if any(n) and np.dot(n, scaled.speeds[:, m]) >= scaled.work[m]]
        least = min((float(np.dot(weight, n)) for n in covers), default=0.0) / max(weight)
        if row is None:
            assert least < 1e-6
            continue
        assert isinstance(row, CountRow)
        assert row.limit == pytest.approx(least, rel=1e-6)
        assert row.limit <= least
        assert row.weight == pytest.approx(np.array(weight) / max(weight))
        assert row.at_least
        assert row.models == (m,)


def test_multipliers_that_prove_nothing_are_none() -> None:
    """Missing, absurd or of the wrong sign: 0, which is valid whatever the row."""
    scaled = scaled_of()
    row = replica_rows(scaled)[0]
    other = CountRow(row.models, 0, row.weight, at_least=False, limit=2.0)
    flow = scaled.instance.workflows[0]
    good = prices_of(scaled, [row, None, other], {"demand": {}, "replicas": [-1.0, 5.0, 0.5]})
    assert [r for r, _ in good.rows] == [row, other]
    assert good.rows[0][1] == pytest.approx(-scaled.servers / row.limit)
    assert good.rows[1][1] == pytest.approx(0.5 * scaled.servers / 2.0)
    assert good.fixed == pytest.approx((-1.0 + 0.5) * scaled.servers)
    nothing: list[dict[str, object]] = [
        {}, {"demand": [], "replicas": {}}, {"demand": {flow.id: "x"}, "replicas": [1.0]},
        {"demand": {flow.id: [True, 1e7]}, "replicas": [True]},
        {"demand": {flow.id: [None]}, "replicas": [-1e7]},
    ]  # fmt: skip
    for data in nothing:
        found = prices_of(scaled, [row], data)
        assert found.rows == ()
        assert found.fixed == 0
        assert set(found.node.values()) == {0.0}


def test_prices_beyond_what_a_solver_tells_apart_count_for_nothing() -> None:
    """Of a node and of a replica: beside a cost of 1e6, HiGHS was seen to lose a sixth of 1."""
    instance = random_instance(3, servers=2, gpus=4, models=4, workflows=2)
    scaled = Scaled(instance)
    flow = scaled.flows[0]
    name, row = instance.workflows[flow.w].id, replica_rows(scaled)[0]
    for price, counts in ((0.9 * MOST_PRICE, True), (1.1 * MOST_PRICE, False)):
        share, mu = price * flow.rate / scaled.servers, price * row.limit / scaled.servers
        heavy = max(1.0, *row.weight)
        data: dict[str, object] = {"demand": {name: [-share]}, "replicas": [-mu / heavy]}
        found = prices_of(scaled, [row], data)
        assert found.node[flow.w, 0] == (pytest.approx(-price) if counts else 0.0)
        assert [r for r, _ in found.rows] == ([row] if counts else [])
        assert (found.fixed < -1.0) == counts
