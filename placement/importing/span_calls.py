"""Which spans are calls of models, by the semantic conventions for generative AI."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from placement.importing.otlp import Span

MODEL_TYPES = {
    "chat": "llm",
    "text_completion": "llm",
    "generate_content": "llm",
    "embeddings": "embedding",
    "rerank": "reranker",
    "image_generation": "diffusion",
    "transcription": "speech",
    "speech": "speech",
}
"""Type of a model by ``gen_ai.operation.name`` of its calls."""

AROUND = ("invoke_agent", "invoke_workflow", "create_agent", "plan")
"""Operations that only hold others."""

STEPS = ("execute_tool", "retrieval")
"""Operations that take time and call no model."""

BYTES_PER_TOKEN = 4
"""Assumed size of what a call gives on, where its span counts tokens alone."""

OUTPUT_TEXT = ("gen_ai.output.messages", "gen_ai.completion")
OUTPUT_BYTES = ("http.response.body.size", "http.response_content_length")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a model.

    Parameters
    ----------
    prefill_s : float or None
        Where its server measured it.
    waited_s : float
        In the server's queue, which is part of the span and not of the service time.
    output_bytes, output_tokens : float or None
        Size of what it gives on.
    """

    span: Span
    model: str
    type: str | None
    prefill_s: float | None
    waited_s: float
    output_bytes: float | None
    output_tokens: float | None


def find_call(span: Span, children: list[Span], notes: Counter[str]) -> Call | None:
    """Give the call that a span is, or None.

    Parameters
    ----------
    span : Span
    children : list of Span
        The spans right below it; one of HTTP may know the size of the answer.
    notes : Counter of str
        Takes in steps and failures, which a workload does not express.
    """
    operation = span.text("gen_ai.operation.name")
    model = span.text("gen_ai.request.model", "gen_ai.response.model")
    if operation in STEPS:
        name = span.text("gen_ai.tool.name") or span.name
        notes[f"{operation} {name!r}: a step without a model, left out with its time"] += 1
        return None
    if operation in AROUND or (operation is None and model is None):
        return None
    if model is None:
        notes[f"{operation}: calls that name no model are left out"] += 1
        return None
    if span.failed:
        notes[f"model {model!r}: calls that failed are left out"] += 1
        return None
    if operation is not None and operation not in MODEL_TYPES:
        notes[f"operation {operation!r} is not known, and taken for a call of its model"] += 1
    return Call(
        span,
        model,
        MODEL_TYPES.get(operation or ""),
        span.number("gen_ai.latency.time_in_model_prefill"),
        span.number("gen_ai.latency.time_in_queue") or 0.0,
        _output_bytes(span, children),
        span.number("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
    )


def _output_bytes(span: Span, children: list[Span]) -> float | None:
    for name in OUTPUT_TEXT:
        value: Any = span.attributes.get(name)
        if value:
            return float(len((value if isinstance(value, str) else json.dumps(value)).encode()))
    for holder in (span, *children):
        size = holder.number(*OUTPUT_BYTES)
        if size is not None:
            return size
    length = span.number("gen_ai.embeddings.dimension.count")
    if length is not None:
        return 4 * length
    tokens = span.number("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
    return None if tokens is None else BYTES_PER_TOKEN * tokens
