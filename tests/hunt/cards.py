"""Random cards in the servers of a drawn instance: some GPUs slower, some of less memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tests.hunt.cases import Case

FACTORS = [1.0, 1.0, 0.5, 0.25, 2.0, 0.7]


def with_cards(case: Case) -> Case:
    """Give the GPUs of each server type speeds of their own, as the seed of the case draws them."""
    rng = np.random.default_rng([case.seed, 4])
    options = dict(case.options)
    cluster = {"server_types": {}} if case.cluster is None else dict(case.cluster)
    if case.cluster is None:
        cluster["server_types"] = _stated_by(options)
    types: dict[str, Any] = {}
    kinds = []
    for name, stated in cluster["server_types"].items():
        kind = types[name] = dict(stated)
        if kind["gpus"] < 2:
            continue
        speed = kind.get("speed", 1.0)
        kind["speed"] = [round(speed * float(rng.choice(FACTORS)), 4) for _ in range(kind["gpus"])]
        kinds.append("cards" if len(set(kind["speed"])) > 1 else "equal cards")
        if rng.random() < 0.3:
            room = kind["gpu_memory_gb"]
            kind["gpu_memory_gb"] = [
                room * float(rng.choice([1.0, 1.0, 0.5])) for _ in range(kind["gpus"])
            ]
            kinds.append("cards of less memory")
    rules = _own_speeds(rng, case, types, kinds)
    cluster["server_types"] = types
    return replace(case, cluster=cluster, options=options, rules=rules, kinds=(*case.kinds, *kinds))


def _stated_by(options: dict[str, Any]) -> dict[str, Any]:
    """Server types in place of options that count GPUs, which are taken out."""
    gpus, each = options.pop("gpus"), options.pop("gpus_per_server")
    memory = options.pop("gpu_memory_gb")
    full, rest = divmod(gpus, each)
    types = {}
    if full:
        types["server"] = {"count": full, "gpus": each, "gpu_memory_gb": memory}
    if rest:
        types["last-server"] = {"count": 1, "gpus": rest, "gpu_memory_gb": memory}
    return types


def _own_speeds(
    rng: np.random.Generator, case: Case, types: dict[str, Any], kinds: list[str]
) -> dict[str, Any] | None:
    """Rules with a model's own speed on each GPU, now and then."""
    rules = dict(case.rules or {})
    models = {name: dict(rule) for name, rule in rules.get("models", {}).items()}
    for name in case.config["models"]:
        kind = str(rng.choice(list(types)))
        if rng.random() < 0.2:
            each = [float(rng.choice(FACTORS)) for _ in range(types[kind]["gpus"])]
            models.setdefault(name, {})["speed"] = {kind: each}
            kinds.append("own speeds")
    if models:
        rules["models"] = models
    return rules or None
