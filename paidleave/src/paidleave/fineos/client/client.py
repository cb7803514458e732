"""HTTP client of FINEOS with a shared access token and retries of transient errors.

    async with FineosClient(settings, in_flight=16) as fineos:
        number = await fineos.create_or_update_party(party)

The client retries timeouts, lost connections, the statuses 429, 502, 503 and 504, and the vendor's ESOCKETTIMEDOUT.
Before each retry it waits a random time with full jitter; the upper limit doubles with each attempt. All calls are
idempotent: FINEOS identifies a party by CustomerNo, and a service agreement replaces the earlier one.

The URL of ReadEmployer contains the FEIN. The client therefore never logs URLs and silences the loggers of the HTTP
library.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlencode, urljoin

from paidleave.fineos.client import messages, requests, responses
from paidleave.fineos.client.connections import Connections, HttpRequest, HttpResponse
from paidleave.fineos.client.errors import (
    FineosAuthenticationFailed,
    FineosError,
    FineosForbidden,
    FineosInvalidResponse,
    FineosNotFound,
    FineosRefused,
    FineosUnavailable,
    FineosUnprocessable,
)
from paidleave.fineos.settings import FineosClientSettings

_TOKEN_CALL = "OAuth2 token request"  # noqa: S105 - the name of a call, not a password
_TOKEN_TIMEOUT_SECONDS = 5.0
_DEFAULT_TOKEN_LIFETIME_SECONDS = 300.0
_TOKEN_MARGIN_SECONDS = 30.0
"""A token is renewed this long before it expires."""
# Another coroutine may have fetched the token of the first renewal before FINEOS discarded its tokens. The token of the
# second renewal is newer than the rejection.
_TOKEN_RENEWALS = 2
_UNAVAILABLE = frozenset({429, 502, 503, 504})
_REFUSED: dict[int, type[FineosRefused]] = {403: FineosForbidden, 404: FineosNotFound, 422: FineosUnprocessable}

_HEADERS = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate", "User-Agent": "paidleave"}
"""Headers of every request. Firewalls reject requests without a user agent."""

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class FineosClient:
    """The three composer calls of the employer load.

    Create it in the event loop that makes the calls, and use it as an async context manager.
    """

    def __init__(self, settings: FineosClientSettings, in_flight: int = 16) -> None:
        """Create a client that makes at most ``in_flight`` concurrent calls and queues further ones."""
        _silence_http_loggers()
        self._settings = settings
        self._connections = Connections(in_flight)
        self._token = _AccessToken(self._connections, settings)
        self._update_urls = {
            call: self._build_url("webservice", config=call)
            for call in (messages.UPDATE_OR_CREATE_PARTY, messages.SERVICE_AGREEMENT)
        }
        self.requests = 0
        self.retries = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connections.close()

    async def authenticate(self) -> None:
        """Get an access token, so that wrong credentials fail before any work starts.

        Raises:
            FineosAuthenticationFailed: FINEOS rejected the credentials.
        """
        await self._retry(_TOKEN_CALL, self._token.get)

    async def read_employer(self, fein: str) -> list[messages.Organization]:
        """Return the employers with this FEIN at FINEOS, or an empty list."""
        url = self._build_url(messages.READ_EMPLOYER, param_str_taxId=fein)
        return await self._send(messages.READ_EMPLOYER, "GET", url, None, partial(responses.parse_employers, fein=fein))

    async def create_or_update_party(self, party: messages.Party) -> int:
        """Create or update the employer at FINEOS and return its customer number."""
        return await self._update(messages.UPDATE_OR_CREATE_PARTY, requests.build_party(party), "CUSTOMER_NUMBER")

    async def set_service_agreement(self, customer_number: int, agreement: messages.ServiceAgreement) -> int:
        """Set the leave plans of the employer with the vendor's ``customer_number`` and return the number received."""
        body = requests.build_service_agreement(customer_number, agreement)
        return await self._update(messages.SERVICE_AGREEMENT, body, "CustomerNumber")

    def _build_url(self, service: str, **parameters: str) -> str:
        query = urlencode(parameters | {"userid": self._settings.fineos_client_wscomposer_user_id})
        return f"{urljoin(self._settings.fineos_client_wscomposer_api_url, service)}?{query}"

    async def _update(self, call: str, body: bytes, number_name: str) -> int:
        read = partial(responses.parse_update, call=call, number_name=number_name)
        return await self._send(call, "POST", self._update_urls[call], body, read)

    async def _send(
        self, call: str, method: str, url: str, body: bytes | None, read: Callable[[bytes], _Result]
    ) -> _Result:
        """Send the request, retry transient errors, and return the response parsed by ``read``."""

        async def attempt() -> _Result:
            return read(await self._send_once(call, method, url, body))

        return await self._retry(call, attempt)

    async def _retry(self, call: str, attempt: Callable[[], Awaitable[_Result]]) -> _Result:
        settings = self._settings
        for number in range(1, settings.fineos_client_attempts + 1):
            started = time.monotonic()
            try:
                return await attempt()
            except FineosError as error:
                is_transient = isinstance(error, FineosUnavailable)
                last = not is_transient or number == settings.fineos_client_attempts
                _log_failure(error, time.monotonic() - started, number, last)
                if last:
                    raise
                self.retries += 1
                bound = min(settings.fineos_client_backoff * 2 ** (number - 1), settings.fineos_client_backoff_limit)
                wait = random.uniform(0, bound)  # noqa: S311 - jitter, not a secret
                if isinstance(error, FineosUnavailable) and error.retry_after is not None:
                    wait += min(error.retry_after, settings.fineos_client_backoff_limit)
            await asyncio.sleep(wait)
        raise AssertionError(f"{call}: the last attempt returns or raises")

    async def _send_once(self, call: str, method: str, url: str, body: bytes | None) -> bytes:
        """Send the request and return the response body. After a 401, renew the token and send again."""
        token = await self._token.get()
        response = await self._exchange(call, method, url, body, token)
        for _ in range(_TOKEN_RENEWALS):
            if response.status != 401:
                break
            token = await self._token.renew(instead_of=token)
            response = await self._exchange(call, method, url, body, token)
        if response.status == 401:
            raise FineosAuthenticationFailed(call, "a new access token was rejected", status=401)
        if response.status == 200:
            return response.body
        raise _build_error(call, response)

    async def _exchange(self, call: str, method: str, url: str, body: bytes | None, token: str) -> HttpResponse:
        settings = self._settings
        request = HttpRequest(
            method,
            url,
            _HEADERS | {"Authorization": f"Bearer {token}", "Content-Type": "application/xml; charset=utf-8"},
            body,
            settings.fineos_client_connect_timeout,
            settings.fineos_client_read_timeout,
        )
        self.requests += 1
        return await self._connections.exchange(call, request)


class _AccessToken:
    """An access token shared by all coroutines. The first one that needs it fetches it, the others wait."""

    def __init__(self, connections: Connections, settings: FineosClientSettings) -> None:
        self._connections = connections
        self._settings = settings
        self._lock = asyncio.Lock()
        self._value = ""
        self._expires = 0.0  # on the clock of time.monotonic()

    async def get(self) -> str:
        if self._value and time.monotonic() < self._expires:
            return self._value
        return await self.renew(instead_of=self._value)

    async def renew(self, instead_of: str) -> str:
        """Return a token other than ``instead_of``: one that another coroutine fetched meanwhile, or a new one."""
        async with self._lock:
            if self._value and self._value != instead_of and time.monotonic() < self._expires:
                return self._value
            self._value, lifetime = await self._fetch()
            self._expires = time.monotonic() + max(lifetime - _TOKEN_MARGIN_SECONDS, lifetime / 2)
            return self._value

    async def _fetch(self) -> tuple[str, float]:
        """Fetch a new token. Return it with its lifetime in seconds."""
        settings = self._settings
        secret = settings.fineos_client_oauth2_client_secret.get_secret_value()
        credentials = base64.b64encode(f"{settings.fineos_client_oauth2_client_id}:{secret}".encode()).decode()
        request = HttpRequest(
            "POST",
            settings.fineos_client_oauth2_url,
            _HEADERS
            | {
                "Authorization": f"Basic {credentials}",
                "Accept": "application/json",
                "Content-Type": "application/x-www-form-urlencoded",
            },
            b"grant_type=client_credentials",  # The vendor assigns the client's own scope.
            _TOKEN_TIMEOUT_SECONDS,
            _TOKEN_TIMEOUT_SECONDS,
        )
        response = await self._connections.exchange(_TOKEN_CALL, request)
        values = _parse_json(response.body)
        if response.status != 200:
            if response.status == 429 or response.status >= 500 or values.get("error") == "temporarily_unavailable":
                raise FineosUnavailable(
                    _TOKEN_CALL,
                    "temporarily unavailable",
                    status=response.status,
                    retry_after=_parse_retry_after(response.headers),
                )
            raise FineosAuthenticationFailed(_TOKEN_CALL, "credentials rejected", status=response.status)
        token, lifetime = values.get("access_token"), values.get("expires_in")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
            raise FineosInvalidResponse(_TOKEN_CALL, "access_token is missing or invalid in the response", status=200)
        if str(values.get("token_type", "Bearer")).lower() != "bearer":
            raise FineosInvalidResponse(_TOKEN_CALL, "the response has another type of token than Bearer", status=200)
        return token, _parse_seconds(str(lifetime)) or _DEFAULT_TOKEN_LIFETIME_SECONDS


def _build_error(call: str, response: HttpResponse) -> FineosError:
    status = response.status
    if status in _UNAVAILABLE or b"ESOCKETTIMEDOUT" in response.body:
        return FineosUnavailable(call, "unavailable", status=status, retry_after=_parse_retry_after(response.headers))
    return _REFUSED.get(status, FineosRefused)(call, f"rejected with status {status}", status=status)


def _parse_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the requested wait in seconds: a number, or the time until a date by the server's own clock (RFC 9110)."""
    text = headers.get("Retry-After", "").strip()
    if (seconds := _parse_seconds(text)) is not None:
        return seconds
    until, now = _parse_http_date(text), _parse_http_date(headers.get("Date", "")) or datetime.now(UTC)
    return None if until is None else max(0.0, (until - now).total_seconds())


def _parse_seconds(text: str) -> float | None:
    """Parse a number of seconds with or without decimals. Return None if the text is something else."""
    return float(text) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text, re.ASCII) else None


def _parse_http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # OverflowError: a number in it is too large
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _parse_json(body: bytes) -> dict[str, object]:
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):  # RecursionError: it is nested too deeply
        return {}
    return values if isinstance(values, dict) else {}


def _log_failure(error: FineosError, seconds: float, attempt: int, last: bool) -> None:
    """Log one ``FineosError`` event without personal data."""
    level = logging.WARNING if isinstance(error, FineosUnavailable) and not last else logging.ERROR
    _log.log(
        level,
        "call to FINEOS failed",
        extra={
            "event": "FineosError",
            "error": type(error).__name__,
            "call": error.call,
            "status": error.status,
            "reason": str(error),
            "duration_ms": round(seconds * 1000),
            "attempt": attempt,
            "final": last,
        },
    )


def _silence_http_loggers() -> None:
    """Silence the loggers of aiohttp, whose records can contain the URL."""
    logger = logging.getLogger("aiohttp")
    logger.setLevel(logging.CRITICAL)
    logger.propagate = False
