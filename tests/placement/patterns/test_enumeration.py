"""Contents that a better plan can hold: no better plan is lost, by brute force on tiny clusters."""

from math import floor

import numpy as np
import pytest

from placement.heuristics import HEURISTICS
from placement.patterns import solve_patterns
from placement.patterns.column_generation import Pool, Until, generate
from placement.patterns.duals import Duals, relaxed, zero_duals
from placement.patterns.enumeration import candidates, solve_over
from placement.patterns.initial_patterns import first_patterns
from placement.patterns.master_rows import CountRow, rounding_rows
from placement.patterns.pricing.content_list import listed_contents, prices_at
from placement.patterns.pricing.contents import value_exactly
from placement.patterns.proven_bound import ProvenBound
from placement.problem.normalization import normalize
from placement.programs.routing import best_routing
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from placement.verify import proven_bound
from tests.placement import oracle
from tests.placement.cases import case
from tests.placement.heuristics.cases import random_instance

HIGHS = SolverSettings(threads=1)


@pytest.mark.parametrize("seed", range(20))
def test_the_program_over_the_candidates_has_the_optimum_of_brute_force(seed: int) -> None:
    """From below the optimum it is found; from above, what was taken for granted is the bound."""
    instance = case(3000 + seed, exclusive=True)
    best = oracle.best_locality(instance)
    normal = normalize(instance)
    rows, contents = rounding_rows(normal), listed_contents(normal)
    rng = np.random.default_rng(seed)
    drawn = Duals(
        {key: float(rng.normal(0.1, 0.2)) for key in zero_duals(normal).demand},
        tuple(float(rng.normal(0, 0.1)) for _ in rows),
    )
    pool = Pool(ProvenBound(rows)).having(first_patterns(normal))
    pool = generate(normal, HIGHS, Budget(), pool, Until(1e-9))
    assert pool.duals is not None
    for duals in (zero_duals(normal, rows), drawn, pool.duals):
        for worth in (0.0, best - 0.05, best - 1e-4, best + 0.01):
            listed = candidates(normal, HIGHS, None, rows, duals, contents, worth)
            assert listed is not None
            _, bound = solve_over(normal, HIGHS, None, rows, listed)
            assert bound == pytest.approx(max(best, worth), abs=1e-5)


@pytest.mark.parametrize("seed", range(6))
def test_candidates_are_what_the_gap_can_pay_for(seed: int) -> None:
    """Each content as often as its reduced cost goes into what the bound leaves to the plan."""
    normal = normalize(random_instance(seed, servers=6, models=4, workflows=3, load=0.5))
    rows, (contents,) = rounding_rows(normal), listed_contents(normal)
    pool = Pool(ProvenBound(rows)).having(first_patterns(normal))
    pool = generate(normal, HIGHS, Budget(), pool, Until(1e-9))
    assert pool.duals is not None
    duals, seen = pool.duals.mix(zero_duals(normal, rows), 0.9), set[int]()
    prices = prices_at(normal, rows, duals)
    values, _ = value_exactly(contents, np.arange(len(contents)), prices, HIGHS)
    values += contents.features(rows, duals)
    whole = relaxed(normal, rows, duals, [values.max()])
    for gap in (0.4, 0.1, 0.02):
        listed = candidates(normal, HIGHS, None, rows, duals, [contents], whole - gap)
        assert listed is not None
        assert listed.worth == whole - gap
        for row, full in enumerate(contents.full().tolist()):
            times = listed.most.get(contents.pattern(row), 0)
            dear = values.max() - values[row]
            seen.add(times)
            low, high = (floor(min(6, 6 * gap / max(dear + e, 1e-9))) for e in (1e-5, -1e-5))
            assert low * full <= times <= high * full
    assert len(seen) > 2


@pytest.mark.parametrize("seed", range(8))
def test_a_part_keeps_its_own_optimum(seed: int) -> None:
    """With a limit on a model's replicas, contents with room left are listed as well."""
    instance = case(3100 + seed, exclusive=True)
    best = oracle.best_locality(instance)
    normal = normalize(instance)
    weight = (1.0,) * len(normal.cluster.server_types)
    parts = []
    for limit in ({"most": 1.0}, {"least": 2.0}):
        row = CountRow(normal.used_models[:1], 0, weight, **limit)
        rows = (*rounding_rows(normal), row)
        at = zero_duals(normal, rows)
        listed = candidates(normal, HIGHS, None, rows, at, listed_contents(normal), 0.0)
        assert listed is not None
        parts.append(solve_over(normal, HIGHS, None, rows, listed)[1] or 0.0)
    assert max(parts) == pytest.approx(best, abs=1e-5)


def test_close_multipliers_leave_few_candidates_and_the_certificate_says_what_was_left() -> None:
    """Twelve servers are closed by enumeration; the stored multipliers prove the optimum anew."""
    instance = random_instance(13, servers=12, gpus=4, models=7, workflows=5, load=0.6)
    start = best_routing(instance, HEURISTICS["greedy"](instance, 0, None), HIGHS)
    got = solve_patterns(instance, HIGHS, Budget(), start=start, gap=0.0)
    assert got.status == "optimal"
    assert got.duals is not None
    assert "enumerated" in str(got.duals)
    assert proven_bound(instance, got.duals) == pytest.approx(got.best_bound, abs=1e-6)
