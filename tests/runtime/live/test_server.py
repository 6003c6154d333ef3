"""What a replica's server says of itself, and that a killed one says nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from runtime.live.server import ReplicaServer
from tests.runtime.live.servers import Counting


def test_a_server_says_how_it_is_and_what_it_serves() -> None:
    """By the paths that load balancers and clients of OpenAI's interface ask."""

    async def ask() -> list[Any]:
        server = ReplicaServer("some model", Counting())
        await server.start()
        found = []
        async with aiohttp.ClientSession() as session:
            for path in ("/health", "/v1/models"):
                async with session.get(server.url + path) as answer:
                    found.append((answer.status, await answer.json()))
            async with session.get(server.url + "/nothing") as answer:
                found.append((answer.status, None))
            assert server.alive
            await server.kill()
            assert not server.alive
            with pytest.raises(aiohttp.ClientError):
                await session.get(server.url + "/health")
        return found

    health, models, nothing = asyncio.run(ask())
    assert health == (200, {"status": "ok", "model": "some model", "served": 0})
    assert models[0] == 200
    assert [m["id"] for m in models[1]["data"]] == ["some model"]
    assert nothing[0] == 404
