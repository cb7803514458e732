"""What is new in a folder that stands for a bucket, for one trigger, without reading all of it at every poll.

Two looks differ in what they cost. An ordinary one asks each folder's status and lists those that changed: it finds
what was created, moved or renamed there. A sweep asks every file's status: it finds what was written over in place. A
file is a candidate when it has looked the same for :data:`SETTLE_SECONDS` seconds.

Symbolic links are not followed and are no objects: they may lead out of the bucket. Names that are not UTF-8 cannot
be keys.
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

SETTLE_SECONDS = 2.0  # seconds for which a file must poll the same

_log = logging.getLogger("nightferry.engine")


@dataclass
class _Folder:
    """A folder as it was listed: the keys in it that match, and the folders to poll into.

    ``again``: it had just changed, and may have changed once more within the same tick of its clock.
    """

    mtime_ns: int
    keys: list[str]
    folders: list[str]
    again: bool


@dataclass
class FolderWatch:
    """The files below ``root`` that match, held against those that are ``known``."""

    root: Path
    filter: Filter
    known: dict[str, FileFingerprint]
    settle: float = SETTLE_SECONDS
    complete: bool = False
    """Whether the last poll saw list_files: a folder that cannot be read hides files, which are not gone."""
    _folders: dict[str, _Folder] = field(default_factory=dict)
    _waiting: dict[str, tuple[FileFingerprint, float]] = field(default_factory=dict)
    _reported: set[str] = field(default_factory=set)

    def list_files(self) -> dict[str, FileFingerprint]:
        """All matching files as they are."""
        found = ((key, self._read_fingerprint(key)) for _, folder in self._walk() for key in folder.keys)
        return {key: fingerprint for key, fingerprint in found if fingerprint is not None}

    def poll(self, now: float, *, sweep: bool) -> list[tuple[str, FileFingerprint]]:
        """The files that are new or changed and have settled, oldest first. ``now`` is a steady clock's seconds."""
        asked = set(self._waiting)
        for changed, folder in self._walk():
            if sweep:
                asked.update(folder.keys)
            elif changed:
                asked.update(key for key in folder.keys if key not in self.known)
        settled = []
        for key in asked:
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
        """The matching keys that the last poll saw."""
        return {key for folder in self._folders.values() for key in folder.keys}

    def mark_processed(self, key: str, fingerprint: FileFingerprint) -> None:
        """The file has been dealt with as it looked."""
        self.known[key] = fingerprint
        self._waiting.pop(key, None)

    def defer(self, key: str, fingerprint: FileFingerprint, until: float) -> None:
        """The file could not be dealt with; it is a candidate again later."""
        self._waiting[key] = (fingerprint, until - self.settle)

    def path(self, key: str) -> Path:
        """Where an object is."""
        return self.root / key

    def _read_fingerprint(self, key: str) -> FileFingerprint | None:
        try:
            status = os.stat(f"{self.root}/{key}", follow_symlinks=False)  # noqa: PTH116 - paths are slow to make
        except OSError:
            return None
        return fingerprint_status(status) if S_ISREG(status.st_mode) else None

    def _walk(self) -> Iterator[tuple[bool, _Folder]]:
        """All folders that may hold matching files, each with whether it was listed anew."""
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
                    continue  # removed meanwhile
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
                elif self.filter.matches(key) and entry.is_file(follow_symlinks=False):
                    if _is_utf8(key):
                        keys.append(key)
                    else:
                        self._warn_once(key, "its name is not UTF-8, as keys are")
        return _Folder(mtime_ns, keys, folders, again)

    def _may_contain_matches(self, folder: str) -> bool:
        return folder.startswith(self.filter.prefix) or self.filter.prefix.startswith(folder)

    def _warn_once(self, name: str, why: str) -> None:
        """Say once why something is not looked at."""
        if name not in self._reported:
            self._reported.add(name)
            _log.warning(
                "No trigger sees %s in bucket %s: %s.", ascii(name or "anything"), self.filter.bucket, why,
                extra={"event": "object_unseen"},
            )  # fmt: skip


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
