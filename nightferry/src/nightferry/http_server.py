"""The web server of the engine and of the dashboard: uvicorn with limits on connections and on time.

Each open connection needs a file descriptor of this process, also one over which no request ever comes. The server
therefore counts sockets instead of requests. Above the limit, it closes the connection that has waited longest for a
request; if none waits for one, the connection that has waited longest for the rest of a request, or for a client that
does not read. The client of a request that arrives byte by byte, and one that does not read its response, are
disconnected.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from nightferry.errors import NightferryError

HANDSHAKE_SECONDS = 5.0  # of TLS, before which a connection is not counted
HEAD_SECONDS = 10.0  # from the connection, or the response before, to the end of a request's headers
BODY_SECONDS = 20.0  # from the headers to the end of the body
STALL_SECONDS = 60.0  # in which a client reads nothing of its response
MAX_HEAD_BYTES = 16 * 1024

_MOST_CONNECTIONS = 200
_FEWEST_CONNECTIONS = 8
_QUEUED_CONNECTIONS = 128  # in the kernel, which accepts them without a file descriptor of this process
_TICKS = 10  # of uvicorn's loop, one second, between two checks of all connections


class PortTaken(NightferryError):
    """The port is in use. Choose another port with --port, or 0 for any free port."""


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; raises PortTaken. Clients that connect before the server starts wait for it."""
    # asyncio sends the parts of a response at once only if the socket names its protocol. Otherwise each response whose
    # head and body are written separately waits 40 ms for an acknowledgment.
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_QUEUED_CONNECTIONS)
    except OSError as error:
        listener.close()
        raise PortTaken(
            f"Cannot listen on port {port} of {host} ({error.strerror}). Choose another port with --port, or --port 0 "
            "for any free port."
        ) from None
    return listener


class Connection(H11Protocol):
    """One connection. ``idle_since`` is when it began to wait for a request; ``busy_since`` is the last request's."""

    def connection_made(self, transport: Any) -> None:
        """Accept the connection. Above the limit, close the one that has waited longest, or this one."""
        super().connection_made(transport)
        self.idle_since = self.busy_since = monotonic()
        self.stalled_since: float | None = None
        self._begun: object = None
        opened = [one for one in self.connections if isinstance(one, Connection) and not one.transport.is_closing()]
        if len(opened) > self.config.max_connections:  # type: ignore[attr-defined]
            waiting = [one for one in opened if one.waits_since is not None and one is not self]
            min(waiting, key=lambda one: (not one.is_idle, one.waits_since), default=self).transport.abort()

    @property
    def is_idle(self) -> bool:
        """Return True if no request is being handled."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def waits_since(self) -> float | None:
        """Return since when the connection has waited for its client; None if the client waits for the server."""
        if self.is_idle:
            return self.idle_since
        return self.busy_since if self.cycle.more_body else self.stalled_since

    def data_received(self, data: bytes) -> None:
        """Receive a part of a request."""
        super().data_received(data)
        if self.cycle is not self._begun:
            self._begun, self.busy_since = self.cycle, monotonic()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self.idle_since = monotonic()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Remember since when the client has not read."""
        self.stalled_since = monotonic()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Continue, because the client reads."""
        self.stalled_since = None
        super().resume_writing()

    def close_if_late(self, now: float) -> None:
        """Close the connection if the client has exceeded one of the times."""
        head = self.is_idle and now - self.idle_since > HEAD_SECONDS
        body = not self.is_idle and self.cycle.more_body and now - self.busy_since > BODY_SECONDS
        stalled = self.stalled_since is not None and now - self.stalled_since > STALL_SECONDS
        if head or body or stalled:
            self.transport.abort()


class _Config(uvicorn.Config):
    max_connections: int


class Server(uvicorn.Server):
    """A server of an application. ``start`` or ``run(sockets=[…])`` begins to serve, and ``should_exit`` ends it.

    With ``handle_signals``, SIGINT and SIGTERM end it, too. ``max_connections`` is by default well below the number of
    files that the process may open.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        handle_signals: bool,
        certificate: Path | None = None,
        key: Path | None = None,
        max_connections: int | None = None,
    ) -> None:
        config = _Config(
            app, loop="asyncio", http=Connection, ws="none", log_config=None, access_log=False, server_header=False,
            proxy_headers=False, timeout_graceful_shutdown=1, h11_max_incomplete_event_size=MAX_HEAD_BYTES,
            ssl_certfile=certificate, ssl_keyfile=key,
            backlog=1,  # one connection per iteration of the event loop, which repeats a failed accept so many times
        )  # fmt: skip
        config.max_connections = max_connections or choose_max_connections()
        super().__init__(config)
        self._handle_signals = handle_signals

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals, or leave them to the engine, which stops this server after it has drained."""
        if self._handle_signals:
            with super().capture_signals():
                yield
        else:
            yield

    async def start(self, listener: socket.socket) -> asyncio.Task[None]:
        """Serve in a task, and return it as soon as connections are accepted. An error of the start is raised."""
        serving = asyncio.create_task(self.serve(sockets=[listener]))
        while not self.started and not serving.done():
            await asyncio.sleep(0.005)
        if serving.done():
            serving.result()
        return serving

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        loop = asyncio.get_running_loop()
        create = loop.create_server

        def create_server(*args: Any, **options: Any) -> Any:
            if options.get("ssl") is not None:
                options["ssl_handshake_timeout"] = HANDSHAKE_SECONDS
            return create(*args, **options)

        loop.create_server = create_server  # type: ignore[method-assign]  # uvicorn has no option for this time
        try:
            await super().startup(sockets)
        finally:
            del loop.create_server
        for listener in sockets or ():
            listener.listen(_QUEUED_CONNECTIONS)

    async def on_tick(self, counter: int) -> bool:
        """Close the connections of slow clients, once per second."""
        if counter % _TICKS == 0:
            now = monotonic()
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.close_if_late(now)
        return await super().on_tick(counter)


def choose_max_connections() -> int:
    """Return a quarter of the files that this process may open, because its work needs the others."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    quarter = _MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else soft // 4
    return max(_FEWEST_CONNECTIONS, min(_MOST_CONNECTIONS, quarter))
