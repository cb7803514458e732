"""Pipes of a gpg process and the threads that write and read them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import IO

CHUNK_BYTES = 1024 * 1024
"""Maximum number of bytes per read."""


class Worker(threading.Thread):
    """A thread that starts immediately and stores the error that ended it."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(daemon=True, name="gpg")
        self._work = work
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Run the callable and store its error."""
        try:
            self._work()
        except BaseException as error:
            self._error = error

    def reraise(self) -> None:
        """Raise the error that ended the thread, if any."""
        if self._error is not None:
            raise self._error


def require_pipe(stream: IO[bytes] | None) -> IO[bytes]:
    """Return ``stream`` as a pipe that is not None."""
    assert stream is not None  # Keyring.start always creates pipes.
    return stream
