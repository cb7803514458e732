"""Run the fake servers of the functions' tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import TypeVar


class FakeServer(ThreadingHTTPServer):
    """A server on a free port. ``released`` ends the responses that hang."""

    daemon_threads = True

    def __init__(self, handler: type) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.released = threading.Event()


_Server = TypeVar("_Server", bound=FakeServer)


@contextmanager
def serve(server: _Server) -> Iterator[_Server]:
    """Run a server during the block."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
