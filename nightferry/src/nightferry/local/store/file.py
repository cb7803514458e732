"""The store's file: opening, transactions and durability."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from nightferry.environments.private_paths import create_private_file
from nightferry.environments.state_folder import create_state_folder
from nightferry.errors import NightferryError
from nightferry.local.store import schema


class StoreUnusable(NightferryError):
    """The store's file is damaged, locked for a long time, or not a store. The message has the fix."""

    def __init__(self, file: Path, error: Exception) -> None:
        super().__init__(
            f"Cannot use {file}: {error}. If another process has locked the file, wait for that process. If the file "
            f"is damaged, stop the engine and move {file.name} away, also with the ending -wal or -shm, which discards "
            "the record of past runs; or use another state directory (NIGHTFERRY_STATE)."
        )


class StoreDamaged(StoreUnusable, sqlite3.DatabaseError):
    """A part of the store's file cannot be read. The engine ends with this error."""


class _Cursor(sqlite3.Cursor):
    """A cursor that reports damage with the file and the fix, also while rows are read."""

    def execute(self, *arguments: Any) -> Self:
        with _DamageReport(self.connection):
            return super().execute(*arguments)

    def executemany(self, *arguments: Any) -> Self:
        with _DamageReport(self.connection):
            return super().executemany(*arguments)

    def fetchone(self) -> Any:
        with _DamageReport(self.connection):
            return super().fetchone()

    def fetchmany(self, size: int | None = 1) -> list[Any]:
        with _DamageReport(self.connection):
            return super().fetchmany(size)

    def fetchall(self) -> list[Any]:
        with _DamageReport(self.connection):
            return super().fetchall()

    def __next__(self) -> Any:
        with _DamageReport(self.connection):
            return super().__next__()


class _Connection(sqlite3.Connection):
    """A connection with such cursors."""

    file: Path

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        return self.cursor(_Cursor).execute(*arguments)

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:
        return self.cursor(_Cursor).executemany(*arguments)


class _DamageReport:
    """A context manager that raises StoreDamaged, without the cost of a generator for each row."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.DatabaseError) and _is_damage(error):
            assert isinstance(self._connection, _Connection)
            raise StoreDamaged(self._connection.file, error) from None


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or "no such table" in str(error)


class StoreFile:
    """A connection to the store's file. It is the base class of the tables' classes, which :class:`Store` combines."""

    def __init__(self, file: Path, busy_timeout: float = 30.0) -> None:
        """Open the file. A write fails after ``busy_timeout`` seconds if another process keeps the file locked."""
        self.file = file
        self._begin = "BEGIN IMMEDIATE"
        create_state_folder(file.parent)
        create_private_file(file)
        self._connect(str(file), uri=False)
        with self._close_on_error():
            self._prepare(busy_timeout)

    @classmethod
    def open_read_only(cls, file: Path) -> Self:
        """Open the file for queries only. They never wait for a writer, and no writer waits for them.

        A file of an older version is upgraded first, as any command does. A file that does not exist is not created;
        the store is then empty.
        """
        store = cls.__new__(cls)
        store.file = file
        store._begin = "BEGIN"
        if not file.exists():
            store._connect(":memory:", uri=False)
            schema.upgrade(store._db, file)
        else:
            store._connect(f"file:{quote(str(file.absolute()))}?mode=ro", uri=True)
            with store._close_on_error():
                outdated = schema.is_outdated(store._db)
            if outdated:
                store.close()
                cls(file).close()
                return cls.open_read_only(file)
        store._db.execute("PRAGMA query_only = ON")
        return store

    def _connect(self, name: str, *, uri: bool) -> None:
        try:
            self._db = sqlite3.connect(name, isolation_level=None, timeout=30, factory=_Connection, uri=uri)
        except sqlite3.Error as error:
            raise StoreUnusable(self.file, error) from None
        self._db.file = self.file
        self._db.row_factory = sqlite3.Row

    @contextmanager
    def _close_on_error(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            self._db.close()
            if isinstance(error, StoreDamaged):
                raise
            raise StoreUnusable(self.file, error) from None

    def _prepare(self, busy_timeout: float) -> None:
        self._db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # Has an effect on new files only.
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA foreign_keys = ON")
        with self.transaction():
            schema.upgrade(self._db, self.file)
        self._db.execute(f"PRAGMA busy_timeout = {int(busy_timeout * 1000)}")

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all writes in the block atomic. A nested transaction is part of the outer one."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute(self._begin)
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # SQLite itself rolls back if the disk is full.
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all queries in the block read the same state of the file, without a lock for writing."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    @contextmanager
    def relaxed_durability(self) -> Iterator[None]:
        """Let writes in the block return before they are on the disk.

        A power failure may lose these writes unless an ordinary commit follows them. Inside a transaction, the mode of
        the transaction's commit applies.
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
        """Return a number that changes whenever another process has written to the file."""
        version: int = self._db.execute("PRAGMA data_version").fetchone()[0]
        return version
