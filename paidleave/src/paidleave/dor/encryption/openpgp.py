"""Detection of the type of an OpenPGP file, and of incomplete messages.

gpg reports a truncated message and an altered one in the same way: both fail the integrity check. It reports a signed
message, a key and a text in similar ways. The packet headers, which are not encrypted, distinguish them. They only
explain a failure and never prove a success.

Source: RFC 4880, section 4 (packet syntax) and 5 (versions), and RFC 9580 for the newer versions.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto

from paidleave.dor.encryption.armor import MESSAGE, Armor

_SIGNATURE = 2
_UNPROTECTED, _PROTECTED, _AEAD = 9, 18, 20
_ENCRYPTED_DATA = {_UNPROTECTED, _PROTECTED, _AEAD}
_SESSION_KEY, _PASSPHRASE_KEY = 1, 3
_SIGNED = {_SIGNATURE, 4}
_KEYS = {5, 6, 7, 14}
_SKIPPED = {10, 21}  # marker and padding

# The possible first bytes of a packet's body, usually its version. They distinguish packets from other binary data and
# from text in UTF-8, whose bytes may be valid as headers.
_FIRST_BYTES: dict[int, bytes] = {
    1: bytes([2, 3, 6]),
    2: bytes([2, 3, 4, 5, 6]),
    3: bytes([4, 5, 6]),
    4: bytes([3, 6]),
    **dict.fromkeys(_KEYS, bytes([2, 3, 4, 5, 6])),
    8: bytes([0, 1, 2, 3]),
    10: b"P",
    11: b"btuml1",
    18: bytes([1, 2]),
    20: bytes([1]),
}
_UNSUPPORTED = {(1, 6), (3, 6), (18, 2)}  # packets of RFC 9580 that GnuPG does not implement
_MAX_PACKETS = 1000
_REVOCATIONS = {0x20, 0x28}  # signature types: of a key, of a subkey


class Content(Enum):
    """The content of a file by its first packet or the title of its armor."""

    ENCRYPTED = auto()
    PASSPHRASE = auto()
    SIGNED = auto()
    CLEAR_SIGNED = auto()
    KEY = auto()
    OTHER = auto()


class Framing:
    """Parser of the packet headers of a file, fed in chunks of any size."""

    def __init__(self) -> None:
        self.size = 0
        self._armor: Armor | None = None
        self._packets: list[tuple[int, int | None]] = []  # the type and the first byte of the body
        self._header = b""  # the received bytes of the next header
        self._body = 0  # remaining bytes of the packet's body, or of its current part
        self._partial = False  # True if another part of the same body follows
        self._until_end_of_file = False  # True if the body extends to the end of the file
        self._is_text = False  # True if bytes were found that are not a packet
        self._rest: bytes | None = None  # the first bytes after the encrypted data

    def feed(self, data: bytes) -> None:
        """Parse the next bytes of the file."""
        if not self.size and data and not data[0] & 0x80:
            self._armor = Armor()
        self.size += len(data)
        self._parse(self._armor.feed(data) if self._armor else data)

    @property
    def content(self) -> Content:
        """The content of the file."""
        if self._armor and self._armor.title != MESSAGE:
            title = self._armor.title
            if title == b"SIGNED MESSAGE":
                return Content.CLEAR_SIGNED
            return Content.KEY if title.endswith(b"KEY BLOCK") else Content.OTHER
        packets = [packet for packet in self._packets if packet[0] not in _SKIPPED]
        if not packets:
            return Content.ENCRYPTED if self._is_first_header_incomplete else Content.OTHER
        tag, first = packets[0]
        if first is not None and not _can_begin(tag, first):
            return Content.OTHER
        tags = {tag for tag, _ in packets}
        if tag == _PASSPHRASE_KEY:
            return Content.ENCRYPTED if _SESSION_KEY in tags else Content.PASSPHRASE
        if tag == _SESSION_KEY or tag in _ENCRYPTED_DATA:
            return Content.ENCRYPTED
        if tag in _SIGNED:
            return Content.SIGNED
        return Content.KEY if tag in _KEYS else Content.OTHER

    @property
    def is_truncated(self) -> bool:
        """True if bytes are missing at the end."""
        if self._armor and not self._armor.is_complete:
            return True
        complete = not self._header and not self._body and not self._partial
        return not (self._rest or (complete and self._has_encrypted_data))

    @property
    def has_trailing_data(self) -> bool:
        """True if the message is followed by other data."""
        return bool(self._rest) or bool(self._armor and self._armor.has_trailing_data)

    @property
    def has_second_message(self) -> bool:
        """True if the message is followed by another message."""
        if self._armor and self._armor.has_second_message:
            return True
        after = False
        for tag, first in self._packets:
            if after and tag in {_SESSION_KEY, _PASSPHRASE_KEY} | _SIGNED | _ENCRYPTED_DATA | {8, 11}:
                return first is not None and _can_begin(tag, first)
            after |= tag in _ENCRYPTED_DATA
        return False

    @property
    def is_unsupported(self) -> bool:
        """True if the message uses packets that GnuPG does not implement."""
        return any((tag, first) in _UNSUPPORTED for tag, first in self._packets)

    @property
    def is_aead(self) -> bool:
        """True if the data is encrypted in the mode AEAD instead of with a modification detection code."""
        return any(tag == _AEAD for tag, _ in self._packets)

    @property
    def is_unprotected(self) -> bool:
        """True if the data is encrypted without integrity protection."""
        return any(tag == _UNPROTECTED for tag, _ in self._packets)

    @property
    def _is_first_header_incomplete(self) -> bool:
        """True if the file ends in its first header, and that of an encrypted message."""
        if self._armor:
            return True
        first = _parse_tag(self._header[0]) if self._header and not self._is_text else None
        return first in _ENCRYPTED_DATA | {_SESSION_KEY, _PASSPHRASE_KEY} | _SKIPPED

    @property
    def _has_encrypted_data(self) -> bool:
        return any(tag in _ENCRYPTED_DATA for tag, _ in self._packets)

    def _parse(self, data: bytes) -> None:
        position = 0
        while position < len(data) and not self._until_end_of_file and len(self._packets) < _MAX_PACKETS:
            if self._body:
                self._note_first_byte(data[position])
                step = min(self._body, len(data) - position)
                self._body -= step
                position += step
            else:
                if self._rest is None and not self._header and not self._partial and self._has_encrypted_data:
                    self._rest = data[position : position + 1]
                self._header += data[position : position + 1]
                position += 1
                self._read_header()
        if self._until_end_of_file and not self._is_text and position < len(data):
            self._note_first_byte(data[position])

    def _note_first_byte(self, byte: int) -> None:
        if self._packets and self._packets[-1][1] is None:
            self._packets[-1] = (self._packets[-1][0], byte)

    def _read_header(self) -> None:
        """Read the header, or the length of the next part, as soon as it is complete."""
        header = self._header
        tag = None
        if not self._partial:
            first, header = header[0], header[1:]
            if not first & 0x80:  # not a packet
                self._until_end_of_file = self._is_text = True
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
            self._packets.append((tag, None))
        self._header = b""
        self._body = length
        self._partial = partial


def drop_revocations(key: bytes) -> bytes:
    """Return the exported, unarmored public ``key`` without the signatures that revoke it or its subkeys."""
    return b"".join(packet for tag, body, packet in _split_key(key) if not _is_revocation(tag, body))


def _is_revocation(tag: int, body: bytes) -> bool:
    if tag != _SIGNATURE or len(body) < 3:
        return False
    return body[2 if body[0] == 3 else 1] in _REVOCATIONS  # version 3 has a length before the type


def _split_key(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield the type, body and all bytes of each packet of an exported key."""
    start = 0
    while start < len(data):
        first = data[start]
        end = start + 1
        if first & 0x40:
            size = {255: 5}.get(data[end], 2 if data[end] >= 192 else 1)
            length = data[end : end + size]
            match size:
                case 1:
                    count = length[0]
                case 2:
                    count = ((length[0] - 192) << 8) + length[1] + 192
                case _:
                    count = int.from_bytes(length[1:])
        else:
            size = 1 << (first & 0x03)
            count = int.from_bytes(data[end : end + size])
        end += size
        yield _parse_tag(first), data[end : end + count], data[start : end + count]
        start = end + count


def _can_begin(tag: int, first: int) -> bool:
    """Return True if a packet's body may begin with this byte. Unprotected data (type 9) may begin with any byte."""
    return first in _FIRST_BYTES.get(tag, bytes(range(256)))


def _parse_tag(first: int) -> int:
    """Return the packet type in the first byte of a header."""
    return first & 0x3F if first & 0x40 else (first >> 2) & 0x0F
