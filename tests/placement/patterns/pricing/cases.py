"""Tiny instances, and multipliers at which to price them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from placement.patterns.duals import Duals, zero_duals
from placement.patterns.master_rows import CountRow
from placement.problem.instance import Instance
from placement.problem.model_rules import ModelRules
from placement.problem.normalization import normalize
from placement.problem.placement_rules import PlacementRules
from tests.placement.heuristics.cases import random_instance


def tiny(seed: int) -> Instance:
    """A normalized exclusive instance of two server types."""
    instance = random_instance(seed, servers=4, gpus=4, exclusive=True, mixed_types=seed % 2 == 0)
    return normalize(instance)


def odd(seed: int) -> Instance:
    """The same with nodes without time, a low cap, rules on company, and a model too large for b.

    Where there is a second type of servers, nothing that needs this model can stand there.
    """
    instance = tiny(seed)
    flows = [
        replace(w, work_s=np.where(np.arange(len(w.work_s)) == 0, 0.0, w.work_s))
        for w in instance.workflows
    ]
    a, b, c, *_ = instance.model_ids
    memory = instance.memory_per_gpu_gb.copy()
    memory[2] = 60.0
    rules = {a: ModelRules(apart_from=(b,)), b: ModelRules(together_with=(c,))}
    return replace(
        instance,
        workflows=tuple(flows),
        load_cap=0.6,
        memory_per_gpu_gb=memory,
        placement_rules=PlacementRules(models=rules),
    )


def drawn(instance: Instance, rows: tuple[CountRow, ...], rng: np.random.Generator) -> Duals:
    """Draw multipliers of the size that they have in a master."""
    demand = {key: float(rng.normal(0.1, 0.3)) for key in zero_duals(instance).demand}
    return Duals(demand, tuple(float(rng.normal(0, 0.1)) for _ in rows))
