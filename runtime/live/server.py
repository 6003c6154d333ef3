"""One HTTP server for one replica: OpenAI's interfaces and plain JSON, whatever stands behind."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from urllib.parse import unquote

import orjson
from aiohttp import web

from runtime.live.kinds import SHAPES, Kind
from runtime.live.replies import Answer, Asked, Replier

BODY_LIMIT_BYTES = 64 * 2**20
AT_ONCE_S = 1e-3
"""Patience with calls under way where a server ends; to aiohttp, 0 is without end."""


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
        self._replier = Replier(model, answer)
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
        self.alive = False

    @property
    def served(self) -> int:
        """Calls answered so far."""
        return self._replier.served

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
        self._replier.cancel()
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
                text = await self._replier.reply(request.headers.get("Idempotency-Key"), asked)
            except ValueError as error:
                return _error(400, str(error))
            return web.Response(body=text, content_type="application/json")

        return handle

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "model": self.model, "served": self.served})

    async def _models(self, request: web.Request) -> web.Response:
        data = [{"id": self.model, "object": "model", "owned_by": "gswarm-place"}]
        return web.json_response({"object": "list", "data": data})


def _error(status: int, sentence: str) -> web.Response:
    return web.json_response({"error": {"message": sentence}}, status=status)
