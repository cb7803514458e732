"""Whether the bytes of an OpenPGP message are all there.

gpg cannot say whether a message was cut off or altered: both fail its integrity check. The lengths in the packet
headers can, and they aren't encrypted. Only the explanation of a failure is drawn from this, never a success.

Source: RFC 4880, section 4 (packet syntax); RFC 9580 keeps it.
"""

from __future__ import annotations

_ENCRYPTED_DATA = {9, 18, 20}
_BEFORE_ENCRYPTED_DATA = {1, 3, 10}  # session keys and the marker packet
_ARMOR_END = b"-----END PGP MESSAGE-----"


class Framing:
    """Follows the packets of a message while its bytes pass by in pieces of any size."""

    def __init__(self) -> None:
        self.size = 0
        self._is_armored = False
        self._tags: list[int] = []
        self._header = b""  # as much as has been seen of the header that comes next
        self._body = 0  # bytes of the packet's body (or of this part of it) still to come
        self._partial = False  # whether another part of the same body follows
        self._until_end_of_file = False  # a body that ends with the file
        self._end = b""

    def feed(self, data: bytes) -> None:
        """The next bytes of the message."""
        if not self.size:
            self._is_armored = data.startswith(b"-")
        self.size += len(data)
        self._end = (self._end + data[-80:])[-80:]
        if not self._is_armored:
            self._parse(data)

    @property
    def is_encrypted(self) -> bool:
        """Whether it begins as encrypted messages do."""
        if self._is_armored:
            return True  # gpg knows better
        first = self._tags[0] if self._tags else _parse_tag(self._header[0]) if self._header else None
        return first in _ENCRYPTED_DATA | _BEFORE_ENCRYPTED_DATA

    @property
    def is_truncated(self) -> bool:
        """Whether bytes are missing at the end."""
        if self._is_armored:
            return _ARMOR_END not in self._end
        complete = not self._header and not self._body and not self._partial
        return not (complete and any(tag in _ENCRYPTED_DATA for tag in self._tags))

    @property
    def has_trailing_data(self) -> bool:
        """Whether something follows the encrypted data, such as a second message."""
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
        """Take the header, or the next part's length, as soon as all its bytes are there."""
        header = self._header
        tag = None
        if not self._partial:
            first, header = header[0], header[1:]
            if not first & 0x80:  # no packet
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
    """The kind of packet that a header's first byte tells."""
    return first & 0x3F if first & 0x40 else (first >> 2) & 0x0F
