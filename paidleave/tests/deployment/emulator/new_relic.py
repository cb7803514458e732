"""A stand-in for New Relic's Log API that accepts everything."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class LogApi:
    """The accepted entries, and the address of the server."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.keys: set[str] = set()
        self.url = ""

    def has(self, *texts: str) -> bool:
        """Return True if one entry contains all of these texts."""
        return any(all(text in json.dumps(entry) for text in texts) for entry in list(self.entries))


@contextmanager
def log_api() -> Iterator[LogApi]:
    """Run the server during the block."""
    api = LogApi()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
            for batch in json.loads(body):
                api.entries += batch["logs"]
            api.keys.add(self.headers["Api-Key"])
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api.url = f"http://127.0.0.1:{server.server_port}/log/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
