"""``/health`` and ``/metrics`` over HTTP, on the loopback interface only."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nightferry.errors import NightferryError
from nightferry.local.monitoring.health import Health
from nightferry.local.monitoring.metrics import CONTENT_TYPE, Metrics
from nightferry.printable import make_printable

HOST = "127.0.0.1"
DEFAULT_PORT = 8470


class PortTaken(NightferryError):
    """The port is in use. Choose another port with --port, or 0 for any free port."""


def listen(port: int) -> socket.socket:
    """Return a listening socket on the loopback interface; raises PortTaken."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()  # Clients that connect before the server starts wait for it.
    except OSError as error:
        listener.close()
        raise PortTaken(
            f"Cannot listen on port {port} of {HOST} ({error.strerror}). Choose another port with --port, or --port 0 "
            "for any free port."
        ) from None
    return listener


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the engine, which stops this server after it has drained."""
        yield


def create_server(health: Health, metrics: Metrics) -> uvicorn.Server:
    """Create the server. ``serve(sockets=[…])`` runs it, and ``should_exit`` ends it."""

    async def get_health(_: Request) -> Response:
        problems = await health.find_problems()
        body = {"status": "unhealthy" if problems else "healthy", "problems": problems}
        content = make_printable(json.dumps(body, ensure_ascii=False))
        return Response(content, 503 if problems else 200, media_type="application/json")

    async def get_metrics(_: Request) -> Response:
        return Response(metrics.render(), media_type=CONTENT_TYPE)

    app = Starlette(routes=[Route("/health", get_health), Route("/metrics", get_metrics)])
    config = uvicorn.Config(
        app, lifespan="off", log_config=None, access_log=False, ws="none", server_header=False,
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    return _Server(config)
