"""Replicas of a lost server go where they fit, by the rules of the plan, or nowhere."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from placement.problem.cluster import Cluster
from placement.problem.instance import Instance
from runtime.ray.seats import Seat, gpus_of, nowhere, place_anew


def drawn(seed: int) -> tuple[Any, list[Seat], list[Seat]]:
    """A plan's rules and loads, what stands on two servers, and what a third has lost."""
    rng = np.random.default_rng(seed)
    cluster = Cluster.homogeneous(12, 4, 80.0)
    models = 5
    instance = Instance(
        model_ids=tuple("abcde"),
        gpus_required=rng.choice([1, 1, 2, 4], models),
        memory_per_gpu_gb=rng.choice([10.0, 30.0, 45.0, 80.0], models),
        workflows=(),
        cluster=cluster,
        max_models_per_gpu=int(rng.integers(1, 4)),
    )
    seats: list[Seat] = []
    plan: Any = SimpleNamespace(instance=instance, cluster=cluster, load=rng.random(40))
    for server in range(3):
        for m in rng.permutation(models)[: int(rng.integers(1, 4))].tolist():
            here = [s for s in seats if s.server == server]
            seat = Seat(len(seats), m, server, 0)
            seats += place_anew(plan, here, [seat], [server])
    return plan, [s for s in seats if s.server < 2], [s for s in seats if s.server == 2]


def keeps_the_rules(plan: Any, seats: list[Seat]) -> bool:
    """Judge by adding up, GPU by GPU."""
    instance, cluster = plan.instance, plan.cluster
    memory: Counter[tuple[int, int]] = Counter()
    replicas: Counter[tuple[int, int]] = Counter()
    for seat in seats:
        block = gpus_of(instance, seat)
        if block.start < 0 or block.stop > cluster.server_gpus[seat.server]:
            return False
        for gpu in block:
            memory[seat.server, gpu] += float(instance.memory_per_gpu_gb[seat.model])
            replicas[seat.server, gpu] += 1
    distinct = {(s.model, s.server, s.start) for s in seats}
    return (
        max(memory.values(), default=0) <= 80.0
        and max(replicas.values(), default=0) <= instance.models_per_gpu
        and len(distinct) == len(seats)
    )


@pytest.mark.parametrize("seed", range(60))
def test_what_finds_a_seat_keeps_the_rules_and_what_finds_none_has_none(seed: int) -> None:
    """Every GPU of the two servers holds what it can; no block is left for whoever stays out."""
    plan, kept, lost = drawn(seed)
    assert keeps_the_rules(plan, kept)
    placed = place_anew(plan, kept, lost, [0, 1])
    assert {s.server for s in placed} <= {0, 1}
    assert keeps_the_rules(plan, kept + placed)
    out = {s.replica for s in lost} - {s.replica for s in placed}
    for seat in (s for s in lost if s.replica in out):
        for server in (0, 1):
            for start in range(4):
                there = replace(seat, server=server, start=start)
                assert not keeps_the_rules(plan, [*kept, *placed, there]), nowhere(plan, seat)


def test_the_cases_are_of_every_kind() -> None:
    """Some find seats, some do not, and both among blocks."""
    seen = set()
    for seed in range(60):
        plan, kept, lost = drawn(seed)
        placed = {s.replica for s in place_anew(plan, kept, lost, [0, 1])}
        seen |= {(s.replica in placed, len(gpus_of(plan.instance, s)) > 1) for s in lost}
    assert seen == {(a, b) for a in (True, False) for b in (True, False)}


def test_the_last_of_its_model_goes_first() -> None:
    """Where there is room for one, a model without any replica gets it, however small it is."""
    plan, _, _ = drawn(0)
    instance = replace(
        plan.instance,
        gpus_required=np.array([4, 1, 1, 1, 1]),
        memory_per_gpu_gb=np.array([50.0, 40.0, 1.0, 1.0, 1.0]),
        max_models_per_gpu=2,
    )
    plan = SimpleNamespace(instance=instance, cluster=plan.cluster, load=np.zeros(9))
    kept = [Seat(0, 0, 0, 0), Seat(1, 2, 1, 0), Seat(2, 3, 1, 0)]
    kept += [Seat(3 + i, 4, 1, i) for i in (1, 2, 3)]
    lost = [Seat(7, 0, 2, 0), Seat(8, 1, 2, 0)]
    assert [s.replica for s in place_anew(plan, kept, lost, [1])] == [8]
