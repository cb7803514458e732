"""Objects stored as files: a bucket is a folder.

A file gets its name only when it is complete and on the disk. Until then it has a hidden name in the same folder, which
listings omit. Symbolic links are not followed: see :mod:`nightferry.storage.folders`.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, cast

from nightferry.storage.errors import (
    NotAllowed,
    ObjectChanged,
    ObjectNotFound,
    StillChanging,
    StorageError,
)
from nightferry.storage.file_streams import open_stream
from nightferry.storage.folders import open_entries, open_folder, open_subfolder, read_status, synchronize
from nightferry.storage.locations import join
from nightferry.storage.objects import Description, StoredObject, StoredStream
from nightferry.storage.taking import MOVING_PREFIX, open_restored, restore_interrupted, take
from nightferry.storage.versions import format_version, matches
from nightferry.storage.writers import is_open_for_writing

HIDDEN_PREFIX = ".nightferry-"
"""The prefix of the names of incomplete files."""

_CHUNK = 1 << 20
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PATIENCE = 10  # the number of quiet periods after which a file that still changes is an error
_MAX_PAUSE_SECONDS = 1.0  # between two checks of a changing file

_log = logging.getLogger(__name__)


class Files:
    """Operations on the files of this machine."""

    def list(self, folder: Path, uri: str) -> list[StoredObject]:
        """Return the files directly in ``folder``, sorted by name; an empty list if the folder does not exist."""
        with translate_errors(uri):
            try:
                with open_folder(folder) as descriptor:
                    return sorted(file for _, file in _scan(descriptor, uri) if file is not None)
            except FileNotFoundError:
                return []

    def walk(self, folder: Path, uri: str) -> Iterator[StoredObject]:
        """Yield the files in ``folder`` and its subfolders in a fixed order."""
        with ExitStack() as opened:
            with translate_errors(uri):
                try:
                    descriptor = opened.enter_context(open_folder(folder))
                except FileNotFoundError:
                    return
            yield from _walk(descriptor, uri, "")

    def describe(self, location: Path, uri: str) -> Description | None:
        """Return a file's size, version and time; None if the file does not exist."""
        try:
            with translate_errors(uri), open_folder(location.parent) as folder:
                status = read_status(folder, location)
        except ObjectNotFound:
            return None
        if status is None:
            return None
        return Description(status.st_size, format_version(status), datetime.fromtimestamp(status.st_mtime, UTC))

    def read(self, location: Path, uri: str, version: str | None = None) -> StoredStream:
        """Open a file for reading. With ``version``, raise ObjectChanged if the file has another version."""
        with translate_errors(uri), open_folder(location.parent) as folder, open_restored(folder, location) as file:
            if version is not None and not matches(os.fstat(file), version):
                raise ObjectChanged(f"{uri} was replaced during the operation. Try again.")
            return open_stream(os.dup(file), uri)

    def wait_until_quiet(self, location: Path, uri: str, seconds: float) -> None:
        """Wait until no process has the file open for writing and its status has not changed for some seconds.

        Raises StillChanging if it still changes after ten times this period.
        """
        deadline = time.monotonic() + _PATIENCE * seconds
        reported = False
        while True:
            with (
                translate_errors(uri),
                open_folder(location.parent) as folder,
                open_restored(folder, location) as file,
            ):
                missing = seconds - (time.time() - os.fstat(file).st_ctime)
                if missing <= 0 and not (seconds and is_open_for_writing(file)):
                    return
            if time.monotonic() >= deadline:
                raise StillChanging(f"{uri} is still being written. Start again when it is complete.")
            if not reported:
                reported = True
                _log.info("waiting until %s has not changed for %g seconds", location.name, seconds)
            time.sleep(min(max(missing, 0.05), _MAX_PAUSE_SECONDS))

    @contextmanager
    def write(self, location: Path, uri: str, *, single_part: bool = False) -> Iterator[BinaryIO]:
        """Yield a stream for a new file, which gets its name at the end unless the block raises an exception."""
        del single_part  # A file always consists of one part.
        with ExitStack() as opened:
            with translate_errors(uri):
                folder = opened.enter_context(open_folder(location.parent, create=True))
                read_status(folder, location)  # refuse a link
            with create_file(folder, make_hidden_name(), location.name, uri) as descriptor:
                with os.fdopen(descriptor, "wb") as file:
                    written = opened.enter_context(_duplicate(descriptor))  # a text wrapper may close the stream
                    yield cast(BinaryIO, file)
                with translate_errors(uri):
                    os.fsync(written)
            with translate_errors(uri):
                synchronize(folder)

    def copy(self, source: Path, target: Path, uri: str, version: str | None = None) -> None:
        """Copy a file, replacing the target atomically."""
        with self.read(source, uri, version) as reader, self.write(target, uri) as writer:
            shutil.copyfileobj(reader, writer, _CHUNK)

    def move(self, source: Path, target: Path, uri: str, version: str) -> None:
        """Rename this version of a file, or copy and delete it if the target is on another file system.

        Raises ObjectChanged if the file has another version, which remains in place.
        """
        with (
            translate_errors(uri),
            open_folder(target.parent, create=True) as target_folder,
            open_folder(source.parent) as source_folder,
        ):
            read_status(target_folder, target)  # refuse a link
            with take(source_folder, source, uri, version) as taken:
                try:
                    os.rename(taken.name, target.name, src_dir_fd=taken.folder, dst_dir_fd=target_folder)
                except OSError as error:
                    if error.errno != errno.EXDEV:
                        raise
                    with taken.open(uri) as reader, self.write(target, uri) as writer:
                        shutil.copyfileobj(reader, writer, _CHUNK)
                synchronize(target_folder)
                # Still exists after a copy, and if both names are hard links to one file: rename(2) does nothing then.
                taken.delete()

    def load(self, location: Path, uri: str) -> tuple[bytes, str] | None:
        """Return a small file's content and version, or None if the file does not exist."""
        try:
            with self.read(location, uri) as file:
                data = file.read()
        except ObjectNotFound:
            return None
        return data, hashlib.sha256(data).hexdigest()

    def store(self, location: Path, uri: str, data: bytes, expected: str | None) -> bool:
        """Write a small file and return True, but only if its version is ``expected`` (None: it does not exist)."""
        with ExitStack() as opened:
            with translate_errors(uri):
                folder = opened.enter_context(open_folder(location.parent, create=True))
                name = f"{HIDDEN_PREFIX}lock"
                lock = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
                opened.callback(os.close, lock)
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = self.load(location, uri)
            if (found[1] if found else None) != expected:
                return False
            with self.write(location, uri) as file:
                file.write(data)
            return True

    def delete(self, location: Path, uri: str, version: str | None = None) -> None:
        """Delete a file if it exists. With ``version``, raise ObjectChanged if the file has another version."""
        with suppress(ObjectNotFound), translate_errors(uri), open_folder(location.parent) as folder:
            if version is not None:
                with take(folder, location, uri, version) as taken:
                    taken.delete()
            elif read_status(folder, location) is not None:
                os.unlink(location.name, dir_fd=folder)

    def exists(self, location: Path, uri: str) -> bool:
        """Return True if the file exists."""
        return self.describe(location, uri) is not None


def make_hidden_name() -> str:
    """Return a new name for an incomplete file, which no other process uses."""
    return f"{HIDDEN_PREFIX}{secrets.token_hex(16)}"


@contextmanager
def create_file(folder: int, hidden: str, name: str, uri: str) -> Iterator[int]:
    """Yield the descriptor of a new file, which the block closes; it gets its name at the end of the block.

    Until then its name is ``hidden``. An exception of the block removes the file.
    """
    try:  # Begins before the file is created, because a signal may end the task between any two steps.
        with translate_errors(uri):
            descriptor = os.open(hidden, _NEW, 0o600, dir_fd=folder)
        yield descriptor
        with translate_errors(uri):
            os.rename(hidden, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(hidden, dir_fd=folder)
        raise


@contextmanager
def _duplicate(descriptor: int) -> Iterator[int]:
    copy = os.dup(descriptor)
    try:
        yield copy
    finally:
        os.close(copy)


def _walk(folder: int, uri: str, above: str) -> Iterator[StoredObject]:
    with translate_errors(uri):
        entries = sorted(_scan(folder, uri), key=lambda entry: entry[0])
    for name, file in entries:
        if file is not None:
            yield replace(file, name=above + name)
            continue
        with ExitStack() as opened:
            below = join(uri, name)
            try:
                with translate_errors(below):
                    subfolder = opened.enter_context(open_subfolder(folder, name))
            except ObjectNotFound:  # another process removed it, or replaced it with a link or a file
                continue
            yield from _walk(subfolder, below, f"{above}{name}/")


def _scan(folder: int, uri: str) -> Iterator[tuple[str, StoredObject | None]]:
    """Yield the names of the files and subfolders, with the properties of files, and report links."""
    with open_entries(folder) as descriptor:
        entries = list(os.scandir(descriptor))
        if any(entry.name.startswith(MOVING_PREFIX) for entry in entries) and restore_interrupted(folder):
            entries = list(os.scandir(descriptor))
        for entry in entries:
            if entry.name.startswith(HIDDEN_PREFIX):
                continue
            with suppress(FileNotFoundError):  # another process moved the file
                if entry.is_symlink():
                    _log.warning(
                        "%s in %s is ignored because it is a symbolic link. Replace it with the file or folder itself.",
                        entry.name, uri, extra={"event": "link_ignored"},
                    )  # fmt: skip
                elif entry.is_dir(follow_symlinks=False):
                    yield entry.name, None
                elif stat.S_ISREG((status := entry.stat(follow_symlinks=False)).st_mode):
                    yield entry.name, _describe_entry(entry.name, status, uri)


def _describe_entry(name: str, status: os.stat_result, folder_uri: str) -> StoredObject:
    return StoredObject(
        name=name,
        uri=join(folder_uri, name),
        size=status.st_size,
        version=format_version(status),
        modified=datetime.fromtimestamp(status.st_mtime, UTC),
    )


def sync_to_disk(path: Path) -> None:
    """Wait until a file's content, or a folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class translate_errors:
    """Raise system errors of the block as storage errors with the object's location.

    A class is three times as fast as a generator, which counts for a folder with thousands of files.
    """

    __slots__ = ("_uri",)

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(error, OSError):
            return
        match error:
            case FileNotFoundError() | NotADirectoryError() | IsADirectoryError():
                raise ObjectNotFound(f"Object {self._uri} not found.") from None
            case PermissionError():
                raise NotAllowed(
                    f"Access to {self._uri} denied. Check the permissions of the file and its folder."
                ) from None
        raise StorageError(f"{self._uri}: {os.strerror(error.errno or errno.EIO)}.") from None
