"""Object triggers, and the objects that each of them knows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from nightferry.local.store.file import StoreFile
from nightferry.local.store.times import format_time, now


class FileFingerprint(NamedTuple):
    """What a file's status says of its content without reading it: when it changes, the content may have."""

    mtime_ns: int
    size: int
    ctime_ns: int
    inode: int


@dataclass(frozen=True)
class Filter:
    """Which objects a trigger is about."""

    bucket: str
    prefix: str
    suffix: str

    def matches(self, key: str) -> bool:
        """Whether an object of the bucket is meant, as S3 compares keys. A hidden name never is: it is unfinished."""
        return key.startswith(self.prefix) and key.endswith(self.suffix) and not is_hidden(key)


def is_hidden(key: str) -> bool:
    """Whether a part of the key begins with a dot."""
    return key.startswith(".") or "/." in key


@dataclass(frozen=True)
class KnownObject:
    """An object as a trigger saw it last. ``version`` is None if it was there before the trigger."""

    fingerprint: FileFingerprint
    version: str | None


class Objects(StoreFile):
    """The tables of object triggers and of the objects that they know."""

    def object_triggers(self) -> dict[str, Filter]:
        """The triggers that are at work, by name."""
        rows = self._db.execute("SELECT * FROM object_trigger")
        return {row["name"]: Filter(row["bucket"], row["prefix"], row["suffix"]) for row in rows}

    def save_object_trigger(self, name: str, watched: Filter) -> None:
        """Write down that a trigger is at work, from now on or with another filter."""
        self._db.execute(
            "INSERT INTO object_trigger (name, bucket, prefix, suffix, since) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET bucket = excluded.bucket, prefix = excluded.prefix,"
            " suffix = excluded.suffix",
            (name, watched.bucket, watched.prefix, watched.suffix, format_time(now())),
        )

    def forget_object_trigger(self, name: str) -> None:
        """Forget a trigger that is switched off or no longer declared, and all that it knows."""
        self._db.execute("DELETE FROM object_trigger WHERE name = ?", (name,))

    def known_objects(self, trigger: str) -> dict[str, FileFingerprint]:
        """The objects that a trigger knows, by key, those included that are gone."""
        rows = self._db.execute(
            "SELECT key, mtime_ns, size, ctime_ns, inode FROM known_object WHERE trigger = ?", (trigger,)
        )
        return {row[0]: FileFingerprint(*row[1:]) for row in rows}

    def gone_objects(self, trigger: str) -> set[str]:
        """The objects that a trigger knows and that were not there any more when it looked last."""
        rows = self._db.execute("SELECT key FROM known_object WHERE trigger = ? AND gone_at IS NOT NULL", (trigger,))
        return {row[0] for row in rows}

    def known_object(self, trigger: str, key: str) -> KnownObject | None:
        """One object that a trigger may know."""
        row = self._db.execute("SELECT * FROM known_object WHERE trigger = ? AND key = ?", (trigger, key)).fetchone()
        if row is None:
            return None
        return KnownObject(FileFingerprint(row["mtime_ns"], row["size"], row["ctime_ns"], row["inode"]), row["version"])

    def save_objects(self, trigger: str, objects: Iterable[tuple[str, KnownObject]]) -> None:
        """Write down what a trigger knows of objects now."""
        self._db.executemany(
            "INSERT OR REPLACE INTO known_object (trigger, key, mtime_ns, size, ctime_ns, inode, version)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            ((trigger, key, *known.fingerprint, known.version) for key, known in objects),
        )

    def mark_objects_gone(self, trigger: str, keys: Iterable[str]) -> None:
        """Write down since when objects are not there any more."""
        time = format_time(now())
        self._db.executemany(
            "UPDATE known_object SET gone_at = ? WHERE trigger = ? AND key = ? AND gone_at IS NULL",
            ((time, trigger, key) for key in keys),
        )

    def mark_objects_back(self, trigger: str, keys: Iterable[str]) -> None:
        """Write down that objects are there again, unchanged."""
        self._db.executemany(
            "UPDATE known_object SET gone_at = NULL WHERE trigger = ? AND key = ?", ((trigger, key) for key in keys)
        )

    def forget_gone_objects(self, before: datetime) -> None:
        """Forget the objects that are gone for long."""
        self._db.execute("DELETE FROM known_object WHERE gone_at < ?", (format_time(before),))
