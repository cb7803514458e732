"""Objects as files: a bucket is a folder.

A file appears under its name only when it is complete and on the disk. Until then it has a hidden name in the same
folder, which no listing shows.
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
"""What the names of unfinished files begin with."""

_CHUNK = 1 << 20
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


class Files:
    """The files of this machine."""

    def list(self, folder: Path, uri: str) -> list[StoredObject]:
        """The files in ``folder``, no folders, sorted by name; nothing when there is no such folder."""
        with _translate_errors(uri):
            try:
                entries = list(os.scandir(folder))
            except FileNotFoundError:
                return []
            found = []
            for entry in entries:
                with suppress(FileNotFoundError):  # moved away meanwhile
                    if not entry.name.startswith(HIDDEN_PREFIX) and entry.is_file():
                        found.append(_describe_entry(entry, uri))
            return sorted(found)

    def walk(self, folder: Path, uri: str, above: str = "") -> Iterator[StoredObject]:
        """The files in ``folder`` and its subfolders, in a fixed order. Links to folders are not followed."""
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
                with _translate_errors(uri), suppress(FileNotFoundError):  # moved away meanwhile
                    if entry.is_file():
                        found = _describe_entry(entry, uri)
                        yield replace(found, name=above + found.name)

    def describe(self, location: Path, uri: str) -> Description | None:
        """What is known of a file, None when there is none."""
        with _translate_errors(uri):
            try:
                status = location.stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
            if not stat.S_ISREG(status.st_mode):
                return None
            return Description(status.st_size, _version(status), datetime.fromtimestamp(status.st_mtime, UTC))

    def read(self, location: Path, uri: str, version: str | None = None) -> BinaryIO:
        """The file's bytes; with ``version``, of that version or ObjectChanged."""
        with _translate_errors(uri):
            file = cast(BinaryIO, location.open("rb"))
        if version is not None and _version(os.fstat(file.fileno())) != version:
            file.close()
            raise ObjectChanged(f"{uri} was replaced meanwhile.")
        return file

    @contextmanager
    def write(self, location: Path, uri: str, *, single_part: bool = False, durable: bool = True) -> Iterator[BinaryIO]:
        """A new file that takes its name at the end, unless an exception passes."""
        del single_part  # a file is one part anyway
        hidden = location.with_name(f"{HIDDEN_PREFIX}{uuid.uuid4().hex}")
        try:  # from before it is made: a signal may end the task between any two steps
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
        """Copy a file; the target is replaced as a whole."""
        with self.read(source, uri) as reader, self.write(target, uri) as writer:
            shutil.copyfileobj(reader, writer, _CHUNK)

    def move(self, source: Path, target: Path, uri: str) -> None:
        """Rename a file, or copy and delete it where the target is on another file system."""
        with _translate_errors(uri):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                if source != target and target.exists() and source.samefile(target):
                    source.unlink()  # renaming one hard link over another would do nothing (POSIX rename)
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
        """A small file's bytes and their version, or None when there is no such file."""
        with _translate_errors(uri):
            try:
                data = location.read_bytes()
            except FileNotFoundError:
                return None
        return data, hashlib.sha256(data).hexdigest()

    def store(self, location: Path, uri: str, data: bytes, expected: str | None) -> bool:
        """Write a small file if it still has the version ``expected`` (None: is not there)."""
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
        """Delete a file; one that is not there is no error. With ``version``, only that one."""
        if version is not None and (found := self.describe(location, uri)) and found.version != version:
            raise ObjectChanged(f"{uri} was replaced meanwhile; the new one stays.")
        with _translate_errors(uri):
            location.unlink(missing_ok=True)

    def exists(self, location: Path, uri: str) -> bool:
        """Whether there is such a file."""
        with _translate_errors(uri):
            return location.is_file()


def _describe_entry(entry: os.DirEntry[str], folder_uri: str) -> StoredObject:
    status = entry.stat()
    return StoredObject(
        name=entry.name,
        uri=join(folder_uri, entry.name),
        size=status.st_size,
        version=_version(status),
        modified=datetime.fromtimestamp(status.st_mtime, UTC),
    )


def _version(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}"


def _create(file: Path) -> int:
    """A descriptor of a new file, in a new folder if need be."""
    try:
        return os.open(file, _NEW, 0o600)
    except FileNotFoundError:  # the first file of its folder
        file.parent.mkdir(parents=True, exist_ok=True)
        return os.open(file, _NEW, 0o600)


def sync_to_disk(path: Path) -> None:
    """Wait until a file's content, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _translate_errors(uri: str) -> Iterator[None]:
    """System errors as storage errors that name the object."""
    try:
        yield
    except FileNotFoundError:
        raise ObjectNotFound(f"There is no object {uri}.") from None
    except PermissionError:
        raise NotAllowed(f"The permissions of {uri} or its folder do not allow it.") from None
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.EISDIR):
            raise ObjectNotFound(f"There is no object {uri}.") from None
        raise StorageError(f"{uri}: {os.strerror(error.errno or errno.EIO)}.") from None
