"""The plan file: written deterministically and atomically, read with every fault in words."""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import orjson

from placement.files.atomic import write_atomically
from placement.files.plan_reader import PlanFaults, PlanReader
from placement.files.plan_schema import PlanDocument
from placement.files.schema_faults import check_shape
from placement.files.stated_rules import stated
from placement.files.syntax.document import (
    DOCUMENT_FORMATS,
    load_document,
    raise_faults,
)
from placement.files.syntax.source import find_format
from placement.files.syntax.yaml_writer import flow, key
from placement.problem.cluster import Network, ServerType
from placement.problem.instance import Instance
from placement.problem.placement_rules import PlacementRules
from placement.problem.plan import Plan, Shares
from placement.support.faults import InputError, input_error

FORMAT = "gswarm-place plan"
VERSION = 1
LIMIT_BYTES = 1 << 30
ONLY_BY_RULES = (
    "excluded_gpus", "closed_gpus", "pinned", "domains", "family", "model_speeds",
)  # fmt: skip
"""Fields of a server type that are written where rules gave them a value."""


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
    ValueError
        Where a name holds half a surrogate pair, which no file can hold.
    """
    data = _document(plan)
    _refuse_half_characters(plan)
    data["digest"] = plan_digest(data)
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
        plan = PlanReader(entry).plan()
        return replace(plan, intact=entry.digest == plan_digest(document.data))
    except PlanFaults as found:
        try:
            raise_faults(document, found.faults)
        except InputError as error:
            raise InvalidPlan(error.faults, error.more) from None
        raise


def inputs_of_plan(path: str | os.PathLike[str]) -> dict[str, str] | None:
    """SHA-256 of what a plan was made for, by role, whatever else it says; None of no plan."""
    try:
        data = load_document(path, LIMIT_BYTES).data
    except InputError:
        return None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        return None
    found = data.get("inputs")
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def plan_digest(data: dict[str, Any]) -> str:
    """SHA-256 of a plan's fields; YAML and JSON of one plan have the same."""
    content = {k: v for k, v in data.items() if k != "digest"}
    try:
        text = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer or text that no plan holds
        return ""
    return hashlib.sha256(text).hexdigest()


def _refuse_half_characters(plan: Plan) -> None:
    names = (*plan.model_ids, *plan.workflow_ids, *(t.name for t in plan.cluster.server_types))
    for name in (*names, *(n for nodes in plan.node_ids for n in nodes)):
        try:
            name.encode()
        except UnicodeEncodeError:
            raise ValueError(
                f"the name {name!r} holds half a surrogate pair, which no file can hold; rename it"
            ) from None


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
            "server_types": [_server_type(t) for t in cluster.server_types],
            "network": {f.name: _finite(getattr(network, f.name)) for f in fields(Network)},
            "gpu_sharing": cluster.sharing.mode,
            "sharing_efficiency": list(cluster.sharing.efficiency),
        },
        "rules": {
            "objective": plan.objective,
            "mode": plan.mode,
            "alpha": instance.alpha,
            "load_cap": instance.load_cap,
            "max_utilization": plan.max_utilization,
            "gap": plan.gap,
            "exclusive": instance.exclusive,
            "max_models_per_gpu": instance.max_models_per_gpu,
            **_model_rules(instance.placement_rules),
        },
        "models": [_model(instance, m) for m in range(len(instance.model_ids))],
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
            | ({} if w.weights is None else {"link_seconds": w.weights.tolist()})
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
        **({"search_params": plan.search_params} if plan.search_params else {}),
        "expected": {name: _finite(value) for name, value in plan.expected.items()},
        "certificate": certificate,
        "inputs": plan.inputs,
    }


def _server_type(kind: ServerType) -> dict[str, Any]:
    """The fields of a server type; what only rules give is left out where there is none."""
    values = {f.name: getattr(kind, f.name) for f in fields(ServerType)}
    each = values.pop("gpu_memories_gb")
    values["gpu_memory_gb"] = list(each) or kind.gpu_memory_gb
    values["speed"] = list(values.pop("gpu_speeds")) or kind.speed
    values["closed_gpus"] = dict(kind.closed_gpus)
    values["model_speeds"] = {
        name: list(v) if isinstance(v, tuple) else v for name, v in kind.model_speeds
    }
    values["pinned"] = {
        name: [i for other, i in kind.pinned if other == name] for name, _ in kind.pinned
    }
    return {k: v for k, v in values.items() if v or k not in ONLY_BY_RULES}


def _model_rules(rules: PlacementRules) -> dict[str, Any]:
    """Rules on models and spares as a file of rules states them; nothing where there is none."""
    models = {name: stated(model) for name, model in rules.models.items()}
    said: dict[str, Any] = {"models": models} if models else {}
    if rules.spares != PlacementRules.spares:
        said["spares"] = rules.spares
    return said | ({"pack": True} if rules.pack else {})


def _model(instance: Instance, m: int) -> dict[str, Any]:
    said: dict[str, Any] = {
        "id": instance.model_ids[m],
        "gpus_required": int(instance.gpus_required[m]),
        "memory_per_gpu_gb": float(instance.memory_per_gpu_gb[m]),
    }
    if instance.base_of and instance.base_of[m] >= 0:
        said["base"] = instance.model_ids[instance.base_of[m]]
    return said | ({"gpu_fraction": instance.fraction(m)} if instance.gpu_fraction else {})


def _pairs(shares: Shares) -> list[list[float]]:
    return [[s, p] for s, p in zip(shares.server.tolist(), shares.share.tolist(), strict=True)]


def _yaml(data: dict[str, Any]) -> str:
    """Block style above, one flow-style line per item below."""
    lines = []
    for part, value in data.items():
        if isinstance(value, list) and value:
            lines.append(f"{part}:")
            lines += [f"  - {flow(item)}" for item in value]
        elif isinstance(value, dict) and value:
            lines.append(f"{part}:")
            for name, item in value.items():
                head = "  " + key(name, "  ")
                if isinstance(item, list) and item and isinstance(item[0], dict):
                    lines.append(head)
                    lines += [f"    - {flow(entry)}" for entry in item]
                elif part == "routing":
                    lines += [head, f"    home: {flow(item['home'])}", "    spill:"]
                    lines += [
                        f"      {key(n, ' ' * 6)} {flow(p)}" for n, p in item["spill"].items()
                    ]
                else:
                    lines.append(f"{head} {flow(item)}")
        else:
            lines.append(f"{part}: {flow(value)}")
    return "\n".join(lines) + "\n"
