"""The first patterns: one for every part of a workflow, and no work for parts that are alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from placement.patterns import initial_patterns
from placement.patterns.initial_patterns import first_patterns
from placement.patterns.pattern import proportional
from placement.problem.cluster import Cluster
from placement.problem.instance import Instance, WorkflowDemand


def instance_of(works: np.ndarray) -> Instance:
    """Chains of a call to each of three models, with these works; servers of six GPUs."""
    links = np.array([[0, 1], [1, 2]])
    flows = [WorkflowDemand(f"w{i}", 1.0, np.arange(3), w, links) for i, w in enumerate(works)]
    return Instance(
        model_ids=("a", "b", "c"),
        gpus_required=np.array([1, 2, 1]),
        memory_per_gpu_gb=np.full(3, 70.0),
        workflows=tuple(flows),
        cluster=Cluster.homogeneous(12, 6),
    )


def test_parts_in_one_proportion_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty workflows whose works are multiples of one have its patterns, at its effort."""
    made = []

    def counted(*arguments: object) -> object:
        made.append(arguments)
        return proportional(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(initial_patterns, "proportional", counted)
    work = np.array([0.7, 2.1, 0.3])
    one = first_patterns(instance_of(work[None]))
    effort = len(made)
    many = first_patterns(instance_of(np.outer(np.arange(1, 51), work)))
    assert set(many) == set(one)
    assert len(made) == 2 * effort


def test_every_part_has_its_pattern() -> None:
    """Of workflows in all proportions, those that filling a server for each part alone gives."""
    rng = np.random.default_rng(0)
    works = rng.exponential(1.0, (40, 3))
    instance = instance_of(works)
    found = set(first_patterns(instance))
    for work in works:
        for part in ((0, 1), (1, 2), (0, 1, 2)):
            pattern = proportional(instance, 0, {m: float(work[m]) for m in part})
            assert pattern is None or pattern in found
    fewer = replace(instance, workflows=instance.workflows[:1])
    assert len(first_patterns(fewer)) < len(found)
