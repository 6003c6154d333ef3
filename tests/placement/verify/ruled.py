"""Every placement of a tiny cluster that keeps the rules, whether or not a replica can be added."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations_with_replacement, product

import numpy as np

from placement.problem.instance import Instance
from placement.problem.model_rules import ModelRules
from placement.problem.placement_rules import PlacementRules
from placement.verify.scaled_problem import Scaled
from tests.placement import oracle
from tests.placement.verify.worth import Content, every_content

SEEDS = {
    "min": (31, 204, 423, 522),
    "max": (14, 26, 38, 51),
    "spread": (57, 65, 312, 473),
    "apart": (16, 18, 24, 27),
    "together": (41, 217, 268, 369),
    "adapter": (60, 176, 203),
}
"""Kinds of rules, and drawn instances to which such a rule is dear."""


def with_rule(instance: Instance, kind: str, rng: np.random.Generator) -> Instance:
    """Give an instance a rule of a kind on one or two of its models."""
    names = instance.model_ids
    a, b = rng.choice(list(instance.used_models), 2, replace=False).tolist()
    if kind == "adapter":
        base = tuple(b if m == a else -1 for m in range(len(names)))
        memory = instance.memory_per_gpu_gb.copy()
        memory[a] /= 8
        return replace(instance, base_of=base, memory_per_gpu_gb=memory)
    rule = {
        "min": ModelRules(min_replicas=int(rng.integers(2, 4))),
        "max": ModelRules(max_replicas=1),
        "spread": ModelRules(spread=2),
        "apart": ModelRules(apart_from=(names[b],)),
        "together": ModelRules(together_with=(names[b],)),
    }[kind]
    return replace(instance, placement_rules=PlacementRules(models={names[a]: rule}))


def placements(instance: Instance) -> Iterator[tuple[Content, ...]]:
    """All placements of the used models that keep the rules."""
    scaled = Scaled(instance)
    each = []
    for t, kind in enumerate(scaled.types):
        contents = [c for c in every_content(scaled, t) if _good_company(instance, c)]
        each.append(combinations_with_replacement(contents, kind.count))
    for choice in product(*map(list, each)):
        servers = tuple(c for group in choice for c in group)
        if all(_good_numbers(instance, m, servers) for m in instance.used_models):
            yield servers


def _good_numbers(instance: Instance, m: int, servers: tuple[Content, ...]) -> bool:
    rule = instance.placement_rules.models.get(instance.model_ids[m], ModelRules())
    numbers = [sum(o == m for o, _ in c) for c in servers]
    enough = (rule.min_replicas or 1) <= sum(numbers) <= (rule.max_replicas or 99)
    return enough and sum(map(bool, numbers)) >= (rule.spread or 1)


def _good_company(instance: Instance, content: Content) -> bool:
    names = instance.model_ids
    held = {names[m] for m, _ in content}
    for name, rule in instance.placement_rules.models.items():
        lonely = set(rule.together_with or ()) - held
        if name in held and (lonely or held & set(rule.apart_from or ())):
            return False
    bases = instance.base_of or (-1,) * len(names)
    return all(bases[m] < 0 or (bases[m], i) in content for m, i in content)


def optimum(instance: Instance, *, bottleneck: bool) -> float:
    """Best locality or least bottleneck load by brute force."""
    values = [oracle.route(instance, p, bottleneck=bottleneck) for p in placements(instance)]
    return min(values) if bottleneck else max(values)


def ruled_case(kind: str, seed: int) -> tuple[Instance, Instance, float]:
    """An instance without a rule, the same with it, and the least load of the latter."""
    rng = np.random.default_rng([seed, len(kind)])
    exclusive = kind != "adapter" and seed % 2 > 0
    free = oracle.random_instance(rng, exclusive=exclusive, load_cap=1.0)
    instance = with_rule(free, kind, rng)
    return free, instance, optimum(instance, bottleneck=True)
