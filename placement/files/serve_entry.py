"""What serves a model for real, as a config says it."""

from __future__ import annotations

import re
import shlex
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from placement.files.base_entry import Entry, Identifier


def _check_words(value: Any) -> Any:
    """Take a list of words, or a line that is split as a shell would; nothing is expanded."""
    words = value if isinstance(value, list) else [value]
    if not all(isinstance(word, str) for word in words):
        raise ValueError("must be a line, or a list of words, each in quotes")
    if any("\0" in word for word in words):
        raise ValueError("must not hold the character 0, which no command line can")
    if isinstance(value, str):
        try:
            words = shlex.split(value)
        except ValueError:
            raise ValueError("must have its quotes in pairs") from None
    return words


Words = Annotated[
    Any,
    BeforeValidator(_check_words),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


def _check_path(value: Any) -> Any:
    if not isinstance(value, str) or not re.fullmatch(_PATH, value):
        raise ValueError("must be a path such as /health: a slash, then letters, digits and ._~/-")
    return value


_PATH = "/[A-Za-z0-9._~/-]*"
HealthPath = Annotated[
    Any, BeforeValidator(_check_path), WithJsonSchema({"type": "string", "pattern": f"^{_PATH}$"})
]


class ServeEntry(Entry):
    """What serves a model for real; `export` reads it, placement does not."""

    hf_id: Identifier | None = Field(
        default=None,
        description="what the server loads: an id on the Hugging Face hub, or a folder; the "
        "model's key where it is left out",
    )
    command: Words = Field(
        default=[],
        description="what starts a replica, as a line or a list of words, with gaps such as "
        "{port}; vllm or sglang with the fitting options where it is left out",
    )
    args: Words = Field(default=[], description="further words for that command")
    image: Identifier | None = Field(
        default=None, description="container image, where the replica runs in a container"
    )
    health: HealthPath = Field(
        default="/health", description="path that answers once the replica serves"
    )
