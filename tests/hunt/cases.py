"""Seeded tiny instances of every kind: each seed is one set of files and options."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

UNITS = (1e-6, 1e-3, 1.0, 1.0, 60.0, 86400.0)
"""Seconds that a second of the drawn case becomes: rates from 1e-10 to 1e6 requests a second."""

OTHER_UNITS = (86400.0, 1e-6)
"""Units in which a case is solved again: its plan must not depend on them."""

MOST_SECONDS = 1e9
"""Longest service that a trace may state."""

START = datetime(1950, 1, 1, tzinfo=UTC)
EFFICIENCIES = (0.5, 0.8, 0.93, 1.0, [0.95, 0.7], [1.2, 0.8])
SPREADS = ("plain", "plain", "wide", "zeros", "all zero")


@dataclass(frozen=True)
class Case:
    """Files and options of one instance, with times in units of `unit` seconds.

    `arrivals` are whole numbers of the unit, one a request; `options` are those of `solve` by
    their names in Python; `kinds` say what is special, for the counts.
    """

    seed: int
    config: dict[str, Any]
    requests: tuple[dict[str, Any], ...]
    arrivals: tuple[int, ...]
    cluster: dict[str, Any] | None
    options: dict[str, Any]
    unit: float
    kinds: tuple[str, ...] = field(default=())
    rules: dict[str, Any] | None = None

    def write(self, folder: Path) -> None:
        """Write config.json, requests.jsonl, cmd.txt, and cluster.json and rules.json if any."""
        folder.mkdir(parents=True, exist_ok=True)
        config = json.loads(json.dumps(self.config))
        for model in config["models"].values():
            for key in ("inference_time_mean", "token_mean", "prefill_time_seconds"):
                if key in model:
                    model[key] *= self.unit
        (folder / "config.json").write_text(json.dumps(config, indent=1))
        lines = []
        for arrival, request in zip(self.arrivals, self.requests, strict=True):
            times = {n: t * self.unit for n, t in request["node_execution_times"].items()}
            # Whole microseconds, counted as integers: no unit may round them.
            at = START + timedelta(microseconds=arrival * round(self.unit * 1_000_000))
            line = {"timestamp": at.isoformat(), **request, "node_execution_times": times}
            lines.append(json.dumps(line))
        (folder / "requests.jsonl").write_text("\n".join(lines) + "\n")
        if self.cluster is not None:
            (folder / "cluster.json").write_text(json.dumps(self.cluster, indent=1))
        if self.rules is not None:
            (folder / "rules.json").write_text(json.dumps(self.rules, indent=1))
        (folder / "cmd.txt").write_text(" ".join(self.arguments(Path())) + "\n")

    def arguments(self, folder: Path, **other: Any) -> list[str]:
        """Arguments of the command that solves the files in `folder`; `other` options win."""
        said = [
            "solve",
            "--config",
            folder / "config.json",
            "--requests",
            folder / "requests.jsonl",
        ]
        if self.cluster is not None:
            said += ["--cluster", folder / "cluster.json"]
        if self.rules is not None:
            said += ["--rules", folder / "rules.json"]
        for name, value in (self.options | other).items():
            said.append(f"--{name.replace('_', '-')}")
            if value is not True:
                said.append(value)
        return [str(word) for word in said]

    def allows(self, unit: float) -> bool:
        """Whether the case can be told in this unit: one instant stands for one second."""
        if unit == self.unit:
            return True
        models = self.config["models"].values()
        times = [t for r in self.requests for t in r["node_execution_times"].values()]
        usual = [m.get("inference_time_mean", m.get("token_mean", 0) / 50) for m in models]
        return self.arrivals[-1] > 0 and max([*times, *usual]) * unit <= MOST_SECONDS

    def in_unit(self, unit: float) -> Case:
        """The same case where a second is `unit` seconds."""
        return replace(self, unit=unit)


def draw_case(seed: int, *, most_gpus: int = 12) -> Case:
    """Draw the instance of a seed; no cluster has more GPUs than `most_gpus`."""
    rng = np.random.default_rng(seed)
    kinds: list[str] = []
    cluster, options, servers = _draw_cluster(rng, most_gpus, kinds)
    options |= _draw_rules(rng, kinds)
    config = _draw_config(rng, servers, kinds)
    arrivals, requests = _draw_trace(rng, config, servers, kinds)
    _draw_sharing(np.random.default_rng([seed, 1]), config, requests, cluster, options, kinds)
    drawn = Case(seed, config, requests, arrivals, cluster, options, 1.0, tuple(kinds))
    units = [unit for unit in UNITS if drawn.allows(unit)]
    unit = float(rng.choice(units))
    return replace(drawn, unit=unit, kinds=(*kinds, f"unit {unit:g}"))


Servers = list[tuple[int, float, float]]
"""GPUs, memory of each and speed, a server."""


def _draw_cluster(
    rng: np.random.Generator, most_gpus: int, kinds: list[str]
) -> tuple[dict[str, Any] | None, dict[str, Any], Servers]:
    memory = float(rng.choice([80.0, 80.0, 24.0]))
    if rng.random() < 0.55:
        per_server = int(rng.integers(1, 5))
        gpus = int(rng.integers(1, min(3 * per_server, most_gpus) + 1))
        rest = gpus % per_server
        kinds.append("uneven" if rest and gpus > per_server else "identical")
        options = {"gpus": gpus, "gpus_per_server": per_server, "gpu_memory_gb": memory}
        sizes = [per_server] * (gpus // per_server) + ([rest] if rest else [])
        return None, options, [(size, memory, 1.0) for size in sizes]
    kinds.append("several types")
    types, servers = {}, []
    left, gpus_left = 3, most_gpus
    for t in range(int(rng.integers(1, 4))):
        gpus = int(rng.integers(1, 5))
        count = min(int(rng.integers(1, 3)), left, gpus_left // gpus)
        if not count:
            continue
        left, gpus_left = left - count, gpus_left - count * gpus
        speed = float(rng.choice([1.0, 1.0, 0.5, 2.0, round(rng.uniform(0.3, 3.0), 2)]))
        if rng.random() < 0.05:
            speed = float(rng.choice([1e-3, 1e3]))
            kinds.append("far speeds")
        room = float(rng.choice([memory, memory, 40.0]))
        types[f"t{t}"] = {"count": count, "gpus": gpus, "gpu_memory_gb": room, "speed": speed}
        servers += [(gpus, room, speed)] * count
    if not servers:
        types, servers = (
            {"t0": {"count": 1, "gpus": 1, "gpu_memory_gb": memory}},
            [(1, memory, 1.0)],
        )
    return {"server_types": types}, {}, servers


def _draw_sharing(
    rng: np.random.Generator,
    config: dict[str, Any],
    requests: Sequence[dict[str, Any]],
    cluster: dict[str, Any] | None,
    options: dict[str, Any],
    kinds: list[str],
) -> None:
    """Draw how GPUs are shared, how much of the time calls occupy them, and prefills."""
    if rng.random() < 0.15:
        options["gpu_sharing"] = "serial"
        kinds.append("serial")
    elif cluster is not None:
        cluster["sharing_efficiency"] = EFFICIENCIES[int(rng.integers(len(EFFICIENCIES)))]
        kinds.append(f"efficiency {cluster['sharing_efficiency']}")
    times = [t for r in requests for t in r["node_execution_times"].values()]
    gaps = rng.random() < 0.3
    for model in config["models"].values():
        if gaps:
            model["gpu_fraction"] = float(rng.choice([0.3, 0.7, 0.95, 1.0]))
        if model.get("max_concurrency", 1) > 1 and rng.random() < 0.5 and times:
            model["prefill_time_seconds"] = _round(max(times) * rng.uniform(0.05, 0.6))
            model["chunked_prefill"] = bool(rng.random() < 0.2)
            kinds.append("prefill")
    if gaps:
        kinds.append("gaps")


def _draw_rules(rng: np.random.Generator, kinds: list[str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    sharing = rng.random()
    if sharing < 0.35:
        options["exclusive"] = True
    elif sharing < 0.6:
        options["max_models_per_gpu"] = int(rng.integers(1, 4))
    kinds.append(next(iter(options), "shared"))
    options["mode"] = str(rng.choice(["online", "offline"], p=[0.65, 0.35]))
    options["objective"] = str(rng.choice(["mixed", "workflow", "edges", "cooccurrence"]))
    kinds += [options["mode"], options["objective"]]
    if options["objective"] == "mixed" and rng.random() < 0.5:
        options["alpha"] = float(rng.choice([0.0, 0.25, 1.0, round(rng.uniform(), 3)]))
    if rng.random() < 0.4:
        options["max_utilization"] = round(float(rng.uniform(0.2, 1.0)), 3)
    if rng.random() < 0.4:
        options["headroom_slack"] = float(rng.choice([0.0, 0.0, 0.01, 0.3, 1.0]))
        if not options["headroom_slack"]:
            kinds.append("no slack")
    options["form"] = str(rng.choice(["auto", "compact", "patterns"]))
    options["solver"] = str(rng.choice(["HiGHS", "CBC"], p=[0.92, 0.08]))
    kinds += [options["form"], options["solver"]]
    if rng.random() < 0.8:
        options["gap"] = 0
    return options


def _draw_config(rng: np.random.Generator, servers: Servers, kinds: list[str]) -> dict[str, Any]:
    largest = max(gpus for gpus, _, _ in servers)
    total, room = sum(gpus for gpus, _, _ in servers), max(memory for _, memory, _ in servers)
    n_models = int(rng.integers(1, 5))
    fill = str(rng.choice(["small", "half", "parts", "large"], p=[0.3, 0.3, 0.25, 0.15]))
    kinds.append(f"memory {fill}")
    models: dict[str, Any] = {}
    for m in range(n_models):
        k = int(min(rng.integers(1, 5), largest + (rng.random() < 0.02)))
        if rng.random() < 0.5 or k * n_models > 1.5 * total:
            k = 1
        share = {
            "small": rng.uniform(0.02, 0.3),
            "half": rng.uniform(0.3, 0.6),
            "parts": 1 / float(rng.integers(1, 5)),
            "large": rng.uniform(0.5, 1.05),
        }[fill]
        if rng.random() < 0.03:
            share = 0.0
        per_gpu = room * share if fill == "parts" else round(room * share, 1)
        models[f"m{m}"] = {
            "name": f"M{m}",
            "memory_gb": per_gpu * k,
            "gpus_required": k,
            "load_time_seconds": 1,
        }
        if rng.random() < 0.2:
            models[f"m{m}"] |= _draw_batching(rng)
            kinds.append("batching")
    workflows = {}
    for w in range(int(rng.integers(1, 4))):
        nodes = int(rng.choice([1, 2, 3, 4], p=[0.15, 0.3, 0.35, 0.2]))
        density = float(rng.choice([0.0, 0.6, 1.0], p=[0.1, 0.6, 0.3]))
        called = rng.integers(0, n_models, nodes)
        workflows[f"w{w}"] = {
            "name": f"W{w}",
            "nodes": [{"id": f"n{v}", "model": f"m{m}"} for v, m in enumerate(called)],
            "edges": [
                {"from": f"n{u}", "to": f"n{v}"}
                for u, v in combinations(range(nodes), 2)
                if rng.random() < density
            ],
        }
    return {"models": models, "workflows": workflows}


def _draw_batching(rng: np.random.Generator) -> dict[str, Any]:
    n = int(rng.integers(1, 9))
    if rng.random() < 0.5:
        return {"max_concurrency": n, "slowdown": round(float(rng.uniform(0, 1.2)), 3)}
    factors = 1 + np.cumsum(np.round(rng.uniform(0, 0.6, n), 3))
    return {"max_concurrency": n, "slowdown": [1.0, *factors[: n - 1].tolist()]}


def _draw_trace(
    rng: np.random.Generator, config: dict[str, Any], servers: Servers, kinds: list[str]
) -> tuple[tuple[int, ...], tuple[dict[str, Any], ...]]:
    """Draw who arrives when, and scale the service times so that the cluster is loaded as drawn."""
    names = list(config["workflows"])
    counts = rng.integers(1, 5, len(names))
    if len(names) > 1 and rng.random() < 0.15:
        counts[0] = 10 ** int(rng.integers(2, 4))
        kinds.append("rare workflow")
    if len(names) > 1 and rng.random() < 0.1:
        counts[-1] = 0
        kinds.append("unused workflow")
    order = rng.permutation(np.repeat(np.arange(len(names)), counts))
    spread = str(rng.choice(SPREADS, p=[0.45, 0.2, 0.2, 0.12, 0.03]))
    kinds.append(f"times {spread}")
    span = int(10 ** rng.uniform(0, 5))
    if len(order) == 1 or rng.random() < 0.05:
        span = 0
        kinds.append("one instant")
    inner = np.sort(rng.integers(0, span + 1, max(0, len(order) - 2)))
    arrivals = [0, *inner.tolist(), span][: len(order)]

    mean: dict[tuple[str, str], float] = {}
    for w in names:
        for node in config["workflows"][w]["nodes"]:
            mean[w, node["id"]] = {
                "plain": rng.uniform(0.2, 1.0),
                "wide": 10 ** rng.uniform(-6, 6),
                "zeros": rng.uniform(0.2, 1.0) * (rng.random() < 0.5),
                "all zero": 0.0,
            }[spread]
    load = float(rng.choice([rng.uniform(0.02, 0.4), rng.uniform(0.4, 0.9), rng.uniform(1, 4)]))
    scale = load / (_floor(config, servers, names, counts, mean, span or 1) or 1.0)
    defaults = rng.random() < 0.3
    times = [
        {
            n["id"]: _round(mean[names[w], n["id"]] * scale * rng.uniform(0.8, 1.25))
            for n in config["workflows"][names[w]]["nodes"]
        }
        for w in order
    ]
    if defaults:
        kinds.append("default times")
        _leave_out(rng, config, times, order, names, load * (span or 1) / len(order))
    requests = tuple(
        {"request_id": f"r{r}", "workflow_id": names[w], "node_execution_times": t}
        for r, (w, t) in enumerate(zip(order, times, strict=True))
    )
    return tuple(arrivals), requests


def _leave_out(
    rng: np.random.Generator,
    config: dict[str, Any],
    times: Sequence[dict[str, float]],
    order: Sequence[int],
    names: list[str],
    second: float,
) -> None:
    """Give models a time of their own, and leave it out of the trace here and there."""
    for model in config["models"].values():
        usual = _round(second * rng.uniform(0.1, 1.0))
        if rng.random() < 0.5:
            model["inference_time_mean"] = usual
        else:
            model |= {"tokens_per_second": 50.0, "token_mean": 50 * usual}
    for t in times:
        for node in list(t):
            if rng.random() < 0.5:
                del t[node]


def _floor(
    config: dict[str, Any],
    servers: Servers,
    names: list[str],
    counts: Sequence[int],
    mean: dict[tuple[str, str], float],
    span: int,
) -> float:
    work = 0.0
    for w, count in zip(names, counts, strict=True):
        for node in config["workflows"][w]["nodes"]:
            k = config["models"][node["model"]]["gpus_required"]
            work += count / span * mean[w, node["id"]] * k
    return work / sum(gpus * speed for gpus, _, speed in servers)


def _round(seconds: float) -> float:
    return float(f"{seconds:.6g}")
