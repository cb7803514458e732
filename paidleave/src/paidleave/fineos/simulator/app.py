"""Routes of the simulator: token endpoint, composer calls with faults, control interface, health check.

The control interface (``/_simulator/…``) requires the OAuth2 client's ID and secret with HTTP Basic authentication.
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
from paidleave.fineos.simulator.composer import ComposerResponse
from paidleave.fineos.simulator.document import MAX_BYTES
from paidleave.fineos.simulator.faults import AFTER, BEFORE, Faults, InvalidFault
from paidleave.fineos.simulator.store import SimulatorStore

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
    """The shared state of the routes. ``close_connection`` closes a client address's connection without a response."""

    store: SimulatorStore
    client_id: str
    client_secret: str
    close_connection: Callable[[tuple[str, int]], None]
    import_folder: Path | None = None
    export_folder: Path | None = None
    token_lifetime: float = 3600  # seconds
    faults: Faults = field(default_factory=Faults)
    rng: random.Random = field(default_factory=random.Random)
    tokens: dict[str, float] = field(default_factory=dict)
    files: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Serializes the import and export of files by the control interface and the watch."""
    in_flight: int = 0
    peak_in_flight: int = 0
    tokens_issued: int = 0
    tokens_rejected: int = 0

    def build_app(self) -> Starlette:
        """Build the ASGI application."""
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
                Route(control + "feeds", self._control(self._import_feeds), methods=["POST"]),
                Route(control + "updates", self._control(self._export_updates), methods=["POST"]),
            ]
        )

    async def watch_import_folder(self, interval: float) -> None:
        """Import feed files every ``interval`` seconds, and export employee updates if any were accepted."""
        assert self.import_folder is not None
        while True:
            await asyncio.sleep(interval)
            try:
                async with self.files:
                    imported = await run_in_threadpool(feeds.import_files, self.store.file, self.import_folder)
                    if self.export_folder is not None and any(feed.reason is None for feed in imported):
                        await run_in_threadpool(updates.export, self.store.file, self.export_folder)
            except OSError as error:  # The next attempt can succeed, for example when the disk is no longer full.
                _log.warning("cannot import feed files: %s", type(error).__name__)

    # --- tokens ------------------------------------------------------------------------------------------------

    async def _issue_token(self, request: Request) -> Response:
        if self.rng.random() < self.faults.token_unavailable:
            return JSONResponse({"error": "temporarily_unavailable"}, 503)
        if not self._has_client_credentials(request):
            return JSONResponse({"error": "invalid_client"}, 401)
        form = parse_qs((await _read_body(request)).decode("utf-8", "replace"), max_num_fields=10)
        if form.get("grant_type") != ["client_credentials"]:
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        if form.get("scope", [SCOPE]) != [SCOPE]:
            return JSONResponse({"error": "invalid_scope"}, 400)
        now = time.monotonic()
        self.tokens = {token: end for token, end in self.tokens.items() if end > now}
        token = secrets.token_urlsafe(32)
        self.tokens[token] = now + self.token_lifetime
        self.tokens_issued += 1
        return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": int(self.token_lifetime)})

    def _has_client_credentials(self, request: Request) -> bool:
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
        self, work: Callable[[Request, bytes], tuple[str, Callable[[], ComposerResponse]]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Build the route of a call. It checks the token, injects faults and latency, and runs ``work``."""

        async def route(request: Request) -> Response:
            ends = time.monotonic() + self.faults.latency_ms / 1000
            self.in_flight += 1
            self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
            try:
                response = await self._respond(request, work)
                await asyncio.sleep(max(0.0, ends - time.monotonic()))
            finally:
                self.in_flight -= 1
            return response

        return route

    async def _respond(
        self, request: Request, work: Callable[[Request, bytes], tuple[str, Callable[[], ComposerResponse]]]
    ) -> Response:
        if not self._has_token(request):
            self.tokens_rejected += 1
            return JSONResponse({"message": "The incoming token has expired"}, 401)
        if not request.query_params.get("userid"):
            return PlainTextResponse("userid is missing", 403)
        if request.headers.get("Content-Type", "").replace(" ", "").lower() != "application/xml;charset=utf-8":
            return PlainTextResponse("Content-Type must be application/xml; charset=utf-8", 415)
        body = await _read_body(request)
        service, execute = work(request, body)
        if fault := self.faults.choose(service, BEFORE, self.rng):
            self.store.record_call(service, None, fault)
            return await self._respond_with_fault(fault)
        if service in self.faults.replaced:
            self.store.record_call(service, None, "replaced")
            return Response(self.faults.replaced[service], media_type="application/xml; charset=utf-8")
        response = execute()
        if fault := self.faults.choose(service, AFTER, self.rng):
            self.store.record_call(service, response.number, fault)
            return await self._respond_with_fault(fault)
        return Response(response.body, response.status, media_type="application/xml; charset=utf-8")

    def _read(self, request: Request, body: bytes) -> tuple[str, Callable[[], ComposerResponse]]:
        def execute() -> ComposerResponse:
            response = composer.read_employer(self.store, request.query_params.get("param_str_taxId"))
            self.store.record_call("ReadEmployer", response.number, response.outcome)
            return response

        if body:
            raise HTTPException(400, "ReadEmployer does not accept a body")
        return "ReadEmployer", execute

    def _update(self, request: Request, body: bytes) -> tuple[str, Callable[[], ComposerResponse]]:
        config = request.query_params.get("config", "")
        if config not in composer.UPDATES:
            raise HTTPException(404, "Configuration not found")
        return config, lambda: composer.update(self.store, config, body, self.faults)

    async def _respond_with_fault(self, fault: str) -> Response:
        if fault in _FAULT_STATUS:
            status, text = _FAULT_STATUS[fault]
            return PlainTextResponse(text, status, headers={"Retry-After": "0"} if status == 429 else None)
        if fault == "hang":
            await asyncio.sleep(self.faults.hang_seconds)
        return _NoResponse(self.close_connection)

    # --- control -----------------------------------------------------------------------------------------------

    def _control(self, route: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            if not self._has_client_credentials(request):
                return PlainTextResponse("The client's ID and secret are required.", 401)
            return await route(request)

        return guarded

    async def _health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _set_faults(self, request: Request) -> Response:
        """Return the faults. PUT replaces all of them, PATCH only those in the body."""
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
        """Return counts of the stored records and of events since the start."""
        since_start = {
            "peak_in_flight": self.peak_in_flight,
            "tokens_issued": self.tokens_issued,
            "tokens_refused": self.tokens_rejected,
        }
        return JSONResponse(self.store.count_all() | since_start)

    async def _parties(self, request: Request) -> Response:
        """List all parties. PATCH sets fields of one party that only the vendor's users change."""
        if request.method == "PATCH":
            change = await request.json()
            self.store.set_vendor_fields(change["customer"], change["kept"])
        return JSONResponse(self.store.list_parties())

    async def _put_units(self, request: Request) -> Response:
        """Replace the organization units of the party ``number`` with pairs of object ID and name."""
        change = await request.json()
        self.store.put_units(change["number"], change["units"])
        return JSONResponse({})

    async def _import_feeds(self, _request: Request) -> Response:
        if self.import_folder is None:
            return PlainTextResponse("The simulator has no import folder. Start it with --import-folder.", 409)
        async with self.files:
            imported = await run_in_threadpool(feeds.import_files, self.store.file, self.import_folder)
        return JSONResponse([asdict(feed) for feed in imported])

    async def _export_updates(self, _request: Request) -> Response:
        if self.export_folder is None:
            return PlainTextResponse("The simulator has no export folder. Start it with --export-folder.", 409)
        async with self.files:
            file = await run_in_threadpool(updates.export, self.store.file, self.export_folder)
        return JSONResponse({"file": file and file.name})


async def _read_body(request: Request) -> bytes:
    """Read the body. Reject it when it exceeds the maximum size, without reading the rest."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise HTTPException(413, f"More than {MAX_BYTES} bytes")
    return bytes(body)


class _NoResponse(Response):
    """Closes the connection instead of sending a response."""

    def __init__(self, close_connection: Callable[[tuple[str, int]], None]) -> None:
        super().__init__()
        self._close_connection = close_connection

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - nothing is sent
        self._close_connection(tuple(scope["client"]))
        await asyncio.sleep(0.01)  # Lets the server detect the closed connection, so that it sends no response.
