"""SFTP servers that differ from OpenSSH, made of paramiko's server. They run in this process.

``connect`` speaks SFTP over a pair of sockets, without SSH. ``ssh_server`` is a whole server, whose session can fail.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import paramiko
from paramiko.sftp import CMD_STATUS

from paidleave.operations.sftp.client import Client


class Folder(paramiko.SFTPServerInterface):
    """The files of a folder, with the differences of a test: the names of methods, and what they return."""

    def __init__(self, server: object, root: Path, **differences: Any) -> None:
        super().__init__(server)
        self.root = root
        self.requests: list[str] = []
        self.omitted: tuple[str, ...] = differences.pop("omitted", ())
        self.differences = differences

    def __getattribute__(self, name: str) -> Any:
        if name in ("stat", "lstat", "open", "rename", "posix_rename", "remove", "list_folder"):
            self.requests.append(name)
            if name in self.differences:
                return lambda *_arguments: self.differences[name]
        return super().__getattribute__(name)

    def _path(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def _describe(self, path: Path) -> paramiko.SFTPAttributes | int:
        try:
            found = paramiko.SFTPAttributes.from_stat(path.stat(), path.name)
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)
        for name in self.omitted:
            setattr(found, name, None)
        return found

    def stat(self, path: str) -> paramiko.SFTPAttributes | int:
        return self._describe(self._path(path))

    lstat = stat

    def list_folder(self, path: str) -> Any:
        return [self._describe(file) for file in self._path(path).iterdir()]

    def open(self, path: str, flags: int, _attributes: object) -> Any:
        if self.differences.get("write_only") and not flags & (os.O_WRONLY | os.O_RDWR):
            return paramiko.SFTP_PERMISSION_DENIED
        try:
            file = os.fdopen(os.open(self._path(path), flags, 0o600), "r+b" if flags & os.O_WRONLY == 0 else "wb")
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)
        return Handle(self, self._path(path), file, flags)

    def remove(self, path: str) -> int:
        try:
            self._path(path).unlink()
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno or 0)
        return paramiko.SFTP_OK

    def rename(self, path: str, new: str) -> int:
        if self._path(new).exists():
            return paramiko.SFTP_FAILURE
        self._path(path).rename(self._path(new))
        return paramiko.SFTP_OK


class Handle(paramiko.SFTPHandle):
    """An open file."""

    def __init__(self, folder: Folder, path: Path, file: Any, flags: int) -> None:
        super().__init__(flags)
        self.folder, self.path, self.file = folder, path, file
        self.is_for_writing = bool(flags & (os.O_WRONLY | os.O_RDWR))

    def read(self, offset: int, size: int) -> Any:
        self.file.seek(offset)
        data = self.file.read(min(size, self.folder.differences.get("largest_read", size)))
        return data if data else paramiko.SFTP_EOF

    def write(self, offset: int, data: bytes) -> int:
        if offset + len(data) > self.folder.differences.get("capacity", 1 << 40):
            return paramiko.SFTP_FAILURE
        self.file.seek(offset)
        self.file.write(data)
        return paramiko.SFTP_OK

    def close(self) -> None:
        self.file.close()
        if self.is_for_writing and (taken := self.folder.differences.get("taken")):
            with suppress(FileNotFoundError):
                self.path.rename(taken / self.path.name)


class OddServer(paramiko.SFTPServer):
    """Paramiko's server over any socket, with the differences of a test in its packets."""

    before: Callable[[OddServer, int, int], bool] | None = None
    text: bytes | None = None

    def _log(self, *_arguments: object) -> None:
        pass

    def _process(self, kind: int, number: int, message: Any) -> None:
        if self.before is None or self.before(kind, number):
            super()._process(kind, number, message)

    def _send_status(self, number: int, code: int, text: Any = None) -> None:
        if self.text is None:
            super()._send_status(number, code, text)
        else:
            self._response(number, CMD_STATUS, code, *([self.text, ""] if self.text else []))


class _NoTransport:
    def get_transport(self) -> _NoTransport:
        return self

    def get_log_channel(self) -> str:
        return "test"

    def get_hexdump(self) -> bool:
        return False


@contextmanager
def connect(root: Path, timeout: float = 5, **differences: Any) -> Iterator[tuple[Client, Folder]]:
    """Provide a client of a server, and the server's folder. ``before`` and ``text`` are attributes of OddServer."""
    ours, theirs = socket.socketpair()
    ours.settimeout(timeout)
    attributes = {name: differences.pop(name) for name in ("before", "text") if name in differences}
    server = type("Server", (OddServer,), attributes)(_NoTransport(), "sftp", None, Folder, root, **differences)
    thread = threading.Thread(target=server.start_subsystem, args=("sftp", None, theirs), daemon=True)
    thread.start()
    try:
        with ours:
            yield Client(ours), server.server
    finally:
        theirs.close()
        thread.join(timeout=5)
        for handle in server.file_table.values():
            handle.file.close()


class Login(paramiko.ServerInterface):
    """An SSH server's decisions: which step of the session fails."""

    def __init__(self, failure: str) -> None:
        self.failure = failure
        self.transport: paramiko.Transport | None = None

    def get_allowed_auths(self, username: str) -> str:
        return "password" if self.failure == "password" else "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        if self.failure == "second factor":
            return paramiko.AUTH_PARTIALLY_SUCCESSFUL
        if self.failure == "locked":
            self.transport.close()
        return paramiko.AUTH_FAILED if self.failure == "password" else paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        if self.failure == "no channel":
            return paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        if self.failure == "closed":
            self.transport.close()
        return paramiko.OPEN_SUCCEEDED

    def check_channel_subsystem_request(self, channel: paramiko.Channel, name: str) -> bool:
        if self.failure == "no subsystem":
            return False
        if self.failure == "no answer":
            time.sleep(3)
        if self.failure == "text":
            channel.sendall(b"Welcome! This system is monitored.\n")
        if self.failure == "no sftp":
            channel.close()
        return True


@contextmanager
def ssh_server(key: paramiko.PKey, failure: str) -> Iterator[int]:
    """Run an SSH server for one connection, and provide its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        transport = paramiko.Transport(connection)
        transport.add_server_key(key)
        login = Login(failure)
        login.transport = transport
        with suppress(Exception):
            transport.start_server(event=threading.Event(), server=login)
        transports.append(transport)

    transports: list[paramiko.Transport] = []
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
        thread.join(timeout=5)
        for transport in transports:
            transport.close()
