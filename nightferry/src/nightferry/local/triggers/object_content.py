"""Checks whether a file is complete, and versions of its content.

A version consists of the file's modification time, size and content. So a file that is written again has a new version,
even with the same content, as on S3. A change of only the owner, mode, links or device does not create a version. The
content is included because the other properties may not change: two writes within one tick of the file system's clock,
a copy that preserves the time, or a reused inode number.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from nightferry.local.store import FileFingerprint
from nightferry.storage.errors import LinkRefused
from nightferry.storage.folders import open_file, open_folder
from nightferry.storage.writers import is_open_for_writing

_CHUNK = 1 << 20


class UnreadableFile(Exception):
    """The file exists but cannot be read. The message has the reason."""


class BeingWritten(Exception):
    """A process has the file open for writing."""


def fingerprint_status(status: os.stat_result) -> FileFingerprint:
    """Return the fingerprint of a file's status."""
    return FileFingerprint(status.st_mtime_ns, status.st_size, status.st_ctime_ns, status.st_ino)


def compute_version(file: Path, seen: FileFingerprint, abandoned: Callable[[], bool] = lambda: False) -> str | None:
    """Return a file's version, or None if its fingerprint is not ``seen``, it was deleted, or ``abandoned`` is True.

    Raises BeingWritten or UnreadableFile.
    """
    try:
        with open_folder(file.parent) as folder:
            descriptor = open_file(folder, file)
    except (FileNotFoundError, NotADirectoryError, LinkRefused):  # a link has taken the place of the file or a folder
        return None
    except OSError as error:
        raise UnreadableFile(os.strerror(error.errno or 0)) from None
    with os.fdopen(descriptor, "rb", buffering=0) as content:
        if fingerprint_status(os.fstat(descriptor)) != seen:
            return None
        if is_open_for_writing(descriptor):
            raise BeingWritten
        digest = hashlib.sha256()
        try:
            while chunk := content.read(_CHUNK):
                if abandoned():
                    return None
                digest.update(chunk)
        except OSError as error:
            raise UnreadableFile(os.strerror(error.errno or 0)) from None
        if fingerprint_status(os.fstat(descriptor)) != seen:
            return None
    return f"{seen.mtime_ns:x}-{seen.size:x}-{digest.hexdigest()[:16]}"
