"""Routes: the token endpoint, the composer's calls with faults, the control interface, health.

The control interface (``/_simulator/…``) wants the OAuth2 client's id and secret by HTTP Basic.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import logging
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from paidleave.fineos.simulator import composer, feeds, updates
from paidleave.fineos.simulator.composer import Answer
from paidleave.fineos.simulator.document import LARGEST
from paidleave.fineos.simulator.faults import AFTER, BEFORE, Faults, InvalidFault
from paidleave.fineos.simulator.store import Store

_log = logging.getLogger(__name__)
SCOPE = "service-gateway/all"
COMPOSER = "/integration-services/wscomposer/"
_FAULT_STATUS = {
    "unavailable": (503, "Service Unavailable"),
    "gateway_timeout": (504, "Endpoint request timed out"),
    "late_timeout": (504, "Endpoint request timed out"),
    "rate_limited": (429, "Too Many Requests"),
    "socket_timeout": (500, "{ code: ESOCKETTIMEDOUT }"),
    "server_error": (500, "Internal Server Error"),
    "garbage": (200, "<html>maintenance</html>"),
    "late_garbage": (200, "<html>maintenance</html>"),
}


@dataclass
class Simulator:
    """What the routes share. ``cut`` closes the connection of a client address without an answer."""

    store: Store
    client_id: str
    client_secret: str
    cut: Callable[[tuple[str, int]], None]
    import_folder: Path | None = None
    export_folder: Path | None = None
    token_lifetime: float = 3600  # seconds
    faults: Faults = field(default_factory=Faults)
    dice: random.Random = field(default_factory=random.Random)
    tokens: dict[str, float] = field(default_factory=dict)
    files: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while files are taken in or written: the control interface and the watch take turns."""
    in_flight: int = 0
    peak: int = 0
    issued: int = 0
    refused: int = 0

    def app(self) -> Starlette:
        """The ASGI application."""
        control = "/_simulator/"
        return Starlette(
            routes=[
                Route(COMPOSER + "ReadEmployer", self._composer(self._read), methods=["GET"]),
                Route(COMPOSER + "webservice", self._composer(self._update), methods=["POST"]),
                Route("/oauth2/token", self._issue_token, methods=["POST"]),
                Route("/health", self._health),
                Route(control + "faults", self._control(self._set_faults), methods=["GET", "PUT", "PATCH"]),
                Route(control + "tokens", self._control(self._expire_tokens), methods=["DELETE"]),
                Route(control + "state", self._control(self._state)),
                Route(control + "parties", self._control(self._parties), methods=["GET", "PATCH"]),
                Route(control + "units", self._control(self._put_units), methods=["PUT"]),
                Route(control + "feeds", self._control(self._take_in_feeds), methods=["POST"]),
                Route(control + "updates", self._control(self._export_updates), methods=["POST"]),
            ]
        )

    async def watch(self, interval: float) -> None:
        """Look for feed files every ``interval`` seconds; answer accepted ones with the next employee updates file."""
        assert self.import_folder is not None
        while True:
            await asyncio.sleep(interval)
            try:
                async with self.files:
                    taken = await run_in_threadpool(feeds.take_in, self.store.file, self.import_folder)
                    if self.export_folder is not None and any(feed.reason is None for feed in taken):
                        await run_in_threadpool(updates.export, self.store.file, self.export_folder)
            except OSError as error:  # a full disk, a folder that was removed: the next look may go better
                _log.warning("feed files could not be taken in: %s", type(error).__name__)

    # --- tokens ------------------------------------------------------------------------------------------------

    async def _issue_token(self, request: Request) -> Response:
        if self.dice.random() < self.faults.token_unavailable:
            return JSONResponse({"error": "temporarily_unavailable"}, 503)
        if not self._is_client(request):
            return JSONResponse({"error": "invalid_client"}, 401)
        form = parse_qs((await _body(request)).decode("utf-8", "replace"), max_num_fields=10)
        if form.get("grant_type") != ["client_credentials"]:
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        if form.get("scope") != [SCOPE]:
            return JSONResponse({"error": "invalid_scope"}, 400)
        now = time.monotonic()
        self.tokens = {token: end for token, end in self.tokens.items() if end > now}
        token = secrets.token_urlsafe(32)
        self.tokens[token] = now + self.token_lifetime
        self.issued += 1
        return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": int(self.token_lifetime)})

    def _is_client(self, request: Request) -> bool:
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        try:
            given = base64.b64decode(value, validate=True)
        except ValueError:
            return False
        wanted = f"{self.client_id}:{self.client_secret}".encode()
        return scheme.lower() == "basic" and hmac.compare_digest(given, wanted)

    def _has_token(self, request: Request) -> bool:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self.tokens.get(token, 0) > time.monotonic()

    # --- composer ----------------------------------------------------------------------------------------------

    def _composer(
        self, work: Callable[[Request, bytes], tuple[str, Callable[[], Answer]]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """The route of a call: token, faults before, ``work``, faults after, latency."""

        async def route(request: Request) -> Response:
            ends = time.monotonic() + self.faults.latency_ms / 1000
            self.in_flight += 1
            self.peak = max(self.peak, self.in_flight)
            try:
                response = await self._answer(request, work)
                await asyncio.sleep(max(0.0, ends - time.monotonic()))
            finally:
                self.in_flight -= 1
            return response

        return route

    async def _answer(
        self, request: Request, work: Callable[[Request, bytes], tuple[str, Callable[[], Answer]]]
    ) -> Response:
        if not self._has_token(request):
            self.refused += 1
            return JSONResponse({"message": "The incoming token has expired"}, 401)
        if not request.query_params.get("userid"):
            return PlainTextResponse("userid is missing", 403)
        if request.headers.get("Content-Type", "").replace(" ", "").lower() != "application/xml;charset=utf-8":
            return PlainTextResponse("Content-Type must be application/xml; charset=utf-8", 415)
        body = await _body(request)
        service, carry_out = work(request, body)
        if fault := self.faults.throw(service, BEFORE, self.dice):
            self.store.journal(service, None, fault)
            return await self._fault(fault)
        answer = carry_out()
        if fault := self.faults.throw(service, AFTER, self.dice):
            self.store.journal(service, answer.number, fault)
            return await self._fault(fault)
        return Response(answer.body, answer.status, media_type="application/xml; charset=utf-8")

    def _read(self, request: Request, body: bytes) -> tuple[str, Callable[[], Answer]]:
        def carry_out() -> Answer:
            answer = composer.read_employer(self.store, request.query_params.get("param_str_taxId"))
            self.store.journal("ReadEmployer", answer.number, answer.outcome)
            return answer

        if body:
            raise HTTPException(400, "ReadEmployer takes no body")
        return "ReadEmployer", carry_out

    def _update(self, request: Request, body: bytes) -> tuple[str, Callable[[], Answer]]:
        config = request.query_params.get("config", "")
        if config not in composer.UPDATES:
            raise HTTPException(404, "There is no such configuration")
        return config, lambda: composer.update(self.store, config, body, self.faults)

    async def _fault(self, fault: str) -> Response:
        if fault in _FAULT_STATUS:
            status, text = _FAULT_STATUS[fault]
            return PlainTextResponse(text, status, headers={"Retry-After": "0"} if status == 429 else None)
        if fault == "hang":
            await asyncio.sleep(self.faults.hang_seconds)
        return _Cut(self.cut)

    # --- control -----------------------------------------------------------------------------------------------

    def _control(self, route: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            if not self._is_client(request):
                return PlainTextResponse("The client's id and secret are needed.", 401)
            return await route(request)

        return guarded

    async def _health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _set_faults(self, request: Request) -> Response:
        """PUT replaces all faults, PATCH those that the body names."""
        if request.method != "GET":
            base = self.faults if request.method == "PATCH" else None
            try:
                self.faults = Faults.parse(await request.json(), base)
            except (InvalidFault, ValueError, AttributeError) as error:
                return PlainTextResponse(str(error), 400)
        return JSONResponse(asdict(self.faults))

    async def _expire_tokens(self, _request: Request) -> Response:
        self.tokens.clear()
        return JSONResponse({})

    async def _state(self, _request: Request) -> Response:
        """Counts: what is stored, and what happened since the start."""
        since_start = {
            "peak_in_flight": self.peak,
            "tokens_issued": self.issued,
            "tokens_refused": self.refused,
        }
        return JSONResponse(self.store.summary() | since_start)

    async def _parties(self, request: Request) -> Response:
        """GET lists all parties; PATCH sets fields of one that only the vendor's users change."""
        if request.method == "PATCH":
            change = await request.json()
            self.store.keep(change["customer"], change["kept"])
        return JSONResponse(self.store.everything())

    async def _put_units(self, request: Request) -> Response:
        """Replace the organisation units of the party ``number`` by pairs of object id and name."""
        change = await request.json()
        self.store.put_units(change["number"], change["units"])
        return JSONResponse({})

    async def _take_in_feeds(self, _request: Request) -> Response:
        if self.import_folder is None:
            return PlainTextResponse("The simulator was started without an import folder.", 409)
        async with self.files:
            taken = await run_in_threadpool(feeds.take_in, self.store.file, self.import_folder)
        return JSONResponse([asdict(feed) for feed in taken])

    async def _export_updates(self, _request: Request) -> Response:
        if self.export_folder is None:
            return PlainTextResponse("The simulator was started without an export folder.", 409)
        async with self.files:
            file = await run_in_threadpool(updates.export, self.store.file, self.export_folder)
        return JSONResponse({"file": file and file.name})


async def _body(request: Request) -> bytes:
    """The body, as far as the document reader would take it: the rest is refused unread."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            raise HTTPException(413, f"More than {LARGEST} bytes")
    return bytes(body)


class _Cut(Response):
    """No answer: the connection is closed under the client."""

    def __init__(self, cut: Callable[[tuple[str, int]], None]) -> None:
        super().__init__()
        self._cut = cut

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - nothing is sent
        self._cut(tuple(scope["client"]))
        await asyncio.sleep(0.01)  # until the server has noticed, so that it does not answer after all
