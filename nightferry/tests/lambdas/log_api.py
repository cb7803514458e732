"""A fake of New Relic's Log API that accepts batches or fails as the test requires."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.lambdas.servers import FakeServer

MAX_BODY_BYTES = 1_000_000

Behavior = int | str
"""A status, "429 0" (with Retry-After), "hang", "cut" (before reading) or "cut after" (accepted without a response)."""


class LogApi(FakeServer):
    """The server. ``behaviors`` apply to the next requests, one each; all further requests are accepted.

    413 applies only to batches of at least two entries.
    """

    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.behaviors: list[Behavior] = []
        self.accepted: list[dict[str, Any]] = []  # entries of requests with status 2xx, or cut after reading
        self.bodies: list[int] = []  # compressed sizes
        self.keys: list[str] = []
        self.wrong_key: str | None = None
        self.lock = threading.Lock()

    def reset(self, *behaviors: Behavior) -> None:
        """Forget all requests, and apply ``behaviors`` to the next ones."""
        self.behaviors = list(behaviors)
        self.accepted, self.bodies, self.keys, self.wrong_key = [], [], [], None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/log/v1"


class _Handler(BaseHTTPRequestHandler):
    server: LogApi

    def log_message(self, format: str, *args: object) -> None: ...

    def do_POST(self) -> None:
        server = self.server
        with server.lock:
            behavior = server.behaviors.pop(0) if server.behaviors else 202
            server.keys.append(self.headers["Api-Key"])
        if behavior == "cut":
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        data = self.rfile.read(int(self.headers["Content-Length"]))
        server.bodies.append(len(data))
        (batch,) = json.loads(gzip.decompress(data))
        assert self.path == "/log/v1"
        assert (self.headers["Content-Encoding"], self.headers["Content-Type"]) == ("gzip", "application/json")
        if behavior == "hang":
            server.released.wait(60)
            return
        if self.headers["Api-Key"] == server.wrong_key:
            behavior = 403
        if len(data) > MAX_BODY_BYTES or (behavior == 413 and len(batch["logs"]) > 1):
            behavior = 413
        elif behavior == 413:
            behavior = 202
        status, _, after = str(behavior).partition(" ")
        if status.startswith("2") or behavior == "cut after":
            with server.lock:
                server.accepted += batch["logs"]
        if behavior == "cut after":
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(int(status))
        if after:
            self.send_header("Retry-After", after)
        self.send_header("Content-Length", "0")
        self.end_headers()
