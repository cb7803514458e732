"""A server that plays New Relic's Log API: it takes batches, or misbehaves as it is told."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BODY_LIMIT = 1_000_000

Behaviour = int | str
"""A status to answer, "429 0" (with Retry-After), "hang", "cut" (before reading), "cut after" (taken, unanswered)."""


class LogApi(ThreadingHTTPServer):
    """``behaviours`` are for the next requests, one each; then all is accepted. 413 is for two entries or more."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behaviours: list[Behaviour] = []
        self.accepted: list[dict[str, Any]] = []  # entries whose request was answered with 2xx, or cut afterwards
        self.bodies: list[int] = []  # compressed sizes
        self.keys: list[str] = []
        self.wrong_key: str | None = None
        self.released = threading.Event()
        self.lock = threading.Lock()

    def begin(self, *behaviours: Behaviour) -> None:
        """Forget what was, and behave like this from now on."""
        self.behaviours = list(behaviours)
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
            behaviour = server.behaviours.pop(0) if server.behaviours else 202
            server.keys.append(self.headers["Api-Key"])
        if behaviour == "cut":
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        data = self.rfile.read(int(self.headers["Content-Length"]))
        server.bodies.append(len(data))
        (batch,) = json.loads(gzip.decompress(data))
        assert self.path == "/log/v1"
        assert (self.headers["Content-Encoding"], self.headers["Content-Type"]) == ("gzip", "application/json")
        if behaviour == "hang":
            server.released.wait(60)
            return
        if self.headers["Api-Key"] == server.wrong_key:
            behaviour = 403
        if len(data) > BODY_LIMIT or (behaviour == 413 and len(batch["logs"]) > 1):
            behaviour = 413
        elif behaviour == 413:
            behaviour = 202
        status, _, after = str(behaviour).partition(" ")
        if status.startswith("2") or behaviour == "cut after":
            with server.lock:
                server.accepted += batch["logs"]
        if behaviour == "cut after":
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(int(status))
        if after:
            self.send_header("Retry-After", after)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def log_api() -> Iterator[LogApi]:
    """A server for the block."""
    server = LogApi()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
