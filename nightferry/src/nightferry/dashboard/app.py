"""The application: the routes of the pages, the responses to errors, and the gate in front of all of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from nightferry.backend.errors import CredentialsExpired, Refused, Unreachable
from nightferry.dashboard.actions.rights import NotPermitted, TooManyActions
from nightferry.dashboard.assets import read_asset, read_icon
from nightferry.dashboard.gate import OPEN_PATHS, Gate, read_cookie
from nightferry.dashboard.pages.preferences import ZONE_COOKIE, find_zone
from nightferry.dashboard.rendering import Renderer
from nightferry.dashboard.routes import PAGES, Page
from nightferry.dashboard.site import Site
from nightferry.dashboard.view import BadRequest, View
from nightferry.errors import NightferryError, UnknownName
from nightferry.job.error_facts import get_type_name

_THREADS = 4  # that render pages; within ``nightferry up``, they share the processors with the engine
_RELOAD_SECONDS = 2.0  # how old data may be after a person has reloaded a page
_COMPRESSED_BYTES = 1024  # the smallest response that is compressed

_log = logging.getLogger("nightferry.dashboard")


def create_app(site: Site, routes: Sequence[BaseRoute] = ()) -> ASGIApp:
    """Return the dashboard of a site. ``routes`` are further ones, such as ``/health``, behind the same gate."""
    return _App(site, routes).gate


class _App:
    def __init__(self, site: Site, routes: Sequence[BaseRoute]) -> None:
        self._site = site
        self._threads = ThreadPoolExecutor(_THREADS, "dashboard")
        assets = {"css": read_asset("css"), "js": read_asset("js"), "icon": read_icon()}
        navigation = [(page.path, page.name) for page in PAGES if page.name]
        self._renderer = Renderer(site.redactor, {kind: asset.path for kind, asset in assets.items()}, navigation)
        self._prefix = f"/{quote(site.name)}"
        starlette = Starlette(
            routes=[
                *routes,
                Route("/login", self._log_in, methods=["GET", "POST"]),
                Route("/logout", self._log_out, methods=["POST"]),
                *(Route(asset.path, asset.respond) for asset in assets.values()),
                Route("/", self._redirect_home),
                *self._list_page_routes(),
            ],
            middleware=[Middleware(GZipMiddleware, minimum_size=_COMPRESSED_BYTES, compresslevel=5)],
            exception_handlers={
                HTTPException: self._show_http_error,
                BadRequest: _refuse_plainly,
                ClientDisconnect: _refuse_plainly,
                Exception: self._show_error,
            },
            lifespan=self._lifespan,
        )
        self.gate = Gate(starlette, site.access, self._require_login)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _list_page_routes(self) -> list[BaseRoute]:
        found: list[BaseRoute] = []
        for page in PAGES:
            if page.method == "GET":
                twin = "/now.json" if page.path == "/" else f"{page.path}.json"
                found.append(Route(self._prefix + twin, self._serve(page, as_json=True)))
            found.append(Route(self._prefix + page.path, self._serve(page), methods=[page.method]))
        return found

    def _serve(self, page: Page, *, as_json: bool = False) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            body = await request.body() if page.method == "POST" else b""

            def respond() -> Response:
                view = self._make_view(request, body, as_json=as_json)
                self._site.freshness.begin(_choose_age(request))
                try:
                    return page.show(view)
                except NightferryError as error:
                    return _show_problem(view, error)
                finally:
                    self._site.freshness.begin()

            return await asyncio.get_running_loop().run_in_executor(self._threads, respond)

        return serve

    def _make_view(self, request: Request, body: bytes = b"", *, as_json: bool = False) -> View:
        cookie = read_cookie(request.headers, self._site.access.cookie)
        return View(
            self._site,
            self._renderer,
            url=request.url,
            headers=request.headers,
            path=request.path_params,
            zone=_read_zone(request, self._site.default_zone),
            session=cookie if self._site.access.is_session(cookie) else "",  # of a script with the token
            body=body,
            as_json=as_json or request.url.path.endswith(".json"),
            threads=self._threads,
            acts=request.method == "POST",
        )

    # ── login ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _redirect_home(self, _: Request) -> Response:
        return RedirectResponse(f"{self._prefix}/", 307)

    async def _log_in(self, request: Request) -> Response:
        form = self._make_view(request, await request.body()).form if request.method == "POST" else {}
        code = (form.get("code") or [request.query_params.get("code", "")])[-1].strip()
        wanted = (form.get("next") or [request.query_params.get("next", "")])[-1]
        session = self._site.access.log_in(code) if code else None
        if session is None:
            return self._show_login(request, refused=bool(code), wanted=wanted)
        own = wanted if self._site.owns_path(wanted) else f"{self._prefix}/"
        response: Response = RedirectResponse(own, 303)
        if request.headers.get("sec-fetch-site") == "cross-site":
            # A redirect would be a request of that site, which has no cookie. The page of this server sends its own.
            html = self._renderer.render("logged_in.html", site=self._site, wanted=own)
            response = Response(html, media_type="text/html; charset=utf-8")
        response.set_cookie(
            self._site.access.cookie, session, path="/", httponly=True, samesite="strict",
            secure=self._site.access.secure,
        )  # fmt: skip
        return response

    async def _log_out(self, request: Request) -> Response:
        self._site.access.log_out(read_cookie(request.headers, self._site.access.cookie))
        response = RedirectResponse("/login", 303)
        response.delete_cookie(self._site.access.cookie, path="/", httponly=True, samesite="strict")
        return response

    def _show_login(self, request: Request, *, refused: bool = False, wanted: str = "") -> Response:
        html = self._renderer.render(
            "login.html", site=self._site, refused=refused, wanted=wanted if self._site.owns_path(wanted) else "",
            followed=request.headers.get("sec-fetch-site") == "cross-site",
        )  # fmt: skip
        return Response(html, 401, media_type="text/html; charset=utf-8")

    async def _require_login(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        path = request.url.path
        if request.method == "POST" or path.endswith((".json", ".txt", "/stream", "/metrics")):
            response = Response("Log in first: run nightferry dashboard.\n", 401, media_type="text/plain")
        else:
            query = f"?{request.url.query}" if request.url.query else ""
            response = self._show_login(request, wanted=f"{path}{query}")
        await response(scope, receive, send)

    # ── errors ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _show_http_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 404 and request.url.path not in OPEN_PATHS:
            return _show_problem(self._make_view(request), _NoSuchPage("No page has this address."))
        return Response(f"{error.detail}\n", error.status_code, error.headers, "text/plain")

    async def _show_error(self, request: Request, error: Exception) -> Response:
        number = secrets.token_hex(4)
        _log.error(
            "A page failed (incident %s): %s.", number, get_type_name(error),
            exc_info=error, extra={"event": "page_failed", "path": request.url.path},
        )  # fmt: skip
        message = (
            f"This page failed ({get_type_name(error)}). The log of this server has the details: incident {number}."
        )
        if request.url.path in OPEN_PATHS:  # a page has the names of the environment and of its project
            return PlainTextResponse(f"{message}\n", 500)
        return _show_problem(self._make_view(request), _PageFailed(message))


class _NoSuchPage(NightferryError):
    """No route has the path."""


class _PageFailed(NightferryError):
    """A page raised an unexpected error."""


_PROBLEMS: tuple[tuple[type[NightferryError], int, str], ...] = (
    (NotPermitted, 403, "This dashboard is read-only"),
    (TooManyActions, 429, "Too many actions"),
    (BadRequest, 400, "This request is not valid"),
    (UnknownName, 404, "Not found"),
    (_NoSuchPage, 404, "Not found"),
    (CredentialsExpired, 503, "The credentials have expired"),
    (Unreachable, 503, "The environment is unreachable"),
    (Refused, 502, "The environment refused the request"),
    (_PageFailed, 500, "This page failed"),
    (NightferryError, 409, "This is not possible"),
)


def _show_problem(view: View, error: NightferryError) -> Response:
    status, title = next((status, title) for kind, status, title in _PROBLEMS if isinstance(error, kind))
    return view.page(
        "problem.html",
        title=title,
        status=status,
        json={"error": title, "message": str(error)},
        message=str(error),
        retry=status in (502, 503),
    )


async def _refuse_plainly(_: Request, error: Exception) -> Response:
    """Respond to a request that no page has received. A client that has disconnected gets nothing."""
    return PlainTextResponse(f"{error}\n", 400)


def _choose_age(request: Request) -> float | None:
    """Return how many seconds old the data of a response may be; None for what suits a page that refreshes itself."""
    if request.method == "POST":
        return 0  # An action depends on the current state.
    reloaded = request.headers.get("cache-control", "") in ("no-cache", "max-age=0")
    return _RELOAD_SECONDS if reloaded and request.headers.get("sec-fetch-mode") == "navigate" else None


def _read_zone(request: Request, default: ZoneInfo) -> ZoneInfo:
    return find_zone(read_cookie(request.headers, ZONE_COOKIE).strip('"')) or default
