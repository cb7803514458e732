"""Detection of new and changed files in a bucket's folder, for one trigger.

There are two kinds of polls. An ordinary poll reads the status of each folder and lists the changed folders, which
finds files that were created, moved or renamed. A sweep reads the status of every file, which also finds files
overwritten in place. A file is a candidate if its status has not changed for :data:`SETTLE_SECONDS`.

Symbolic links are neither followed nor treated as objects, because they may lead out of the bucket; the content is read
by descriptors, as :mod:`nightferry.storage.folders` does. Names that are not UTF-8 cannot be keys.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG

from nightferry.local.store import FileFingerprint, Filter
from nightferry.local.triggers.object_content import fingerprint_status

SETTLE_SECONDS = 2.0  # for which a file's status must not change

_log = logging.getLogger("nightferry.engine")


@dataclass
class _Folder:
    """A listed folder: its matching keys and the subfolders to search.

    ``again`` is True if the folder had just changed and may change once more within the same tick of the file system's
    clock.
    """

    mtime_ns: int
    keys: list[str]
    folders: list[str]
    again: bool


@dataclass
class FolderWatch:
    """The matching files below ``root``, compared with the ``known`` ones."""

    root: Path
    filter: Filter
    known: dict[str, FileFingerprint]
    settle: float = SETTLE_SECONDS
    complete: bool = False
    """True if the last poll read all folders. The files in an unreadable folder must not count as deleted."""
    _folders: dict[str, _Folder] = field(default_factory=dict)
    _waiting: dict[str, tuple[FileFingerprint, float]] = field(default_factory=dict)
    _reported: set[str] = field(default_factory=set)

    def list_files(self) -> dict[str, FileFingerprint]:
        """Return the fingerprints of all matching files by key."""
        found = ((key, self._read_fingerprint(key)) for _, folder in self._walk() for key in folder.keys)
        return {key: fingerprint for key, fingerprint in found if fingerprint is not None}

    def poll(self, now: float, *, sweep: bool) -> list[tuple[str, FileFingerprint]]:
        """Return the new or changed files that have settled, oldest first. ``now`` is a time of a monotonic clock."""
        candidates = set(self._waiting)
        for changed, folder in self._walk():
            if sweep:
                candidates.update(folder.keys)
            elif changed:
                candidates.update(key for key in folder.keys if key not in self.known)
        settled = []
        for key in candidates:
            fingerprint = self._read_fingerprint(key)
            if fingerprint is None or self.known.get(key) == fingerprint:
                self._waiting.pop(key, None)
                continue
            seen, since = self._waiting.get(key, (None, now))
            if seen != fingerprint:
                self._waiting[key] = (fingerprint, now)
            elif now - since >= self.settle:
                settled.append((key, fingerprint))
        return sorted(settled, key=lambda one: (one[1].mtime_ns, one[0]))

    def present_keys(self) -> set[str]:
        """Return the matching keys that the last poll found."""
        return {key for folder in self._folders.values() for key in folder.keys}

    def mark_processed(self, key: str, fingerprint: FileFingerprint) -> None:
        """Record that the file with this fingerprint has been processed."""
        self.known[key] = fingerprint
        self._waiting.pop(key, None)

    def defer(self, key: str, fingerprint: FileFingerprint, until: float) -> None:
        """Record that the file could not be processed and becomes a candidate again at ``until``."""
        self._waiting[key] = (fingerprint, until - self.settle)

    def path(self, key: str) -> Path:
        """Return the path of an object's file."""
        return self.root / key

    def _read_fingerprint(self, key: str) -> FileFingerprint | None:
        try:
            status = os.stat(f"{self.root}/{key}", follow_symlinks=False)  # noqa: PTH116 - creating Path objects is slow
        except OSError:
            return None
        return fingerprint_status(status) if S_ISREG(status.st_mode) else None

    def _walk(self) -> Iterator[tuple[bool, _Folder]]:
        """Yield all folders that may contain matching files, each with True if it was listed again."""
        self.complete = True
        before, self._folders = self._folders, {}
        pending = [""]
        while pending:
            name = pending.pop()
            try:
                mtime_ns = (self.root / name).stat(follow_symlinks=not name).st_mtime_ns
                folder = before.get(name)
                changed = folder is None or folder.again or folder.mtime_ns != mtime_ns
                if folder is None or changed:
                    folder = self._list(name, mtime_ns, again=folder is None or folder.mtime_ns != mtime_ns)
            except OSError as error:
                if name and isinstance(error, FileNotFoundError | NotADirectoryError):
                    continue  # The folder was removed.
                self.complete = False
                self._warn_once(name, f"it cannot be read ({os.strerror(error.errno or 0)})")
                continue
            self._folders[name] = folder
            pending += folder.folders
            yield changed, folder

    def _list(self, name: str, mtime_ns: int, *, again: bool) -> _Folder:
        keys, folders = [], []
        prefix = f"{name}/" if name else ""
        with os.scandir(self.root / name) as entries:
            for entry in entries:
                key = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    if not entry.name.startswith(".") and self._may_contain_matches(f"{key}/"):
                        folders.append(key)
                elif entry.is_symlink():
                    if self.filter.matches(key) or self._may_contain_matches(f"{key}/"):
                        self._warn_once(key, "it is a symbolic link. Replace it with the file or folder itself")
                elif self.filter.matches(key) and entry.is_file(follow_symlinks=False):
                    if _is_utf8(key):
                        keys.append(key)
                    else:
                        self._warn_once(key, "its name is not UTF-8, which keys must be")
        return _Folder(mtime_ns, keys, folders, again)

    def _may_contain_matches(self, folder: str) -> bool:
        return folder.startswith(self.filter.prefix) or self.filter.prefix.startswith(folder)

    def _warn_once(self, name: str, reason: str) -> None:
        """Log once the reason why a file or folder is ignored."""
        if name not in self._reported:
            self._reported.add(name)
            _log.warning(
                "Triggers ignore %s in bucket %s: %s.", ascii(name or "all objects"), self.filter.bucket, reason,
                extra={"event": "object_unseen"},
            )  # fmt: skip


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
