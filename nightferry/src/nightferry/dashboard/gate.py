"""The gate in front of all routes: a wrapper around the whole application, so that no route can be left out.

A request passes these checks in this order: host, size, method, origin, login. Only the paths in :data:`OPEN_PATHS`
need no login; they are compared as a whole. Every response gets the headers that keep other sites and scripts out.
"""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nightferry.dashboard.access import Access

OPEN_PATHS = ("/health", "/login")
METHODS = ("GET", "HEAD", "POST")
MAX_QUERY_BYTES = 2048  # of a path with its query
MAX_BODY_BYTES = 64 * 1024

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src"
    " 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


class BodyTooLarge(HTTPException):
    """The body of a request has more bytes than a form needs."""

    def __init__(self) -> None:
        super().__init__(413, f"A request has at most {MAX_BODY_BYTES:,} bytes.")


class Gate:
    """An ASGI application that lets only allowed requests through to another one."""

    def __init__(self, app: ASGIApp, access: Access, login_page: ASGIApp) -> None:
        """``login_page`` responds with status 401 to requests without a session."""
        self._app = app
        self._access = access
        self._login_page = login_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        await self._check(scope)(scope, _limit_body(receive), _add_headers(send))

    def _check(self, scope: Scope) -> ASGIApp:
        headers, method = Headers(scope=scope), scope["method"]
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._access.knows_host(hosts[0]):
            return _refuse(421, "This server is not known under that host.")
        if len(scope["raw_path"]) + len(scope["query_string"]) > MAX_QUERY_BYTES:
            return _refuse(414, f"An address has at most {MAX_QUERY_BYTES:,} bytes.")
        if method not in METHODS:
            return _refuse(405, "Only GET, HEAD and POST are allowed.", {"Allow": ", ".join(METHODS)})
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > MAX_BODY_BYTES:
            return _refuse(413, f"A request has at most {MAX_BODY_BYTES:,} bytes.")
        scheme, _, token = headers.get("authorization", "").partition(" ")
        has_token = scheme.lower() == "bearer" and self._access.is_token(token.strip())
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and _is_part(headers):
            return _refuse(403, "The request comes from a page of another site.")
        if method == "POST" and not has_token and not self._is_same_origin(headers, hosts[0]):
            return _refuse(403, "The request comes from another site.")
        logged_in = has_token or self._access.is_session(read_cookie(headers, self._access.cookie))
        return self._app if logged_in or scope["path"] in OPEN_PATHS else self._login_page

    def _is_same_origin(self, headers: Headers, host: str) -> bool:
        """Return True if a page of this server sent the request. Browsers set these headers, and scripts cannot."""
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site is not None:
            return site == "same-origin"
        return origin is not None and self._access.is_own_origin(host, origin)


def _is_part(headers: Headers) -> bool:
    """Return True if a page requests the response for itself, and not because a person has followed a link.

    Such a request of a page on another port of this machine has the cookie, and could use up the streams.
    """
    return headers.get("sec-fetch-mode", "navigate") != "navigate"


def read_cookie(headers: Headers, name: str) -> str:
    """Return the value of a cookie, or an empty text."""
    try:
        cookies: SimpleCookie = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return cookies[name].value if name in cookies else ""


def _refuse(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(f"{message}\n", status, headers)


def _add_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers


def _limit_body(receive: Receive) -> Receive:
    size = 0

    async def receive_limited() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_BODY_BYTES:
            raise BodyTooLarge
        return message

    return receive_limited
