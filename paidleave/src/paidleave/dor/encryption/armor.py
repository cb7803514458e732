"""Detection and decoding of ASCII armor.

Text before and after the armor is not part of the message (RFC 4880, section 6.2, unchanged in RFC 9580).
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable

MESSAGE = b"MESSAGE"
"""The title of the armor of an encrypted or signed message."""

_BEGIN = re.compile(rb"(?:^|\n)-----BEGIN PGP ([A-Z ]+)-----[^\n]*\n")
_BLANK_LINE = re.compile(rb"\n[ \t\r]*\n")
_DATA_END = re.compile(rb"\n[=-]")  # the checksum or the last line
_END = re.compile(rb"\n-----END PGP MESSAGE-----")
_MAX_LINE = 100  # bytes; lines of armor have at most 76 characters
_MAX_HEADERS = 65_536  # bytes


class Armor:
    """Decoder of a text that may contain armor, fed in chunks of any size."""

    def __init__(self) -> None:
        self.title = b""
        """The words after ``BEGIN PGP``, such as MESSAGE; empty if no armor was found."""
        self.is_complete = False
        """True if the last line of the armor was found."""
        self.has_trailing_data = False
        """True if text follows the last line."""
        self.has_second_message = False
        """True if other armor follows the last line."""
        self._pending = b"\n"
        self._encoded = b""
        self._step: Callable[[], bytes] = self._find_begin

    def feed(self, data: bytes) -> bytes:
        """Return the decoded bytes of the message in ``data``."""
        self._pending += data
        return self._step()

    def _find_begin(self) -> bytes:
        found = _BEGIN.search(self._pending)
        if not found:
            self._pending = self._pending[-_MAX_LINE:]
            return b""
        self.title = found[1]
        # Retain the line end, because the blank line may follow immediately.
        return self._proceed(found.end() - 1, self._skip_headers if self.title == MESSAGE else self._ignore)

    def _skip_headers(self) -> bytes:
        found = _BLANK_LINE.search(self._pending)
        if found:
            return self._proceed(found.end() - 1, self._decode)
        return self._ignore() if len(self._pending) > _MAX_HEADERS else b""

    def _decode(self) -> bytes:
        found = _DATA_END.search(self._pending)
        end = found.start() if found else len(self._pending) - 1
        encoded = self._encoded + self._pending[:end].translate(None, b" \t\r\n")
        whole = len(encoded) if found else len(encoded) // 4 * 4
        self._encoded = encoded[whole:]
        try:
            decoded = binascii.a2b_base64(encoded[:whole])
        except binascii.Error:  # gpg reports it
            decoded = b""
        return decoded + self._proceed(end, self._find_end if found else self._decode)

    def _find_end(self) -> bytes:
        found = _END.search(self._pending)
        if found:
            self.is_complete = True
            return self._proceed(found.end(), self._check_rest)
        self._pending = self._pending[-_MAX_LINE:]
        return b""

    def _check_rest(self) -> bytes:
        self.has_second_message |= b"-----BEGIN PGP " in self._pending
        self.has_trailing_data |= bool(self._pending.strip())
        self._pending = self._pending[-_MAX_LINE:] if self._pending.strip() else b""
        return b""

    def _ignore(self) -> bytes:
        self._pending = b""
        return b""

    def _proceed(self, position: int, step: Callable[[], bytes]) -> bytes:
        """Continue with ``step`` at ``position``; if it is the current step, wait for more bytes."""
        self._pending = self._pending[position:]
        if step == self._step:
            return b""
        self._step = step
        return step()
