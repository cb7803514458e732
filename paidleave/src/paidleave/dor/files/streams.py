"""Byte streams: the protocol of targets, and a source that computes a digest."""

from __future__ import annotations

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, Self

from paidleave.file_limits import ByteSource


class ByteTarget(Protocol):
    """A stream to write to."""

    def write(self, data: bytes, /) -> object:
        """Write all of ``data``."""


class Digest:
    """A stream that reads from ``stream`` and computes the SHA-256 of all bytes.

    A separate thread computes the digest. The end of the ``with`` block stops the thread.
    """

    def __init__(self, stream: ByteSource) -> None:
        self._stream = stream
        self._sha256 = hashlib.sha256()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sha256")
        self._pending: Future[None] | None = None

    def read(self, size: int, /) -> bytes:
        """Return the next bytes of ``stream``, at most ``size``."""
        data = self._stream.read(size)
        self._wait()
        self._pending = self._thread.submit(self._sha256.update, data)
        return data

    def hexdigest(self) -> str:
        """Return the digest of the bytes read so far, as 64 hexadecimal digits."""
        self._wait()
        return self._sha256.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()

    def _wait(self) -> None:
        if self._pending is not None:
            self._pending.result()
            self._pending = None
