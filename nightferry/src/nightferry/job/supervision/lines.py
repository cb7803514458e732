"""Split a stream of bytes into lines of bounded length, and hide what spans several lines."""

from __future__ import annotations

import re

MAX_LINE_BYTES = 64 * 1024
"""The longest line; the rest of a longer one is left out. Escaped in JSON, it fits into an event of CloudWatch."""

_MARGIN_BYTES = 8 * 1024  # more than the longest secret, which must not be cut before it is recognized


class LineSplitter:
    """The lines of a stream, with at most :data:`MAX_LINE_BYTES` and a margin in memory."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._omitted = 0

    def feed(self, chunk: bytes) -> list[tuple[bytes, int]]:
        """Return the lines that end in ``chunk``, each with the number of bytes that were left out at its end."""
        first, *others = chunk.split(b"\n")
        self._append(first)
        lines = []
        for other in others:
            lines.append((bytes(self._rest), self._omitted))
            self._rest.clear()
            self._omitted = 0
            self._append(other)
        return lines

    def end(self) -> list[tuple[bytes, int]]:
        """Return the last line, if the stream has not ended with a line end."""
        return self.feed(b"\n") if self._rest else []

    def _append(self, part: bytes) -> None:
        room = MAX_LINE_BYTES + _MARGIN_BYTES - len(self._rest)
        self._rest += part[:room]
        self._omitted += max(len(part) - room, 0)


def cut_line(text: str, omitted: int) -> str:
    """Return the redacted text of a line without the margin, in which a secret may be cut."""
    if not omitted:
        return text
    return f"{text[:-_MARGIN_BYTES]}… (a line of more than {MAX_LINE_BYTES // 1024} KB; its rest is left out)"


_KEY_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{1,40}-----")
_KEY_END = re.compile(r"-----END [A-Z0-9 ]{1,40}-----")
_KEY_LINE = re.compile(r"\s{0,8}(?:[A-Za-z0-9+/=]{0,128}|[A-Za-z-]{1,30}: .{0,200})\s{0,8}")


class KeyBlocks:
    """The blocks of keys in a stream of lines: ``-----BEGIN …-----`` up to ``-----END …-----``."""

    def __init__(self) -> None:
        self._inside = False

    def hides(self, text: str) -> bool:
        """Return True if the line is inside a key block, and not its first line."""
        if self._inside:
            if _KEY_END.search(text):
                self._inside = False
                return True
            if _KEY_LINE.fullmatch(text):
                return True
        begin = _KEY_BEGIN.search(text)
        self._inside = begin is not None and _KEY_END.search(text, begin.end()) is None
        return False
