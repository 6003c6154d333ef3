"""Branch and price on tiny clusters against brute force, and its stored tree against forgery."""

import json
from dataclasses import replace

import pytest

from placement.problem.normalization import normalize
from placement.problem.solution import evaluate
from placement.programs.compact_search import solve_compact
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from placement.verify import proven_bound
from tests.placement import oracle
from tests.placement.cases import case
from tests.placement.heuristics.cases import random_instance
from tests.placement.patterns.trees import tree_of

HIGHS = SolverSettings(threads=1)


@pytest.mark.parametrize("exclusive", [True, False])
def test_no_bound_falls_below_the_optimum_of_brute_force(exclusive: bool) -> None:
    """On tiny clusters: root bound >= tree's bound >= optimum, and the gap closes."""
    for seed in range(25):
        instance = case(7000 + seed, exclusive=exclusive)
        best = oracle.best_locality(instance)
        _, bound, root = tree_of(instance, best, rounded=bool(seed % 2))
        assert best - 1e-6 <= bound <= root + 1e-9
        assert bound <= best + 1e-4


@pytest.mark.parametrize("rounded", [True, False])
def test_splits_close_what_the_root_leaves_open_and_are_proven_anew(rounded: bool) -> None:
    """On three servers: down to the compact form's optimum; the stored tree proves the same."""
    opened = 0
    for seed in (2, 6, 7, 8, 12):
        instance = random_instance(seed, servers=3, gpus=3, models=5, workflows=3, load=0.6)
        instance = replace(instance, load_cap=0.9)
        compact = solve_compact(instance, HIGHS, Budget(), start=None, gap=0.0)
        best = evaluate(instance, compact.solution).objective
        tree, bound, root = tree_of(instance, best, rounded=rounded)
        assert bound == pytest.approx(best, abs=1e-5)
        if root > best + 1e-4 and rounded:
            normal = normalize(instance)
            stored = json.loads(json.dumps(tree.as_json(normal)))
            assert proven_bound(instance, stored) == pytest.approx(bound, abs=1e-5)
        opened += root > best + 1e-4
    assert opened >= 2


def test_a_forged_tree_proves_no_bound_below_the_optimum() -> None:
    """Whatever is changed, cut or crossed in a stored tree, what it proves is valid."""
    instance = case(1, exclusive=True)
    best = oracle.best_locality(instance)
    leaf = {"demand": {}, "replicas": [-9.0] * 20}
    m = instance.model_ids[instance.used_models[0]]
    good = {"models": [m], "threshold": 0, "most": 1, "below": leaf, "above": leaf}
    deep: dict[str, object] = {}
    for _ in range(3000):
        deep = {"split": {**good, "below": deep}}
    forgeries: list[dict[str, object]] = [
        {"split": good},
        {"split": {**good, "most": -5}},
        {"split": {**good, "most": 0.5}},
        {"split": {**good, "models": ["nobody"]}},
        {"split": {**good, "models": [m, m]}},
        {"split": {**good, "models": [[m]]}},
        {"split": {**good, "threshold": -1}},
        {"split": {**good, "below": None}},
        {"split": {**good, "above": {"split": {**good, "most": 7}}}},
        deep,
        {"enumerated": 0.0},
        {"enumerated": -1e9},
        {**leaf, "enumerated": best - 1e-3},
        {"split": {**good, "below": {**leaf, "enumerated": 0.1}, "above": {"enumerated": 0.2}}},
        {"enumerated": float("nan")},
    ]
    for forged in forgeries:
        assert proven_bound(instance, forged) >= best - 1e-6
