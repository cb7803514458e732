"""A stand-in for the orders API on this machine. It is unavailable at the first request, so that a run is repeated."""

from __future__ import annotations

import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

PAGES = [
    [{"id": 1, "region": "north", "amount": 120}, {"id": 2, "region": "south", "amount": 80}],
    [{"id": 3, "region": "north", "amount": 40}],
]


class OrdersApi(BaseHTTPRequestHandler):
    """``GET /orders?page=N``, and ``GET /health``, with which the engine waits until the server is ready."""

    is_available = False

    def do_GET(self) -> None:
        """Return a page; the page after the last one is empty."""
        address = urlsplit(self.path)
        if address.path == "/health":
            self.send_json(200, {})
        elif not OrdersApi.is_available:
            OrdersApi.is_available = True
            self.send_json(503, {})
        else:
            page = int(parse_qs(address.query)["page"][0])
            self.send_json(200, {"orders": PAGES[page - 1] if page <= len(PAGES) else []})

    def send_json(self, status: int, content: object) -> None:
        """Send a response."""
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", int(os.environ["PORT"])), OrdersApi).serve_forever()
