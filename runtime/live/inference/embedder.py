"""Embeddings by WordLlama (256 dimensions, MIT), whose weights come in its package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import wordllama

from runtime.live.kinds import Kind
from runtime.live.replies import Asked


class Embedder:
    """A static embedding: the mean of what a language model's own embedding says of the tokens."""

    kind: Kind = "embeddings"
    body: dict[str, Any] = {}  # noqa: RUF012
    output = None

    def __init__(self) -> None:
        folder = Path(wordllama.__file__).parent
        self._model = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)

    def answer(self, asked: Asked) -> list[float]:
        """Embed a text, at length 1."""
        vector = self._model.embed([asked.text], norm=True)[0]
        return [float(x) for x in vector]
