"""As many kept-alive HTTP connections to FINEOS as calls may be in flight."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import httpx

from paidleave.fineos.client.errors import FineosError, FineosInvalidAnswer, FineosUnavailable


@dataclass(frozen=True)
class Answer:
    """Status, headers and whole body of an HTTP answer."""

    status: int
    headers: httpx.Headers
    body: bytes


class Connections:
    """A call takes a free connection, or waits for one, and gives it back when its answer is read.

    One pool of httpx's would do the same, but it looks at all its connections several times for each call, which at
    16 connections costs more than the rest of the call.
    """

    def __init__(self, number: int) -> None:
        # No proxy or certificate named by an environment variable comes between: URLs hold FEINs.
        context = httpx.create_ssl_context(trust_env=False)
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=30)
        self._all = [httpx.AsyncHTTPTransport(verify=context, limits=limits, trust_env=False) for _ in range(number)]
        self._free: asyncio.LifoQueue[httpx.AsyncHTTPTransport] = asyncio.LifoQueue()
        for connection in self._all:
            self._free.put_nowait(connection)

    async def exchange(self, call: str, request: httpx.Request) -> Answer:
        """Send and receive. What httpx raises may hold the URL, so its exceptions end here (FineosUnavailable)."""
        connection = await self._free.get()
        try:
            return await _exchange(connection, request)
        except httpx.TimeoutException as error:
            failure: FineosError = FineosUnavailable(call, f"no answer in time ({type(error).__name__})")
        except httpx.TransportError as error:
            failure = FineosUnavailable(call, f"the connection failed ({type(error).__name__})")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            failure = FineosInvalidAnswer(call, f"not an HTTP answer ({type(error).__name__})")
        finally:
            self._free.put_nowait(connection)
        raise failure

    async def close(self) -> None:
        """Close all connections."""
        for connection in self._all:
            await connection.aclose()


async def _exchange(connection: httpx.AsyncHTTPTransport, request: httpx.Request) -> Answer:
    response = await connection.handle_async_request(request)
    assert isinstance(response.stream, httpx.AsyncByteStream)
    try:
        # Content-Encoding is not asked for, so the bytes on the wire are the body.
        body = b"".join([chunk async for chunk in response.stream])
    finally:
        await response.stream.aclose()
    return Answer(response.status_code, response.headers, body)
