"""What a run is prepared from: targets by the plan's shares, and the patience that homes have."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from placement.problem.cluster import Cluster, ServerType
from placement.problem.solution import Placement
from placement.problem.workload import Workload
from runtime.policies import BUILT_IN, View
from runtime.shares import NOWHERE, assign_targets
from runtime.simulate import Dispatch, prepare_run, simulate_placement
from tests.runtime.cases import Case, chain, model, random_case, trace_of


@dataclass
class Named:
    """A policy of one's own under any name: the first replica of the model."""

    name: str

    def choose(self, view: View) -> int:
        return view.replicas()[0]


def prepared(case: Case, policy: object, patience: float = 0.3) -> object:
    return prepare_run(
        case.workload, case.trace, case.cluster, case.placement, case.routing,
        dispatch=Dispatch(case.mode, policy, patience),  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize("policy", BUILT_IN)
def test_only_who_looks_at_them_gets_targets(policy: str) -> None:
    """Server-blind policies need none; a policy of one's own always has them, whatever its name."""
    some = 0
    for seed in range(15):
        case = random_case(seed)
        wanted = assign_targets(
            case.workload, case.trace, case.placement, case.cluster, case.routing
        )
        problem, chosen = prepared(case, policy)  # type: ignore[misc]
        assert chosen is BUILT_IN[policy]
        blind = policy in ("earliest", "least-loaded")
        np.testing.assert_array_equal(
            problem.target, np.full_like(wanted, NOWHERE) if blind else wanted
        )
        problem, _ = prepared(case, Named(policy))  # type: ignore[misc]
        np.testing.assert_array_equal(problem.target, wanted)
        some += (wanted != NOWHERE).any()
    assert some > 5


def test_patience_is_so_many_mean_requests_of_the_workflow() -> None:
    """The seconds of all its nodes, by loops over the trace."""
    for seed in range(20):
        case = random_case(seed)
        problem, _ = prepared(case, "locality", 0.7)  # type: ignore[misc]
        at = 0
        for w, flow in enumerate(case.workload.workflows):
            mine = [r for r in range(case.trace.n_requests) if case.trace.workflow[r] == w]
            first, last = case.trace.offset[:-1], case.trace.offset[1:]
            spent = [case.trace.service_s[first[r] : last[r]].sum() for r in mine]
            mean = float(np.mean(spent)) if spent else 0.0
            of_nodes = problem.patience_s[at : at + len(flow.nodes)]
            assert of_nodes == pytest.approx(np.full(len(flow.nodes), 0.7 * mean))
            at += len(flow.nodes)


def test_unknown_names_are_refused_in_words() -> None:
    """With those that there are."""
    case = random_case(0)
    with pytest.raises(ValueError, match=r"no routing policy 'nearest'; there are .*earliest"):
        prepared(case, "nearest")
    with pytest.raises(ValueError, match="runs on the reference engine only"):
        simulate_placement(
            case.workload, case.trace, case.cluster, case.placement,
            dispatch=Dispatch(policy=Named("mine")), engine="compiled",
        )  # fmt: skip


def test_a_model_may_have_its_own_speed_on_a_type() -> None:
    """A call of 2 s takes 1 s where the model is twice as fast, whatever the type's speed."""
    workload = Workload((model("a"), model("b")), (chain(2),))
    kind = ServerType("t", 1, 2, 80.0, 0.5, model_speeds=(("a", 2.0),))
    placement = Placement.of([(0, 0, 0), (1, 0, 1)])
    trace = trace_of(workload, np.zeros(1), np.zeros(1, dtype=np.int64), np.array([2.0, 2.0]))
    run = simulate_placement(workload, trace, Cluster((kind,)), placement)
    np.testing.assert_array_equal(run.end_s, [1.0, 5.0])


def test_a_block_goes_at_the_pace_of_its_slowest_card() -> None:
    """Calls of 2 s on cards of speed 2, 1/2 and 1, and on the first two together."""
    workload = Workload((model("a"), model("b", 2)), (replace(chain(1), id="one"), chain(2)))
    kind = ServerType("t", 1, 3, 80.0, 2.0, gpu_speeds=(2.0, 0.5, 1.0))
    trace = trace_of(workload, np.zeros(1), np.zeros(1, dtype=np.int64), np.array([2.0]))
    for start, seconds in ((0, 1.0), (1, 4.0), (2, 2.0)):
        run = simulate_placement(workload, trace, Cluster((kind,)), Placement.of([(0, 0, start)]))
        np.testing.assert_array_equal(run.end_s, [seconds])
    trace = trace_of(workload, np.zeros(1), np.ones(1, dtype=np.int64), np.array([0.0, 2.0]))
    for start, seconds in ((0, 4.0), (1, 4.0)):
        placement = Placement.of([(0, 0, 2), (1, 0, start)])
        run = simulate_placement(workload, trace, Cluster((kind,)), placement)
        np.testing.assert_array_equal(run.end_s, [0.0, seconds])
    own = replace(kind, model_speeds=(("a", (4.0, 0.1, 1.0)),))
    trace = trace_of(workload, np.zeros(1), np.zeros(1, dtype=np.int64), np.array([2.0]))
    run = simulate_placement(workload, trace, Cluster((own,)), Placement.of([(0, 0, 0)]))
    np.testing.assert_array_equal(run.end_s, [0.5])
