"""The raw bytes of the lines that are being read, for those that turn out to be rejected."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from io import RawIOBase

from paidleave.dor.files.line import MAX_LINE_BYTES
from paidleave.dor.files.reader import Source


class RawLines(RawIOBase):
    """A stream that passes on what it reads from ``stream`` and remembers it until :meth:`release`.

    Memory is bounded by what the reader takes in ahead of the batches that it gives, whatever a line's length.
    """

    def __init__(self, stream: Source) -> None:
        super().__init__()
        self._stream = stream
        self._chunks: deque[tuple[int, int, bytes]] = deque()  # line ends before it, line ends up to its end, bytes
        self._ends = 0
        self._released = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Read the next bytes, and remember them until their lines are handled."""
        data = self._stream.read(size)
        ends = data.count(b"\n")
        # The reader itself keeps the raw bytes of a line over the limit.
        remembered = b"" if ends == 0 and len(data) > MAX_LINE_BYTES else data
        self._chunks.append((self._ends, self._ends + ends, remembered))
        self._ends += ends
        return data

    def get(self, numbers: Iterable[int]) -> list[bytes]:
        """The lines of these numbers (from 1), without LF; they must not have been released."""
        wanted = list(numbers)
        if not wanted:
            return []
        first = self._chunks[0][0] + 1
        lines = b"".join(data for _, _, data in self._chunks).split(b"\n")
        return [lines[number - first] for number in wanted]

    def release(self, lines: int) -> None:
        """Forget the next ``lines`` lines."""
        self._released += lines
        while self._chunks and self._chunks[0][1] < self._released:
            self._chunks.popleft()
