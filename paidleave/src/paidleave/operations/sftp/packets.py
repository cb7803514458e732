"""The fields of SFTP's packets (draft-ietf-secsh-filexfer-02, 3 and 5)."""

from __future__ import annotations

import stat
import struct
from dataclasses import dataclass

from paidleave.operations.sftp.errors import ProtocolViolated

_HAS_SIZE, _HAS_OWNER, _HAS_MODE, _HAS_TIMES, _HAS_EXTENSIONS = 1, 2, 4, 8, 0x80000000


@dataclass(frozen=True)
class Attributes:
    """The attributes of a file. A server may omit each of them; it is then None. ``modified`` is in Unix seconds."""

    size: int | None = None
    mode: int | None = None
    modified: int | None = None

    @property
    def is_folder(self) -> bool:
        """Return True if the file is known to be a folder."""
        return stat.S_ISDIR(self.mode or 0)

    @property
    def may_be_file(self) -> bool:
        """Return True unless the file is known to be a folder, device or the like."""
        return stat.S_IFMT(self.mode or 0) in (0, stat.S_IFREG)


class Fields:
    """The fields of a packet, read one after the other. Raises ProtocolViolated if the packet is too short."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def read_number(self, size: int = 4) -> int:
        """Return a number of ``size`` bytes."""
        return int.from_bytes(self._read(size), "big")

    def read_bytes(self) -> bytes:
        """Return a string of bytes."""
        return self._read(self.read_number())

    def read_text(self) -> str:
        """Return a text for people, which some servers omit or send in another encoding."""
        return self.read_bytes().decode("utf-8", "replace") if self._position < len(self._data) else ""

    def read_attributes(self) -> Attributes:
        """Return the attributes of a file."""
        flags = self.read_number()
        size = mode = modified = None
        if flags & _HAS_SIZE:
            size = self.read_number(8)
        if flags & _HAS_OWNER:
            self._read(8)
        if flags & _HAS_MODE:
            mode = self.read_number()
        if flags & _HAS_TIMES:
            self._read(4)  # the time of the last access
            modified = self.read_number()
        if flags & _HAS_EXTENSIONS:
            for _ in range(self.read_number()):
                self.read_bytes()  # its name
                self.read_bytes()
        return Attributes(size, mode, modified)

    def _read(self, size: int) -> bytes:
        start, self._position = self._position, self._position + size
        if self._position > len(self._data):
            raise ProtocolViolated("it sent a packet that is too short")
        return self._data[start : self._position]


def pack(data: bytes) -> bytes:
    """Return a string of bytes with its length."""
    return struct.pack(">I", len(data)) + data
