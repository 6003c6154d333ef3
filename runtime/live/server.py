"""One HTTP server for one replica: OpenAI's interfaces and plain JSON, whatever stands behind."""

from __future__ import annotations

import asyncio
import base64
import socket
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import orjson
from aiohttp import web

from placement.support.equality import ByContent
from runtime.live.kinds import SHAPES, Kind
from runtime.live.templates import as_text

BODY_LIMIT_BYTES = 64 * 2**20
AT_ONCE_S = 1e-3
"""Patience with calls under way where a server ends; to aiohttp, 0 is without end."""

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


class ReplicaServer:
    """A server that listens as soon as it is made, and answers once it is started.

    Parameters
    ----------
    model : str
        Name of the model.
    answer : callable
        What stands behind. A `ValueError` it raises is the caller's fault (400).
    host : str
        Address to listen on.
    port : int
        0 takes any that is free.
    """

    def __init__(
        self, model: str, answer: Answer, *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.model = model
        self._answer = answer
        self._known: OrderedDict[str, asyncio.Future[bytes]] = OrderedDict()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
            self._socket.listen(1024)
        except OSError:
            self._socket.close()
            raise
        self.port = int(self._socket.getsockname()[1])
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self.port}"
        self._runner: web.AppRunner | None = None
        self.served = 0
        self.alive = False

    async def start(self) -> None:
        """Begin to answer."""
        app = web.Application(client_max_size=BODY_LIMIT_BYTES)
        for kind, shape in SHAPES.items():
            app.router.add_post(shape.path, self._handler(kind))
        app.router.add_get("/health", self._health)
        app.router.add_get("/v1/models", self._models)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=AT_ONCE_S)
        await self._runner.setup()
        await web.SockSite(self._runner, self._socket).start()
        self.alive = True

    async def kill(self) -> None:
        """Be gone as a process that was killed: connections break, and none is taken."""
        self.alive = False
        for call in self._known.values():
            call.cancel()
        if self._runner is None:
            self._socket.close()
            return
        server = self._runner.server
        for connection in [] if server is None else list(server.connections):
            if connection.transport is not None:
                connection.transport.abort()
        await self._runner.cleanup()

    def _handler(self, kind: Kind) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                body = orjson.loads(await request.read() or b"{}")
            except orjson.JSONDecodeError:
                return _error(400, "the body is no JSON")
            if not isinstance(body, dict):
                return _error(400, "the body is no JSON object")
            asked = Asked(
                kind,
                body,
                unquote(request.headers.get("X-Request-Id", "")),
                unquote(request.headers.get("X-Node-Id", "")),
            )
            try:
                text = await self._once(request.headers.get("Idempotency-Key"), asked)
            except ValueError as error:
                return _error(400, str(error))
            return web.Response(body=text, content_type="application/json")

        return handle

    async def _once(self, mark: str | None, asked: Asked) -> bytes:
        """Answer a call; one that comes again under its mark gets the answer it had."""
        if mark is None:
            return await self._make(asked)
        known = self._known.get(mark)
        if known is None or (known.done() and (known.cancelled() or known.exception())):
            known = self._known[mark] = asyncio.ensure_future(self._make(asked))
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return await asyncio.shield(known)

    async def _make(self, asked: Asked) -> bytes:
        output = await self._answer(asked)
        self.served += 1
        return orjson.dumps(_wrapped(asked, self.model, output), option=orjson.OPT_SERIALIZE_NUMPY)

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "model": self.model, "served": self.served})

    async def _models(self, request: web.Request) -> web.Response:
        data = [{"id": self.model, "object": "model", "owned_by": "gswarm-place"}]
        return web.json_response({"object": "list", "data": data})


def _error(status: int, sentence: str) -> web.Response:
    return web.json_response({"error": {"message": sentence}}, status=status)


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
