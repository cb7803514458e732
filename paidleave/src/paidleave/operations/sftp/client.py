"""A client of the SFTP protocol, version 3 (draft-ietf-secsh-filexfer-02), which all servers support.

The client of paramiko decodes names and messages as UTF-8 and raises UnicodeDecodeError otherwise, drops the codes of
failures, and ignores failures of the last writes and of the close.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Protocol

from paidleave.operations.sftp.errors import (
    EndOfFile,
    FileMissing,
    ProtocolViolated,
    RequestRejected,
    SftpFailed,
    make_rejection,
)
from paidleave.operations.sftp.packets import Attributes, Fields, pack

_INIT, _VERSION = 1, 2
_OPEN, _CLOSE, _READ, _WRITE, _LSTAT, _OPENDIR, _READDIR = 3, 4, 5, 6, 7, 11, 12
_REMOVE, _STAT, _RENAME, _EXTENDED = 13, 17, 18, 200
_STATUS, _HANDLE, _DATA, _NAME, _ATTRIBUTES = 101, 102, 103, 104, 105
_FOR_READING, _FOR_WRITING, _CREATE, _TRUNCATE, _EXCLUSIVE = 1, 2, 8, 16, 32

_BLOCK_BYTES = 32 * 1024  # the largest amount of data that every server supports in one packet
_REQUEST_COUNT = 32  # requests without a response yet, so that the latency does not limit the rate
_PACKET_BYTES = 256 * 1024  # OpenSSH's limit


class Channel(Protocol):
    """A channel of an SSH connection on which the server runs the subsystem ``sftp``."""

    def send(self, data: bytes, /) -> int:
        """Send at least one byte, and return the number of sent bytes."""

    def recv(self, size: int, /) -> bytes:
        """Return the next bytes, at most ``size``; none if the channel was closed."""


class Client:
    """The files on a server. Names are text in ``encoding``; other bytes in them become surrogates (PEP 383).

    Methods raise RequestRejected, ProtocolViolated, EOFError if the connection was closed, and OSError.
    """

    def __init__(self, channel: Channel, encoding: str = "utf-8") -> None:
        self._channel = channel
        self._encoding = encoding
        # The beginning of the next packet, and the rest of one whose sending was interrupted by a stop of the job. The
        # methods remain usable after it, so that its cleanup can remove a file.
        self._buffer = bytearray()
        self._unsent = b""
        self._number = 0
        self._responses: dict[int, tuple[int, Fields]] = {}
        self._abandoned: set[int] = set()
        self._is_broken = False
        self._send(struct.pack(">BI", _INIT, 3))
        kind, fields = self._receive()
        if kind != _VERSION or fields.read_number() < 3:
            raise ProtocolViolated("it does not offer version 3 of the protocol")

    def describe(self, path: str, *, follow: bool = True) -> Attributes:
        """Return a file's attributes; without ``follow``, those of a symbolic link itself."""
        return self._exchange(_STAT if follow else _LSTAT, _ATTRIBUTES, self._encode(path)).read_attributes()

    def exists(self, path: str) -> bool:
        """Return True if there is a file, folder or link with this name."""
        try:
            self.describe(path, follow=False)
        except FileMissing:
            return False
        return True

    def list_folder(self, path: str) -> Iterator[tuple[str, Attributes]]:
        """Yield the names and attributes of a folder's entries, in the server's order."""
        handle = self._exchange(_OPENDIR, _HANDLE, self._encode(path)).read_bytes()
        try:
            while True:
                fields = self._exchange(_READDIR, _NAME, handle)
                count = fields.read_number()
                for _ in range(count):
                    name = fields.read_bytes().decode(self._encoding, "surrogateescape")
                    fields.read_bytes()  # a line for people
                    attributes = fields.read_attributes()
                    if name not in (".", ".."):
                        yield name, attributes
                if not count:
                    return
        except EndOfFile:
            return
        finally:
            self._close(handle)

    def read(self, path: str) -> Iterator[bytes]:
        """Yield a file's content in parts, with several requests in flight and bounded memory."""
        handle = self._open(path, _FOR_READING)
        requests: deque[tuple[int, int]] = deque()  # numbers and offsets, in order
        offset = 0
        try:
            while True:
                while len(requests) < _REQUEST_COUNT:
                    requests.append((self._request_block(handle, offset, _BLOCK_BYTES), offset))
                    offset += _BLOCK_BYTES
                number, start = requests.popleft()
                end = start + _BLOCK_BYTES
                while start < end:  # a server may return less than requested
                    data = self._expect(number, _DATA).read_bytes()
                    if not 0 < len(data) <= end - start:
                        raise ProtocolViolated("it returned another amount of data than requested")
                    yield data
                    start += len(data)
                    if start < end:
                        number = self._request_block(handle, start, end - start)
        except EndOfFile:
            return
        finally:
            self._abandon(number for number, _ in requests)
            self._close(handle)

    def write(self, path: str, parts: Iterable[bytes], *, exclusive: bool) -> None:
        """Write a file, and return when the server has confirmed every part and closed the file without an error.

        With ``exclusive``, the server rejects a file that exists; otherwise, it is replaced.
        """
        handle = self._open(path, _FOR_WRITING | _CREATE | (_EXCLUSIVE if exclusive else _TRUNCATE))
        requests: deque[int] = deque()
        offset = 0
        try:
            for part in parts:
                for start in range(0, len(part), _BLOCK_BYTES):
                    if len(requests) == _REQUEST_COUNT:
                        self._expect(requests.popleft(), _STATUS)
                    data = part[start : start + _BLOCK_BYTES]
                    requests.append(self._request(_WRITE, pack(handle), struct.pack(">Q", offset), pack(data)))
                    offset += len(data)
            while requests:
                self._expect(requests.popleft(), _STATUS)
        except BaseException:
            self._abandon(requests)
            self._close(handle)
            raise
        self._exchange(_CLOSE, _STATUS, handle)

    def remove(self, path: str) -> None:
        """Remove a file."""
        self._exchange(_REMOVE, _STATUS, self._encode(path))

    def rename(self, path: str, new: str) -> None:
        """Rename a file. The server rejects it if the new name exists."""
        self._exchange(_RENAME, _STATUS, self._encode(path), self._encode(new))

    def replace(self, path: str, new: str) -> None:
        """Rename a file, atomically replacing another. Not every server supports it."""
        self._exchange(_EXTENDED, _STATUS, b"posix-rename@openssh.com", self._encode(path), self._encode(new))

    def _open(self, path: str, flags: int) -> bytes:
        no_attributes = 0
        number = self._request(_OPEN, pack(self._encode(path)), struct.pack(">II", flags, no_attributes))
        return self._expect(number, _HANDLE).read_bytes()

    def _request_block(self, handle: bytes, offset: int, size: int) -> int:
        return self._request(_READ, pack(handle), struct.pack(">QI", offset, size))

    def _close(self, handle: bytes) -> None:
        """Release a handle that is no longer used."""
        if not self._is_broken:
            with suppress(RequestRejected):
                self._exchange(_CLOSE, _STATUS, handle)

    def _abandon(self, numbers: Iterable[int]) -> None:
        """Discard the responses to these requests when they come."""
        for number in numbers:
            if self._responses.pop(number, None) is None:
                self._abandoned.add(number)

    def _encode(self, path: str) -> bytes:
        try:
            return path.encode(self._encoding, "surrogateescape")
        except UnicodeEncodeError:
            raise SftpFailed(
                f"The name {path} contains characters that do not exist in {self._encoding} (SFTP_NAME_ENCODING). "
                "Choose another name or encoding."
            ) from None

    def _exchange(self, kind: int, expected: int, *strings: bytes) -> Fields:
        return self._expect(self._request(kind, *map(pack, strings)), expected)

    def _request(self, kind: int, *fields: bytes) -> int:
        """Send a request and return its number."""
        self._number = (self._number + 1) % 2**32
        self._send(struct.pack(">BI", kind, self._number) + b"".join(fields))
        return self._number

    def _expect(self, number: int, expected: int) -> Fields:
        """Wait for the response to a request, and return its fields. Raises RequestRejected."""
        while number not in self._responses:
            kind, fields = self._receive()
            other = fields.read_number()
            if other in self._abandoned:
                self._abandoned.remove(other)
            else:
                self._responses[other] = kind, fields
        kind, fields = self._responses.pop(number)
        if kind == _STATUS and ((code := fields.read_number()) or expected != _STATUS):
            raise make_rejection(code, fields.read_text())
        if kind != expected:
            raise ProtocolViolated(f"it responded with message {kind} instead of {expected}")
        return fields

    def _send(self, packet: bytes) -> None:
        self._unsent += struct.pack(">I", len(packet)) + packet
        try:
            while self._unsent:
                self._unsent = self._unsent[self._channel.send(self._unsent) :]
        except OSError:
            self._is_broken = True
            raise

    def _receive(self) -> tuple[int, Fields]:
        """Return the type and the fields of the next packet."""
        try:
            self._fill_buffer(4)
            (size,) = struct.unpack_from(">I", self._buffer)
            if not 0 < size <= _PACKET_BYTES:
                raise ProtocolViolated("it sent something else, such as a text that its shell prints at each login")
            self._fill_buffer(4 + size)
        except (OSError, EOFError, ProtocolViolated):
            self._is_broken = True
            raise
        packet = bytes(self._buffer[4 : 4 + size])
        del self._buffer[: 4 + size]
        return packet[0], Fields(packet[1:])

    def _fill_buffer(self, size: int) -> None:
        while len(self._buffer) < size:
            data = self._channel.recv(_PACKET_BYTES)
            if not data:
                raise EOFError
            self._buffer += data
