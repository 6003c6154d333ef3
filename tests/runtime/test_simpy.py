"""The engines against an independent SimPy model of the same semantics."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.policies import BUILT_IN
from tests.runtime.cases import random_case
from tests.runtime.simpy_model import Model
from tests.runtime.test_engine import run

SEEDS = 60
BLOCKS = 4


@pytest.mark.parametrize("policy", list(BUILT_IN))
@pytest.mark.parametrize("block", range(BLOCKS))
def test_an_independent_model_agrees_event_for_event(policy: str, block: int) -> None:
    """Same replica, same time in queue, same start and end of every execution."""
    for seed in range(10_000 + block * SEEDS, 10_000 + (block + 1) * SEEDS):
        ours = run(seed, policy, "compiled")
        problem = ours.problem
        patience = [
            problem.patience_s[a:b].tolist()
            for a, b in zip(problem.first_node, problem.first_node[1:], strict=False)
        ]
        theirs = Model(random_case(seed), policy, problem.target.tolist(), patience).run()
        replica = [-1 if e.replica is None else e.replica.number for e in theirs]
        np.testing.assert_array_equal(ours.replica, replica, err_msg=f"seed {seed}")
        for name, column in {
            "ready_s": [e.ready for e in theirs],
            "start_s": [e.start for e in theirs],
            "end_s": [e.end for e in theirs],
        }.items():
            np.testing.assert_allclose(
                getattr(ours, name), column, rtol=1e-12, atol=1e-9, err_msg=f"seed {seed}"
            )
