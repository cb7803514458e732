"""The store's file: how it is opened, and how it is written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nightferry.errors import NightferryError
from nightferry.local.store import schema


class StoreUnusable(NightferryError):
    """The store's file is damaged, locked for long, or no store at all. The message says what to do."""


class StoreFile:
    """A connection to the file. The tables' classes stand on it, and the store is all of them."""

    def __init__(self, file: Path, busy_timeout: float = 30.0) -> None:
        """``busy_timeout``: seconds that a write waits while another process writes, before it fails as locked."""
        self.file = file
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = not file.exists()
        self._db = sqlite3.connect(file, isolation_level=None, timeout=30)
        if new:
            file.chmod(0o600)
        self._db.row_factory = sqlite3.Row
        try:
            self._prepare(busy_timeout)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise StoreUnusable(
                f"{file} cannot be used: {error}. If another process holds it, wait for that one; if it is damaged, "
                "move it away (what has run is forgotten then), or use another state directory (NIGHTFERRY_STATE)."
            ) from None

    def _prepare(self, busy_timeout: float) -> None:
        self._db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # of a new file only: what is pruned gives its room back
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA foreign_keys = ON")
        with self.transaction():
            schema.upgrade(self._db, self.file)
        self._db.execute(f"PRAGMA busy_timeout = {int(busy_timeout * 1000)}")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes within are made together or not at all. One within another is a part of that one."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # a full disk ends it by itself
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def relaxed_durability(self) -> Iterator[None]:
        """Write without waiting for the disk.

        After a power failure these writes may be missing, together with all later ones of their kind, unless an
        ordinary commit came after them. Within a transaction, its commit decides.
        """
        if self._db.in_transaction:
            yield
            return
        self._db.execute("PRAGMA synchronous = NORMAL")
        try:
            yield
        finally:
            self._db.execute("PRAGMA synchronous = FULL")

    def data_version(self) -> int:
        """Changes whenever another process has written."""
        version: int = self._db.execute("PRAGMA data_version").fetchone()[0]
        return version
