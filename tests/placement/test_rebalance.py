"""Few moves: against every placement within a limit, and by what must hold of any plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest

from placement.check import check_plan
from placement.improve.few_moves import Within, best_within
from placement.migration import migration
from placement.params.search_params import DEFAULTS
from placement.problem.cluster import Cluster, ServerType
from placement.problem.instance import Instance, WorkflowDemand
from placement.problem.outcome import Infeasible, SolveOptions, cap_for
from placement.problem.plan import Plan
from placement.problem.plan_building import build_plan
from placement.problem.solution import Placement, evaluate
from placement.problem.violations import violations
from placement.problem.workload import Edge, Model, Node, Workflow, Workload
from placement.programs.move_limit import MoveLimit
from placement.rebalance import offers, running_replicas, within_moves
from placement.renumbering import renumbered
from placement.restatement import restated
from placement.solve import solve_instance
from placement.solver.budget import Budget
from tests.placement.oracle import EVEN, random_instance, route

OPTIONS = SolveOptions(time_limit_s=None)
SEARCHING = replace(DEFAULTS, patterns=replace(DEFAULTS.patterns, compact_servers=0))
"""Parameters under which every cluster counts as large."""


def tiny(seed: int) -> tuple[Instance, MoveLimit]:
    """Two servers of two GPUs, replicas that run there, and a limit."""
    rng = np.random.default_rng([11, seed])
    exclusive = seed % 3 != 0
    instance = random_instance(rng, exclusive=exclusive, load_cap=0.8, sharing=EVEN)
    servers = Cluster((ServerType("s", 2, 2, 80.0),), sharing=EVEN)
    instance = replace(instance, cluster=servers)
    blocks = _blocks(instance)
    some = [blocks[i] for i in rng.permutation(len(blocks))[: int(rng.integers(1, 4))]]
    running: list[tuple[int, int, int]] = []
    for block in some:
        if _fits(instance, [*running, block]):
            running.append(block)
    return instance, MoveLimit(frozenset(running), int(rng.integers(0, 4)))


def _blocks(instance: Instance) -> list[tuple[int, int, int]]:
    return [
        (m, s, i)
        for m in instance.used_models
        for s in range(2)
        for i in range(3 - int(instance.gpus_required[m]))
    ]


def _fits(instance: Instance, rows: list[tuple[int, int, int]]) -> bool:
    for s, g in product(range(2), range(2)):
        here = [m for m, t, i in rows if t == s and i <= g < i + instance.gpus_required[m]]
        if instance.exclusive and len(here) > 1:
            return False
        if sum(instance.memory_per_gpu_gb[m] for m in here) > 80.0:
            return False
    return True


def allowed(instance: Instance, limit: MoveLimit) -> Iterator[tuple[tuple, ...]]:
    """Every placement within the limit to which none that runs can be added."""
    others = [b for b in _blocks(instance) if b not in limit.running]
    for n in range(limit.most + 1):
        for loaded in combinations(others, n):
            if not _fits(instance, list(loaded)):
                continue
            for size in range(len(limit.running), -1, -1):
                for kept in combinations(sorted(limit.running), size):
                    rows = [*loaded, *kept]
                    covered = {m for m, _, _ in rows} >= set(instance.used_models)
                    if covered and _fits(instance, rows):
                        yield tuple(
                            tuple(sorted((m, i) for m, s, i in rows if s == t)) for t in range(2)
                        )


def judged(instance: Instance, limit: MoveLimit, found: Within) -> None:
    """What is found keeps limit, cap and rules."""
    placement = found.solution.placement
    assert limit.allows(placement)
    assert found.moves == limit.moves(placement)
    assert violations(found.instance, found.solution) == []
    assert found.bound >= evaluate(found.instance, found.solution).objective - 1e-9
    assert found.instance.load_cap == pytest.approx(
        cap_for(found.bottleneck, OPTIONS.max_utilization, OPTIONS.headroom_slack)
    )


def test_the_best_within_a_limit_is_found() -> None:
    """Load and locality against brute force; where nothing fits the limit, a sentence."""
    kinds = set()
    for seed in range(14):
        instance, limit = tiny(seed)
        every = list(dict.fromkeys(allowed(instance, limit)))
        if not every:
            with pytest.raises(Infeasible, match="allow more moves"):
                best_within(instance, limit, [], OPTIONS, Budget())
            kinds.add("none")
            continue
        running = Placement.of(sorted(limit.running))
        found = best_within(instance, limit, [running], OPTIONS, Budget())
        judged(instance, limit, found)
        least = min(route(instance, p, bottleneck=True) for p in every)
        assert found.bottleneck <= max(OPTIONS.max_utilization, least * 1.001) + 1e-9
        best = max(route(found.instance, p, bottleneck=False) for p in every)
        assert evaluate(found.instance, found.solution).objective == pytest.approx(best, abs=1e-6)
        assert found.bound >= best - 1e-6
        kinds.add("overload" if least > OPTIONS.max_utilization else "target")
        kinds.add("exclusive" if instance.exclusive else "shared")
        options = replace(OPTIONS, params=SEARCHING)
        searched = best_within(instance, limit, [running], options, Budget())
        judged(instance, limit, searched)
    assert kinds == {"none", "overload", "target", "exclusive", "shared"}


def chains(rates: list[float]) -> tuple[Workload, Instance]:
    """Three models on one GPU each, in chains of two; five exclusive servers of two GPUs."""
    pairs = [(0, 1), (1, 2), (0, 2)]
    models = tuple(Model(n, n, 10.0, 1, 7.0) for n in "abc")
    flows = tuple(
        Workflow(f"w{i}", f"w{i}", (Node("x", a), Node("y", b)), (Edge(0, 1),))
        for i, (a, b) in enumerate(pairs)
    )
    instance = replace(
        random_instance(np.random.default_rng(0), exclusive=True, load_cap=0.8),
        model_ids=("a", "b", "c"),
        gpus_required=np.ones(3, dtype=np.int64),
        memory_per_gpu_gb=np.full(3, 10.0),
        cluster=Cluster.homogeneous(10, 2),
    )
    demands = tuple(
        WorkflowDemand(f"w{i}", rate, np.array(pair), np.full(2, 1.0), np.array([[0, 1]]))
        for i, (pair, rate) in enumerate(zip(pairs, rates, strict=True))
    )
    return Workload(models, flows), replace(instance, workflows=demands)


def greedy_plan(instance: Instance, workload: Workload) -> Plan:
    return build_plan(solve_instance(instance, replace(OPTIONS, method="greedy")), workload)


def test_more_moves_buy_no_less_and_the_plans_hold() -> None:
    """Rows of the table: within their limits, better and better, each a plan that check passes."""
    workload, before = chains([1.5, 0.2, 0.2])
    _, after = chains([0.2, 1.5, 0.2])
    old = greedy_plan(before, workload)
    best = solve_instance(after, replace(OPTIONS, time_limit_s=20.0))
    free = renumbered(build_plan(best, workload), old)
    running = running_replicas(old, after)
    needed = len(migration(old, free).loaded)
    assert needed >= 2
    limits = list(range(needed + 1))
    found = offers(running, best, free.placement, limits, Budget())
    worths = []
    for most, offer in zip(limits, found, strict=True):
        assert not isinstance(offer, str)
        plan = build_plan(offer.result, workload)
        assert check_plan(plan) == []
        assert len(migration(old, plan).loaded) == offer.moves <= most
        loaded_over = offer.result.certificate.load_cap > best.certificate.load_cap
        worths.append((not loaded_over, round(plan.certificate.objective, 8)))
    assert worths == sorted(worths)
    assert worths[-1][1] == pytest.approx(best.certificate.objective, abs=1e-6)
    assert worths[0][1] < worths[-1][1]


def test_a_plan_that_keeps_all_together_beyond_the_cap_holds() -> None:
    """Nothing may move, so the cap is higher; no locality exceeds 1, and it claims nothing."""
    workload, instance = chains([1.5, 0.0, 0.0])
    together = Placement.of([(0, 0, 0), (1, 0, 1)])
    best = solve_instance(instance, replace(OPTIONS, time_limit_s=20.0))
    offer = within_moves(together, best, [], 0, Budget())
    certificate = offer.result.certificate
    assert certificate.load_cap > best.certificate.load_cap
    assert certificate.objective == pytest.approx(1.0)
    assert certificate.status == "refined"
    assert check_plan(build_plan(offer.result, workload)) == []


def test_a_lower_cap_lowers_the_least_load_and_keeps_the_bound() -> None:
    """A search within a limit may meet less load than the solve: its bound holds all the more."""
    workload, instance = chains([1.5, 1.5, 1.5])
    best = solve_instance(instance, replace(OPTIONS, time_limit_s=20.0, max_utilization=0.2))
    known = best.certificate
    worse = replace(
        best,
        certificate=replace(
            known,
            bottleneck_upper=known.bottleneck_upper * 1.1,
            load_cap=known.load_cap * 1.1,
        ),
    )
    again = restated(worse, best.instance, best.solution)
    assert again.certificate.best_bound == known.best_bound
    assert again.certificate.bottleneck_upper == pytest.approx(known.bottleneck_upper)
    assert check_plan(build_plan(again, workload)) == []


def test_what_runs_is_told_by_names() -> None:
    """Models that are gone, that nobody asks for, or that have grown are not there to be kept."""
    workload, instance = chains([1.0, 1.0, 1.0])
    old = greedy_plan(instance, workload)
    everything = set(old.placement.replicas())
    assert set(running_replicas(old, instance).replicas()) == everything
    renamed = replace(instance, model_ids=("a", "b", "other"))
    assert {m for m, _, _ in running_replicas(old, renamed).replicas()} == {0, 1}
    grown = replace(instance, gpus_required=np.array([2, 1, 1]))
    assert {m for m, _, _ in running_replicas(old, grown).replicas()} == {1, 2}
    alone = (replace(instance.workflows[0], rate=0.0), instance.workflows[1])
    unused = replace(instance, workflows=alone)
    assert {m for m, _, _ in running_replicas(old, unused).replicas()} == {1, 2}
    with pytest.raises(ValueError, match="different clusters"):
        running_replicas(old, replace(instance, cluster=Cluster.homogeneous(8, 2)))
