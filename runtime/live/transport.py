"""Sends a call over HTTP and takes the output out of the answer."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Protocol

import aiohttp
import orjson

from runtime.live.calls import Call
from runtime.live.keys import Key, hide_keys
from runtime.live.templates import TemplateError, look_up

CONNECT_TIMEOUT_S = 10.0
ANSWER_LIMIT_BYTES = 256 * 2**20
"""Largest answer that is read: no output of a model is larger, and memory has an end."""

RETRYABLE = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""States of HTTP that may pass by themselves."""

BUSY = frozenset({409, 425, 429})
"""Of these, those by which a server says that it is well."""

SHOWN = 200
"""Characters of a server's own words that are passed on."""


class CallError(Exception):
    """A call that failed, in a sentence.

    Parameters
    ----------
    retryable : bool
        Whether another try, or another replica, may succeed.
    at_fault : bool
        Whether it speaks against the replica's health.
    wait_s : float or None
        Seconds after which the server asked to be called again.
    """

    def __init__(
        self,
        sentence: str,
        *,
        retryable: bool,
        at_fault: bool | None = None,
        wait_s: float | None = None,
    ) -> None:
        super().__init__(sentence)
        self.retryable = retryable
        self.at_fault = retryable if at_fault is None else at_fault
        self.wait_s = wait_s


class Transport(Protocol):
    """Whatever carries a call to a replica."""

    async def send(self, call: Call) -> Any:
        """Send a call and give its output; `CallError` where it failed."""
        ...


class HttpTransport:
    """Carries calls over HTTP; certificates are always checked, redirects never followed.

    Parameters
    ----------
    keys : sequence of Key
        Hidden in whatever a server says.
    trust : ssl.SSLContext or None
        Certificates of the user's own.
    """

    def __init__(self, keys: Sequence[Key] = (), trust: ssl.SSLContext | None = None) -> None:
        self._keys = keys
        self._trust: ssl.SSLContext | bool = True if trust is None else trust
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> HttpTransport:
        # How many calls a replica takes at once is for the run to say, not for the client.
        connector = aiohttp.TCPConnector(limit=0, ssl=self._trust)
        self._session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def send(self, call: Call) -> Any:
        """Send a call and give its output.

        Raises
        ------
        CallError
            Where the server cannot be reached, takes too long, refuses, or gives no such output.
        """
        status, wait_s, raw = await self._post(call)
        text = hide_keys(raw.decode("utf-8", "replace"), self._keys)
        if status >= 300:
            said = " ".join(text.split())[:SHOWN]
            raise CallError(
                f"the server answered {status}" + (f": {said}" if said else ""),
                retryable=status in RETRYABLE,
                at_fault=status in RETRYABLE - BUSY,
                wait_s=wait_s,
            )
        try:
            return look_up(call.output, orjson.loads(text))
        except orjson.JSONDecodeError:
            raise CallError("the answer is no JSON", retryable=False) from None
        except TemplateError as error:
            raise CallError(f"the answer lacks the output: {error}", retryable=False) from None

    async def _post(self, call: Call) -> tuple[int, float | None, bytes]:
        assert self._session is not None
        headers = {**call.headers, "Content-Type": "application/json"}
        if call.endpoint.key is not None:
            headers["Authorization"] = call.endpoint.key.header()
        timeout = aiohttp.ClientTimeout(
            total=call.endpoint.timeout_s, sock_connect=CONNECT_TIMEOUT_S
        )
        try:
            async with self._session.post(
                call.endpoint.url,
                data=orjson.dumps(call.body),
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            ) as answer:
                raw = await answer.content.read(ANSWER_LIMIT_BYTES + 1)
                while not answer.content.at_eof() and len(raw) <= ANSWER_LIMIT_BYTES:
                    raw += await answer.content.read(ANSWER_LIMIT_BYTES + 1 - len(raw))
                if len(raw) > ANSWER_LIMIT_BYTES:
                    wrong = f"the answer has more than {ANSWER_LIMIT_BYTES >> 20} MiB"
                    raise CallError(wrong, retryable=False)
                return answer.status, _wait_s(answer.headers.get("Retry-After")), raw
        except TimeoutError:
            wrong = f"no answer within {call.endpoint.timeout_s:g} s"
            raise CallError(wrong, retryable=True) from None
        except aiohttp.ClientConnectorCertificateError:
            wrong = "the server's certificate is not trusted; name its authority in ca_file"
            raise CallError(wrong, retryable=False, at_fault=True) from None
        except aiohttp.ClientConnectorError as error:
            reason = error.os_error.strerror or type(error.os_error).__name__
            raise CallError(f"no connection ({reason})", retryable=True) from None
        except (aiohttp.ClientError, OSError) as error:
            reason = hide_keys(str(error), self._keys) or type(error).__name__
            raise CallError(f"the connection broke ({reason})", retryable=True) from None


def _wait_s(text: str | None) -> float | None:
    """Read ``Retry-After`` where it is a number of seconds; dates are left to the backoff."""
    try:
        wait_s = float(text or "")
    except ValueError:
        return None
    return wait_s if 0 <= wait_s < 1e6 else None
