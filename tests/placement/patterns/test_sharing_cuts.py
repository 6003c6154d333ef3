"""Cuts on the sharing of GPUs: no real content breaks one, and what is sought is cut off."""

import numpy as np
import pytest

from placement.patterns.sharing_cuts import SharingCut, covered, pairs_apart, separate
from placement.problem.cluster import Cluster, ServerType
from placement.problem.instance import Instance, WorkflowDemand
from placement.solver.milp import SolverSettings
from tests.placement import oracle

HIGHS = SolverSettings(threads=1)


def catalogue(seed: int) -> tuple[Instance, ServerType]:
    """Four models of one to three GPUs, of sizes of which some can share a GPU and some cannot."""
    rng = np.random.default_rng(seed)
    kind = ServerType("s", 1, 3, 80.0)
    flow = WorkflowDemand("w", 1.0, np.arange(4), np.ones(4), np.zeros((0, 2), dtype=np.int64))
    limit = int(rng.integers(2, 4)) if rng.random() < 0.3 else None
    instance = Instance(
        tuple("abcd"),
        rng.integers(1, 4, 4),
        rng.choice([12.0, 27.0, 40.0, 41.0, 55.0, 70.0], 4),
        (flow,),
        Cluster((kind,)),
        max_models_per_gpu=limit,
    )
    return instance, kind


def touched(instance: Instance, content: oracle.Content) -> dict[int, int]:
    """GPUs that each model's replicas really touch."""
    gpus: dict[int, set[int]] = {}
    for m, i in content:
        gpus.setdefault(m, set()).update(range(i, i + int(instance.gpus_required[m])))
    return {m: len(held) for m, held in gpus.items()}


def left(cut: SharingCut, used: dict[int, int]) -> float:
    """GPUs that a cut leaves over; below 0 it is broken."""
    return cut.gpus - sum(f * used.get(m, 0) for m, f in cut.weight.items())


@pytest.mark.parametrize("block", range(4))
def test_no_real_content_breaks_a_cut(block: int) -> None:
    """Over every content of 100 servers, whatever counts the cut was sought for."""
    found = 0
    for seed in range(25 * block, 25 * block + 25):
        instance, kind = catalogue(seed)
        rng = np.random.default_rng(seed)
        contents = [
            c
            for c in oracle.contents(instance, kind)
            if instance.max_models_per_gpu is None or _crowd(instance, kind, c)
        ]
        cuts = pairs_apart(instance, kind, list(range(4)))
        for _ in range(4):
            counts = {m: int(n) for m, n in enumerate(rng.integers(0, 3, 4)) if n}
            cut = separate(instance, kind, counts, HIGHS)
            if cut is not None:
                assert left(cut, covered(instance, kind, counts)) < 0
                cuts.append(cut)
                found += 1
        for cut in cuts:
            for content in contents:
                real = touched(instance, content)
                assert left(cut, real) >= -1e-6
                numbers = {m: sum(o == m for o, _ in content) for m in real}
                assert all(covered(instance, kind, numbers)[m] <= n for m, n in real.items())
    assert found > 10


def _crowd(instance: Instance, kind: ServerType, content: oracle.Content) -> bool:
    limit = instance.max_models_per_gpu or len(content)
    return all(
        sum(i <= g < i + instance.gpus_required[m] for m, i in content) <= limit
        for g in range(kind.gpus)
    )


def test_three_models_that_pairwise_exclude_each_other_need_their_gpus_in_sum() -> None:
    """4 + 2 + 4 GPUs of models of which no two fit on one GPU do not fit on 8."""
    flow = WorkflowDemand("w", 1.0, np.arange(3), np.ones(3), np.zeros((0, 2), dtype=np.int64))
    kind = ServerType("s", 1, 8, 80.0)
    instance = Instance(
        ("a", "b", "c"), np.array([4, 2, 4]), np.array([39.3, 43.6, 47.6]), (flow,),
        Cluster((kind,)),
    )  # fmt: skip
    cut = separate(instance, kind, {0: 1, 1: 1, 2: 1}, HIGHS)
    assert cut is not None
    assert cut.weight == pytest.approx({0: 1.0, 1: 1.0, 2: 1.0})
    assert cut in pairs_apart(instance, kind, [0, 1, 2])
    assert separate(instance, kind, {0: 1, 2: 1}, HIGHS) is None
