"""The engines against an independent SimPy model of the same semantics."""

from __future__ import annotations

import numpy as np
import pytest

from placement.problem.names import SharingMode
from runtime.policies import BUILT_IN
from runtime.result import RunResult
from runtime.simulate import Dispatch, simulate_placement
from tests.runtime.cases import Case, random_case
from tests.runtime.simpy_model import Model, SerialModel
from tests.runtime.simpy_sliced import SlicedModel

FIRST, SEEDS, BLOCKS = 12_100, 60, 4
"""Cases in which no two estimates differ by rounding alone, where chance would decide."""


def compared(case: Case, policy: str, message: str) -> RunResult:
    """Run engine and model, and hold the one to the other."""
    ours = simulate_placement(
        case.workload,
        case.trace,
        case.cluster,
        case.placement,
        case.routing,
        dispatch=Dispatch(mode=case.mode, policy=policy, spill_patience=0.3),
        engine="compiled",
    )
    problem = ours.problem
    patience = [
        problem.patience_s[a:b].tolist()
        for a, b in zip(problem.first_node, problem.first_node[1:], strict=False)
    ]
    kind: type[Model] = SlicedModel if problem.sliced else SerialModel
    theirs = kind(case, policy, problem.target.tolist(), patience).run()
    replica = [-1 if e.replica is None else e.replica.number for e in theirs]
    np.testing.assert_array_equal(ours.replica, replica, err_msg=message)
    for name, column in {
        "ready_s": [e.ready for e in theirs],
        "start_s": [e.start for e in theirs],
        "end_s": [e.end for e in theirs],
    }.items():
        np.testing.assert_allclose(
            getattr(ours, name), column, rtol=1e-9, atol=1e-8, err_msg=message
        )
    return ours


@pytest.mark.parametrize("policy", list(BUILT_IN))
@pytest.mark.parametrize("block", range(BLOCKS))
@pytest.mark.parametrize("sharing", ["serial", "time-sliced"])
def test_an_independent_model_agrees_event_for_event(
    policy: str, block: int, sharing: SharingMode
) -> None:
    """Same replica, same time in queue, same start and end of every execution."""
    serial = sharing == "serial"
    sliced = 0
    for seed in range(FIRST + block * SEEDS, FIRST + (block + 1) * SEEDS):
        # What ends at one instant by the definition need not do so after rounding: paces are no
        # binary fractions. So time slices get cases in which nothing is meant to.
        requests = 40 if serial else 20
        case = random_case(seed, sharing=sharing, ties=serial, requests=requests, steps=True)
        sliced += compared(case, policy, f"seed {seed}").problem.sliced
    assert serial == (sliced == 0)
    assert serial or sliced > SEEDS / 4
