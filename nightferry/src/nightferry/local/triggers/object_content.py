"""Whether a file is complete, and which version of its object it is.

A version is the file's modification time, size and content. So a file that is written again is a new version, with the
same content too (an object that is put again is one on S3); what only its owner, mode, links or folder's disk change is
none. The content is looked at because the rest may stay: two writes within one tick of a file system's clock, a copy
that keeps the time, an inode number that is used again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

from nightferry.local.store import FileFingerprint

_CHUNK = 1 << 20


class UnreadableFile(Exception):
    """The file is there and cannot be read; the message says why."""


class BeingWritten(Exception):
    """Some process has the file open for writing."""


def fingerprint_status(status: os.stat_result) -> FileFingerprint:
    """The print of a file's status."""
    return FileFingerprint(status.st_mtime_ns, status.st_size, status.st_ctime_ns, status.st_ino)


def compute_version(file: Path, seen: FileFingerprint, abandoned: Callable[[], bool] = lambda: False) -> str | None:
    """The version of a file that still has the print ``seen``; None if it is changing or gone, or work is abandoned.

    Raises BeingWritten or UnreadableFile.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
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


def is_open_for_writing(descriptor: int) -> bool:
    """Whether some process has the file open for writing, as far as the platform tells.

    Linux grants a read lease only on a file that nobody writes (fcntl(2), "Leases"), and to the file's owner or root.
    Elsewhere the answer is no.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        # Whoever opens the file for writing while we have the lease (for microseconds) makes the kernel send us a
        # signal: by default SIGIO, which would end the process. SIGURG is ignored by default.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:  # not ours, or a file system without leases
        return False
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
