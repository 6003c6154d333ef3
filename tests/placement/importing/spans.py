"""Spans in OTLP's JSON encoding, made for tests."""

from __future__ import annotations

from typing import Any

import numpy as np

START_NS = 1_767_225_600_000_000_000


def value(plain: Any) -> dict[str, Any]:
    """An AnyValue: integers are text."""
    match plain:
        case bool():
            return {"boolValue": plain}
        case int():
            return {"intValue": str(plain)}
        case float():
            return {"doubleValue": plain}
        case _:
            return {"stringValue": str(plain)}


def span(
    trace: str,
    own: str,
    name: str,
    start_ns: int,
    end_ns: int,
    parent: str = "",
    links: tuple[str, ...] = (),
    **attributes: Any,
) -> dict[str, Any]:
    """A span; ``gen_ai_request_model=...`` stands for the attribute with dots."""
    names = {key: key.replace("__", ".") for key in attributes}
    return {
        "traceId": trace,
        "spanId": own,
        **({"parentSpanId": parent} if parent else {}),
        "name": name,
        "kind": 3,
        "startTimeUnixNano": str(start_ns),
        "endTimeUnixNano": str(end_ns),
        "attributes": [{"key": names[k], "value": value(v)} for k, v in attributes.items()],
        "links": [{"traceId": trace, "spanId": other} for other in links],
        "status": {},
    }


def call(
    trace: str, own: str, name: str, model: str, start_ns: int, end_ns: int, **more: Any
) -> dict[str, Any]:
    """A span that calls a model."""
    more.setdefault("gen_ai__operation__name", "chat")
    return span(trace, own, name, start_ns, end_ns, gen_ai__request__model=model, **more)


def document(spans: list[dict[str, Any]]) -> dict[str, Any]:
    """What an exporter sends."""
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "agents"}}]}
    scope = {"scope": {"name": "gen_ai"}, "spans": spans}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}


def run_spans(
    request: dict[str, Any], flow: dict[str, Any], workflow: str, at_ns: int
) -> list[dict[str, Any]]:
    """The spans of one request on servers without a queue: a link for each edge."""
    trace = request["request_id"]
    ids = {node["id"]: f"{trace}-{node['id']}" for node in flow["nodes"]}
    end: dict[str, int] = {}
    spans = []
    # Nodes of a generated workflow stand in an order in which parents come first.
    for node in flow["nodes"]:
        own = node["id"]
        parents = [e["from"] for e in flow["edges"] if e["to"] == own]
        start = max((end[p] for p in parents), default=at_ns)
        end[own] = start + round(request["node_execution_times"][own] * 1e9)
        size = next((e["payload_mb"] for e in flow["edges"] if e["from"] == own), 0.0)
        spans.append(
            call(
                trace, ids[own], own, node["model"], start, end[own],
                parent=f"{trace}-root", links=tuple(ids[p] for p in parents),
                http__response__body__size=round(size * 1e6),
            )
        )  # fmt: skip
    last = max(end.values())
    root = span(
        trace, f"{trace}-root", "run", at_ns, last,
        gen_ai__operation__name="invoke_workflow", gen_ai__workflow__name=workflow,
    )  # fmt: skip
    return [root, *spans]


def shuffled(spans: list[Any], seed: int = 0) -> list[Any]:
    """Exporters send spans as they end, in batches."""
    return [spans[i] for i in np.random.default_rng(seed).permutation(len(spans))]
