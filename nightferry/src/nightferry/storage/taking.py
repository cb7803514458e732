"""Taking exactly one version of a file out of its folder, to move or delete it.

::

    NAME ─► .nightferry-move-ID/NAME ─┬─ it is the expected version ─► moved or deleted
                                      └─ it is another one ─────────► NAME, unless a newer file has the name

No system call renames a file on condition of its version. Therefore the file is first renamed into a hidden folder of
its own, where no other process finds it, and then checked. After a crash, the next listing of the folder, or the next
operation that does not find the file, restores the name. A lock on the folder shows that a move is not interrupted.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from nightferry.storage.errors import ObjectChanged
from nightferry.storage.file_streams import open_stream
from nightferry.storage.folders import open_entries, open_file, open_subfolder, synchronize
from nightferry.storage.objects import StoredStream
from nightferry.storage.versions import matches

MOVING_PREFIX = ".nightferry-move-"
"""The prefix of the names of the hidden folders."""

_RENAME_NOREPLACE = 1  # linux/fs.h
_UNSUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TakenFile:
    """A file in its hidden folder; it returns to its name unless it is moved or deleted."""

    folder: int
    name: str

    def open(self, uri: str) -> StoredStream:
        """Open the file for reading."""
        return open_stream(open_file(self.folder, Path(self.name)), uri)

    def delete(self) -> None:
        """Delete the file, if it exists."""
        with suppress(FileNotFoundError):
            os.unlink(self.name, dir_fd=self.folder)


@contextmanager
def take(folder: int, location: Path, uri: str, version: str) -> Iterator[TakenFile]:
    """Take the file ``location`` out of ``folder``. Raises ObjectChanged if it has another version, and OSError."""
    with open_restored(folder, location) as descriptor, _lock(folder):
        status = os.fstat(descriptor)
        if not matches(status, version):
            raise _make_error(uri)
        hidden = f"{MOVING_PREFIX}{uuid.uuid4().hex}"
        os.mkdir(hidden, 0o700, dir_fd=folder)
        try:
            with open_subfolder(folder, hidden) as inside:
                try:
                    os.rename(location.name, location.name, src_dir_fd=folder, dst_dir_fd=inside)
                except FileNotFoundError:
                    raise _make_error(uri) from None
                found = os.stat(location.name, dir_fd=inside, follow_symlinks=False)
                if not _identify(found) == _identify(os.fstat(descriptor)) == _identify(status):
                    raise _make_error(uri)
                yield TakenFile(inside, location.name)
        finally:
            _restore(folder, hidden)
            synchronize(folder)


@contextmanager
def open_restored(folder: int, location: Path) -> Iterator[int]:
    """Yield the descriptor of a file; if it does not exist, first restore the names of interrupted moves."""
    try:
        descriptor = open_file(folder, location)
    except FileNotFoundError:
        if not restore_interrupted(folder):
            raise
        descriptor = open_file(folder, location)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def restore_interrupted(folder: int) -> bool:
    """Restore the names of files whose move was interrupted by a crash; return True if a name was restored."""
    with open_entries(folder) as entries:
        hidden = [entry.name for entry in os.scandir(entries) if entry.name.startswith(MOVING_PREFIX)]
        if not hidden:
            return False
        try:
            fcntl.flock(entries, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # Another process is moving a file out of this folder.
            return False
        # The lock has shown that no move is running, so the folders that still exist are from interrupted ones.
        return sum(_restore(folder, name) for name in hidden) > 0


def _restore(folder: int, hidden: str) -> bool:
    """Restore the name of the file in a hidden folder, unless a newer file has it; remove the folder if it is empty."""
    restored = False
    try:
        with open_subfolder(folder, hidden) as inside:
            with open_entries(inside) as entries:
                names = [entry.name for entry in os.scandir(entries)]
            for name in names:
                _rename_to_free_name(name, inside, folder)
                restored = True
        os.rmdir(hidden, dir_fd=folder)
    except FileNotFoundError:  # The move ended normally before this process had the lock.
        return restored
    except FileExistsError:
        _log.warning("a replaced file waits in %s until its name is free", hidden, extra={"event": "file_waits"})
    except OSError as error:
        _log.error("the file in %s cannot get its name back: %s", hidden, os.strerror(error.errno or 0))
    return restored


def _rename_to_free_name(name: str, source: int, target: int) -> None:
    """Move a file to another folder. Raises FileExistsError if the name exists there."""
    library = ctypes.CDLL(None, use_errno=True)
    if hasattr(library, "renameat2"):
        encoded = os.fsencode(name)
        if library.renameat2(source, encoded, target, encoded, _RENAME_NOREPLACE) == 0:
            return
        code = ctypes.get_errno()
        if code not in _UNSUPPORTED:
            raise OSError(code, os.strerror(code))
    os.link(name, name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
    os.unlink(name, dir_fd=source)


@contextmanager
def _lock(folder: int) -> Iterator[None]:
    with open_entries(folder) as entries:
        fcntl.flock(entries, fcntl.LOCK_EX)
        yield


def _identify(status: os.stat_result) -> tuple[int, ...]:
    """Return what does not change when a file is renamed."""
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


def _make_error(uri: str) -> ObjectChanged:
    return ObjectChanged(f"{uri} was replaced during the operation. The newer version remains in place; try again.")
