"""The kinds of calls: where each goes, what it sends, and where its answer is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from placement.support.equality import ByContent

Kind = Literal["chat", "completions", "embeddings", "images", "json"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, eq=False)
class Shape(ByContent):
    """What a call of one kind looks like unless the endpoints file says otherwise.

    Parameters
    ----------
    path : str
        Where it is sent on the server.
    body : mapping
        Template of what is sent (`runtime.live.templates`).
    output : str
        Place of the output in the answer; empty for all of it.
    """

    path: str
    body: dict[str, Any]
    output: str


SHAPES: dict[Kind, Shape] = {
    "chat": Shape(
        "/v1/chat/completions",
        {"model": "${model}", "messages": [{"role": "user", "content": "${text}"}]},
        "choices.0.message.content",
    ),
    "completions": Shape(
        "/v1/completions", {"model": "${model}", "prompt": "${text}"}, "choices.0.text"
    ),
    "embeddings": Shape(
        "/v1/embeddings", {"model": "${model}", "input": "${text}"}, "data.0.embedding"
    ),
    "images": Shape("/v1/images/generations", {"model": "${model}", "prompt": "${text}"}, "data.0"),
    "json": Shape(
        "/",
        {"input": "${input}", "parents": "${parents}", "config": "${config}"},
        "",
    ),
}
"""OpenAI's interfaces, as many servers speak them, and any other that takes and gives JSON."""

KIND_OF_TYPE: dict[str, Kind] = {
    "embedding": "embeddings",
    "reranker": "embeddings",
    "diffusion": "images",
    "image": "images",
}
"""Interfaces of models by the `type` that the config gives; all others chat."""


def join_url(base: str, path: str) -> str:
    """Put a path behind a server's address, which may already end in the interface's version."""
    base = base.rstrip("/")
    if base.endswith("/v1") and path.startswith("/v1/"):
        path = path.removeprefix("/v1")
    return base + (path if path.startswith("/") else f"/{path}")
