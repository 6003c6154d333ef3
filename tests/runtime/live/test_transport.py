"""Calls over real HTTP, to servers of the test's own on this machine."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from runtime.live.answers import made_up
from runtime.live.calls import Call
from runtime.live.endpoints import Endpoint
from runtime.live.keys import HIDDEN, Key
from runtime.live.kinds import KINDS, SHAPES, Kind, join_url
from runtime.live.replies import Asked
from runtime.live.server import ReplicaServer
from runtime.live.templates import fill
from runtime.live.transport import CallError, HttpTransport

SECRET = "sk-very-secret-17"


def call_to(url: str, kind: Kind = "json", **options: Any) -> Call:
    shape = SHAPES[kind]
    values = {"model": "m", "text": "two words", "input": 1, "parents": {}, "config": None}
    endpoint = Endpoint(
        0, join_url(url, options.get("path", shape.path)), kind, "m", shape.body,
        options.get("output", shape.output), options.get("key"), options.get("timeout_s", 30.0),
    )  # fmt: skip
    headers = {"Idempotency-Key": "run-0", "X-Request-Id": "r%C3%A9", "X-Node-Id": "n"}
    return Call(endpoint, fill(shape.body, values), endpoint.output, headers)


async def send(call: Call, keys: tuple[Key, ...] = ()) -> Any:
    async with HttpTransport(keys) as transport:
        return await transport.send(call)


async def error_of(call: Call, keys: tuple[Key, ...] = ()) -> CallError:
    with pytest.raises(CallError) as found:
        await send(call, keys)
    return found.value


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_call_gets_its_output(kind: Kind) -> None:
    """What a server of ours answers is taken out as each interface lays it out."""

    async def main() -> Any:
        async def answer(asked: Asked) -> Any:
            assert (asked.kind, asked.request_id, asked.node_id) == (kind, "ré", "n")
            return made_up("m", asked)

        server = ReplicaServer("m", answer)
        await server.start()
        try:
            return await send(call_to(server.url, kind))
        finally:
            await server.kill()

    output = asyncio.run(main())
    match kind:
        case "chat" | "completions":
            assert output == "[m] two words"
        case "embeddings":
            assert sum(x * x for x in output) == pytest.approx(1.0)
        case "images":
            assert output["b64_json"].startswith("iVBOR")
        case "json":
            assert output["model"] == "m"


async def with_handler(handler: Any, **options: Any) -> CallError:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1e-3)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    keys = (options["key"],) if "key" in options else ()
    try:
        return await error_of(call_to(url, **options), keys)
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "retryable", "at_fault"),
    [(500, True, True), (503, True, True), (429, True, False), (400, False, False),
     (401, False, False), (404, False, False), (307, False, False)],
)  # fmt: skip
def test_states_of_http_are_told_apart(status: int, retryable: bool, at_fault: bool) -> None:
    """What may pass is tried again; what speaks against the server opens its circuit."""

    async def handler(request: web.Request) -> web.Response:
        headers = {"Retry-After": "2.5", "Location": "http://127.0.0.1:9/elsewhere"}
        return web.Response(status=status, text=" wrong\n in some way ", headers=headers)

    error = asyncio.run(with_handler(handler))
    assert str(error) == f"the server answered {status}: wrong in some way"
    assert (error.retryable, error.at_fault, error.wait_s) == (retryable, at_fault, 2.5)


@pytest.mark.parametrize(
    ("text", "output", "words"),
    [("no JSON", "", "is no JSON"), ('{"a": []}', "a.0.b", "lacks the output")],
)
def test_an_answer_that_is_none_is_said(text: str, output: str, words: str) -> None:
    """Neither is of use to try again."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=text)

    error = asyncio.run(with_handler(handler, output=output))
    assert words in str(error)
    assert not error.retryable


def test_a_server_that_is_gone_or_silent_may_be_tried_again() -> None:
    """No connection, a broken one, and no answer in time."""

    async def main() -> list[CallError]:
        gone = ReplicaServer("m", made_up_later)
        await gone.start()
        await gone.kill()
        errors = [await error_of(call_to(gone.url))]
        reached = asyncio.Event()

        async def hang(request: web.Request) -> web.Response:
            reached.set()
            await asyncio.Event().wait()
            raise AssertionError

        errors.append(await with_handler(hang, timeout_s=0.05))

        async def never(asked: Asked) -> Any:
            reached.set()
            await asyncio.Event().wait()

        dying = ReplicaServer("m", never)
        await dying.start()
        reached.clear()
        pending = asyncio.ensure_future(error_of(call_to(dying.url)))
        await reached.wait()
        await dying.kill()
        errors.append(await pending)
        return errors

    errors = asyncio.run(main())
    assert [e.retryable and e.at_fault for e in errors] == [True] * 3
    assert "no connection" in str(errors[0])
    assert str(errors[1]) == "no answer within 0.05 s"
    assert "the connection broke" in str(errors[2])


def test_the_client_holds_no_call_back() -> None:
    """Hundreds are on their way at once: each is answered when all have come."""
    calls = 150

    async def main() -> list[Any]:
        there, all_there = [0], asyncio.Event()

        async def answer(asked: Asked) -> Any:
            there[0] += 1
            if there[0] == calls:
                all_there.set()
            await all_there.wait()
            return made_up("m", asked)

        server = ReplicaServer("m", answer)
        await server.start()
        call = call_to(server.url)
        each = [
            Call(call.endpoint, call.body, call.output, {**call.headers, "Idempotency-Key": str(i)})
            for i in range(calls)
        ]
        try:
            async with HttpTransport() as transport:
                return await asyncio.gather(*map(transport.send, each))
        finally:
            await server.kill()

    assert len(asyncio.run(main())) == calls


async def made_up_later(asked: Asked) -> Any:
    return made_up("m", asked)


def test_a_key_is_sent_and_never_said() -> None:
    """A server that repeats it is not repeated, and the key itself prints as its origin."""
    seen: list[str | None] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.Response(status=401, text=f"the key {SECRET} is wrong")

    key = Key("$NAME", SECRET)
    error = asyncio.run(with_handler(handler, key=key))
    assert seen == [f"Bearer {SECRET}"]
    assert SECRET not in str(error)
    assert HIDDEN in str(error)
    assert SECRET not in repr(key) + repr(call_to("http://x", key=key))


def test_a_call_that_comes_again_is_not_done_again() -> None:
    """Under the same mark it gets the answer it had, also while the first is still under way."""

    async def main() -> tuple[list[Any], int]:
        begun, go = asyncio.Event(), asyncio.Event()
        count = 0

        async def answer(asked: Asked) -> Any:
            nonlocal count
            count += 1
            begun.set()
            await go.wait()
            return {"n": count}

        server = ReplicaServer("m", answer)
        await server.start()
        first = asyncio.ensure_future(send(call_to(server.url)))
        await begun.wait()
        second = asyncio.ensure_future(send(call_to(server.url)))
        await asyncio.sleep(0)
        go.set()
        outputs = [await first, await second, await send(call_to(server.url))]
        await server.kill()
        return outputs, count

    outputs, count = asyncio.run(main())
    assert outputs == [{"n": 1}] * 3
    assert count == 1
