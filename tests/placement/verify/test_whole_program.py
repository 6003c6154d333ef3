"""The whole program of the verifier against every placement: rules, time slices, several speeds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from placement.verify.matrix_program import Clock
from placement.verify.proof import proven_bound
from placement.verify.scaled_problem import Scaled
from placement.verify.whole_program import DirectProgram
from tests.placement import oracle
from tests.placement.verify import ruled


@pytest.mark.parametrize("kind", ruled.SEEDS)
def test_the_direct_bound_is_the_optimum_among_plans_that_keep_a_rule(kind: str) -> None:
    """And there is none where the cap is just below what these can do; the rule is dear."""
    dear = 0
    for seed in ruled.SEEDS[kind]:
        free, instance, least = ruled.ruled_case(kind, seed)
        scaled = Scaled(replace(instance, load_cap=0.999 * least))
        assert DirectProgram(scaled).program.maximise(Clock(None)).end == "infeasible"
        without = oracle.least_bottleneck(free)
        dear += least > 1.001 * without
        for cap in (1.001 * least, max(1.001 * least, 1.3 * without)):
            capped = replace(instance, load_cap=cap)
            best, scaled = ruled.optimum(capped, bottleneck=False), Scaled(capped)
            answer = DirectProgram(scaled).program.maximise(Clock(None))
            assert answer.bound / scaled.servers + scaled.constant == pytest.approx(best, abs=1e-5)
            rng = np.random.default_rng(seed)
            flows = [instance.workflows[w] for w in instance.active_workflows]
            shares = {w.id: rng.normal(0.2, 0.1, len(w.node_model)).tolist() for w in flows}
            assert proven_bound(capped, {"demand": shares}) >= best - 1e-6
            dear += best < oracle.best_locality(replace(free, load_cap=cap)) - 1e-3
    assert dear >= len(ruled.SEEDS[kind])


@pytest.mark.parametrize("seed", range(14))
def test_time_slices_and_cards_cost_what_they_cost_every_placement(seed: int) -> None:
    """Shared GPUs that lose by it, and GPUs of several speeds: the optimum of brute force."""
    rng = np.random.default_rng([seed, 77])
    sharing = oracle.SLICED[seed % len(oracle.SLICED)]
    instance = oracle.random_instance(rng, exclusive=False, load_cap=1.0, sharing=sharing)
    if seed % 3 == 0:
        instance = oracle.with_cards(rng, instance)
    least = oracle.least_bottleneck(instance)
    scaled = Scaled(replace(instance, load_cap=0.999 * least))
    assert DirectProgram(scaled).program.maximise(Clock(None)).end == "infeasible"
    capped = replace(instance, load_cap=least * float(rng.choice([1.001, 1.2, 1.6])))
    best, scaled = oracle.best_locality(capped), Scaled(capped)
    answer = DirectProgram(scaled).program.maximise(Clock(None))
    assert answer.bound / scaled.servers + scaled.constant == pytest.approx(best, abs=1e-5)
    flows = [instance.workflows[w] for w in instance.active_workflows]
    shares = {w.id: rng.normal(0.2, 0.1, len(w.node_model)).tolist() for w in flows}
    assert proven_bound(capped, {"demand": shares}) >= best - 1e-6
