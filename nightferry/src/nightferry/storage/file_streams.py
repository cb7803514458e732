"""Streams of files that notice a change of the file."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from nightferry.storage.errors import ObjectChanged
from nightferry.storage.objects import StoredStream
from nightferry.storage.versions import format_exact_version

if TYPE_CHECKING:
    from typing_extensions import Buffer

_BUFFER = 1 << 20


def open_stream(descriptor: int, uri: str) -> StoredStream:
    """Return a stream that owns ``descriptor``."""
    return StoredStream(_Reader(descriptor, uri), _BUFFER)


class _Reader(io.FileIO):
    """A file's content. The end of the file raises ObjectChanged if the file has changed since it was opened."""

    def __init__(self, descriptor: int, uri: str) -> None:
        super().__init__(descriptor, "rb")
        self._uri = uri
        self._status = os.fstat(descriptor)

    @property
    def version(self) -> str:
        """The exact version, after the last check."""
        return format_exact_version(self._status)

    def readinto(self, buffer: Buffer) -> int | None:
        """Read the next bytes; return 0 at the end of the file."""
        count = super().readinto(buffer)
        if count == 0 and memoryview(buffer).nbytes:
            self._check_unchanged()
        return count

    def readall(self) -> bytes:
        """Read the rest of the file."""
        data = super().readall()
        self._check_unchanged()
        return data

    def _check_unchanged(self) -> None:
        before, self._status = self._status, os.fstat(self.fileno())
        same = (before.st_mtime_ns, before.st_size) == (self._status.st_mtime_ns, self._status.st_size)
        # A replacement of the file under its name, and a new hard link, change the number of links and with it the
        # change time, but not the content that is being read.
        if not same or (before.st_nlink == self._status.st_nlink and before.st_ctime_ns != self._status.st_ctime_ns):
            raise ObjectChanged(f"{self._uri} was changed while it was being read. Start again when it is complete.")
