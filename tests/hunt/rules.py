"""Random rules for a drawn instance."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tests.hunt.cases import Case


def with_rules(case: Case) -> Case:
    """Add rules that the seed of the case draws; some cannot be kept."""
    rng = np.random.default_rng([case.seed, 1])
    kinds: list[str] = []
    rules: dict[str, Any] = {}
    servers = _server_gpus(case)
    rules["excluded_gpus"] = _excluded(rng, servers, kinds)
    if models := _on_models(rng, case, servers, kinds):
        rules["models"] = models
    return replace(case, rules=rules, kinds=(*case.kinds, *kinds))


def _server_gpus(case: Case) -> list[int]:
    if case.cluster is not None:
        return [t["gpus"] for t in case.cluster["server_types"].values() for _ in range(t["count"])]
    full, rest = divmod(case.options["gpus"], case.options["gpus_per_server"])
    return [case.options["gpus_per_server"]] * full + ([rest] if rest else [])


def _on_models(
    rng: np.random.Generator, case: Case, servers: list[int], kinds: list[str]
) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name in case.config["models"]:
        rules: dict[str, Any] = {}
        if rng.random() < 0.3:
            rules["min_replicas"] = int(rng.integers(1, 4))
        if rng.random() < 0.3:
            rules["max_replicas"] = int(rng.integers(rules.get("min_replicas", 1), 4))
        if rng.random() < 0.3:
            most = min(len(servers), rules.get("max_replicas", 3))
            rules["spread"] = int(rng.integers(1, most + 1))
        if rules:
            found[name] = rules
            kinds += rules
    return found


def _excluded(
    rng: np.random.Generator, servers: list[int], kinds: list[str]
) -> list[dict[str, Any]]:
    found = []
    for s, gpus in enumerate(servers):
        dead = [g for g in range(gpus) if rng.random() < 0.35]
        if dead and rng.random() < 0.7:
            found.append({"server": s, "gpus": dead})
    if sum(servers) == sum(len(f["gpus"]) for f in found):
        found.pop()
    if found:
        kinds.append("excluded GPUs")
    return found
