"""Transfers between a server and the bucket, and renames on the server.

A file has its name only when it is complete, unless the server permits no renaming. Each copy is read back, unless the
server permits no reading: an object by its digest, and a file on the server by its digest before it gets its name.
Nothing is replaced without ``replace``. A transfer can be repeated after an interruption. If it is already done, the
repetition changes nothing.
"""

from __future__ import annotations

import hashlib
import logging
import posixpath
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

from nightferry import Progress, Stopped, storage
from nightferry.storage import StorageError
from paidleave.operations.sftp.client import Client
from paidleave.operations.sftp.errors import AccessDenied, FileMissing, NotSupported, RequestRejected, SftpFailed
from paidleave.operations.sftp.packets import Attributes

_CHUNK_BYTES = 1 << 20
_log = logging.getLogger(__name__)


def get(server: Client, remote: str, uri: str, progress: Progress, *, replace: bool) -> None:
    """Copy a file on the server to an object. Raises SftpFailed."""
    before = _describe_file(server, remote)
    if storage.exists(uri) and not replace:
        if _hash_remote_file(server, remote) == _hash_object(uri):
            _log.info("unchanged: %s", uri, extra={"event": "sftp_unchanged", "uri": uri})
            return
        raise SftpFailed(f"{uri} already exists with different content. Set REPLACE=true to replace it.")
    digest = hashlib.sha256()
    received = 0
    with storage.open_write(uri) as target:
        for data in _read(server, remote):
            target.write(data)
            digest.update(data)
            received += len(data)
            progress.advance(len(data))
            if before.size is not None and received > before.size:
                break
        if _is_changed(before, _describe_file(server, remote), received):
            raise SftpFailed(
                f"{remote} changed while it was being read: {received} bytes received, {before.size} expected. Get it "
                "again later."
            )
    if _hash_object(uri) != digest.hexdigest():
        raise SftpFailed(f"{uri} differs from the received bytes. Get it again with REPLACE=true.")
    if before.size is None and before.modified is None:
        _log.warning("The server reports neither size nor time of %s. Check that it was complete.", remote)
    _log_transfer("got", uri, received, digest.hexdigest())


def _is_changed(before: Attributes, after: Attributes, received: int) -> bool:
    """Return True if the file was changed, as far as the server reports size and time."""
    is_other_size = any(size not in (None, received) for size in (before.size, after.size))
    is_other_time = None not in (before.modified, after.modified) and before.modified != after.modified
    return is_other_size or is_other_time


def put(
    server: Client,
    uri: str,
    remote: str,
    progress: Progress,
    *,
    replace: bool,
    temporary_file: bool = True,
    read_back: bool = True,
) -> None:
    """Copy an object to a file on the server. Raises SftpFailed.

    With ``temporary_file``, the file is first written to a temporary file in the same folder, whose name contains the
    digest. Two processes that put the same object therefore write the same bytes, and the next put overwrites an
    interrupted one. Without ``read_back``, the server's confirmation of each write and of the close is the proof.
    """
    wanted = _hash_object(uri)
    if not replace and _is_present(server, remote, is_required=read_back):
        _describe_file(server, remote)
        if read_back and _hash_remote_file(server, remote) == wanted:
            _log.info("unchanged: %s", remote, extra={"event": "sftp_unchanged", "uri": uri})
            return
        difference = " with different content" if read_back else ""
        raise SftpFailed(f"{remote} already exists{difference}. Set REPLACE=true to replace it.")
    folder, name = posixpath.split(remote)
    written = posixpath.join(folder, f".{name[:50]}.{wanted[:16]}.part") if temporary_file else remote
    source = _Source(uri, progress)
    try:
        _send(server, source, written, exclusive=not (temporary_file or replace))
        if source.digest != wanted:
            _discard(server, written)
            raise SftpFailed(f"{uri} changed while it was being sent. Put it again.")
        if read_back:
            _verify(server, written, source)
        else:
            _verify_size(server, written, source)
        if temporary_file:
            _rename(server, written, remote, replace=replace)
    except Stopped:
        if temporary_file or (source.is_started and source.digest != wanted):
            _discard(server, written)
        raise
    _log_transfer("put", uri, source.size, wanted)


class _Source:
    """An object that is being sent. ``size`` in bytes and ``digest`` are those of what was read."""

    def __init__(self, uri: str, progress: Progress) -> None:
        self.uri = uri
        self.size = 0
        self.is_started = False
        self._progress = progress
        self._digest = hashlib.sha256()

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()

    def read(self) -> Iterator[bytes]:
        self.is_started = True
        with storage.open_read(self.uri) as file:
            while data := file.read(_CHUNK_BYTES):
                yield data
                self._digest.update(data)
                self.size += len(data)
                self._progress.advance(len(data))


def _send(server: Client, source: _Source, written: str, *, exclusive: bool) -> None:
    """Write the file on the server, and remove it if that fails."""
    try:
        server.write(written, source.read(), exclusive=exclusive)
    except (RequestRejected, StorageError) as error:
        if source.is_started:  # otherwise the file was not opened, and one with this name is not ours
            _discard(server, written)
        match error:
            case StorageError():
                raise
            case FileMissing():
                raise SftpFailed(f"Folder {posixpath.dirname(written) or '.'} not found on the server.") from None
            case AccessDenied():
                raise SftpFailed(f"The server does not permit writing {written}.") from None
        if exclusive and not source.is_started and _is_present(server, written, is_required=False):
            raise SftpFailed(f"{written} already exists and is not replaced.") from None
        raise SftpFailed(
            f"The server could not write {written}. It reported: {error}. Ask its owner, and put it again."
        ) from None


def _verify(server: Client, written: str, source: _Source) -> None:
    """Read the file on the server back and compare it."""
    try:
        is_equal = _hash_remote_file(server, written) == source.digest
    except SftpFailed as error:
        _discard(server, written)
        raise SftpFailed(
            f"{written} was sent, but cannot be read back: {error} If the server permits no reading, set "
            "READ_BACK=false. If it takes each file as soon as it is closed, set TEMPORARY_FILE=false too."
        ) from None
    if not is_equal:
        _discard(server, written)
        raise SftpFailed(
            f"The copy of {source.uri} on the server differs from the object and was removed. Put it again."
        )


def _verify_size(server: Client, written: str, source: _Source) -> None:
    """Compare the size, unless the server does not report it or the file is already taken."""
    with suppress(RequestRejected):
        size = server.describe(written).size
        if size not in (None, source.size):
            _discard(server, written)
            raise SftpFailed(f"{written} has {size} bytes on the server, {source.size} were sent. Put it again.")


def rename(server: Client, remote: str, new: str) -> None:
    """Rename a file on the server without replacing another. Raises SftpFailed."""
    if not _is_present(server, remote):
        hint = f" {new} exists; the file may already have been renamed." if _is_present(server, new) else ""
        raise SftpFailed(f"File {remote} not found on the server.{hint}")
    _rename(server, remote, new, replace=False)
    _log.info("renamed: %s to %s", remote, new, extra={"event": "sftp_renamed"})


def _rename(server: Client, remote: str, new: str, *, replace: bool) -> None:
    try:
        if replace:
            _replace(server, remote, new)
        else:
            server.rename(remote, new)  # the server rejects it if the new name exists
    except AccessDenied:
        raise SftpFailed(
            f"The server does not permit renaming {remote} to {new}. To put a file under its own name at once, set "
            "TEMPORARY_FILE=false."
        ) from None
    except RequestRejected as error:
        if not replace and _is_present(server, new, is_required=False):
            raise SftpFailed(f"{new} already exists and is not replaced. {remote} was not renamed.") from None
        raise SftpFailed(
            f"The server could not rename {remote} to {new}. It reported: {error}. Check that the folder of the new "
            "name exists. If the server takes each file as soon as it is closed, set TEMPORARY_FILE=false."
        ) from None


def _replace(server: Client, remote: str, new: str) -> None:
    """Rename a file and replace another: at once, or in two steps if the server does not support it."""
    try:
        server.replace(remote, new)
    except NotSupported:
        with suppress(FileMissing):
            server.remove(new)
        server.rename(remote, new)


def _describe_file(server: Client, remote: str) -> Attributes:
    try:
        found = server.describe(remote)
    except FileMissing:
        raise SftpFailed(f"File {remote} not found on the server.") from None
    except AccessDenied:
        raise SftpFailed(f"The server does not permit access to {remote}.") from None
    except NotSupported:
        found = Attributes()
    if not found.may_be_file:
        raise SftpFailed(f"{remote} is not a regular file.")
    return found


def _is_present(server: Client, remote: str, *, is_required: bool = True) -> bool:
    """Return True if the name exists. A server that does not report it is an error only with ``is_required``."""
    try:
        return server.exists(remote)
    except NotSupported:
        return False
    except AccessDenied:
        if not is_required:
            return False
        raise SftpFailed(
            f"The server does not permit access to {remote}. To put a file without reading on the server, set "
            "READ_BACK=false."
        ) from None


def _read(server: Client, remote: str) -> Iterator[bytes]:
    try:
        yield from server.read(remote)
    except FileMissing:
        raise SftpFailed(f"File {remote} not found on the server.") from None
    except AccessDenied:
        raise SftpFailed(f"The server does not permit reading {remote}.") from None
    except RequestRejected as error:
        raise SftpFailed(
            f"The server could not read {remote}. It reported: {error}. Check that it is a file."
        ) from None


def _discard(server: Client, written: str) -> None:
    """Remove a file that must not remain, if the server permits it."""
    with suppress(RequestRejected):
        server.remove(written)


def _hash_remote_file(server: Client, remote: str) -> str:
    digest = hashlib.sha256()
    for data in _read(server, remote):
        digest.update(data)
    return digest.hexdigest()


def _hash_object(uri: str) -> str:
    with storage.open_read(uri) as file:
        return _hash(file)


def _hash(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while data := file.read(_CHUNK_BYTES):
        digest.update(data)
    return digest.hexdigest()


def _log_transfer(action: str, uri: str, size: int, digest: str) -> None:
    extra = {"event": f"sftp_{action}", "uri": uri, "bytes": size, "sha256": digest}
    _log.info("%s: %s", action, uri, extra=extra)
