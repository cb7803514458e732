"""Calls to FINEOS over HTTP: one token for all coroutines, retries for passing faults.

    async with FineosClient(settings, in_flight=16) as fineos:
        number = await fineos.create_or_update_party(party)

A call is repeated when a repetition may help (timeouts, lost connections, 429, 502, 503, 504, the vendor's
ESOCKETTIMEDOUT), after a random wait below a bound that doubles. Every call here can be repeated safely: FINEOS
decides by CustomerNo whether a party is new, and a service agreement is set, not added to.

ReadEmployer has the FEIN in its URL, so no URL is ever logged: the loggers of the HTTP libraries are silenced.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import random
import time
from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

import httpx

from paidleave.fineos.client import answers, messages, requests
from paidleave.fineos.client.connections import Answer, Connections
from paidleave.fineos.client.errors import (
    FineosAuthenticationFailed,
    FineosError,
    FineosForbidden,
    FineosInvalidAnswer,
    FineosNotFound,
    FineosRefused,
    FineosUnavailable,
    FineosUnprocessable,
)
from paidleave.fineos.settings import FineosClientSettings

SCOPE = "service-gateway/all"
_TOKEN_CALL = "OAuth2 token"  # noqa: S105 - the name of a call
_TOKEN_TIMEOUT = 5.0  # seconds
_TOKEN_MARGIN = 30.0  # seconds before its end at which a token is no longer used
_UNAVAILABLE = frozenset({429, 502, 503, 504})
_REFUSED: dict[int, type[FineosRefused]] = {403: FineosForbidden, 404: FineosNotFound, 422: FineosUnprocessable}

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")


class FineosClient:
    """The three composer calls of the employer load. Use it as an async context manager, in one event loop."""

    def __init__(self, settings: FineosClientSettings, in_flight: int = 16) -> None:
        """``in_flight`` is the most calls that wait for an answer at any time; further ones queue here."""
        _silence_http_loggers()
        self._settings = settings
        self._connections = Connections(in_flight)
        self._token = _Token(self._connections, settings)
        base = httpx.URL(settings.fineos_client_wscomposer_api_url)
        user = settings.fineos_client_wscomposer_user_id
        self._read_url = base.join(messages.READ_EMPLOYER).copy_set_param("userid", user)
        self._update_urls = {
            call: base.join("webservice").copy_merge_params({"config": call, "userid": user})
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
        """Get a token now, so that wrong credentials show before any work starts (FineosAuthenticationFailed)."""
        await self._retried(_TOKEN_CALL, self._token.get)

    async def read_employer(self, fein: str) -> list[messages.Organisation]:
        """What FINEOS knows of the employers with this FEIN: none when it knows no such employer."""
        url = self._read_url.copy_set_param("param_str_taxId", fein)
        return await self._send(messages.READ_EMPLOYER, "GET", url, None, answers.read_employers)

    async def create_or_update_party(self, party: messages.Party) -> int:
        """Create the employer at FINEOS, or bring it up to date; returns the vendor's customer number."""
        return await self._update(messages.UPDATE_OR_CREATE_PARTY, requests.build_party(party), "CUSTOMER_NUMBER")

    async def set_service_agreement(self, customer_number: int, agreement: messages.ServiceAgreement) -> int:
        """Set the leave plans of the employer that the vendor knows as ``customer_number``; returns that number."""
        body = requests.build_service_agreement(customer_number, agreement)
        return await self._update(messages.SERVICE_AGREEMENT, body, "CustomerNumber")

    async def _update(self, call: str, body: bytes, number_name: str) -> int:
        read = partial(answers.read_update, call=call, number_name=number_name)
        return await self._send(call, "POST", self._update_urls[call], body, read)

    async def _send(
        self, call: str, method: str, url: httpx.URL, body: bytes | None, read: Callable[[bytes], _Answer]
    ) -> _Answer:
        """Send until there is an answer, and what ``read`` makes of it."""

        async def attempt() -> _Answer:
            return read(await self._attempt(call, method, url, body))

        return await self._retried(call, attempt)

    async def _retried(self, call: str, attempt: Callable[[], Awaitable[_Answer]]) -> _Answer:
        settings = self._settings
        for number in range(1, settings.fineos_client_attempts + 1):
            started = time.monotonic()
            try:
                return await attempt()
            except FineosError as error:
                passing = isinstance(error, FineosUnavailable)
                last = not passing or number == settings.fineos_client_attempts
                _report(error, time.monotonic() - started, number, last)
                if last:
                    raise
                self.retries += 1
                bound = min(settings.fineos_client_backoff * 2 ** (number - 1), settings.fineos_client_backoff_limit)
                wait = random.uniform(0, bound)  # noqa: S311 - full jitter, not a secret
                if isinstance(error, FineosUnavailable) and error.retry_after is not None:
                    wait += min(error.retry_after, settings.fineos_client_backoff_limit)
            await asyncio.sleep(wait)
        raise AssertionError(f"{call}: the last attempt returns or raises")

    async def _attempt(self, call: str, method: str, url: httpx.URL, body: bytes | None) -> bytes:
        """One exchange; a token that FINEOS holds for expired is replaced and the request repeated once."""
        token = await self._token.get()
        answer = await self._exchange(call, method, url, body, token)
        if answer.status == 401:
            token = await self._token.renew(instead_of=token)
            answer = await self._exchange(call, method, url, body, token)
        if answer.status == 401:
            raise FineosAuthenticationFailed(call, "a fresh token was refused", status=401)
        if answer.status == 200:
            return answer.body
        raise _refusal(call, answer)

    async def _exchange(self, call: str, method: str, url: httpx.URL, body: bytes | None, token: str) -> Answer:
        settings = self._settings
        request = httpx.Request(
            method,
            url,
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/xml; charset=utf-8"},
            content=body,
            extensions=_timeouts(settings.fineos_client_connect_timeout, settings.fineos_client_read_timeout),
        )
        self.requests += 1
        return await self._connections.exchange(call, request)


class _Token:
    """The access token, fetched by whoever needs it first; the others wait for that one."""

    def __init__(self, connections: Connections, settings: FineosClientSettings) -> None:
        self._connections = connections
        self._settings = settings
        self._lock = asyncio.Lock()
        self._value = ""
        self._expires = 0.0  # time.monotonic()

    async def get(self) -> str:
        if self._value and time.monotonic() < self._expires:
            return self._value
        return await self.renew(instead_of=self._value)

    async def renew(self, instead_of: str) -> str:
        """A token other than ``instead_of``, unless somebody fetched one meanwhile: then that one."""
        async with self._lock:
            if self._value and self._value != instead_of and time.monotonic() < self._expires:
                return self._value
            self._value, lifetime = await self._fetch()
            self._expires = time.monotonic() + max(lifetime - _TOKEN_MARGIN, lifetime / 2)
            return self._value

    async def _fetch(self) -> tuple[str, float]:
        """A new token and its lifetime in seconds."""
        settings = self._settings
        secret = settings.fineos_client_oauth2_client_secret.get_secret_value()
        credentials = base64.b64encode(f"{settings.fineos_client_oauth2_client_id}:{secret}".encode()).decode()
        request = httpx.Request(
            "POST",
            settings.fineos_client_oauth2_url,
            data={"grant_type": "client_credentials", "scope": SCOPE},
            headers={"Authorization": f"Basic {credentials}", "Accept": "application/json"},
            extensions=_timeouts(_TOKEN_TIMEOUT, _TOKEN_TIMEOUT),
        )
        answer = await self._connections.exchange(_TOKEN_CALL, request)
        values = _json(answer.body)
        if answer.status != 200:
            if answer.status == 429 or answer.status >= 500 or values.get("error") == "temporarily_unavailable":
                raise FineosUnavailable(_TOKEN_CALL, "temporarily unavailable", status=answer.status)
            raise FineosAuthenticationFailed(_TOKEN_CALL, "refused", status=answer.status)
        token, lifetime = values.get("access_token"), values.get("expires_in", 300)
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
            raise FineosInvalidAnswer(_TOKEN_CALL, "the answer holds no access_token", status=200)
        return token, float(lifetime) if isinstance(lifetime, int | float) and lifetime > 0 else 300.0


def _timeouts(connect: float, read: float) -> dict[str, dict[str, float]]:
    return {"timeout": {"connect": connect, "read": read, "write": read, "pool": read}}


def _refusal(call: str, answer: Answer) -> FineosError:
    status = answer.status
    if status in _UNAVAILABLE or b"ESOCKETTIMEDOUT" in answer.body:
        return FineosUnavailable(call, "unavailable", status=status, retry_after=_seconds(answer))
    return _REFUSED.get(status, FineosRefused)(call, f"refused with status {status}", status=status)


def _seconds(answer: Answer) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _json(body: bytes) -> dict[str, object]:
    try:
        values = json.loads(body)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def _report(error: FineosError, seconds: float, attempt: int, last: bool) -> None:
    """One ``FineosError`` event for each failure: what failed, never for whom."""
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
    """Silence httpx, which logs every URL at level INFO, whatever the task's loggers are set to."""
    for name in ("httpx", "httpcore", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL)
        logger.propagate = False
