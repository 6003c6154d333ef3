"""Servers whose cards differ, in sum: what a program says of them holds of every placement."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from placement.patterns.aggregate_bottleneck import pattern_bottleneck
from placement.patterns.card_blocks import card_blocks, packed_on_cards
from placement.problem.cluster import Cluster, ServerType
from placement.problem.instance import Instance
from placement.problem.solution import Placement, evaluate
from placement.problem.space import starts
from placement.problem.violations import gpu_violations, placement_violations, violations
from placement.solver.budget import Budget
from placement.solver.milp import SolverSettings
from tests.placement import oracle

SETTINGS = SolverSettings("HiGHS", threads=1)


def case(seed: int, *, exclusive: bool) -> Instance:
    rng = np.random.default_rng([seed, exclusive])
    return oracle.with_cards(rng, oracle.random_instance(rng, exclusive=exclusive, load_cap=0.8))


@pytest.mark.parametrize("exclusive", [True, False])
def test_the_interval_holds_the_least_of_brute_force(exclusive: bool) -> None:
    """U* of every placement tried lies in the interval, with and without the compact program."""
    params = SETTINGS.params
    few = replace(params.counted_bottleneck, compact_servers=0)
    alone = replace(SETTINGS, params=replace(params, counted_bottleneck=few))
    closed = 0
    for seed in range(15):
        instance = case(seed, exclusive=exclusive)
        least = oracle.least_bottleneck(instance)
        for settings in (SETTINGS, alone):
            found = pattern_bottleneck(instance, settings, Budget(), target=0.0)
            assert found.lower <= least * (1 + 1e-6), seed
            assert least <= found.upper * (1 + 1e-6), seed
            capped = replace(instance, load_cap=found.upper * (1 + 1e-9))
            assert violations(capped, found.solution) == []
            assert evaluate(instance, found.solution).max_utilization <= found.upper * (1 + 1e-9)
        closed += found.upper <= found.lower * 1.01
    assert closed >= 5  # in sum alone, where the work over all GPUs would seldom do


def test_blocks_are_told_apart_by_the_cards_they_cover() -> None:
    """Two fast GPUs, two slow ones and a dead one: pairs are fast, mixed or slow."""
    instance = case(0, exclusive=True)
    kind = ServerType(
        "box", 1, 6, 80.0, 2.0, excluded_gpus=(5,), gpu_speeds=(2.0, 2.0, 0.5, 0.5, 0.5, 2.0)
    )
    instance = replace(
        instance, cluster=Cluster((kind,)), gpus_required=np.full(len(instance.model_ids), 2)
    )
    found = card_blocks(instance, 0, int(instance.used_models[0]))
    assert {(b.starts, b.speed) for b in found} == {((0,), 2.0), ((1,), 0.5), ((2, 3), 0.5)}
    assert sorted(c for b in found for c in b.covers) == [(0, 1), (0, 2), (1, 1), (1, 2)]


@pytest.mark.parametrize("exclusive", [True, False])
def test_what_is_packed_keeps_the_rules(exclusive: bool) -> None:
    """Whatever the counts, each replica stands where it may, and where they fit, on its cards."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        instance = case(seed, exclusive=exclusive)
        counts = {
            blocks: (int(rng.integers(0, 3)), float(rng.random()))
            for t in range(len(instance.cluster.server_types))
            for m in instance.used_models
            for blocks in card_blocks(instance, t, m)
        }
        found = packed_on_cards(instance, counts)
        if found is not None:
            assert not gpu_violations(instance, found)
            assert not placement_violations(instance, found)
    alone = case(1, exclusive=False)
    m, kind = int(alone.used_models[0]), alone.cluster.server_types[0]
    alone = replace(alone, workflows=(replace(alone.workflows[0], node_model=np.full(1, m)),))
    at = starts(alone, m, kind)[-1]
    only = [b for b in card_blocks(alone, 0, m) if at in b.starts]
    one = replace(alone.workflows[0], work_s=np.ones(1), links=np.zeros((0, 2), dtype=np.int64))
    alone = replace(alone, workflows=(one,))
    placed = packed_on_cards(alone, {only[0]: (1, 0.5)})
    assert placed == Placement.of([(m, 0, min(only[0].starts))])
