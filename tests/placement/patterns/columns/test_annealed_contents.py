"""Pricing by annealing against every content, and what column generation makes of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from placement.params.search_params import DEFAULTS
from placement.patterns.column_generation import Pool, Pricers, Until, generate
from placement.patterns.columns.annealed_contents import AnnealedContents, contents_are_annealed
from placement.patterns.duals import zero_duals
from placement.patterns.initial_patterns import first_patterns
from placement.patterns.pricing.positions import PositionPricing
from placement.patterns.proven_bound import ProvenBound
from placement.problem.normalization import normalize
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from placement.verify.scaled_problem import Scaled
from placement.verify.valid_rows import prices_of
from tests.placement import oracle
from tests.placement.cases import case
from tests.placement.patterns.pricing.cases import drawn
from tests.placement.verify.ruled import with_rule
from tests.placement.verify.worth import every_content, worth

HIGHS = SolverSettings(threads=1)


@pytest.mark.parametrize("exclusive", [True, False])
def test_nothing_is_told_to_be_worth_more_than_it_is_and_the_best_is_mostly_found(
    exclusive: bool,
) -> None:
    """On tiny servers, at drawn multipliers, against the program of every content."""
    compared = met = 0
    for seed in range(12):
        rng = np.random.default_rng([seed, exclusive])
        drawn_one = oracle.random_instance(rng, exclusive=exclusive, load_cap=0.8)
        instance = normalize(drawn_one)
        duals = drawn(instance, (), rng)
        shares = {
            instance.workflows[w].id: [
                duals.demand[w, v] * instance.workflows[w].rate / instance.cluster.n_servers
                for v in range(len(instance.workflows[w].node_model))
            ]
            for w in instance.active_workflows
        }
        scaled = Scaled(drawn_one)
        prices = prices_of(scaled, [], {"demand": shares})
        for t in range(len(scaled.types)):
            quick = AnnealedContents(instance, t, DEFAULTS.columns, seed)
            found = quick.solve((), duals, 5)
            for pattern, told in found.items():
                held = worth(scaled, t, prices, pattern.content)
                assert told <= held + 1e-6, seed
            best = max(worth(scaled, t, prices, c) for c in every_content(scaled, t))
            compared += 1
            met += max([0.0, *found.values()]) >= max(0.0, best) - 1e-6
            assert list(found.values()) == sorted(found.values(), reverse=True)
    assert met >= 0.8 * compared, (met, compared)


@pytest.mark.parametrize("seed", range(4))
def test_generation_by_annealing_ends_at_the_relaxation_of_exact_pricing(seed: int) -> None:
    """On shared GPUs, with the place of every replica priced."""
    instance = normalize(case(seed, exclusive=False))
    ends = []
    for quick in (False, True):
        kinds = range(len(instance.cluster.server_types))
        exact = [PositionPricing(instance, t, ()) for t in kinds]
        annealed = [AnnealedContents(instance, t, DEFAULTS.columns, 0) for t in kinds]
        pool = Pool(ProvenBound((), duals=zero_duals(instance, ())))
        pool = pool.having(first_patterns(instance))
        pricers = Pricers(() if quick else exact, quick=annealed if quick else ())
        ends.append(generate(instance, HIGHS, Budget(), pool, Until(1e-9), pricers).relaxation)
    assert ends[1] == pytest.approx(ends[0], abs=1e-5)


def test_a_bound_that_was_known_ends_the_rounds() -> None:
    """Where the relaxation meets it, nothing is priced."""
    instance = normalize(case(0, exclusive=False))
    pool = Pool(ProvenBound(())).having(first_patterns(instance))

    class Unasked(AnnealedContents):
        def solve(self, *_: object) -> dict[object, float]:  # type: ignore[override]
            raise AssertionError("priced")

    kinds = range(len(instance.cluster.server_types))
    relaxed = generate(instance, HIGHS, Budget(), pool, Until(1e-9), Pricers(())).relaxation
    known = replace(pool, proven=ProvenBound((), relaxed, zero_duals(instance, ())))
    quick = [Unasked(instance, t, DEFAULTS.columns, 0) for t in kinds]
    found = generate(instance, HIGHS, Budget(), known, Until(1e-4), Pricers((), quick=quick))
    assert found.relaxation == pytest.approx(relaxed, abs=1e-4)


@pytest.mark.parametrize("kind", ["apart", "together", "adapter"])
def test_models_that_need_company_are_not_annealed(kind: str) -> None:
    """Moves would leave adapters without their base, and rules nothing of such a content."""
    rng = np.random.default_rng(4)
    free = oracle.random_instance(rng, exclusive=False, load_cap=0.8)
    large = DEFAULTS.changed({"beyond_cap": {"most_servers": 1}})
    assert contents_are_annealed(free, large)
    assert not contents_are_annealed(with_rule(free, kind, rng), large)
