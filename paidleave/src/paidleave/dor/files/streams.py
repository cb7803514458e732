"""Streams of bytes: what is read from, what is written to, and the digest of what passes."""

from __future__ import annotations

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, Self


class ByteSource(Protocol):
    """A stream to read from: a file, a pipe, a message that is being decrypted, :class:`Digest`."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes, and none only at the end."""


class ByteTarget(Protocol):
    """A stream to write to."""

    def write(self, data: bytes, /) -> object:
        """Write all of ``data``."""


class Digest:
    """A stream that passes on what it reads from ``stream`` and computes the SHA-256 of every byte.

    The digest is computed in a thread of its own, beside what the reader does; leaving the ``with`` block ends it.
    """

    def __init__(self, stream: ByteSource) -> None:
        self._stream = stream
        self._sha256 = hashlib.sha256()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sha256")
        self._pending: Future[None] | None = None

    def read(self, size: int, /) -> bytes:
        """Return what ``stream`` gives."""
        data = self._stream.read(size)
        self._wait()
        self._pending = self._thread.submit(self._sha256.update, data)
        return data

    def hexdigest(self) -> str:
        """Return the digest of what was read so far, as 64 hexadecimal digits."""
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
