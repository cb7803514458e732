"""Who may open the pages: hosts, login codes, sessions and the token for scripts.

The token is in a file that only this account can read. ``nightferry dashboard`` signs a login code with it, also for
the server of a running engine. A code is valid once, for 60 seconds, at one server, which exchanges it for a cookie.
Sessions are kept in memory and end with the process. Scripts, such as a scraper of ``/metrics``, send the token itself.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from nightferry.environments.private_paths import open_private, read_private_text
from nightferry.environments.state_folder import create_state_folder

TOKEN_FILE = "dashboard.token"  # noqa: S105
CODE_SECONDS = 60
SESSION_SECONDS = 12 * 3600
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_MAX_SESSIONS = 1000


def read_token(state: Path) -> str:
    """Return the token of the project's dashboards. It is created when it is first needed.

    Raises NotPrivate if another account can read or change the file.
    """
    create_state_folder(state)
    file = state / TOKEN_FILE
    with suppress(FileNotFoundError):
        return read_private_text(file, secret=True).strip()
    written = state / f"{TOKEN_FILE}.{secrets.token_hex(4)}"
    with open_private(written, "x") as new:
        new.write(secrets.token_urlsafe(32))
    try:
        os.link(written, file)  # Of two processes that create it, one succeeds, and a reader never finds a part of it.
    except FileExistsError:
        return read_private_text(file, secret=True).strip()
    finally:
        written.unlink()
    return read_private_text(file, secret=True).strip()


def make_code(token: str, port: int, now: float | None = None) -> str:
    """Return a login code for the server with this token on this port, which must have started before."""
    expires = int((time.time() if now is None else now) + CODE_SECONDS)
    body = f"{expires}.{secrets.token_urlsafe(24)}"
    return f"{body}.{_sign(token, port, body)}"


def _sign(token: str, port: int, body: str) -> str:
    return hmac.new(token.encode(), f"login:{port}:{body}".encode(), hashlib.sha256).hexdigest()


class Access:
    """The hosts under which the server is known, its token and its sessions."""

    def __init__(self, token: str, origins: Iterable[str], *, clock: Callable[[], float] = time.time) -> None:
        """``origins`` are the scheme, host and port of all URLs of the server, as browsers write them."""
        parts = [urlsplit(origin) for origin in origins]
        self.origins = {part.netloc.lower(): f"{part.scheme}://{part.netloc.lower()}" for part in parts}
        self.secure = all(part.scheme == "https" for part in parts)
        # Cookies ignore ports: without the port in its name, two dashboards on one host would end each other's session.
        self.port = parts[0].port or (443 if self.secure else 80)
        self.cookie = f"{'__Host-' if self.secure else ''}nightferry-{self.port}"
        self._token = token
        self._clock = clock
        self._started_at = int(clock())  # Codes that were made before may have been used at an earlier server.
        self._used: dict[str, int] = {}
        self._sessions: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def on_loopback(cls, token: str, port: int) -> Access:
        """Return the access to a server that listens on the loopback interface only."""
        return cls(token, [f"http://{host}:{port}" for host in _LOOPBACK])

    def knows_host(self, host: str) -> bool:
        """Return True if the Host header, with its port, is one of the server's."""
        return host.lower() in self.origins

    def is_own_origin(self, host: str, origin: str) -> bool:
        """Return True if the Origin header is the origin of the page under this host."""
        return self.origins.get(host.lower()) == origin.lower()

    def is_token(self, token: str) -> bool:
        """Return True if it is the token for scripts."""
        return token.isascii() and hmac.compare_digest(token, self._token)

    def log_in(self, code: str) -> str | None:
        """Return a new session's cookie for a valid code that was not used before; otherwise None."""
        body, _, signature = code.rpartition(".")
        if not code.isascii() or not hmac.compare_digest(signature, _sign(self._token, self.port, body)):
            return None
        expires = int(body.partition(".")[0])  # a number, because the signature is ours
        now = self._clock()
        if not max(now, self._started_at + CODE_SECONDS) <= expires <= now + CODE_SECONDS + 1:
            return None
        with self._lock:
            self._used = {used: until for used, until in self._used.items() if until >= now}
            if body in self._used:
                return None
            self._used[body] = expires
            session = secrets.token_urlsafe(32)
            self._sessions[_digest(session)] = now + SESSION_SECONDS
            while len(self._sessions) > _MAX_SESSIONS:
                self._sessions.popitem(last=False)
        return session

    def is_session(self, cookie: str) -> bool:
        """Return True if the cookie is that of a session that has not expired."""
        with self._lock:
            return self._sessions.get(_digest(cookie), 0) > self._clock()

    def log_out(self, cookie: str) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(_digest(cookie), None)


def _digest(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode()).digest()
