"""Pool of persistent HTTP connections to FINEOS, one per concurrent call."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import httpx

from paidleave.fineos.client.errors import FineosError, FineosInvalidResponse, FineosUnavailable

MAX_RESPONSE_BYTES = 16 * 1024 * 1024
"""Maximum size of a response after decompression. A real one has about 5,000 bytes and 2,000 per organization unit."""


@dataclass(frozen=True)
class HttpResponse:
    """Status, headers and complete body of an HTTP response."""

    status: int
    headers: httpx.Headers
    body: bytes


class Connections:
    """A pool of connections. Each call waits for a free connection and returns it after the response is read.

    The connection pool of httpx scans all its connections several times per call. At 16 connections the scans take
    longer than the rest of the call.
    """

    def __init__(self, number: int) -> None:
        # URLs contain FEINs, so environment variables must not add a proxy or a certificate.
        context = httpx.create_ssl_context(trust_env=False)
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=30)
        self._all = [httpx.AsyncHTTPTransport(verify=context, limits=limits, trust_env=False) for _ in range(number)]
        self._free: asyncio.LifoQueue[httpx.AsyncHTTPTransport] = asyncio.LifoQueue()
        for connection in self._all:
            self._free.put_nowait(connection)

    async def exchange(self, call: str, request: httpx.Request) -> HttpResponse:
        """Send ``request`` and return the response.

        Exceptions of httpx can contain the URL. They are replaced by exceptions without it.

        Raises:
            FineosUnavailable: The connection failed or timed out.
            FineosInvalidResponse: The response is not valid HTTP or is too large.
        """
        connection = await self._free.get()
        try:
            return await _exchange(call, connection, request)
        except httpx.TimeoutException as error:
            failure: FineosError = FineosUnavailable(call, f"request timed out ({type(error).__name__})")
        except httpx.TransportError as error:
            failure = FineosUnavailable(call, f"connection failed ({type(error).__name__})")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            failure = FineosInvalidResponse(call, f"invalid HTTP response ({type(error).__name__})")
        finally:
            self._free.put_nowait(connection)
        raise failure

    async def close(self) -> None:
        """Close all connections."""
        for connection in self._all:
            await connection.aclose()


async def _exchange(call: str, connection: httpx.AsyncHTTPTransport, request: httpx.Request) -> HttpResponse:
    response = await connection.handle_async_request(request)
    try:
        body = bytearray()
        async for chunk in response.aiter_bytes():  # decompressed
            body += chunk
            if len(body) > MAX_RESPONSE_BYTES:
                raise FineosInvalidResponse(call, f"response has more than {MAX_RESPONSE_BYTES:,} bytes")
    finally:
        await response.aclose()
    return HttpResponse(response.status_code, response.headers, bytes(body))
