"""Folders opened by descriptor, so that no symbolic link is followed.

A folder is opened one path part at a time, each relative to the descriptor of the part above. A part that is a symbolic
link is refused, also if it takes the place of a folder while an operation runs: the descriptors then still refer to
the folders that were opened. Only a link directly in ``/`` (such as ``/tmp`` on macOS) is followed, because only the
administrator can create it. The engine passes the real paths of its buckets to tasks, so the operator may place the
state directory or a bucket behind a link.

A hard link cannot be distinguished from a file, because it is one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nightferry.storage.errors import LinkRefused

# Linux opens a folder with O_PATH even if its entries must not be listed.
_SEARCH = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # O_NONBLOCK: opening a named pipe does not wait


@contextmanager
def open_folder(folder: Path, *, create: bool = False) -> Iterator[int]:
    """Yield the descriptor of a folder for searching; with ``create``, create missing folders.

    Raises LinkRefused and OSError.
    """
    parts = folder.parts[1:]
    descriptor = os.open("/", _SEARCH)
    try:
        for number, part in enumerate(parts):
            if create and not _exists(descriptor, part):
                _create(descriptor, part)
            try:
                below = _enter(descriptor, part, follow=number == 0)
            except NotADirectoryError:
                refuse_link(descriptor, part, Path("/", *parts[:number]))
                raise
            above, descriptor = descriptor, below  # before the close, so that a stop does not close it twice
            os.close(above)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def open_subfolder(folder: int, name: str) -> Iterator[int]:
    """Yield the descriptor of a folder directly in ``folder``, for searching. Raises OSError, also for a link."""
    descriptor = _enter(folder, name)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def open_entries(folder: int) -> Iterator[int]:
    """Yield a descriptor of the same folder that can be listed, synchronized and locked."""
    descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_file(folder: int, location: Path) -> int:
    """Open the regular file ``location`` in ``folder`` for reading. Raises LinkRefused and OSError."""
    try:
        descriptor = os.open(location.name, _READ, dir_fd=folder)
    except OSError:
        refuse_link(folder, location.name, location.parent)
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise IsADirectoryError(21, "not a regular file")
    return descriptor


def read_status(folder: int, location: Path) -> os.stat_result | None:
    """Return the status of the regular file ``location`` in ``folder``, None if there is none. Raises LinkRefused."""
    try:
        status = os.stat(location.name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(status.st_mode):
        raise _make_refusal(location)
    return status if stat.S_ISREG(status.st_mode) else None


def synchronize(folder: int) -> None:
    """Wait until the folder's entries are on the disk."""
    with open_entries(folder) as entries:
        os.fsync(entries)


def _enter(folder: int, name: str, *, follow: bool = False) -> int:
    return os.open(name, _SEARCH | (0 if follow else os.O_NOFOLLOW), dir_fd=folder)


def _exists(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _create(folder: int, name: str) -> None:
    try:
        os.mkdir(name, 0o700, dir_fd=folder)  # Files in buckets contain personal data.
    except FileExistsError:  # another process created it
        return


def refuse_link(folder: int, name: str, path: Path) -> None:
    """Raise LinkRefused if the entry ``name`` of ``folder``, whose path is ``path``, is a symbolic link."""
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except OSError:
        return
    if stat.S_ISLNK(mode):
        raise _make_refusal(path / name)


def _make_refusal(path: Path) -> LinkRefused:
    return LinkRefused(
        f"{path.as_uri()} is a symbolic link, which is not followed. Replace it with the file or folder itself, or use "
        "its real path."
    )
