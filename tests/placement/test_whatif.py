"""A plan after a change: what is left stands where it stood, and is routed as well as it can be."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from benchmarks.instances import cluster_of, mixed_cluster, problem
from placement.problem.outcome import SolveOptions
from placement.problem.plan import Plan
from placement.problem.plan_building import build_plan
from placement.problem.solution import evaluate
from placement.problem.violations import violations
from placement.solve import solve_instance
from placement.whatif import AsItRuns, Change, as_it_runs, changed_instance, surviving


@cache
def plan(*, mixed: bool = False, target: float = 0.8) -> Plan:
    """A greedy plan at half load."""
    cluster = mixed_cluster(6) if mixed else cluster_of(4)
    instance, workload = problem(6, 4, cluster, seed=1, load=0.5)
    options = SolveOptions(method="greedy", max_utilization=target)
    return build_plan(solve_instance(instance, options), workload)


def gpus_of(plan: Plan, r: int) -> set[int]:
    k = int(plan.instance.gpus_required[plan.placement.model[r]])
    return set(range(int(plan.first_gpu[r]), int(plan.first_gpu[r]) + k))


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("what", ["servers", "gpus"])
@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_what_is_lost_carries_nothing_and_the_rest_stays(
    number: int, what: str, mixed: bool
) -> None:
    """Replica by replica; the routing keeps every rule of the changed instance."""
    p = plan(mixed=mixed)
    change = Change(**{what: (number,)})  # type: ignore[arg-type]
    first = int(p.cluster.first_gpu[number])
    lost = {number}
    if what == "servers":
        lost = set(range(first, first + int(p.cluster.server_gpus[number])))
    instance = changed_instance(p, change)
    left = surviving(instance, p.placement)
    keeps = [r for r in range(p.placement.n_replicas) if not gpus_of(p, r) & lost]
    np.testing.assert_array_equal(left.model, p.placement.model[keeps])
    np.testing.assert_array_equal(left.server, p.placement.server[keeps])
    there = set(left.model.tolist())
    unserved = [w.id for w in p.instance.workflows if w.rate and not set(w.node_model) <= there]
    if len(unserved) == len(p.instance.active_workflows):
        with pytest.raises(ValueError, match="no workflow can be served"):
            as_it_runs(p, change)
        return
    found = as_it_runs(p, change)
    assert list(found.lost) == unserved
    assert violations(found.instance, found.solution) == []
    load = evaluate(found.instance, found.solution).gpu_load
    assert not load[sorted(lost)].any()
    assert load.any()


def worth(found: AsItRuns) -> tuple[float, float]:
    evaluation = evaluate(found.instance, found.solution)
    return evaluation.objective, evaluation.max_utilization


def test_more_traffic_is_more_load() -> None:
    """Where the target holds nothing else changes; beyond, the least bottleneck grows alike."""
    p = plan()
    base, _ = worth(as_it_runs(p, Change(0.999999)))
    assert base >= p.certificate.objective - 1e-6
    assert worth(as_it_runs(p, Change(0.5)))[0] >= base - 1e-6
    (_, twice), (_, four) = (worth(as_it_runs(p, Change(f))) for f in (3.0, 6.0))
    assert four == pytest.approx(2 * twice, rel=0.06)  # within the slack of the cap
    assert changed_instance(p, Change(3.0)).total_rate == pytest.approx(3 * p.instance.total_rate)


def test_the_cap_is_the_target_of_the_plan_where_it_can_be_kept() -> None:
    """Of a plan in overload too; offline, and where no target is stated, by what is known."""
    p = plan(target=0.2)
    assert p.certificate.load_cap > 0.3
    slack = 1 + p.certificate.headroom_slack

    def cap(p: Plan, traffic: float) -> float:
        return as_it_runs(p, Change(traffic)).instance.load_cap

    least = cap(p, 1.0001) / slack
    assert cap(p, 0.1) == 0.2
    assert cap(replace(p, max_utilization=None), 0.1) == p.certificate.load_cap
    assert cap(replace(p, mode="offline"), 0.1) == pytest.approx(0.1 * slack * least, rel=1e-3)


def test_servers_that_come_are_whole_and_last() -> None:
    """Numbers of servers and GPUs stay; what is lost on the last one is not lost on the new."""
    p = plan()
    n = p.cluster.n_servers
    last = int(p.cluster.first_gpu[-1])
    for change in (Change(added=2), Change(added=2, gpus=(last,))):
        cluster = changed_instance(p, change).cluster
        assert cluster.n_servers == n + 2
        np.testing.assert_array_equal(cluster.first_gpu[:n], p.cluster.first_gpu)
        kinds = [cluster.server_types[t] for t in cluster.server_type[n:]]
        assert all(k.excluded_gpus == () and k.gpus == 8 for k in kinds)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "nothing is changed"),
        ({"traffic": 0.0}, "above 0"),
        ({"traffic": float("nan")}, "above 0"),
        ({"traffic": float("inf")}, "above 0"),
        ({"added": -1}, "0 or more"),
    ],
)
def test_a_change_checks_itself(fields: dict[str, float], words: str) -> None:
    """In a sentence."""
    with pytest.raises(ValueError, match=words):
        Change(**fields)  # type: ignore[arg-type]


def test_what_is_not_there_is_named() -> None:
    """Servers and GPUs beyond the cluster; a cluster of which nothing is left."""
    with pytest.raises(ValueError, match="no server 4: they are numbered 0 to 3"):
        changed_instance(plan(), Change(servers=(4,)))
    with pytest.raises(ValueError, match="no GPU 99"):
        as_it_runs(plan(), Change(gpus=(99,)))
    with pytest.raises(ValueError, match="no workflow can be served"):
        as_it_runs(plan(), Change(servers=(0, 1, 2, 3)))
