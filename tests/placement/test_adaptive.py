"""Plans that follow the demand: what they know, and that loads find time and room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from placement.adaptive import Adaptation, Epoch, follow_demand, timeline
from placement.migration import Block, Migration, Step
from placement.problem.cluster import Cluster
from placement.problem.outcome import SolveOptions
from placement.problem.plan import Plan
from placement.problem.trace import Trace
from placement.problem.workload import Edge, Model, Node, Workflow, Workload
from placement.rebalance import instance_like
from placement.solve import solve
from tests.runtime.cases import trace_of

OPTIONS = SolveOptions(method="greedy", time_limit_s=None)
FOLLOWING = Adaptation(every_s=100.0, window_s=100.0, drain_s=5.0)


def workload() -> Workload:
    """Three models of 50 GB, each alone on its GPU, in three chains of two."""
    models = tuple(Model(n, n, 50.0, 1, 20.0) for n in "abc")
    flows = tuple(
        Workflow(f"w{i}", f"w{i}", (Node("x", a), Node("y", b)), (Edge(0, 1),))
        for i, (a, b) in enumerate([(0, 1), (1, 2), (0, 2)])
    )
    return Workload(models, flows)


def drifting(late: int) -> Trace:
    """Requests for 400 s: each chain once, then the first until 200 s, then another one."""
    arrivals = np.arange(0.0, 400.0, 0.5)
    which = np.where(arrivals < 200.0, 0, late)
    which[:3] = [0, 1, 2]
    return trace_of(workload(), arrivals, which, np.full(2 * len(arrivals), 0.8))


@pytest.fixture(scope="module")
def first() -> Plan:
    trace = drifting(1)
    early = np.flatnonzero(trace.arrival_s < 100.0)
    part = trace_of(workload(), trace.arrival_s[early], trace.workflow[early], np.full(400, 0.8))
    return solve(workload(), part, Cluster.homogeneous(8, 2), OPTIONS)


def followed(first: Plan, trace: Trace) -> list[Epoch]:
    flows = workload()
    instance = instance_like(first, flows, trace)
    return list(follow_demand(flows, trace, first, instance, OPTIONS, FOLLOWING))


def test_only_the_past_is_known(first: Plan) -> None:
    """Until the mix changes, plans are the same whatever comes later; then they follow it."""
    one, other = followed(first, drifting(1)), followed(first, drifting(2))
    early = [[e.plan.placement for e in epochs if e.decided_s <= 200.0] for epochs in (one, other)]
    assert early[0] == early[1]
    for epochs, wanted in ((one, 2), (other, 2)):
        late = [e for e in epochs if e.decided_s > 200.0]
        assert late
        before = late[0].moves
        assert any(block.model == "abc"[wanted] for block in before.loaded)


def test_loads_find_room_and_time(first: Plan) -> None:
    """No GPU ever holds more than it has, loading included; no load is faster than its model."""
    epochs = followed(first, drifting(2))
    assert epochs
    standing = dict.fromkeys(first.placement.replicas(), 0.0)
    spans: list[tuple[tuple[int, int, int], float, float]] = []
    for epoch in epochs:
        assert epoch.in_force_s >= epoch.decided_s
        for change in epoch.changes:
            for replica in change.back:
                standing[replica] = change.time_s - 20.0
            for replica in change.gone:
                spans.append((replica, standing.pop(replica), change.time_s))
    spans += [(replica, begin, np.inf) for replica, begin in standing.items()]
    _check_room(spans)


def _check_room(spans: Sequence[tuple[tuple[int, int, int], float, float]]) -> None:
    for moment in sorted({begin for _, begin, _ in spans}):
        held: dict[tuple[int, int], float] = {}
        for (_, server, gpu), begin, end in spans:
            if begin <= moment < end:
                held[server, gpu] = held.get((server, gpu), 0.0) + 50.0
        assert max(held.values()) <= 80.0


def test_steps_have_their_times() -> None:
    """By hand: loads of a server one after the other; a replica goes when another has come."""
    a, b, c = (Block(s, i, m, 1) for s, i, m in ((0, 0, "a"), (0, 1, "b"), (1, 0, "a")))
    steps = (Step("load", c), Step("unload", a), Step("load", b), Step("load", replace(b, start=2)))
    moves = Migration((), (b, c), (a,), steps, (), 0.0)
    load = {"a": 10.0, "b": 4.0}
    changes, last = timeline(moves, load, {"a": 0, "b": 1}, 100.0, 30.0)
    assert [(x.time_s, x.closed, x.gone, x.back) for x in changes] == [
        (110.0, (), (), ((0, 1, 0),)),
        (110.0, ((0, 0, 0),), (), ()),
        (140.0, (), ((0, 0, 0),), ()),
        (144.0, (), (), ((1, 0, 1),)),
        (148.0, (), (), ((1, 0, 2),)),
    ]
    assert last == 148.0
