"""A fake of a chat's webhook, which accepts messages or fails as the test requires."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.lambdas.servers import FakeServer

PATH = "/services/T0001/B0002/kq7Secret?sig=alsoSecret"

Behavior = int | str | tuple[int, dict[str, str], str]
"""A status, or a status with headers and a body; "hang" (no response), "drip" (an endless one), "cut" (before it)."""


class Chat(FakeServer):
    """The server. ``behaviors`` apply to the next requests, one each; all further requests are accepted."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.behaviors: list[Behavior] = []
        self.received: list[Any] = []
        self.paths: list[str] = []

    def reset(self, *behaviors: Behavior) -> None:
        """Forget all requests, and apply ``behaviors`` to the next ones."""
        self.behaviors, self.received, self.paths = list(behaviors), [], []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}{PATH}"


class _Handler(BaseHTTPRequestHandler):
    server: Chat

    def log_message(self, format: str, *args: object) -> None: ...

    def do_GET(self) -> None:
        self.server.paths.append(f"GET {self.path}")
        self._respond(200, {}, "ok")

    def do_POST(self) -> None:
        server = self.server
        server.paths.append(f"POST {self.path}")
        data = self.rfile.read(int(self.headers["Content-Length"]))
        server.received.append(json.loads(data))
        match server.behaviors.pop(0) if server.behaviors else 200:
            case "hang":
                server.released.wait(60)
            case "drip":
                self._drip()
            case "cut":
                self.connection.shutdown(socket.SHUT_RDWR)
            case int() as status:
                self._respond(status, {}, "ok")
            case (int() as status, dict() as headers, str() as body):
                self._respond(status, headers, body)

    def _drip(self) -> None:
        """Send one header after the other, each within the client's timeout for a part."""
        self.wfile.write(b"HTTP/1.1 503 Service Unavailable\r\n")
        with suppress(OSError):
            while not self.server.released.wait(0.02):
                self.wfile.write(b"X-More: x\r\n")

    def _respond(self, status: int, headers: dict[str, str], body: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(OSError):  # the client does not read all of a huge response
            self.wfile.write(body.encode())
