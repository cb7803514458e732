"""Versions of files.

A version consists of the file's modification time, size and inode, which a rename and a change of the mode retain. The
exact version of a file that was read also has its change time, which no program can set. It is a condition for a move
or a deletion shortly after the read.
"""

from __future__ import annotations

import os


def format_version(status: os.stat_result) -> str:
    """Return the version of a file, as in listings."""
    return f"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}"


def format_exact_version(status: os.stat_result) -> str:
    """Return the version of a file, followed by its change time."""
    return f"{format_version(status)}-{status.st_ctime_ns:x}"


def matches(status: os.stat_result, version: str) -> bool:
    """Return True if a file has this version or exact version."""
    return version in (format_version(status), format_exact_version(status))
