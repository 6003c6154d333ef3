"""Branch and price on tiny clusters against brute force, and its stored tree against forgery."""

import json
from dataclasses import replace
from itertools import combinations
from math import floor

import numpy as np
import pytest

from placement.params.search_params import DEFAULTS
from placement.patterns.branching import BranchingSteps, _split, branch
from placement.patterns.column_generation import Pool, Until, generate
from placement.patterns.initial_patterns import first_patterns
from placement.patterns.pattern import Pattern
from placement.patterns.pricing.problems import counted
from placement.patterns.proven_bound import Node, ProvenBound
from placement.problem.instance import Instance
from placement.problem.normalization import normalize
from placement.problem.solution import evaluate
from placement.programs.compact_search import solve_compact
from placement.solver.budget import Budget, OutOfTime
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


def holding(server: tuple[int, ...]) -> Pattern:
    """A pattern with a replica of each of some models, of one GPU."""
    return Pattern(0, tuple((m, i) for i, m in enumerate(sorted(server))))


@pytest.mark.parametrize("seed", range(30))
def test_a_split_is_at_the_most_fractional_count_of_the_first_kind_that_has_any(seed: int) -> None:
    """Replicas, servers with the model, with a pair, with j of it, with two of each of a pair."""
    rng = np.random.default_rng(seed)
    normal = normalize(random_instance(1, servers=3, gpus=3, models=3))
    contents = [tuple(rng.integers(0, 3, rng.integers(1, 4)).tolist()) for _ in range(4)]
    parts = [0.5, 1.0, 0.25, 1.5, 2.0] if seed % 3 else [0.5, 1.0]
    servers = {holding(c): float(rng.choice(parts)) for c in contents}
    models = normal.used_models
    pairs = list(combinations(models, 2))
    kinds = [
        [((m,), 0) for m in models],
        [((m,), 1) for m in models],
        [(pair, 1) for pair in pairs],
        [((m,), j) for m in models for j in (2, 3)],
        [(pair, 2) for pair in pairs],
    ]

    def count(feature: tuple[int, ...], least: int) -> float:
        if least == 0:
            return sum(n * p.counts().get(feature[0], 0) for p, n in servers.items())
        return sum(
            n for p, n in servers.items() if all(p.counts().get(m, 0) >= least for m in feature)
        )

    found = _split(normal, servers)
    broken = [[abs(count(*f) % 1 - 0.5) for f in kind if count(*f) % 1] for kind in kinds]
    first = next((i for i, off in enumerate(broken) if off), None)
    if first is None:
        assert found is None
        return
    assert found is not None
    below, above = found
    feature = below.models, below.threshold
    assert (above.models, above.threshold) == feature
    assert feature in kinds[first]
    assert abs(count(*feature) % 1 - 0.5) == min(broken[first])
    assert below.limit == floor(count(*feature))
    assert above.limit == below.limit + 1
    assert (below.at_least, above.at_least) == (False, True)


def opened(seed: int = 2) -> tuple[Instance, Pool]:
    """Three servers, and the relaxation at the root of their tree, which is fractional."""
    drawn = random_instance(seed, servers=3, gpus=3, models=5, workflows=3, load=0.6)
    normal = normalize(replace(drawn, load_cap=0.9))
    pool = Pool(ProvenBound(())).having(first_patterns(normal))
    return normal, generate(normal, HIGHS, Budget(), pool, Until(1e-7))


def tree_with(
    seed: int = 2, *, enough: float = -1.0, closed: float | None = None, **changed: int
) -> tuple[Node, float, list[Pool], list[float]]:
    """A tree over three servers; with its bound, every part, and the bounds that were told."""
    normal, pool = opened(seed)
    settings = SolverSettings(params=DEFAULTS.changed({"branching": changed}))
    parts: list[Pool] = []
    told: list[float] = []
    tree, bound = branch(
        normal,
        settings,
        Budget(),
        pool,
        BranchingSteps(
            pricings=lambda rows: counted(normal, rows, DEFAULTS),
            enough=lambda: enough,
            finish=lambda _: None if closed is None else (0.3, closed),
            improve=parts.append,
            report=told.append,
        ),
    )
    assert tree.proven is pool.proven
    return tree, bound, parts, told


def test_a_tree_grows_by_the_part_with_the_largest_bound() -> None:
    """Two parts at a time, each with a row more; the bound told never rises."""
    normal, _ = opened()
    tree, bound, parts, told = tree_with(nodes=6)
    assert len(parts) == 6
    assert [len(p.rows) for p in parts[:2]] == [1, 1]
    assert told == sorted(told, reverse=True)
    leaves, split = [tree], list[Node]()
    while any(node.parts for node in leaves):
        node = next(node for node in leaves if node.parts)
        leaves.remove(node)
        split.append(node)
        leaves += node.parts or ()
    assert len(split) == 3
    assert bound == max(node.proven.value for node in leaves)
    assert bound == told[-1] <= tree.proven.value
    waiting = [
        node
        for node in leaves
        for part in parts
        if part.proven is node.proven and _split(normal, part.fractions)
    ]
    least = min(node.proven.value for node in split)
    assert waiting
    assert all(node.proven.value <= least for node in waiting)


def test_a_tree_ends_where_it_is_told() -> None:
    """At a bound that is enough, at parts that are closed outright, and at its depth."""
    root = tree_with(nodes=2)[0].proven.value
    tree, bound, parts, _ = tree_with(enough=root)
    assert (tree.parts, bound, parts) == (None, root, [])
    tree, bound, parts, told = tree_with(closed=0.4)
    assert (tree.enumerated, bound, parts, told) == (0.3, 0.4, [], [0.4])
    _, bound, parts, _ = tree_with(deepest=1, nodes=50)
    assert len(parts) == 2
    assert bound == max(p.best_bound for p in parts)
    fewest = [len(p.patterns) for p in tree_with(first_patterns=1, part_rounds=1, nodes=2)[2]]
    usual = [len(p.patterns) for p in tree_with(part_rounds=1, nodes=2)[2]]
    assert all(a < b for a, b in zip(fewest, usual, strict=True))


def test_half_of_a_split_bounds_nothing() -> None:
    """Interrupted between the two parts of a split, the whole stands with the bound it had."""
    normal, pool = opened()
    seen: list[Pool] = []

    def improve(part: Pool) -> None:
        seen.append(part)
        raise OutOfTime

    tree, bound = branch(
        normal,
        HIGHS,
        Budget(),
        pool,
        BranchingSteps(
            pricings=lambda rows: counted(normal, rows, DEFAULTS),
            enough=lambda: -1.0,
            finish=lambda _: None,
            improve=improve,
            report=lambda _: None,
        ),
    )
    assert len(seen) == 1
    assert (tree.split, tree.parts, tree.enumerated) == (None, None, None)
    assert bound == pool.best_bound
