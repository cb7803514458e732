"""HTTP connections to FINEOS: at most one per concurrent call, kept open between calls."""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
import certifi
from aiohttp.http_exceptions import HttpProcessingError

from paidleave.fineos.client.errors import FineosInvalidResponse, FineosUnavailable

MAX_RESPONSE_BYTES = 16 * 1024 * 1024
"""Maximum size of a response, compressed and after decompression.

A real response has about 5,000 bytes and 2,000 per organization unit.
"""
_TOO_LARGE = f"response has more than {MAX_RESPONSE_BYTES:,} bytes"
_KEEP_ALIVE_SECONDS = 30


@dataclass(frozen=True)
class HttpRequest:
    """An HTTP request.

    Attributes:
        method: The method, in capitals.
        url: The complete URL, with all reserved characters quoted.
        headers: All headers, except those of the connection and of the body's length.
        body: The body, or None.
        connect_timeout: Seconds for the name, the connection and TLS together.
        read_timeout: Seconds without a byte of the response. All of it must arrive within the sum of both times.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    connect_timeout: float
    read_timeout: float


@dataclass(frozen=True)
class HttpResponse:
    """Status, headers and complete body of an HTTP response. Names of headers are not case-sensitive."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connections:
    """Persistent connections. Each call waits until fewer than ``number`` others are in progress.

    Create it in the event loop that uses it.
    """

    def __init__(self, number: int) -> None:
        # URLs contain FEINs, so environment variables must not add a proxy or a certificate.
        context = ssl.create_default_context(cafile=certifi.where())
        context.set_alpn_protocols(["http/1.1"])
        self._calls = asyncio.Semaphore(number)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=0, keepalive_timeout=_KEEP_ALIVE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # it has no limit of size
            trust_env=False,
            middlewares=[_prevent_repetition],
        )

    async def exchange(self, call: str, request: HttpRequest) -> HttpResponse:
        """Send ``request`` and return the response.

        Exceptions of aiohttp can contain the URL. They are replaced by exceptions without it.

        Raises:
            FineosUnavailable: The connection failed or timed out, or the response is not valid HTTP.
            FineosInvalidResponse: The response is too large or compressed in a way that was not requested.
        """
        try:
            async with self._calls:
                return await self._exchange(call, request)
        except aiohttp.ConnectionTimeoutError:
            failure = FineosUnavailable(call, "request timed out (ConnectTimeout)")
        except TimeoutError:
            failure = FineosUnavailable(call, "request timed out (ReadTimeout)")
        except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
            failure = FineosUnavailable(call, f"connection failed ({type(error).__name__})")
        raise failure

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def _exchange(self, call: str, request: HttpRequest) -> HttpResponse:
        # After an interim response (status 100), aiohttp waits for the next byte without a read timeout.
        total = request.connect_timeout + request.read_timeout
        timeout = aiohttp.ClientTimeout(total, connect=request.connect_timeout, sock_read=request.read_timeout)
        async with self._session.request(
            request.method,
            request.url,
            headers=request.headers,
            data=request.body,
            allow_redirects=False,
            timeout=timeout,
        ) as response:
            raw = bytearray()
            async for chunk in response.content.iter_any():
                raw += chunk
                if len(raw) > MAX_RESPONSE_BYTES:
                    raise FineosInvalidResponse(call, _TOO_LARGE)
        encoding = ", ".join(response.headers.getall("Content-Encoding", ()))
        return HttpResponse(response.status, response.headers, _decompress(call, bytes(raw), encoding))


async def _prevent_repetition(
    request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Send ``request``. After a lost connection, aiohttp would send a GET again, but retries belong to the caller."""
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise  # nothing was sent
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientConnectionError(type(error).__name__) from None


def _decompress(call: str, raw: bytes, encoding: str) -> bytes:
    """Return the content of a body, decompressed up to the limit.

    aiohttp decompresses a body without a limit, so that a few bytes fill the memory.
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
