"""``sftp-tool``: list, get, put and rename files on an SFTP server; files are streamed from and to the bucket.

A file has its name only when it is complete. Each copy is read back: an object by its digest, and a file on the server
by size and digest before it gets its name. Nothing is replaced without ``REPLACE``. The tool can be started again after
an interruption, and does nothing if the transfer is done.
"""

from __future__ import annotations

import hashlib
import logging
import posixpath
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import BinaryIO

import paramiko

from nightferry import storage
from nightferry.job import Progress, Run, background_task
from paidleave.operations.settings import SftpToolSettings
from paidleave.operations.sftp_session import SftpFailed, open_session

_REQUEST_BYTES = 256 * 1024  # a server may return less per request; the rest is then requested again
_CHUNK_BYTES = 1 << 20
_ENTRY_LIMIT = 1_000
_log = logging.getLogger(__name__)


@background_task("sftp-tool", SftpToolSettings)
def main(settings: SftpToolSettings, run: Run) -> None:
    """List, get, put or rename files on an SFTP server."""
    with open_session(settings) as server:
        match settings.action:
            case "list":
                _list_folder(server, settings.remote_path or ".")
            case "get":
                target = resolve_storage_path(settings)
                with run.progress("getting", unit="bytes") as progress:
                    get(server, settings.remote_path, target, progress, replace=settings.replace)
            case "put":
                target = resolve_remote_path(settings)
                with run.progress("putting", unit="bytes") as progress:
                    put(server, settings.storage_path, target, progress, replace=settings.replace)
            case "rename":
                rename(server, settings.remote_path, settings.new_path)


def resolve_storage_path(settings: SftpToolSettings) -> str:
    """Return the target of a get: STORAGE_PATH, with the file's name appended if it is a folder."""
    if not settings.storage_path.endswith("/"):
        return settings.storage_path
    return storage.join(settings.storage_path.rstrip("/"), posixpath.basename(settings.remote_path))


def resolve_remote_path(settings: SftpToolSettings) -> str:
    """Return the target of a put: REMOTE_PATH, with the object's name appended if it is a folder."""
    if not settings.remote_path.endswith("/"):
        return settings.remote_path
    return f"{settings.remote_path}{storage.name(settings.storage_path)}"


def _list_folder(server: paramiko.SFTPClient, folder: str) -> None:
    entries = []
    count = 0
    try:
        for entry in server.listdir_iter(folder):
            count += 1
            if count <= _ENTRY_LIMIT:
                entries.append(entry)
    except FileNotFoundError:
        raise SftpFailed(f"Folder {folder} not found on the server.") from None
    except PermissionError:
        raise SftpFailed(f"The server does not permit listing {folder}.") from None
    lines = [_format_entry(entry) for entry in sorted(entries, key=lambda entry: entry.filename)]
    more = f"\n{count - _ENTRY_LIMIT} more entries are not shown." if count > _ENTRY_LIMIT else ""
    _log.info("%s: %d %s\n%s%s", folder, count, "entry" if count == 1 else "entries", "\n".join(lines), more)


def _format_entry(entry: paramiko.SFTPAttributes) -> str:
    """Format an entry as one line. Names from the server may contain control characters; each becomes a dot."""
    name = "".join(character if character.isprintable() else "·" for character in entry.filename)
    is_folder = stat.S_ISDIR(entry.st_mode or 0)
    changed = datetime.fromtimestamp(entry.st_mtime or 0, UTC)
    return f"{entry.st_size or 0:>15,} B  {changed:%Y-%m-%d %H:%M} {name}{'/' if is_folder else ''}"


def get(server: paramiko.SFTPClient, remote: str, uri: str, progress: Progress, *, replace: bool) -> None:
    """Copy a file on the server to an object. Raises SftpFailed."""
    before = _read_attributes(server, remote)
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
        after = _read_attributes(server, remote)
        if (received, after.st_mtime) != (before.st_size, before.st_mtime):
            raise SftpFailed(
                f"{remote} changed while it was being read: {received} bytes of {before.st_size} received. "
                "Get it again later."
            )
    if _hash_object(uri) != digest.hexdigest():
        raise SftpFailed(f"{uri} differs from the received bytes. Get it again with REPLACE=true.")
    _log_transfer("got", uri, received, digest.hexdigest())


def put(server: paramiko.SFTPClient, uri: str, remote: str, progress: Progress, *, replace: bool) -> None:
    """Copy an object to a file on the server. Raises SftpFailed.

    The file is first written to a temporary file in the same folder, whose name contains the digest. Two processes
    that put the same object therefore write the same bytes, and the next put overwrites an interrupted one.
    """
    wanted = _hash_object(uri)
    if _exists(server, remote) and not replace:
        if _hash_remote_file(server, remote) == wanted:
            _log.info("unchanged: %s", remote, extra={"event": "sftp_unchanged", "uri": uri})
            return
        raise SftpFailed(f"{remote} already exists with different content. Set REPLACE=true to replace it.")
    folder, name = posixpath.split(remote)
    part = posixpath.join(folder, f".{name[:100]}.{wanted[:16]}.part")
    sent = 0
    try:
        with storage.open_read(uri) as source, server.open(part, "wb") as target:
            target.set_pipelined(True)
            while data := source.read(_CHUNK_BYTES):
                target.write(data)
                sent += len(data)
                progress.advance(len(data))
    except FileNotFoundError:
        raise SftpFailed(f"Folder {folder or '.'} not found on the server.") from None
    except PermissionError:
        raise SftpFailed(f"The server does not permit writing to {folder or '.'}.") from None
    if _read_attributes(server, part).st_size != sent or _hash_remote_file(server, part) != wanted:
        with suppress(OSError):
            server.remove(part)
        raise SftpFailed(f"The copy of {uri} on the server differs from the object and was removed. Put it again.")
    _rename(server, part, remote, replace=replace)
    _log_transfer("put", uri, sent, wanted)


def rename(server: paramiko.SFTPClient, remote: str, new: str) -> None:
    """Rename a file on the server without replacing another. Raises SftpFailed."""
    if not _exists(server, remote):
        hint = f" {new} exists; the file may already have been renamed." if _exists(server, new) else ""
        raise SftpFailed(f"File {remote} not found on the server.{hint}")
    _rename(server, remote, new, replace=False)
    _log.info("renamed: %s to %s", remote, new, extra={"event": "sftp_renamed"})


def _rename(server: paramiko.SFTPClient, remote: str, new: str, *, replace: bool) -> None:
    try:
        if replace:
            server.posix_rename(remote, new)
        else:
            server.rename(remote, new)  # the server refuses it if the new name exists
    except PermissionError:
        raise SftpFailed(f"The server does not permit renaming {remote} to {new}.") from None
    except OSError:
        if _exists(server, new) and not replace:
            raise SftpFailed(f"{new} already exists and is not replaced. {remote} was not renamed.") from None
        raise SftpFailed(
            f"The server could not rename {remote} to {new}. Check that the folder of the new name exists."
        ) from None


def _read_attributes(server: paramiko.SFTPClient, remote: str) -> paramiko.SFTPAttributes:
    try:
        found = server.stat(remote)
    except FileNotFoundError:
        raise SftpFailed(f"File {remote} not found on the server.") from None
    except PermissionError:
        raise SftpFailed(f"The server does not permit access to {remote}.") from None
    if not stat.S_ISREG(found.st_mode or 0):
        raise SftpFailed(f"{remote} is not a regular file.")
    return found


def _exists(server: paramiko.SFTPClient, remote: str) -> bool:
    try:
        server.lstat(remote)
    except FileNotFoundError:
        return False
    except PermissionError:
        raise SftpFailed(f"The server does not permit access to {remote}.") from None
    return True


def _read(server: paramiko.SFTPClient, remote: str) -> Iterator[bytes]:
    """Yield the file's bytes with one large request at a time; the library's prefetching has no memory limit."""
    try:
        with server.open(remote, "rb") as file:
            file.MAX_REQUEST_SIZE = _REQUEST_BYTES
            while data := file.read(_REQUEST_BYTES):
                yield data
    except PermissionError:
        raise SftpFailed(f"The server does not permit reading {remote}.") from None


def _hash_remote_file(server: paramiko.SFTPClient, remote: str) -> str:
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
