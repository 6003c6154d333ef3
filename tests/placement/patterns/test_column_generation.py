"""Column generation: it ends where its parameters say, with a bound that holds all the same."""

from __future__ import annotations

import pytest

from placement.params.search_params import DEFAULTS
from placement.patterns.column_generation import Pool, Until, generate
from placement.patterns.initial_patterns import first_patterns
from placement.patterns.master_rows import rounding_rows
from placement.patterns.proven_bound import ProvenBound
from placement.problem.normalization import normalize
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from tests.placement.heuristics.cases import random_instance


@pytest.mark.parametrize("seed", [1, 2])
def test_rounds_and_patterns_are_no_more_than_the_parameters_allow(seed: int) -> None:
    """One round proves a bound, if a looser one than all; a full pool takes no pattern more."""
    instance = normalize(random_instance(seed, servers=3, load=0.4))
    pools = []
    for rounds in (DEFAULTS.column_generation.rounds, 1):
        params = DEFAULTS.changed({"column_generation": {"rounds": rounds, "patterns": 30}})
        pool = Pool(ProvenBound(rounding_rows(instance)), params=params.column_generation)
        pool = pool.having(first_patterns(instance))
        settings = SolverSettings(params=params)
        pools.append(generate(instance, settings, Budget(), pool, Until(1e-9)))
    whole, one = pools
    assert one.rounds == 1 < whole.rounds
    assert whole.best_bound <= one.best_bound < float("inf")
    assert len(one.patterns) <= len(whole.patterns) <= 30
