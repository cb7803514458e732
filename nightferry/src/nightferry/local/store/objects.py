"""The store's tables of object triggers and the objects known to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from nightferry.local.store.file import StoreFile
from nightferry.local.store.times import format_time, now


class FileFingerprint(NamedTuple):
    """The parts of a file's status that change when its content may have changed."""

    mtime_ns: int
    size: int
    ctime_ns: int
    inode: int


@dataclass(frozen=True)
class Filter:
    """The objects that a trigger applies to."""

    bucket: str
    prefix: str
    suffix: str

    def matches(self, key: str) -> bool:
        """Return True if the filter includes the key, by S3's rules. Hidden names are excluded: they are incomplete."""
        return key.startswith(self.prefix) and key.endswith(self.suffix) and not is_hidden(key)


def is_hidden(key: str) -> bool:
    """Return True if a part of the key begins with a dot."""
    return key.startswith(".") or "/." in key


@dataclass(frozen=True)
class KnownObject:
    """An object as last seen by a trigger. ``version`` is None if the object existed before the trigger."""

    fingerprint: FileFingerprint
    version: str | None


class Objects(StoreFile):
    """Access to the tables of object triggers and known objects."""

    def object_triggers(self) -> dict[str, Filter]:
        """Return the filters of active triggers by name."""
        rows = self._db.execute("SELECT * FROM object_trigger")
        return {row["name"]: Filter(row["bucket"], row["prefix"], row["suffix"]) for row in rows}

    def save_object_trigger(self, name: str, watched: Filter) -> None:
        """Add a trigger or change its filter."""
        self._db.execute(
            "INSERT INTO object_trigger (name, bucket, prefix, suffix, since) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET bucket = excluded.bucket, prefix = excluded.prefix,"
            " suffix = excluded.suffix",
            (name, watched.bucket, watched.prefix, watched.suffix, format_time(now())),
        )

    def forget_object_trigger(self, name: str) -> None:
        """Delete a trigger that is disabled or no longer declared, with its known objects."""
        self._db.execute("DELETE FROM object_trigger WHERE name = ?", (name,))

    def known_objects(self, trigger: str) -> dict[str, FileFingerprint]:
        """Return the fingerprints of a trigger's known objects by key, including objects that no longer exist."""
        rows = self._db.execute(
            "SELECT key, mtime_ns, size, ctime_ns, inode FROM known_object WHERE trigger = ?", (trigger,)
        )
        return {row[0]: FileFingerprint(*row[1:]) for row in rows}

    def gone_objects(self, trigger: str) -> set[str]:
        """Return the keys of known objects that no longer existed at the trigger's last check."""
        rows = self._db.execute("SELECT key FROM known_object WHERE trigger = ? AND gone_at IS NOT NULL", (trigger,))
        return {row[0] for row in rows}

    def known_object(self, trigger: str, key: str) -> KnownObject | None:
        """Return an object if the trigger knows it, else None."""
        row = self._db.execute("SELECT * FROM known_object WHERE trigger = ? AND key = ?", (trigger, key)).fetchone()
        if row is None:
            return None
        return KnownObject(FileFingerprint(row["mtime_ns"], row["size"], row["ctime_ns"], row["inode"]), row["version"])

    def save_objects(self, trigger: str, objects: Iterable[tuple[str, KnownObject]]) -> None:
        """Add or update a trigger's known objects."""
        self._db.executemany(
            "INSERT OR REPLACE INTO known_object (trigger, key, mtime_ns, size, ctime_ns, inode, version)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            ((trigger, key, *known.fingerprint, known.version) for key, known in objects),
        )

    def mark_objects_gone(self, trigger: str, keys: Iterable[str]) -> None:
        """Record that objects no longer exist as of now."""
        time = format_time(now())
        self._db.executemany(
            "UPDATE known_object SET gone_at = ? WHERE trigger = ? AND key = ? AND gone_at IS NULL",
            ((time, trigger, key) for key in keys),
        )

    def mark_objects_back(self, trigger: str, keys: Iterable[str]) -> None:
        """Record that objects exist again, unchanged."""
        self._db.executemany(
            "UPDATE known_object SET gone_at = NULL WHERE trigger = ? AND key = ?", ((trigger, key) for key in keys)
        )

    def forget_gone_objects(self, before: datetime) -> None:
        """Delete known objects that have not existed since before a time."""
        self._db.execute("DELETE FROM known_object WHERE gone_at < ?", (format_time(before),))
