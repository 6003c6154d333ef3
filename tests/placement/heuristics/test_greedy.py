"""The greedy placement: rules of space, counts by load, affinity, and repair."""

import re
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from placement.heuristics.greedy import greedy
from placement.problem.cluster import Cluster
from placement.problem.instance import Instance
from placement.problem.outcome import Infeasible
from placement.problem.solution import Placement
from placement.problem.violations import placement_violations
from tests.placement.heuristics.cases import random_instance


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("mixed_types", [True, False])
@pytest.mark.parametrize("seed", range(20))
def test_greedy_keeps_every_rule_of_space(seed: int, mixed_types: bool, exclusive: bool) -> None:
    """Bounds, memory, sharing and coverage hold on any instance that has room for all models."""
    instance = random_instance(seed, servers=3, mixed_types=mixed_types, exclusive=exclusive)
    for affinity in (True, False):
        assert placement_violations(instance, greedy(instance, affinity=affinity)) == []


def packs(instance: Instance) -> bool:
    """Whether some choice of start gives every used model one exclusive replica: brute force."""
    cluster = instance.cluster
    slots = [
        [(s, i) for s in range(cluster.n_servers) for i in range(cluster.server_gpus[s] - k + 1)]
        for k in instance.gpus_required[list(instance.used_models)]
    ]
    for choice in product(*slots):
        placement = Placement.sorted(
            np.array(instance.used_models),
            np.array([s for s, _ in choice]),
            np.array([i for _, i in choice]),
        )
        if not placement_violations(instance, placement):
            return True
    return False


def test_greedy_finds_room_whenever_brute_force_does() -> None:
    """On tight exclusive clusters it raises Infeasible exactly where no packing exists."""
    packed = 0
    for seed in range(30):
        instance = random_instance(seed, servers=1, gpus=2, models=4, mixed_types=True)
        if packs(instance):
            assert placement_violations(instance, greedy(instance)) == []
            packed += 1
        else:
            with pytest.raises(Infeasible, match="add servers or memory"):
                greedy(instance)
    assert 5 < packed < 25


def test_replicas_follow_the_load() -> None:
    """No model could gain by taking a GPU of a model whose replicas would stay less busy."""
    instance = random_instance(3, servers=6, models=4)
    ones = replace(instance, gpus_required=np.ones(4, dtype=np.int64))
    count = greedy(ones).replicas_per_model(4)
    work = ones.model_work
    used = list(ones.used_models)
    assert count.sum() == ones.cluster.n_gpus
    for giver, taker in product(used, used):
        if giver != taker and count[giver] > 1:
            busiest_after = work[giver] / (count[giver] - 1)
            assert busiest_after >= work[taker] / count[taker] - 1e-12


def test_affinity_brings_partners_together() -> None:
    """With two disjoint pairs of models, affinity puts each pair on a server of its own."""
    base = random_instance(0, servers=2, gpus=2, models=4, workflows=2)
    first, second = base.workflows
    pair = {"work_s": np.ones(2), "links": np.array([[0, 1]])}
    instance = replace(
        base,
        gpus_required=np.ones(4, dtype=np.int64),
        workflows=(
            replace(first, rate=0.3, node_model=np.array([0, 2]), **pair),
            replace(second, rate=0.2, node_model=np.array([1, 3]), **pair),
        ),
    )
    placed = greedy(instance)
    server = dict(zip(placed.model.tolist(), placed.server.tolist(), strict=True))
    assert server[0] == server[2] != server[1] == server[3]


def test_sharing_relieves_an_overloaded_gpu() -> None:
    """Where models share GPUs by need, a second replica goes to a GPU with slack."""
    base = random_instance(1, servers=1, gpus=2, models=3, workflows=1, exclusive=False)
    instance = replace(
        base,
        cluster=Cluster.homogeneous(2, 2),
        gpus_required=np.ones(3, dtype=np.int64),
        memory_per_gpu_gb=np.full(3, 10.0),
        workflows=(
            replace(
                base.workflows[0],
                rate=1.0,
                node_model=np.array([0, 1, 2]),
                work_s=np.array([0.9, 0.05, 0.05]),
                links=np.array([[0, 1], [1, 2]]),
            ),
        ),
    )
    assert greedy(instance).replicas_per_model(3)[0] == 2


def test_the_error_names_the_model_that_finds_no_place() -> None:
    """A model larger than any GPU is named in the sentence."""
    instance = random_instance(0)
    m = instance.used_models[0]
    memory = instance.memory_per_gpu_gb.copy()
    memory[m] = 500.0
    with pytest.raises(Infeasible, match=re.escape(f"model {instance.model_ids[m]} ")):
        greedy(replace(instance, memory_per_gpu_gb=memory))
