"""Pool of persistent HTTP connections to FINEOS, one per concurrent call."""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import dataclass

import httpx

from paidleave.fineos.client.errors import FineosError, FineosInvalidResponse, FineosUnavailable

MAX_RESPONSE_BYTES = 16 * 1024 * 1024
"""Maximum size of a response, compressed and after decompression.

A real response has about 5,000 bytes and 2,000 per organization unit.
"""
_TOO_LARGE = f"response has more than {MAX_RESPONSE_BYTES:,} bytes"


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
        raw = bytearray()
        async for chunk in response.aiter_raw():
            raw += chunk
            if len(raw) > MAX_RESPONSE_BYTES:
                raise FineosInvalidResponse(call, _TOO_LARGE)
    finally:
        await response.aclose()
    body = _decompress(call, bytes(raw), response.headers.get("Content-Encoding", ""))
    return HttpResponse(response.status_code, response.headers, body)


def _decompress(call: str, raw: bytes, encoding: str) -> bytes:
    """Return the content of a body, decompressed up to the limit.

    httpx decompresses a body without a limit, and as often as its header says, so that a few bytes fill the memory.
    """
    encoding = encoding.strip().lower()
    if not raw or encoding in ("", "identity"):
        return raw
    if encoding in ("gzip", "x-gzip"):
        window = 16 + zlib.MAX_WBITS
    elif encoding == "deflate":  # RFC 9110 requires the zlib format. Some servers omit its header.
        window = zlib.MAX_WBITS if int.from_bytes(raw[:2]) % 31 == 0 else -zlib.MAX_WBITS
    else:
        raise FineosInvalidResponse(call, "response has a content encoding that was not requested")
    decompressor = zlib.decompressobj(window)
    try:
        body = decompressor.decompress(raw, MAX_RESPONSE_BYTES + 1)
    except zlib.error:
        raise FineosInvalidResponse(call, "response is not compressed as its content encoding says") from None
    if len(body) > MAX_RESPONSE_BYTES:
        raise FineosInvalidResponse(call, _TOO_LARGE)
    if not decompressor.eof or decompressor.unused_data:
        raise FineosInvalidResponse(call, "response is compressed incompletely or has data after its end")
    return body
