"""Servers that run beside a test, in a thread of their own."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, NoReturn, TypeVar

from runtime.live.replies import Answer, Asked
from runtime.live.server import ReplicaServer

T = TypeVar("T")


class Beside:
    """An event loop in a thread; `call` runs a coroutine in it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self) -> Beside:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(30)
        self.loop.close()

    def call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)


@contextmanager
def beside(make: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[tuple[Beside, T]]:
    """Enter an asynchronous context in a thread of its own."""
    with Beside() as other:

        async def enter() -> tuple[AbstractAsyncContextManager[T], T]:
            manager = make()
            return manager, await manager.__aenter__()

        manager, value = other.call(enter())
        try:
            yield other, value
        finally:
            other.call(manager.__aexit__(None, None, None))


@asynccontextmanager
async def answering(answers: list[Answer]) -> AsyncIterator[list[ReplicaServer]]:
    """A server for each answer."""
    servers = [ReplicaServer(f"model-{i}", answer) for i, answer in enumerate(answers)]
    for server in servers:
        await server.start()
    try:
        yield servers
    finally:
        for server in servers:
            if server.alive:
                await server.kill()


class Counting:
    """Says the text back; remembers every call, and holds those of some nodes until released."""

    def __init__(self, hold: Callable[[Asked], bool] = lambda asked: False) -> None:
        self.asked: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.held = threading.Event()
        self.release = threading.Event()
        self._hold = hold

    async def __call__(self, asked: Asked) -> str:
        self.asked.append((asked.request_id, asked.node_id))
        if self._hold(asked):
            self.held.set()
            await asyncio.to_thread(self.release.wait, 60)
        return f"<{asked.text}>"


def dies(*_: object) -> NoReturn:
    """Load nothing: the system ends the process, as for want of memory."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError
