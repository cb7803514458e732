"""``sftp-tool``: list, get, put and rename on an SFTP server; files go from and to the bucket as streams.

A file is under its name only when it is whole and has been read back: an object that was got, by its digest; a file
that was put, by size and digest, before it gets its name. Nothing is replaced unless ``REPLACE`` says so. Starting
it again after it was interrupted is safe, and after it was done does nothing.
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
from paidleave.operations.sftp_session import SftpFailed, session

_REQUEST = 256 * 1024  # bytes; a server that gives less at a time may, and is asked again for the rest
_CHUNK = 1 << 20  # bytes
_SHOWN = 1_000  # entries of a listing
_log = logging.getLogger(__name__)


@background_task("sftp-tool", SftpToolSettings)
def main(settings: SftpToolSettings, run: Run) -> None:
    """List, get, put or rename files on an SFTP server."""
    with session(settings) as server:
        match settings.action:
            case "list":
                _list(server, settings.remote_path or ".")
            case "get":
                with run.progress("getting", unit="bytes") as progress:
                    get(server, settings.remote_path, object_path(settings), progress, replace=settings.replace)
            case "put":
                with run.progress("putting", unit="bytes") as progress:
                    put(server, settings.storage_path, remote_target(settings), progress, replace=settings.replace)
            case "rename":
                rename(server, settings.remote_path, settings.new_path)


def object_path(settings: SftpToolSettings) -> str:
    """Where a got file goes: STORAGE_PATH, with the file's own name if that is a folder."""
    if not settings.storage_path.endswith("/"):
        return settings.storage_path
    return storage.join(settings.storage_path.rstrip("/"), posixpath.basename(settings.remote_path))


def remote_target(settings: SftpToolSettings) -> str:
    """Where a put file goes: REMOTE_PATH, with the object's own name if that is a folder."""
    if not settings.remote_path.endswith("/"):
        return settings.remote_path
    return f"{settings.remote_path}{storage.name(settings.storage_path)}"


def _list(server: paramiko.SFTPClient, folder: str) -> None:
    entries = []
    count = 0
    try:
        for entry in server.listdir_iter(folder):
            count += 1
            if count <= _SHOWN:
                entries.append(entry)
    except FileNotFoundError:
        raise SftpFailed(f"There is no folder {folder} on the server.") from None
    except PermissionError:
        raise SftpFailed(f"The server does not let us list {folder}.") from None
    lines = [_described(entry) for entry in sorted(entries, key=lambda entry: entry.filename)]
    more = f"\nThere are {count - _SHOWN} more." if count > _SHOWN else ""
    _log.info("%s: %d %s\n%s%s", folder, count, "entry" if count == 1 else "entries", "\n".join(lines), more)


def _described(entry: paramiko.SFTPAttributes) -> str:
    """One line; a name is the server's and may hold anything, so what could move the cursor is shown as a point."""
    name = "".join(character if character.isprintable() else "·" for character in entry.filename)
    is_folder = stat.S_ISDIR(entry.st_mode or 0)
    changed = datetime.fromtimestamp(entry.st_mtime or 0, UTC)
    return f"{entry.st_size or 0:>15,} B  {changed:%Y-%m-%d %H:%M} {name}{'/' if is_folder else ''}"


def get(server: paramiko.SFTPClient, remote: str, uri: str, progress: Progress, *, replace: bool) -> None:
    """Copy a file of the server to an object. Raises SftpFailed."""
    before = _attributes(server, remote)
    if storage.exists(uri) and not replace:
        if _digest_of_file(server, remote) == _digest_of_object(uri):
            _log.info("it is there already: %s", uri, extra={"event": "sftp_unchanged", "uri": uri})
            return
        raise SftpFailed(f"{uri} is there already, with another content. Set REPLACE=true if it is to be replaced.")
    digest = hashlib.sha256()
    received = 0
    with storage.open_write(uri) as target:
        for data in _read(server, remote):
            target.write(data)
            digest.update(data)
            received += len(data)
            progress.advance(len(data))
        after = _attributes(server, remote)
        if (received, after.st_mtime) != (before.st_size, before.st_mtime):
            raise SftpFailed(
                f"{remote} changed while it was read: {received} bytes of {before.st_size}. Get it again later."
            )
    if _digest_of_object(uri) != digest.hexdigest():
        raise SftpFailed(f"{uri} is not what was received; get it again with REPLACE=true.")
    _tell("got", uri, received, digest.hexdigest())


def put(server: paramiko.SFTPClient, uri: str, remote: str, progress: Progress, *, replace: bool) -> None:
    """Copy an object to a file of the server. Raises SftpFailed.

    It is written beside its place, under a name made from its digest, so that two that put the same do not harm
    each other, and what an interrupted one left is written over by the next.
    """
    wanted = _digest_of_object(uri)
    if _is_there(server, remote) and not replace:
        if _digest_of_file(server, remote) == wanted:
            _log.info("it is there already: %s", remote, extra={"event": "sftp_unchanged", "uri": uri})
            return
        raise SftpFailed(f"{remote} is there already, with another content. Set REPLACE=true if it is to be replaced.")
    folder, name = posixpath.split(remote)
    part = posixpath.join(folder, f".{name[:100]}.{wanted[:16]}.part")
    sent = 0
    try:
        with storage.open_read(uri) as source, server.open(part, "wb") as target:
            target.set_pipelined(True)
            while data := source.read(_CHUNK):
                target.write(data)
                sent += len(data)
                progress.advance(len(data))
    except FileNotFoundError:
        raise SftpFailed(f"There is no folder {folder or '.'} on the server.") from None
    except PermissionError:
        raise SftpFailed(f"The server does not let us write into {folder or '.'}.") from None
    if _attributes(server, part).st_size != sent or _digest_of_file(server, part) != wanted:
        with suppress(OSError):
            server.remove(part)
        raise SftpFailed(f"What arrived of {uri} is not what was sent. It was removed; put it again.")
    _name(server, part, remote, replace=replace)
    _tell("put", uri, sent, wanted)


def rename(server: paramiko.SFTPClient, remote: str, new: str) -> None:
    """Rename a file of the server; never onto another. Raises SftpFailed."""
    if not _is_there(server, remote):
        hint = f" {new} is there: perhaps it was renamed already." if _is_there(server, new) else ""
        raise SftpFailed(f"There is no file {remote} on the server.{hint}")
    _name(server, remote, new, replace=False)
    _log.info("renamed: %s to %s", remote, new, extra={"event": "sftp_renamed"})


def _name(server: paramiko.SFTPClient, remote: str, new: str, *, replace: bool) -> None:
    try:
        if replace:
            server.posix_rename(remote, new)
        else:
            server.rename(remote, new)  # refused by the server if there is such a file
    except PermissionError:
        raise SftpFailed(f"The server does not let us rename {remote} to {new}.") from None
    except OSError:
        if _is_there(server, new) and not replace:
            raise SftpFailed(f"{new} is there already, and is not replaced. {remote} keeps its name.") from None
        raise SftpFailed(f"The server could not rename {remote} to {new}. Is there such a folder?") from None


def _attributes(server: paramiko.SFTPClient, remote: str) -> paramiko.SFTPAttributes:
    try:
        found = server.stat(remote)
    except FileNotFoundError:
        raise SftpFailed(f"There is no file {remote} on the server.") from None
    except PermissionError:
        raise SftpFailed(f"The server does not let us see {remote}.") from None
    if not stat.S_ISREG(found.st_mode or 0):
        raise SftpFailed(f"{remote} is no file but a folder or something else.")
    return found


def _is_there(server: paramiko.SFTPClient, remote: str) -> bool:
    try:
        server.lstat(remote)
    except FileNotFoundError:
        return False
    except PermissionError:
        raise SftpFailed(f"The server does not let us see {remote}.") from None
    return True


def _read(server: paramiko.SFTPClient, remote: str) -> Iterator[bytes]:
    """The file's bytes, one large request after the other: the library's prefetching has no bound on its memory."""
    try:
        with server.open(remote, "rb") as file:
            file.MAX_REQUEST_SIZE = _REQUEST
            while data := file.read(_REQUEST):
                yield data
    except PermissionError:
        raise SftpFailed(f"The server does not let us read {remote}.") from None


def _digest_of_file(server: paramiko.SFTPClient, remote: str) -> str:
    digest = hashlib.sha256()
    for data in _read(server, remote):
        digest.update(data)
    return digest.hexdigest()


def _digest_of_object(uri: str) -> str:
    with storage.open_read(uri) as file:
        return _digest(file)


def _digest(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while data := file.read(_CHUNK):
        digest.update(data)
    return digest.hexdigest()


def _tell(what: str, uri: str, size: int, digest: str) -> None:
    # The digest's first half: all of it would look like a key to the log's redaction.
    _log.info(
        "%s: %s", what, uri, extra={"event": f"sftp_{what}", "uri": uri, "bytes": size, "sha256_begins": digest[:32]}
    )
