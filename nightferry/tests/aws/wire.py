"""A TCP proxy that can interrupt the network."""

from __future__ import annotations

import contextlib
import socket
import threading


class Wire:
    """Forwards connections to the port of ``url``. While it is cut, it refuses connections and drops open ones."""

    def __init__(self, url: str) -> None:
        self._target = ("127.0.0.1", int(url.rpartition(":")[2]))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: set[socket.socket] = set()
        self._connected = True
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Interrupt the network."""
        self._connected = False
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def restore(self) -> None:
        """Restore the network."""
        self._connected = True

    def close(self) -> None:
        """Drop all connections and accept no more."""
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if not self._connected:
                client.close()
                continue
            server = socket.create_connection(self._target)
            self._open |= {client, server}
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._forward, args=(source, sink), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                sink.sendall(chunk)
        for one in (source, sink):
            self._open.discard(one)
            one.close()
