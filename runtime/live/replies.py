"""What a replica does with a call, however it came: answered once, in the form of its interface."""

from __future__ import annotations

import asyncio
import base64
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson

from placement.support.equality import ByContent
from runtime.live.kinds import Kind
from runtime.live.templates import as_text

REMEMBERED = 10_000
"""Answers kept for calls that come again under the same mark."""


@dataclass(frozen=True, eq=False)
class Asked(ByContent):
    """One call as the server sees it.

    Parameters
    ----------
    kind : Kind
        By the path.
    body : mapping
        What was sent.
    request_id, node_id : str
        Names that the caller gave, empty where it gave none.
    """

    kind: Kind
    body: dict[str, Any]
    request_id: str
    node_id: str

    @property
    def text(self) -> str:
        """The text that was sent, by the interface it was sent to."""
        body = self.body
        match self.kind:
            case "chat":
                messages = body.get("messages") or [{}]
                return as_text(messages[-1].get("content", ""))
            case "embeddings":
                return as_text(body.get("input", ""))
            case "completions" | "images":
                return as_text(body.get("prompt", ""))
            case _:
                return as_text(body)


Answer = Callable[[Asked], Awaitable[Any]]
"""Gives text (chat, completions), a vector (embeddings), bytes of a picture, or any JSON."""


class Replier:
    """Answers the calls of one replica; one that comes again under its mark gets what it had.

    Parameters
    ----------
    model : str
        Name of the model.
    answer : callable
        What stands behind. A `ValueError` it raises is the caller's fault.

    Attributes
    ----------
    served : int
        Calls answered so far.
    """

    def __init__(self, model: str, answer: Answer) -> None:
        self.model = model
        self._answer = answer
        self._known: OrderedDict[str, asyncio.Future[bytes]] = OrderedDict()
        self.served = 0

    async def reply(self, mark: str | None, asked: Asked) -> bytes:
        """Give the whole answer as JSON.

        Raises
        ------
        ValueError
            Where the model refuses the call.
        """
        if mark is None:
            return await self._make(asked)
        known = self._known.get(mark)
        if known is None or (known.done() and (known.cancelled() or known.exception())):
            known = self._known[mark] = asyncio.ensure_future(self._make(asked))
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return await asyncio.shield(known)

    def cancel(self) -> None:
        """Break off all calls under way."""
        for call in self._known.values():
            call.cancel()

    async def _make(self, asked: Asked) -> bytes:
        output = await self._answer(asked)
        self.served += 1
        return orjson.dumps(_wrapped(asked, self.model, output), option=orjson.OPT_SERIALIZE_NUMPY)


def _wrapped(asked: Asked, model: str, output: Any) -> Any:
    """Lay an output out as its interface does."""
    words = len(asked.text.split())
    head = {"id": asked.request_id or "call", "created": int(time.time()), "model": model}
    match asked.kind:
        case "chat":
            message = {"role": "assistant", "content": output}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            return {
                **head,
                "object": "chat.completion",
                "choices": [choice],
                **_usage(words, output),
            }
        case "completions":
            choice = {"index": 0, "text": output, "finish_reason": "stop"}
            return {
                **head,
                "object": "text_completion",
                "choices": [choice],
                **_usage(words, output),
            }
        case "embeddings":
            data = [{"object": "embedding", "index": 0, "embedding": output}]
            usage = {"prompt_tokens": words, "total_tokens": words}
            return {"object": "list", "model": model, "data": data, "usage": usage}
        case "images":
            picture = output if isinstance(output, bytes) else b""
            data = [{"b64_json": base64.b64encode(picture).decode()}]
            return {"created": head["created"], "data": data}
        case _:
            return output


def _usage(words: int, output: Any) -> dict[str, Any]:
    """Count words for tokens: no tokenizer is at hand, and nothing is charged."""
    made = len(as_text(output).split())
    return {
        "usage": {
            "prompt_tokens": words,
            "completion_tokens": made,
            "total_tokens": words + made,
        }
    }
