"""Knapsacks of workflows against linear programs, branch and bound, and the exact relaxation."""

from dataclasses import replace

import numpy as np
import pytest

from placement.params.search_params import DEFAULTS
from placement.patterns.column_generation import Pool, Pricers, Until, generate
from placement.patterns.duals import lagrangian
from placement.patterns.master_rows import rounding_rows
from placement.patterns.pattern import Pattern
from placement.patterns.pricing.content_list import (
    Contents,
    count_contents,
    listed_contents,
    prices_at,
)
from placement.patterns.pricing.contents import ContentDraft, value_exactly
from placement.patterns.pricing.counts import Pricing
from placement.patterns.pricing.knapsack import Knapsack, WorkflowParts, knapsacks
from placement.patterns.pricing.problems import counted
from placement.patterns.proven_bound import ProvenBound
from placement.patterns.rounding_cuts import kept_rows
from placement.problem.instance import Instance
from placement.problem.normalization import normalize
from placement.problem.placement_rules import PlacementRules
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from tests.placement.heuristics.cases import random_instance
from tests.placement.patterns.pricing.cases import drawn, odd, tiny

HIGHS = SolverSettings(threads=1)
NO_RULES = PlacementRules()


def row_of(contents: Contents, pattern: Pattern) -> int:
    """Where a pattern's content stands in the list."""
    counts = pattern.counts()
    wanted = [counts.get(m, 0) for m in contents.models]
    return int(np.flatnonzero((contents.counts == wanted).all(axis=1))[0])


def alone(instance: Instance, w: int) -> Instance:
    """Keep one workflow's rate."""
    flows = tuple(
        flow if i == w else replace(flow, rate=0.0) for i, flow in enumerate(instance.workflows)
    )
    return replace(instance, workflows=flows)


def test_parts_for_one_workflow_have_the_value_of_their_linear_program() -> None:
    """The layers of the rate give the optimum; less only where two nodes share a model."""
    exact = 0
    for seed in range(12):
        instance = tiny(seed) if seed % 3 else replace(odd(seed), placement_rules=NO_RULES)
        rng = np.random.default_rng(seed)
        rows = (*rounding_rows(instance), *list(kept_rows(instance))[:3])
        prices = prices_at(instance, rows, drawn(instance, rows, rng))
        for w in instance.active_workflows:
            parts = WorkflowParts(instance, 0, w)
            one = Contents(alone(instance, w), 0, parts.models)
            order = [
                int(np.flatnonzero((one.counts == counts).all(axis=1))[0])
                for counts in parts.counts
            ]
            values, _ = value_exactly(one, np.array(order), prices, HIGHS)
            nodes = instance.workflows[w].node_model.tolist()
            assert (parts.worth(prices) <= values + 1e-7).all()
            if len(set(nodes)) == len(nodes):
                assert parts.worth(prices) == pytest.approx(values, abs=1e-7)
                exact += 1
    assert exact >= 10


@pytest.mark.parametrize("seed", range(12))
def test_what_the_knapsack_finds_fits_and_is_worth_it(seed: int) -> None:
    """Every content is one of the list, with at least the value named, and none beats pricing."""
    instance, rng = tiny(seed), np.random.default_rng(seed)
    rows = rounding_rows(instance)
    duals = drawn(instance, rows, rng)
    for kind in range(len(instance.cluster.server_types)):
        contents = Contents(instance, kind)
        found = Knapsack(instance, kind).solve(rows, duals, 10)
        assert list(found.values()) == sorted(found.values(), reverse=True)
        at = np.array([row_of(contents, pattern) for pattern in found], dtype=np.int64)
        values, _ = value_exactly(contents, at, prices_at(instance, rows, duals), HIGHS)
        worth = values + contents.features(rows, duals)[at]
        assert (worth >= np.array(list(found.values())) - 1e-7).all()
        best = Pricing(instance, kind, rows).solve(duals, HIGHS, None)
        assert best is not None
        assert worth.max(initial=0.0) <= best.best_bound + 1e-7


def test_workflows_without_common_models_are_priced_exactly() -> None:
    """Nothing is lost where workflows share no model: the knapsack is the pricing problem."""
    compared = 0
    for seed in range(40):
        instance = tiny(seed)
        models = [
            m
            for w in instance.active_workflows
            for m in set(instance.workflows[w].node_model.tolist())
        ]
        nodes = [
            m for w in instance.active_workflows for m in instance.workflows[w].node_model.tolist()
        ]
        if len(models) != len(set(models)) or len(models) != len(nodes):
            instance = alone(instance, instance.active_workflows[0])
            nodes = instance.workflows[instance.active_workflows[0]].node_model.tolist()
            if len(nodes) != len(set(nodes)):
                continue
        rows = rounding_rows(instance)
        duals = drawn(instance, rows, np.random.default_rng(seed))
        priced = Pricing(instance, 0, rows).solve(duals, HIGHS, None)
        found = Knapsack(instance, 0).solve(rows, duals, 1)
        assert priced is not None
        # The empty server is no pattern.
        assert max([0.0, *found.values()]) == pytest.approx(max(0.0, priced.value), abs=1e-6)
        compared += 1
    assert compared >= 10


@pytest.mark.parametrize("seed", range(6))
def test_quick_pricing_and_drafts_change_neither_bound_nor_relaxation(seed: int) -> None:
    """With knapsacks and drafts or without, generation ends at the same linear optimum."""
    instance = tiny(seed)

    def ends(**manner: object) -> Pool:
        pool = Pool(ProvenBound(rounding_rows(instance)))
        for kind in range(len(instance.cluster.server_types)):
            pool = pool.having(Pattern(kind, ((m, 0),)) for m in Contents(instance, kind).models)
        return generate(instance, HIGHS, Budget(), pool, Until(1e-9), Pricers(**manner))  # type: ignore[arg-type]

    plain = ends()
    drafts = [ContentDraft(c, rounding_rows(instance)) for c in listed_contents(instance)]
    for manner in ({"quick": knapsacks(instance)}, {"drafts": drafts}):
        pool = ends(**manner)
        assert pool.best_bound == pytest.approx(plain.best_bound, abs=1e-6)
        assert pool.relaxation == pytest.approx(plain.relaxation, abs=1e-6)
        assert pool.duals is not None
        priced = [p.solve(pool.duals, HIGHS, None) for p in counted(instance, pool.rows)]
        bounds = [p.best_bound for p in priced if p is not None]
        proven = lagrangian(instance, pool.rows, pool.duals, bounds)
        assert proven == pytest.approx(pool.best_bound, abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_without_proofs_the_bound_stays_what_it_was(seed: int) -> None:
    """Heuristic pricing alone proves nothing, whatever it believes."""
    instance = tiny(seed)
    pool = Pool(ProvenBound(rounding_rows(instance)))
    drafts = [ContentDraft(c, pool.rows) for c in listed_contents(instance)]
    pool = generate(
        instance,
        HIGHS,
        Budget(),
        pool,
        Until(1e-9),
        Pricers((), quick=knapsacks(instance), drafts=drafts),
    )
    assert pool.best_bound == 1.0
    assert pool.patterns


def test_a_draft_looks_at_the_contents_that_were_worth_most() -> None:
    """After the first solve only some contents are left, and nothing is proven by them."""
    instance, rng = tiny(3), np.random.default_rng(3)
    few = 20
    assert count_contents(instance, 0) > few
    settings = replace(HIGHS, params=DEFAULTS.changed({"contents": {"most_near": few}}))
    rows = rounding_rows(instance)
    draft, duals = ContentDraft(Contents(instance, 0), rows), drawn(instance, rows, rng)
    found = draft.solve(duals, settings, None)
    best = Pricing(instance, 0, rows).solve(duals, HIGHS, None)
    assert draft.pricing is not None
    assert len(draft.pricing.contents) == few
    assert found is not None
    assert best is not None
    assert found.best_bound == np.inf
    assert found.value <= best.best_bound + 1e-7


def test_knapsacks_are_for_exclusive_gpus() -> None:
    """Where models share GPUs, counts in sum say too little."""
    shared = normalize(random_instance(1, servers=4, gpus=4, exclusive=False))
    assert knapsacks(shared) == []
    assert len(knapsacks(tiny(0))) == len(tiny(0).cluster.server_types)
