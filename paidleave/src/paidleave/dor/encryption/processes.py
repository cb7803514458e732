"""The pipes of a gpg process, and the threads that fill and empty them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import IO

CHUNK_BYTES = 1024 * 1024
"""Bytes that are moved at once."""


class Worker(threading.Thread):
    """A thread that is started at once and retains the error that ended it."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(daemon=True, name="gpg")
        self._work = work
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Do the work."""
        try:
            self._work()
        except BaseException as error:
            self._error = error

    def reraise(self) -> None:
        """Raise the error that ended the thread, if there was one."""
        if self._error is not None:
            raise self._error


def require_pipe(stream: IO[bytes] | None) -> IO[bytes]:
    """Return the pipe ``stream``."""
    assert stream is not None  # every gpg is started with pipes
    return stream
