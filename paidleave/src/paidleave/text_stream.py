"""The text of a received file, without the marks that programs on Windows and DOS add at its start and end."""

from __future__ import annotations

import io
from collections.abc import Collection
from typing import Any

from nightferry import NightferryError
from paidleave.file_limits import ByteSource

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_END_MARK = b"\x1a"
# An armored message, and the first bytes of a binary one (RFC 4880, section 4.2: tags 1 and 3). No UTF-8 text has them.
_OPENPGP = (b"-----BEGIN PGP MESSAGE-----", b"\x84", b"\x85", b"\x86", b"\x8c", b"\x8d", b"\xc1")
_START_BYTES = 64 * 1024  # More than the longest valid first line.
_MAX_END_BYTES = 64 * 1024


class UnusableText(NightferryError):
    """A file is not plain text in UTF-8 with the line end LF or CR LF. Request it, or save it, in this form."""


class TextStream(io.RawIOBase):
    """A stream that reads from ``stream`` and skips marks that do not belong to the text.

    Skipped are byte order marks at the start, and at the end the characters 0x1A, which DOS writes at the end of a
    text, alone in a line or after the last line. They are counted. The same characters anywhere else are content.

    Attributes:
        byte_order_marks: The number of skipped byte order marks.
        end_marks: The number of skipped characters 0x1A, complete when the stream was read to its end.
    """

    def __init__(self, stream: ByteSource, widths: Collection[int] = ()) -> None:
        """``widths`` are those of valid lines in characters; a file with one of them is a line that contains CR."""
        self.byte_order_marks = 0
        self.end_marks = 0
        self._stream = stream
        self._widths = widths
        self._pending = b""  # read, but not returned
        self._held = 0  # The last bytes of _pending that are possibly an end mark.
        self._last = b"\n"  # the last returned byte
        self._started = False
        self._ended = False

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into ``buffer``; for the wrappers of :mod:`io`."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes of the text, at most ``size`` (negative: all).

        Raises:
            UnusableText: The file is in UTF-16 or encrypted, or its lines end with CR only.
        """
        if size < 0:
            return b"".join(iter(lambda: self.read(_START_BYTES), b""))
        if not self._started:
            self._started = True
            self._append(self._skip_byte_order_marks(read_fully(self._stream, _START_BYTES)))
        while len(self._pending) == self._held and not self._ended:
            if data := self._stream.read(max(size, 1)):
                self._append(data)
            else:
                self._end()
        returned = self._pending[: min(size, len(self._pending) - self._held)]
        self._pending = self._pending[len(returned) :]
        self._last = returned[-1:] or self._last
        return returned

    def _append(self, data: bytes) -> None:
        self._pending += data
        end = self._pending[-_MAX_END_BYTES:]
        line = end.removesuffix(b"\n").removesuffix(b"\r")
        self._held = len(end) - len(line.rstrip(_END_MARK)) if line.endswith(_END_MARK) else 0

    def _end(self) -> None:
        """Drop the end mark, with the line end of a line that has no other character."""
        start = len(self._pending) - self._held
        text, end = self._pending[:start], self._pending[start:]
        line_end = end.lstrip(_END_MARK)
        self.end_marks = len(end) - len(line_end)
        self._pending = text + (b"" if (text[-1:] or self._last) == b"\n" else line_end)
        self._held = 0
        self._ended = True

    def _skip_byte_order_marks(self, start: bytes) -> bytes:
        if start[:2] in (b"\xff\xfe", b"\xfe\xff") or (start[:3:2], start[1:4:2]).count(b"\0\0") == 1:
            raise UnusableText("it is in UTF-16. Save it again in UTF-8, or request it in UTF-8 from its sender.")
        if start.startswith(_OPENPGP):
            raise UnusableText(
                "it contains an OpenPGP message instead of text. Set DECRYPT=true if it is encrypted for the job, or "
                "request it without this encryption from its sender."
            )
        text = start
        while text.startswith(_BYTE_ORDER_MARK):
            text = text.removeprefix(_BYTE_ORDER_MARK)
        self.byte_order_marks = (len(start) - len(text)) // len(_BYTE_ORDER_MARK)
        line = text.rstrip(b"\r" + _END_MARK)
        if b"\n" not in text and b"\r" in line and len(line.decode(errors="replace")) not in self._widths:
            raise UnusableText(
                "its lines end with CR only. Save it again with the line end LF or CR LF, or request it in this form "
                "from its sender."
            )
        return text


def read_fully(stream: ByteSource, size: int) -> bytes:
    """Read ``size`` bytes, fewer only at the end; a pipe may return fewer bytes per read."""
    data = stream.read(size)
    if not data or len(data) == size:
        return data
    parts = [data]
    missing = size - len(data)
    while missing and (data := stream.read(missing)):
        parts.append(data)
        missing -= len(data)
    return b"".join(parts)
