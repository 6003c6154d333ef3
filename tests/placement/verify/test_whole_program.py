"""The whole program of the verifier, with rules, against every placement that keeps them."""

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
