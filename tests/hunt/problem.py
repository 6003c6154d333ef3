"""The placement problem of docs/model.md, read from the files by a few lines of our own."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache, cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

ROOM = 1e-9
"""Share of a GPU's memory that thirds and tenths may exceed it by when they are added up."""


LIGHT = 1e-6
"""Load, over the mean that all GPUs have at least, below which a replica counts as idle."""


@cache
def total_pace(fractions: tuple[float, ...], kept: tuple[float, ...]) -> float:
    """Pace of replicas that share a GPU, in sum and at most 1, by the closed network's states.

    Those of the set T are on the GPU, which serves |T| at the rate eta(|T|), with a weight of
    prod over T of u |T|! / (eta(1) ... eta(|T|)) times prod of 1 - u over the others.
    """
    weight = pace = 0.0
    for n in range(len(fractions) + 1):
        eta = [1.0, *(kept[min(i, len(kept) - 1)] for i in range(n - 1))][:n]
        for there in combinations(range(len(fractions)), n):
            parts = [u if r in there else 1 - u for r, u in enumerate(fractions)]
            here = math.prod(parts) * math.factorial(n) / math.prod(eta)
            weight += here
            if n:
                pace += here * eta[-1] * sum(1 / fractions[r] for r in there) / n
    return min(1.0, pace / weight)


def each(stated: float | Sequence[float], gpus: int) -> tuple[float, ...]:
    """What is stated of the GPUs of a server, for each of them."""
    return (float(stated),) * gpus if isinstance(stated, int | float) else tuple(stated)


@dataclass(frozen=True)
class Model:
    """A replica holds `gpus` consecutive GPUs and takes `memory` GB on each.

    `fraction` is the part of a call's time in which it occupies them. An adapter stands where its
    `base` does.
    """

    gpus: int
    memory: float
    fraction: float = 1.0
    base: str | None = None


@dataclass(frozen=True)
class Server:
    """GPUs of one server, memory and speed, of each where they differ, and which stay empty."""

    gpus: int
    memory: float | tuple[float, ...]
    speed: float | tuple[float, ...]
    excluded: frozenset[int] = frozenset()
    kind: str = ""
    domains: tuple[frozenset[int], ...] = ()

    def room(self, gpu: int) -> float:
        """Memory of a GPU."""
        return each(self.memory, self.gpus)[gpu]

    def starts(self, model: Model) -> list[int]:
        """First GPUs of the blocks on which a replica can stand where nothing else does."""
        blocks = {i: set(range(i, i + model.gpus)) for i in range(self.gpus - model.gpus + 1)}
        return [
            i
            for i, block in blocks.items()
            if not self.excluded & block
            and all(model.memory <= self.room(g) * (1 + ROOM) for g in block)
            and (not self.domains or len(block) == 1 or any(block <= d for d in self.domains))
        ]


@dataclass(frozen=True)
class Workflow:
    """A workflow that some request asks for; `nodes` are (model, busy seconds of a call)."""

    id: str
    rate: float
    names: tuple[str, ...]
    nodes: tuple[tuple[str, float], ...]
    links: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Problem:
    """What must be placed and routed, and what counts; `most` replicas may share a GPU.

    `kept[n - 2]` is what n that share it in time slices get of it together, of which the last holds
    for more; nothing is lost where it is empty.
    """

    models: Mapping[str, Model]
    servers: tuple[Server, ...]
    workflows: tuple[Workflow, ...]
    alpha: float
    most: int
    rules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    kept: tuple[float, ...] = ()

    @property
    def loses(self) -> bool:
        """Whether a GPU may bear less where replicas share it."""
        return self.most > 1 and min(self.kept, default=1.0) < 1

    def speeds(self, model: str, server: int) -> tuple[float, ...]:
        """How fast a model is on each GPU of a server."""
        kind = self.servers[server]
        own = self.rules.get(model, {}).get("speed", {})
        return each(own.get(kind.kind, kind.speed), kind.gpus)

    def speed(self, model: str, server: int, start: int) -> float:
        """How fast a replica is whose block starts at a GPU: as its slowest one."""
        return min(self.speeds(model, server)[start : start + self.models[model].gpus])

    def counts(self, model: str, server: int, start: int) -> bool:
        """Whether a replica there can have a load that counts."""
        return self.work[model] / self.speed(model, server, start) > LIGHT * self.floor

    def capacity(self, models: Sequence[str]) -> float:
        """What loaded replicas of these models carry on one GPU: the least pace of any of them."""
        if not self.loses:
            return 1.0
        fractions = sorted(self.models[m].fraction for m in models)
        sets = (c for n in range(2, len(models) + 1) for c in combinations(fractions, n))
        return min((total_pace(c, self.kept) for c in sets), default=1.0)

    @cached_property
    def work(self) -> dict[str, float]:
        """Busy seconds a second that each model's calls make, at speed 1."""
        total: dict[str, float] = defaultdict(float)
        for w in self.workflows:
            for model, seconds in w.nodes:
                total[model] += w.rate * seconds
        return total

    @cached_property
    def floor(self) -> float:
        """Load of every GPU if all of them worked all the time: no bottleneck is lower."""
        power = sum(
            max(self.speeds(m, i)[g] for m in self.models)
            for i, s in enumerate(self.servers)
            for g in range(s.gpus)
            if g not in s.excluded
        )
        return sum(self.models[m].gpus * load for m, load in self.work.items()) / power

    @cached_property
    def weights(self) -> list[tuple[float, float]]:
        """Worth of a workflow kept whole, and of each of its links kept, at its full rate."""
        rates = sum(w.rate for w in self.workflows)
        links = sum(w.rate * len(w.links) for w in self.workflows)
        return [
            (
                self.alpha * w.rate / rates,
                (1 - self.alpha) * w.rate / links if links else 0.0,
            )
            for w in self.workflows
        ]

    @cached_property
    def constant(self) -> float:
        """Where nothing has links, nothing crosses: that part counts in full."""
        return 0.0 if any(w.links for w in self.workflows) else 1 - self.alpha

    def starts(self, name: str, s: int) -> list[int]:
        """First GPUs of the blocks of a server that memory and rules leave to a model."""
        model, rules = self.models[name], self.rules.get(name, {})
        found = self.servers[s].starts(model)
        if "allowed" in rules:
            found = [i for i in found if self._all_among(rules["allowed"], s, i, model.gpus)]
        if "forbidden" in rules:
            found = [i for i in found if not self._any_among(rules["forbidden"], s, i, model.gpus)]
        return found

    def _server_among(self, sites: Mapping[str, Any], s: int) -> bool:
        types, servers = sites.get("server_types", ()), sites.get("servers", ())
        return not (types or servers) or self.servers[s].kind in types or s in servers

    def _all_among(self, sites: Mapping[str, Any], s: int, start: int, gpus: int) -> bool:
        on = set(sites.get("gpus") or range(self.servers[s].gpus))
        return self._server_among(sites, s) and set(range(start, start + gpus)) <= on

    def _any_among(self, sites: Mapping[str, Any], s: int, start: int, gpus: int) -> bool:
        on = set(sites.get("gpus") or range(self.servers[s].gpus))
        return self._server_among(sites, s) and bool(set(range(start, start + gpus)) & on)

    def pins_fit(self) -> bool:
        """Whether every pinned replica could stand, were its server empty."""
        return all(
            min(pin["gpus"]) in self.starts(name, pin["server"])
            for name, rules in self.rules.items()
            for pin in rules.get("pinned", ())
        )

    def fits_alone(self, model: str) -> bool:
        """Whether some server could hold the model, were it empty."""
        return any(self.starts(model, s) for s in range(len(self.servers)))


def read_problem(folder: Path, options: Mapping[str, Any]) -> Problem:
    """Read config, requests, cluster and rules; `options` are those of the command."""
    config = json.loads((folder / "config.json").read_text())
    requests = [json.loads(line) for line in (folder / "requests.jsonl").open()]
    objective = options.get("objective", "mixed")
    alpha = {"mixed": options.get("alpha", 0.5), "workflow": 1.0}.get(objective, 0.0)
    models = {
        name: Model(
            m["gpus_required"],
            m.get("adapter_gb", m.get("memory_gb")) / m["gpus_required"],
            m.get("gpu_fraction", 1.0),
            m["base_model"] if "adapter_gb" in m else None,
        )
        for name, m in config["models"].items()
    }
    kept = _kept(folder, options)
    workflows = _demand(
        config, requests, pairs=objective == "cooccurrence", prefill=kept is not None
    )
    most = 1 if options.get("exclusive") else options.get("max_models_per_gpu")
    used = {m for w in workflows for m, _ in w.nodes}
    used |= {base for m in used if (base := models[m].base)}
    return Problem(
        {name: m for name, m in models.items() if name in used},
        tuple(_servers(folder, options)),
        tuple(workflows),
        float(alpha),
        most or len(models) * max(m.gpus for m in models.values()),
        {name: r for name, r in _rules(folder).get("models", {}).items() if name in used},
        kept or (),
    )


def _kept(folder: Path, options: Mapping[str, Any]) -> tuple[float, ...] | None:
    """What replicas that share a GPU get of it together; None where they take turns."""
    cluster = {} if "gpus" in options else json.loads((folder / "cluster.json").read_text())
    mode = options.get("gpu_sharing", cluster.get("gpu_sharing", "time-sliced"))
    kept = cluster.get("sharing_efficiency", 0.93)
    if mode == "serial":
        return None
    return tuple(kept) if isinstance(kept, list) else (kept,)


def _servers(folder: Path, options: Mapping[str, Any]) -> list[Server]:
    servers = _bare_servers(folder, options)
    rules = _rules(folder)
    for rule in rules.get("excluded_gpus", ()):
        server = servers[rule["server"]]
        servers[rule["server"]] = replace(server, excluded=server.excluded | set(rule["gpus"]))
    for name, groups in rules.get("domains", {}).items():
        domains = tuple(frozenset(group) for group in groups)
        servers = [replace(s, domains=domains) if s.kind == name else s for s in servers]
    return servers


def _rules(folder: Path) -> dict[str, Any]:
    path = folder / "rules.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _bare_servers(folder: Path, options: Mapping[str, Any]) -> list[Server]:
    if "gpus" not in options:
        kinds = json.loads((folder / "cluster.json").read_text())["server_types"].items()
        return [
            Server(
                k["gpus"],
                each(k.get("gpu_memory_gb", 80.0), k["gpus"]),
                each(k.get("speed", 1.0), k["gpus"]),
                frozenset(k.get("excluded_gpus", ())),
                name,
            )
            for name, k in kinds
            for _ in range(k["count"])
        ]
    full, rest = divmod(options["gpus"], options["gpus_per_server"])
    sizes = [options["gpus_per_server"]] * full + ([rest] if rest else [])
    memory, per_server = options.get("gpu_memory_gb", 80.0), options["gpus_per_server"]
    return [
        Server(size, memory, 1.0, kind="server" if size == per_server else "last-server")
        for size in sizes
    ]


def _demand(
    config: dict[str, Any], requests: Sequence[dict[str, Any]], *, pairs: bool, prefill: bool
) -> list[Workflow]:
    times = [datetime.fromisoformat(r["timestamp"]) for r in requests]
    span = (times[-1] - times[0]).total_seconds() or 1.0
    found = []
    for name, workflow in config["workflows"].items():
        mine = [r for r in requests if r["workflow_id"] == name]
        if not mine:
            continue
        names = tuple(n["id"] for n in workflow["nodes"])
        index = {node: i for i, node in enumerate(names)}
        nodes = []
        for node in workflow["nodes"]:
            model = config["models"][node["model"]]
            each = [_seconds(node["id"], model, r) for r in mine]
            # In a call's prefill the others of its replica stand still.
            first = model.get("prefill_time_seconds", 0.0) if prefill else 0.0
            if model.get("chunked_prefill") or model.get("max_concurrency", 1) == 1:
                first = 0.0
            busy = [min(first, t) + max(0.0, t - first) * _share_of_replica(model) for t in each]
            nodes.append((node["model"], sum(busy) / len(busy)))
        links = (
            combinations(range(len(names)), 2)
            if pairs
            else ((index[e["from"]], index[e["to"]]) for e in workflow.get("edges", ()))
        )
        found.append(Workflow(name, len(mine) / span, names, tuple(nodes), tuple(links)))
    return found


def _seconds(node: str, model: dict[str, Any], request: dict[str, Any]) -> float:
    stated = request.get("node_execution_times", {}).get(node)
    if stated is not None:
        return float(stated)
    if "tokens_per_second" in model:
        return float(model["token_mean"] / model["tokens_per_second"])
    return float(model["inference_time_mean"])


def _share_of_replica(model: dict[str, Any]) -> float:
    """What a second of service takes of a replica whose n places are full: slowdown(n) / n."""
    n = model.get("max_concurrency", 1)
    slowdown = model.get("slowdown", 0.0)
    last = slowdown[-1] if isinstance(slowdown, list) else 1 + slowdown * (n - 1)
    return float(last / n)
