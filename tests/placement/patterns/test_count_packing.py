"""Counts that a program has found become placements that keep what the counts say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from placement.patterns.count_packing import Counted, packed_apart, packed_together
from placement.problem.cluster import Cluster
from placement.problem.violations import gpu_violations, placement_violations
from tests.placement import oracle


@pytest.mark.parametrize("seed", range(10))
def test_those_that_stand_alone_share_no_gpu(seed: int) -> None:
    """Whatever the counts: what fits is placed by the rules, and no more than is counted."""
    rng = np.random.default_rng(seed)
    instance = oracle.random_instance(rng, exclusive=False, load_cap=0.8)
    instance = replace(instance, cluster=Cluster.homogeneous(16, 4))
    counts = {}
    for m in range(len(instance.model_ids)):
        alone, others = int(rng.integers(1, 3)), int(rng.integers(0, 4))
        counts[m, 0] = Counted(alone + others, alone, float(rng.uniform(0, others)))
    found = packed_together(instance, counts)
    assert found is not None
    assert not gpu_violations(instance, found) and not placement_violations(instance, found)
    held = np.bincount(found.model, minlength=len(instance.model_ids))
    covers = np.zeros((4, 4), dtype=int)
    for m, s, i in found.replicas():
        covers[s, i : i + int(instance.gpus_required[m])] += 1
    lonely = np.zeros(len(instance.model_ids), dtype=int)
    for m, s, i in found.replicas():
        lonely[m] += bool((covers[s, i : i + int(instance.gpus_required[m])] == 1).all())
    for (m, _), counted in counts.items():
        assert held[m] <= counted.replicas
        assert lonely[m] >= counted.alone  # 16 GPUs are enough for all that stand alone


def test_blocks_apart_fill_servers_and_none_is_forgotten() -> None:
    """Two blocks of 3 GPUs and two of 1 fill two servers of 4; a model without room gives None."""
    rng = np.random.default_rng(0)
    instance = oracle.random_instance(rng, exclusive=True, load_cap=0.8)
    sizes = np.array([3, 1])
    instance = replace(
        instance,
        model_ids=("big", "small"),
        gpus_required=sizes,
        memory_per_gpu_gb=np.array([10.0, 10.0]),
        workflows=tuple(
            replace(flow, node_model=np.arange(len(flow.node_model)) % 2)
            for flow in instance.workflows
        ),
        cluster=Cluster.homogeneous(8, 4),
    )
    pairs = {(0, 0): Counted(2, 0, 0.0), (1, 0): Counted(2, 0, 0.0)}
    found = packed_apart(instance, pairs)
    assert found is not None and not gpu_violations(instance, found)
    assert np.bincount(found.model).tolist() == [2, 2]
    assert np.bincount(found.server).tolist() == [2, 2]
    full = {(0, 0): Counted(2, 0, 0.0), (1, 0): Counted(0, 0, 0.0)}
    used = set(instance.used_models)
    assert (packed_apart(instance, full) is None) == (1 in used)
    assert 1 in used
