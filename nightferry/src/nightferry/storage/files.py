"""Objects stored as files: a bucket is a folder.

A file gets its name only when it is complete and on the disk. Until then it has a hidden name in the same folder, which
listings omit.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

from nightferry.storage.errors import NotAllowed, ObjectChanged, ObjectNotFound, StorageError
from nightferry.storage.locations import join
from nightferry.storage.objects import Description, StoredObject

HIDDEN_PREFIX = ".nightferry-"
"""The prefix of the names of incomplete files."""

_CHUNK = 1 << 20
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


class Files:
    """Operations on the files of this machine."""

    def list(self, folder: Path, uri: str) -> list[StoredObject]:
        """Return the files directly in ``folder``, sorted by name; an empty list if the folder does not exist."""
        with _translate_errors(uri):
            try:
                entries = list(os.scandir(folder))
            except FileNotFoundError:
                return []
            found = []
            for entry in entries:
                with suppress(FileNotFoundError):  # another process moved the file
                    if not entry.name.startswith(HIDDEN_PREFIX) and entry.is_file():
                        found.append(_describe_entry(entry, uri))
            return sorted(found)

    def walk(self, folder: Path, uri: str, above: str = "") -> Iterator[StoredObject]:
        """Yield the files in ``folder`` and its subfolders in a fixed order, without following links to folders."""
        with _translate_errors(uri):
            try:
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except FileNotFoundError:
                return
        for entry in entries:
            if entry.name.startswith(HIDDEN_PREFIX):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from self.walk(Path(entry.path), join(uri, entry.name), f"{above}{entry.name}/")
            else:
                with _translate_errors(uri), suppress(FileNotFoundError):  # another process moved the file
                    if entry.is_file():
                        found = _describe_entry(entry, uri)
                        yield replace(found, name=above + found.name)

    def describe(self, location: Path, uri: str) -> Description | None:
        """Return a file's size, version and time; None if the file does not exist."""
        with _translate_errors(uri):
            try:
                status = location.stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
            if not stat.S_ISREG(status.st_mode):
                return None
            return Description(status.st_size, _format_version(status), datetime.fromtimestamp(status.st_mtime, UTC))

    def read(self, location: Path, uri: str, version: str | None = None) -> BinaryIO:
        """Open a file for reading. With ``version``, raise ObjectChanged if the file has another version."""
        with _translate_errors(uri):
            file = cast(BinaryIO, location.open("rb"))
        if version is not None and _format_version(os.fstat(file.fileno())) != version:
            file.close()
            raise ObjectChanged(f"{uri} was replaced during the operation. Try again.")
        return file

    @contextmanager
    def write(self, location: Path, uri: str, *, single_part: bool = False, durable: bool = True) -> Iterator[BinaryIO]:
        """Yield a stream for a new file, which gets its name at the end unless the block raises an exception."""
        del single_part  # A file always consists of one part.
        hidden = location.with_name(f"{HIDDEN_PREFIX}{uuid.uuid4().hex}")
        try:  # Begins before the file is created, because a signal may end the task between any two steps.
            with _translate_errors(uri):
                descriptor = _create(hidden)
            with os.fdopen(descriptor, "wb") as file:
                yield cast(BinaryIO, file)
            with _translate_errors(uri):
                if durable:
                    sync_to_disk(hidden)
                hidden.replace(location)
                if durable:
                    sync_to_disk(location.parent)
        except BaseException:
            with suppress(OSError):
                hidden.unlink()
            raise

    def copy(self, source: Path, target: Path, uri: str) -> None:
        """Copy a file, replacing the target atomically."""
        with self.read(source, uri) as reader, self.write(target, uri) as writer:
            shutil.copyfileobj(reader, writer, _CHUNK)

    def move(self, source: Path, target: Path, uri: str) -> None:
        """Rename a file, or copy and delete it if the target is on another file system."""
        with _translate_errors(uri):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                if source != target and target.exists() and source.samefile(target):
                    source.unlink()  # rename() does nothing if both names are hard links to one file (POSIX).
                else:
                    source.replace(target)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                self.copy(source, target, uri)
                source.unlink()
            sync_to_disk(target.parent)
            sync_to_disk(source.parent)

    def load(self, location: Path, uri: str) -> tuple[bytes, str] | None:
        """Return a small file's content and version, or None if the file does not exist."""
        with _translate_errors(uri):
            try:
                data = location.read_bytes()
            except FileNotFoundError:
                return None
        return data, hashlib.sha256(data).hexdigest()

    def store(self, location: Path, uri: str, data: bytes, expected: str | None) -> bool:
        """Write a small file and return True, but only if its version is ``expected`` (None: it does not exist)."""
        with _translate_errors(uri):
            location.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(location.with_name(f"{HIDDEN_PREFIX}lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = self.load(location, uri)
            if (found[1] if found else None) != expected:
                return False
            with self.write(location, uri) as file:
                file.write(data)
            return True
        finally:
            os.close(lock)

    def delete(self, location: Path, uri: str, version: str | None = None) -> None:
        """Delete a file if it exists. With ``version``, raise ObjectChanged if the file has another version."""
        if version is not None and (found := self.describe(location, uri)) and found.version != version:
            raise ObjectChanged(f"{uri} was replaced during the operation and is not deleted.")
        with _translate_errors(uri):
            location.unlink(missing_ok=True)

    def exists(self, location: Path, uri: str) -> bool:
        """Return True if the file exists."""
        with _translate_errors(uri):
            return location.is_file()


def _describe_entry(entry: os.DirEntry[str], folder_uri: str) -> StoredObject:
    status = entry.stat()
    return StoredObject(
        name=entry.name,
        uri=join(folder_uri, entry.name),
        size=status.st_size,
        version=_format_version(status),
        modified=datetime.fromtimestamp(status.st_mtime, UTC),
    )


def _format_version(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}"


def _create(file: Path) -> int:
    """Create a file, and its folder if necessary, and return the file descriptor."""
    try:
        return os.open(file, _NEW, 0o600)
    except FileNotFoundError:  # the folder does not exist yet
        file.parent.mkdir(parents=True, exist_ok=True)
        return os.open(file, _NEW, 0o600)


def sync_to_disk(path: Path) -> None:
    """Wait until a file's content, or a folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _translate_errors(uri: str) -> Iterator[None]:
    """Raise system errors as storage errors with the object's location."""
    try:
        yield
    except FileNotFoundError:
        raise ObjectNotFound(f"Object {uri} not found.") from None
    except PermissionError:
        raise NotAllowed(f"Access to {uri} denied. Check the permissions of the file and its folder.") from None
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.EISDIR):
            raise ObjectNotFound(f"Object {uri} not found.") from None
        raise StorageError(f"{uri}: {os.strerror(error.errno or errno.EIO)}.") from None
