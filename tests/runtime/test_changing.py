"""Placements that change on the way: by hand, and against the run of one that does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from placement.problem.changes import Change, Phase
from placement.problem.cluster import Cluster
from placement.problem.solution import Placement
from placement.problem.workload import Node, Workflow, Workload
from runtime.changing import simulate_changing
from runtime.policies import BUILT_IN
from runtime.simulate import Dispatch, simulate_placement
from tests.runtime.cases import Case, model, random_case, trace_of


@pytest.mark.parametrize("policy", list(BUILT_IN))
def test_without_changes_it_is_the_same_run(policy: str) -> None:
    """One phase, no change: to the last bit, under every policy."""
    for seed in range(9_300, 9_308):
        case = replace(random_case(seed), mode="online")
        dispatch = Dispatch("online", policy, 0.3)
        places = (case.workload, case.trace, case.cluster)
        plain = simulate_placement(
            *places, case.placement, case.routing, dispatch=dispatch, engine="reference"
        )
        phases = [Phase(0.0, case.placement, case.routing)]
        changed = simulate_changing(*places, phases, [], dispatch=dispatch)
        np.testing.assert_array_equal(changed.replica, plain.replica)
        np.testing.assert_array_equal(changed.end_s, plain.end_s)


def one_model(arrivals: list[float], service: list[float]) -> Case:
    workload = Workload((model("a"),), (Workflow("w", "w", (Node("n", 0),)),))
    flows = np.zeros(len(arrivals), dtype=int)
    trace = trace_of(workload, np.array(arrivals), flows, np.array(service))
    first = Placement.of([(0, 0, 0)])
    return Case(workload, trace, Cluster.homogeneous(2, 1), first, (None,), "online")


def changing(case: Case, changes: list[Change]) -> tuple[list[float], list[int]]:
    phases = [Phase(0.0, case.placement, (None,))]
    places = (case.workload, case.trace, case.cluster)
    run = simulate_changing(*places, phases, changes, dispatch=Dispatch(policy="earliest"))
    server = run.problem.replica_server[run.replica]
    return run.end_s.tolist(), server.tolist()


def test_a_replica_serves_once_it_is_loaded() -> None:
    """What came before it waits for the other one; what comes after goes to whoever ends first."""
    case = one_model([0.0, 1.0, 6.0], [10.0, 10.0, 10.0])
    ends, servers = changing(case, [Change(5.0, back=((0, 1, 0),))])
    assert (ends, servers) == ([10.0, 20.0, 16.0], [0, 0, 1])


def test_a_closed_replica_ends_what_it_has_until_it_goes() -> None:
    """It takes no more; in time its calls end, and what is left when it goes begins anew."""
    case = one_model([0.0, 1.0, 6.0], [10.0, 10.0, 10.0])
    come, close = Change(5.0, back=((0, 1, 0),)), Change(5.0, closed=((0, 0, 0),))
    assert changing(case, [come, close]) == ([10.0, 20.0, 16.0], [0, 0, 1])
    gone = Change(12.0, gone=((0, 0, 0),))
    assert changing(case, [come, close, gone]) == ([10.0, 26.0, 16.0], [0, 1, 1])
