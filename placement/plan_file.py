"""The plan file: written deterministically and atomically, read with every fault in words."""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from placement.atomic import write_atomically
from placement.cluster import Cluster, Network, ServerType
from placement.instance import Instance, WorkflowDemand
from placement.outcome import Certificate
from placement.plan import Plan, Shares, WorkflowRouting
from placement.plan_schema import PlanDocument, PlanWorkflow
from placement.reading.document import (
    DOCUMENT_FORMATS,
    PlacedFault,
    load_document,
    raise_faults,
)
from placement.reading.faults import InputError, input_error, suggest
from placement.reading.shape import check_shape
from placement.reading.source import find_format
from placement.solution import Placement

FORMAT = "gswarm-place plan"
VERSION = 1
LIMIT_BYTES = 1 << 30

PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
YAML_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


class InvalidPlan(InputError):  # noqa: N818 - what the file is
    """A plan file of the right shape whose content contradicts itself."""


def check_plan_name(path: str | os.PathLike[str]) -> None:
    """Refuse a name for a plan file under which it could not be read again.

    Raises
    ------
    InputError
        Where the suffix names no format; a pipe or terminal may have any name.
    """
    place = Path(path)
    if place.is_file() or not place.exists():
        find_format(path, DOCUMENT_FORMATS)


def write_plan(path: str | os.PathLike[str], plan: Plan) -> None:
    """Write a plan as YAML, or as JSON where `path` ends in ``.json``.

    The same plan gives the same bytes: wall-clock seconds stay out. Floats are written in full,
    so a plan that is read again is the plan that was written.

    Raises
    ------
    OSError
        Where the file cannot be written; an older file stays whole.
    """
    data = _document(plan)
    if Path(path).suffix.lower() == ".json":
        write_atomically(path, orjson.dumps(data, option=orjson.OPT_INDENT_2) + b"\n")
    else:
        write_atomically(path, _yaml(data))


def read_plan(path: str | os.PathLike[str]) -> Plan:
    """Read a plan file.

    Raises
    ------
    InputError
        Where the file is no plan.
    InvalidPlan
        Where it is one that contradicts itself: unknown names, broken blocks.
    """
    document = load_document(path, LIMIT_BYTES)
    if not isinstance(document.data, dict) or document.data.get("format") != FORMAT:
        raise input_error(
            path, "", f"is no plan (format: {FORMAT} is missing)", "name a file that solve wrote"
        )
    entry, misspelt = check_shape(PlanDocument, document)
    raise_faults(document, misspelt)
    try:
        return _Reader(entry).plan()
    except _Faults as found:
        try:
            raise_faults(document, found.faults)
        except InputError as error:
            raise InvalidPlan(error.faults, error.more) from None
        raise


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _document(plan: Plan) -> dict[str, Any]:
    instance, cluster, network = plan.instance, plan.cluster, plan.cluster.network
    certificate = {k: v for k, v in asdict(plan.certificate).items() if k != "seconds"}
    certificate["gap"] = _finite(plan.certificate.gap)
    k = instance.gpus_required[plan.placement.model]
    rows = zip(
        plan.placement.model.tolist(),
        plan.placement.server.tolist(),
        plan.first_gpu.tolist(),
        k.tolist(),
        plan.load.tolist(),
        strict=True,
    )
    return {
        "format": FORMAT,
        "version": VERSION,
        "cluster": {
            "server_types": [
                {f.name: getattr(t, f.name) for f in fields(ServerType)}
                for t in cluster.server_types
            ],
            "network": {f.name: _finite(getattr(network, f.name)) for f in fields(Network)},
        },
        "rules": {
            "objective": plan.objective,
            "mode": plan.mode,
            "alpha": instance.alpha,
            "load_cap": instance.load_cap,
            "exclusive": instance.exclusive,
            "max_models_per_gpu": instance.max_models_per_gpu,
        },
        "models": [
            {"id": name, "gpus_required": int(gpus), "memory_per_gpu_gb": float(memory)}
            for name, gpus, memory in zip(
                instance.model_ids,
                instance.gpus_required,
                instance.memory_per_gpu_gb,
                strict=True,
            )
        ],
        "workflows": [
            {
                "id": w.id,
                "rate": w.rate,
                "nodes": [
                    {"id": node, "model": instance.model_ids[m], "work_s": float(t)}
                    for node, m, t in zip(names, w.node_model, w.work_s, strict=True)
                ],
                "links": [[names[u], names[v]] for u, v in w.links],
            }
            for w, names in zip(instance.workflows, plan.node_ids, strict=True)
        ],
        "replicas": [
            {
                "id": r,
                "model": instance.model_ids[m],
                "server": s,
                "gpus": list(range(first, first + length)),
                "load": load,
            }
            for r, (m, s, first, length, load) in enumerate(rows)
        ],
        "routing": {
            instance.workflows[w].id: {
                "home": _pairs(shares.home),
                "spill": {
                    name: _pairs(spill)
                    for name, spill in zip(plan.node_ids[w], shares.spill, strict=True)
                },
            }
            for w, shares in enumerate(plan.routing)
            if shares is not None
        },
        "dropped": list(plan.dropped),
        "expected": plan.expected,
        "certificate": certificate,
        "inputs": plan.inputs,
    }


def _pairs(shares: Shares) -> list[list[float]]:
    return [[s, p] for s, p in zip(shares.server.tolist(), shares.share.tolist(), strict=True)]


def _yaml(data: dict[str, Any]) -> str:
    """Block style above, one flow-style line per item below: JSON is YAML's flow style."""
    lines = []
    for key, value in data.items():
        if isinstance(value, list) and value:
            lines.append(f"{key}:")
            lines += [f"  - {_flow(item)}" for item in value]
        elif isinstance(value, dict) and value:
            lines.append(f"{key}:")
            for name, item in value.items():
                if isinstance(item, list) and item and isinstance(item[0], dict):
                    lines.append(f"  {_key(name)}:")
                    lines += [f"    - {_flow(entry)}" for entry in item]
                elif key == "routing":
                    lines.append(f"  {_key(name)}:")
                    lines.append(f"    home: {_flow(item['home'])}")
                    lines.append("    spill:")
                    lines += [f"      {_key(n)}: {_flow(p)}" for n, p in item["spill"].items()]
                else:
                    lines.append(f"  {_key(name)}: {_flow(item)}")
        else:
            lines.append(f"{key}: {_flow(value)}")
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    # YAML takes 1e-05 for text: its floats need a point before the exponent.
    if isinstance(value, float):
        text = repr(value)
        return text.replace("e", ".0e") if "e" in text and "." not in text else text
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(v) for v in value) + "]"
    return json.dumps(value)


def _key(name: str) -> str:
    # What YAML could take for a number, a truth value or null is quoted.
    plain = PLAIN_KEY.fullmatch(name) and name.lower() not in YAML_WORDS
    return name if plain else json.dumps(name)


class _Faults(Exception):  # noqa: N818 - carries faults, is not one
    def __init__(self, faults: list[PlacedFault]) -> None:
        self.faults = faults


class _Reader:
    """Turns names back into indices, collecting what does not add up."""

    def __init__(self, entry: PlanDocument) -> None:
        self.entry = entry
        self.faults: list[PlacedFault] = []
        self.models = {m.id: i for i, m in enumerate(entry.models)}

    def plan(self) -> Plan:
        entry = self.entry
        part = entry.cluster
        network = {
            name: math.inf if value is None else value
            for name, value in part.network.model_dump().items()
        }
        cluster = Cluster(
            tuple(ServerType(**t.model_dump()) for t in part.server_types), Network(**network)
        )
        workflows = tuple(self._workflow(i, w) for i, w in enumerate(entry.workflows))
        rules = entry.rules
        instance = Instance(
            model_ids=tuple(m.id for m in entry.models),
            gpus_required=np.array([m.gpus_required for m in entry.models], dtype=np.int64),
            memory_per_gpu_gb=np.array([m.memory_per_gpu_gb for m in entry.models]),
            workflows=workflows,
            cluster=cluster,
            load_cap=rules.load_cap,
            alpha=rules.alpha,
            exclusive=rules.exclusive,
            max_models_per_gpu=rules.max_models_per_gpu,
        )
        placement = self._placement(instance)
        routing = tuple(self._routing(w, instance) for w in entry.workflows)
        certificate = self._certificate()
        if self.faults or certificate is None:
            raise _Faults(self.faults)
        return Plan(
            instance=instance,
            node_ids=tuple(tuple(n.id for n in w.nodes) for w in entry.workflows),
            placement=placement,
            load=np.array([r.load for r in entry.replicas], dtype=np.float64),
            routing=routing,
            expected=dict(entry.expected),
            certificate=certificate,
            inputs=dict(entry.inputs),
            objective=rules.objective,
            mode=rules.mode,
            dropped=tuple(entry.dropped),
        )

    def _fault(self, place: tuple[str | int, ...], wrong: str, mend: str = "") -> None:
        self.faults.append(PlacedFault(place, wrong, mend or "solve again"))

    def _model(self, place: tuple[str | int, ...], name: str) -> int:
        if name not in self.models:
            self._fault(
                place, f"names the unknown model {name!r}", suggest(name, self.models, "model")
            )
            return 0
        return self.models[name]

    def _workflow(self, i: int, entry: PlanWorkflow) -> WorkflowDemand:
        place = {n.id: v for v, n in enumerate(entry.nodes)}
        links = []
        for pair in entry.links:
            fits = isinstance(pair, list) and len(pair) == 2 and all(type(p) is str for p in pair)
            if not fits or any(p not in place for p in pair):
                self._fault(("workflows", i, "links"), f"{pair!r} is no pair of its nodes")
            else:
                links.append((place[pair[0]], place[pair[1]]))
        return WorkflowDemand(
            id=entry.id,
            rate=entry.rate,
            node_model=np.array(
                [
                    self._model(("workflows", i, "nodes", v, "model"), n.model)
                    for v, n in enumerate(entry.nodes)
                ],
                dtype=np.int64,
            ),
            work_s=np.array([n.work_s for n in entry.nodes], dtype=np.float64),
            links=np.array(links, dtype=np.int64).reshape(-1, 2),
        )

    def _placement(self, instance: Instance) -> Placement:
        cluster = instance.cluster
        model, server, start = [], [], []
        for i, replica in enumerate(self.entry.replicas):
            place = ("replicas", i)
            m = self._model((*place, "model"), replica.model)
            length = int(instance.gpus_required[m])
            if replica.id != i:
                self._fault((*place, "id"), f"is {replica.id}, and its place is {i}")
            if not 0 <= replica.server < cluster.n_servers:
                wrong = f"is {replica.server}; the cluster has {cluster.n_servers} servers"
                self._fault((*place, "server"), wrong)
                continue
            first = int(cluster.first_gpu[replica.server])
            own = range(first, first + int(cluster.server_gpus[replica.server]))
            if replica.gpus != list(range(replica.gpus[0], replica.gpus[0] + length)):
                wrong = f"{replica.gpus} is no block of {length} consecutive GPUs"
                self._fault((*place, "gpus"), wrong)
            elif replica.gpus[0] not in own or replica.gpus[-1] not in own:
                wrong = (
                    f"{replica.gpus} leaves server {replica.server}, "
                    f"which has GPUs {own.start} to {own.stop - 1}"
                )
                self._fault((*place, "gpus"), wrong)
            model.append(m)
            server.append(replica.server)
            start.append(replica.gpus[0] - first)
        return Placement(*(np.array(a, dtype=np.int64) for a in (model, server, start)))

    def _routing(self, workflow: PlanWorkflow, instance: Instance) -> WorkflowRouting | None:
        entry = self.entry.routing.get(workflow.id)
        if entry is None:
            return None
        place = ("routing", workflow.id)
        servers = instance.cluster.n_servers
        spill = []
        for node in workflow.nodes:
            if node.id not in entry.spill:
                self._fault((*place, "spill"), f"has no entry for node {node.id!r}")
            pairs = entry.spill.get(node.id, [])
            spill.append(self._shares((*place, "spill", node.id), pairs, servers))
        return WorkflowRouting(self._shares((*place, "home"), entry.home, servers), tuple(spill))

    def _shares(self, place: tuple[str | int, ...], pairs: list[Any], servers: int) -> Shares:
        good = []
        for pair in pairs:
            fits = (
                isinstance(pair, list)
                and len(pair) == 2
                and type(pair[0]) is int
                and type(pair[1]) in (int, float)
                and 0 <= pair[0] < servers
                and 0 <= pair[1] <= 1 + 1e-6
            )
            if fits:
                good.append(pair)
            else:
                self._fault(place, f"{pair!r} is no pair of a server and a share from 0 to 1")
        return Shares(
            np.array([s for s, _ in good], dtype=np.int64),
            np.array([p for _, p in good], dtype=np.float64),
        )

    def _certificate(self) -> Certificate | None:
        data = dict(self.entry.certificate)
        if data.get("gap", 0) is None:
            data["gap"] = math.inf
        known = {f.name for f in fields(Certificate)} - {"seconds"}
        needed = known - {"deterministic", "duals", "versions"}
        missing = sorted(needed - set(data))
        numbers = ("objective", "best_bound", "gap", "load_cap", "bottleneck_lower",
                   "bottleneck_upper")  # fmt: skip
        wrong = [n for n in numbers if n in data and type(data[n]) not in (int, float)]
        if missing or wrong:
            self._fault(
                ("certificate",),
                f"has no {', '.join(missing)}" if missing else f"{wrong[0]} is no number",
            )
            return None
        return Certificate(**{k: v for k, v in data.items() if k in known})
