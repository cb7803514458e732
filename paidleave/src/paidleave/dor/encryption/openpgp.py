"""Detection of incomplete OpenPGP messages.

gpg reports a truncated message and an altered one in the same way: both fail the integrity check. The lengths in the
packet headers, which are not encrypted, distinguish the two. They only explain a failure and never prove a success.

Source: RFC 4880, section 4 (packet syntax), unchanged in RFC 9580.
"""

from __future__ import annotations

_ENCRYPTED_DATA = {9, 18, 20}
_BEFORE_ENCRYPTED_DATA = {1, 3, 10}  # session keys and the marker packet
_ARMOR_END = b"-----END PGP MESSAGE-----"


class Framing:
    """Parser of the packet headers of a message, fed in chunks of any size."""

    def __init__(self) -> None:
        self.size = 0
        self._is_armored = False
        self._tags: list[int] = []
        self._header = b""  # the received bytes of the next header
        self._body = 0  # remaining bytes of the packet's body, or of its current part
        self._partial = False  # True if another part of the same body follows
        self._until_end_of_file = False  # True if the body extends to the end of the file
        self._end = b""

    def feed(self, data: bytes) -> None:
        """Parse the next bytes of the message."""
        if not self.size:
            self._is_armored = data.startswith(b"-")
        self.size += len(data)
        self._end = (self._end + data[-80:])[-80:]
        if not self._is_armored:
            self._parse(data)

    @property
    def is_encrypted(self) -> bool:
        """True if the message begins like an encrypted one."""
        if self._is_armored:
            return True  # Only gpg parses armored messages.
        first = self._tags[0] if self._tags else _parse_tag(self._header[0]) if self._header else None
        return first in _ENCRYPTED_DATA | _BEFORE_ENCRYPTED_DATA

    @property
    def is_truncated(self) -> bool:
        """True if bytes are missing at the end."""
        if self._is_armored:
            return _ARMOR_END not in self._end
        complete = not self._header and not self._body and not self._partial
        return not (complete and any(tag in _ENCRYPTED_DATA for tag in self._tags))

    @property
    def has_trailing_data(self) -> bool:
        """True if the encrypted data is followed by other data, such as a second message."""
        return any(tag in _ENCRYPTED_DATA for tag in self._tags[:-1])

    def _parse(self, data: bytes) -> None:
        position = 0
        while position < len(data) and not self._until_end_of_file and len(self._tags) < 1000:
            if self._body:
                step = min(self._body, len(data) - position)
                self._body -= step
                position += step
            else:
                self._header += data[position : position + 1]
                position += 1
                self._read_header()

    def _read_header(self) -> None:
        """Read the header, or the length of the next part, as soon as it is complete."""
        header = self._header
        tag = None
        if not self._partial:
            first, header = header[0], header[1:]
            if not first & 0x80:  # not a packet
                self._until_end_of_file = True
                return
            tag = _parse_tag(first)
            if not first & 0x40:
                self._read_old_length(first & 0x03, header, tag)
                return
        if not header:
            return
        match header[0]:
            case octet if octet < 192:
                self._start_packet(tag, octet, partial=False)
            case octet if octet < 224 and len(header) == 2:
                self._start_packet(tag, ((octet - 192) << 8) + header[1] + 192, partial=False)
            case 255 if len(header) == 5:
                self._start_packet(tag, int.from_bytes(header[1:]), partial=False)
            case octet if 224 <= octet < 255:
                self._start_packet(tag, 1 << (octet & 0x1F), partial=True)

    def _read_old_length(self, length_type: int, header: bytes, tag: int) -> None:
        if length_type == 3:
            self._until_end_of_file = True
            self._start_packet(tag, 0, partial=False)
        elif len(header) == 1 << length_type:
            self._start_packet(tag, int.from_bytes(header), partial=False)

    def _start_packet(self, tag: int | None, length: int, *, partial: bool) -> None:
        if tag is not None:
            self._tags.append(tag)
        self._header = b""
        self._body = length
        self._partial = partial


def _parse_tag(first: int) -> int:
    """Return the packet type in the first byte of a header."""
    return first & 0x3F if first & 0x40 else (first >> 2) & 0x0F
