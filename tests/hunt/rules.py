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
    case = _with_adapter(np.random.default_rng([case.seed, 2]), case, kinds)
    if models := _on_models(rng, case, servers, kinds):
        rules["models"] = models
    if domains := _domains(rng, case, kinds):
        rules["domains"] = domains
    return replace(case, rules=rules, kinds=(*case.kinds, *kinds))


def _with_adapter(rng: np.random.Generator, case: Case, kinds: list[str]) -> Case:
    """Make a model an adapter of another that takes as many GPUs, now and then."""
    models = case.config["models"]
    alone = case.options.get("exclusive") or case.options.get("max_models_per_gpu") == 1
    pairs = [
        (a, b)
        for a in models
        for b in models
        if a != b and models[a]["gpus_required"] == models[b]["gpus_required"]
    ]
    if alone or not pairs or rng.random() > 0.3:
        return case
    a, b = pairs[int(rng.integers(len(pairs)))]
    adapter = {key: value for key, value in models[a].items() if key != "memory_gb"}
    adapter |= {"base_model": b, "adapter_gb": models[a]["memory_gb"] / 4}
    kinds.append("adapter")
    return replace(case, config={**case.config, "models": {**models, a: adapter}})


def _server_types(case: Case) -> list[str]:
    if case.cluster is not None:
        return list(case.cluster["server_types"])
    return ["server" if case.options["gpus"] >= case.options["gpus_per_server"] else "last-server"]


def _server_gpus(case: Case) -> list[int]:
    if case.cluster is not None:
        return [t["gpus"] for t in case.cluster["server_types"].values() for _ in range(t["count"])]
    full, rest = divmod(case.options["gpus"], case.options["gpus_per_server"])
    return [case.options["gpus_per_server"]] * full + ([rest] if rest else [])


def _on_models(
    rng: np.random.Generator, case: Case, servers: list[int], kinds: list[str]
) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    more = np.random.default_rng([case.seed, 3])
    asked = {r["workflow_id"] for r in case.requests}
    called = {n["model"] for w in asked for n in case.config["workflows"][w]["nodes"]}
    for name in case.config["models"]:
        rules: dict[str, Any] = {}
        if rng.random() < 0.3:
            rules["min_replicas"] = int(rng.integers(1, 4))
        if rng.random() < 0.3:
            rules["max_replicas"] = int(rng.integers(rules.get("min_replicas", 1), 4))
        if rng.random() < 0.3:
            most = min(len(servers), rules.get("max_replicas", 3))
            rules["spread"] = int(rng.integers(1, most + 1))
        for key in ("allowed", "forbidden"):
            if rng.random() < 0.12 and (sites := _sites(rng, case, servers)):
                rules[key] = sites
        s = int(rng.integers(len(servers)))
        k = case.config["models"][name]["gpus_required"]
        if rng.random() < 0.15 and servers[s] >= k and name in called:
            start = int(rng.integers(servers[s] - k + 1))
            rules["pinned"] = [{"server": s, "gpus": list(range(start, start + k))}]
        others = sorted(called - {name})
        if name in called and others and more.random() < 0.25:
            key = str(more.choice(["apart_from", "together_with"]))
            rules[key] = [str(more.choice(others))]
        if more.random() < 0.12:
            kind = str(more.choice(_server_types(case)))
            rules["speed"] = {kind: float(more.choice([0.5, 2.0]))}
        if rules:
            found[name] = rules
            kinds += rules
    return found


def _sites(rng: np.random.Generator, case: Case, servers: list[int]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if rng.random() < 0.5:
        found["servers"] = [s for s in range(len(servers)) if rng.random() < 0.5]
    if rng.random() < 0.4 and case.cluster is not None:
        types = list(case.cluster["server_types"])
        found["server_types"] = [str(rng.choice(types))]
    if rng.random() < 0.4:
        found["gpus"] = [g for g in range(max(servers)) if rng.random() < 0.6]
    return {key: value for key, value in found.items() if value}


def _domains(rng: np.random.Generator, case: Case, kinds: list[str]) -> dict[str, list[list[int]]]:
    if rng.random() < 0.75:
        return {}
    if case.cluster is None:
        gpus = {"server": case.options["gpus_per_server"]}
        if case.options["gpus"] < gpus["server"]:
            return {}
    else:
        gpus = {name: t["gpus"] for name, t in case.cluster["server_types"].items()}
    kinds.append("domains")
    return {
        name: [list(range(g, min(g + 2, n))) for g in range(int(rng.integers(2)), n, 2)]
        for name, n in gpus.items()
        if n > 1
    }


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
