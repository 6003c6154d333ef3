"""Small valid inputs as plain data: drawn, or cut from the files in ``configs/``."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import yaml

CONFIGS = Path(__file__).parents[2] / "configs"

NAMES = ("a", "chat-8b", "Größe", "模型", "🚀", "no", "1.0", "it's <b>$HOME</b>", "x y", "~",
         "2026-01-01", "<<", "null", "models", "#", "-", "a.b[0]")  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """One valid set of documents.

    Parameters
    ----------
    config, requests, cluster : data of the files
        `requests` is the bare list.
    plan, history : data or None
        What `solve` wrote for them, where it has run.
    arrivals : list of list of str
        Rows of a CSV file of time stamps.
    solve : tuple of str
        Options with which the plan was made.
    rules : dict
        Rules that most placements can keep.
    """

    config: dict[str, Any]
    requests: list[dict[str, Any]]
    cluster: dict[str, Any]
    arrivals: list[list[str]] = field(default_factory=list)
    plan: Any = None
    history: Any = None
    solve: tuple[str, ...] = ()
    rules: dict[str, Any] = field(default_factory=dict)


def draw_problem(rng: Random) -> Problem:
    """Draw a problem of at most a few models, servers and requests."""
    kind = rng.random()
    if kind < 0.1:
        config, requests = _shipped(rng.choice(["small", "multimodal"]))
    else:
        config = _config(rng)
        requests = _requests(rng, config)
    cluster = _cluster(rng, config)
    arrivals = [["TIMESTAMP", "tokens"]]
    arrivals += [[r["timestamp"].replace("T", " "), str(rng.randint(0, 99))] for r in requests]
    return Problem(config, requests, cluster, arrivals, rules=_rules(rng, config, cluster))


@cache
def _shipped_text(name: str) -> str:
    config = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    if name == "small":
        requests = yaml.safe_load((CONFIGS / "small_requests.yaml").read_text())["requests"]
    else:
        lines = (CONFIGS / f"{name}_requests.jsonl").read_text().splitlines()[:40]
        requests = [json.loads(line) for line in lines]
    return json.dumps([config, requests[:40]], default=str)


def _shipped(name: str) -> tuple[Any, Any]:
    config, requests = json.loads(_shipped_text(name))
    return config, requests


def _names(rng: Random, count: int, plain: str) -> list[str]:
    if rng.random() < 0.7:
        return [f"{plain}{i}" for i in range(count)]
    return rng.sample(NAMES, count)


def _number(rng: Random, low: float, high: float) -> float:
    value = low * (high / low) ** rng.random()
    return rng.choice([value, round(value, 1), float(max(1, round(value)))])


def _config(rng: Random) -> dict[str, Any]:
    models: dict[str, Any] = {}
    for name in _names(rng, rng.randint(1, 4), "m"):
        gpus = rng.choice([1, 1, 1, 2, 2, 4])
        model: dict[str, Any] = {
            "name": f"Model {name}",
            "memory_gb": _number(rng, 1, 70) * gpus,
            "gpus_required": gpus,
            "load_time_seconds": _number(rng, 0.1, 20),
        }
        if rng.random() < 0.5:
            model |= {"tokens_per_second": _number(rng, 10, 100), "token_mean": 90, "token_std": 5}
        if rng.random() < 0.7 or "token_mean" not in model:
            model |= {"inference_time_mean": _number(rng, 0.05, 5), "inference_time_std": 0.1}
        if rng.random() < 0.25:
            model["max_concurrency"] = n = rng.randint(2, 4)
            model["slowdown"] = rng.choice([0.2, [1 + 0.1 * i for i in range(n)]])
        if rng.random() < 0.2:
            model |= {"type": "llm", "base_model": "b", "config": {"steps": [1, 2]}}
        models[name] = model
    flows: dict[str, Any] = {}
    for name in _names(rng, rng.randint(1, 3), "w"):
        ids = _names(rng, rng.randint(1, 4), "n")
        nodes = [{"id": n, "model": rng.choice(list(models))} for n in ids]
        if rng.random() < 0.3:
            nodes[0] |= {"inputs": ["q"], "outputs": ["r"], "config_options": ["steps"]}
        edges = [
            {"from": ids[i], "to": ids[j]} | ({"payload_mb": 1.5} if rng.random() < 0.5 else {})
            for j in range(len(ids))
            for i in range(j)
            if rng.random() < 0.5
        ]
        flows[name] = {"name": name, "nodes": nodes, "edges": edges}
    return {"models": models, "workflows": flows}


def _requests(rng: Random, config: dict[str, Any]) -> list[dict[str, Any]]:
    flows = config["workflows"]
    zone = rng.choice(["", "", "Z", "+05:30"])
    at, found = 0.0, []
    step = _number(rng, 0.01, 10)
    for i in range(rng.randint(1, 12)):
        flow = rng.choice(list(flows))
        stamp = f"2026-01-01T{int(at) // 3600 % 24:02d}:{int(at) // 60 % 60:02d}:{at % 60:06.3f}"
        request: dict[str, Any] = {
            "request_id": f"r{i}",
            "timestamp": stamp + zone,
            "workflow_id": flow,
        }
        if rng.random() < 0.8:
            request["node_execution_times"] = {
                n["id"]: round(_number(rng, 0.01, 5), 3) for n in flows[flow]["nodes"]
            }
        if rng.random() < 0.1:
            request |= {"metadata": {"user": "u"}, "input_data": [1], "node_configs": None}
        found.append(request)
        at += step * rng.random()
    return found


def _rules(rng: Random, config: dict[str, Any], cluster: dict[str, Any]) -> dict[str, Any]:
    """A rule or two of every kind; now and then they conflict."""
    names, kinds = list(config["models"]), cluster["server_types"]
    servers = [t["gpus"] for t in kinds.values() for _ in range(t["count"])]
    models: dict[str, Any] = {}
    for name in rng.sample(names, min(len(names), rng.choice([0, 1, 1, 2]))):
        at, gpus = rng.randrange(len(servers)), config["models"][name]["gpus_required"]
        models[name] = rng.choice(
            [
                {"min_replicas": 2},
                {"max_replicas": rng.randint(1, 3)},
                {"spread": min(2, len(servers)), "min_replicas": 2},
                {"allowed": {"server_types": [next(iter(kinds))]}},
                {"forbidden": {"servers": [at]}},
                {"pinned": [{"server": 0, "gpus": list(range(gpus))}]},
                {rng.choice(["together_with", "apart_from"]): [n for n in names if n != name][:1]},
                {"speed": {next(iter(kinds)): 0.5}},
            ]
        )
    found: dict[str, Any] = {"models": models}
    if rng.random() < 0.2:
        found["excluded_gpus"] = [{"server": len(servers) - 1, "gpus": [servers[-1] - 1]}]
    if rng.random() < 0.2:
        found["domains"] = {next(iter(kinds)): [[0, 1]]} if servers[0] > 1 else {}
    if rng.random() < 0.3:
        found |= rng.choice([{"spares": "none"}, {"spares": "fill"}, {"pack": True}])
    return found


def _cluster(rng: Random, config: dict[str, Any]) -> dict[str, Any]:
    """A cluster on which most draws fit."""
    largest = max(m["gpus_required"] for m in config["models"].values())
    types: dict[str, Any] = {}
    for i, name in enumerate(_names(rng, rng.choice([1, 1, 2, 3]), "t")):
        types[name] = {
            "count": rng.randint(1, 3),
            "gpus": max(rng.randint(1, 4), largest if i == 0 else 1),
            "gpu_memory_gb": rng.choice([80.0, 160, 80, 40]),
            "speed": rng.choice([1.0, 1.0, 0.5, 3]),
        }
        if rng.random() < 0.15:
            gpus = types[name]["gpus"]
            types[name]["speed"] = [rng.choice([1.0, 0.5, 3]) for _ in range(gpus)]
    network = {
        "intra_server": {"latency_s": 1e-5, "bandwidth_gb_per_s": 300},
        "inter_server": {"latency_s": 0.005, "bandwidth_gb_per_s": 12.5},
    }
    return {"server_types": types} | ({"network": network} if rng.random() < 0.5 else {})
