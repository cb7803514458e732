"""The advisory locks of the database, all in one file, so that no two have one key.

PostgreSQL releases a lock when the connection that holds it closes, also when its process is killed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg


@dataclass(frozen=True)
class Lock:
    """One lock: the SQL expressions of its key, and their values."""

    key: LiteralString
    values: tuple[int | str, ...]

    def acquire(self, connection: psycopg.Connection[Any], on_wait: Callable[[], object] | None = None) -> None:
        """Wait for the lock and hold it until ``connection`` closes; call ``on_wait`` first if another has it."""
        if on_wait is not None:
            if self.try_acquire(connection):
                return
            on_wait()
        self._call(connection, "pg_advisory_lock")

    def try_acquire(self, connection: psycopg.Connection[Any]) -> bool:
        """Take the lock until ``connection`` closes; return False if another has it."""
        return bool(self._call(connection, "pg_try_advisory_lock"))

    def acquire_in_transaction(self, connection: psycopg.Connection[Any]) -> None:
        """Wait for the lock and hold it until the transaction ends."""
        self._call(connection, "pg_advisory_xact_lock")

    def release(self, connection: psycopg.Connection[Any]) -> None:
        """Release a lock that ``connection`` holds."""
        self._call(connection, "pg_advisory_unlock")

    def _call(self, connection: psycopg.Connection[Any], function: LiteralString) -> object:
        row = connection.execute(f"SELECT {function}({self.key})", self.values).fetchone()
        return row[0] if row else None


@dataclass(frozen=True)
class NumberedLocks:
    """Locks that are told apart by a number of 31 bits, such as an id."""

    number: int

    def lock(self, number: int) -> Lock:
        """Return the lock of ``number``."""
        return Lock("%s::integer, %s::integer", (self.number, number))


@dataclass(frozen=True)
class NamedLocks:
    """Locks that are told apart by a text, such as a UUID. ``seed`` keeps them apart from other texts' locks."""

    seed: int

    def lock(self, name: str) -> Lock:
        """Return the lock of ``name``."""
        return Lock("hashtextextended(%s, %s)", (name, self.seed))


def _make_lock(number: int) -> Lock:
    return Lock("%s", (number,))


MIGRATION = _make_lock(5_064_212_379_226_001_230)
"""Held by a migration of this database."""
ORGANIZATION_UNITS = _make_lock(5_064_212_379_226_001_231)
"""Held while organization units are written: two writers that meet in the same names would wait for each other."""
USERS = _make_lock(5_064_212_379_226_001_232)
"""Held while database users or their rights are changed: PostgreSQL fails when two do so at once."""
DOR_RUN = _make_lock(int.from_bytes(b"dor-run\0"))
"""Held by a run that imports files of DOR."""
DOR_FILE = _make_lock(int.from_bytes(b"dor-file"))
"""Held by the transaction that imports a file of DOR."""
ELIGIBILITY_CLAIMS = _make_lock(0x0E11_61B1)
"""Held while an export claims employees, so that exports claim one after the other."""

IMPORT_LOG = NumberedLocks(0x4C4F4E47)
"""By the id of the import log's record: held while its batch runs."""
ELIGIBILITY_SECOND = NumberedLocks(0x0E11_61B3)
"""By Unix time: held by the export whose files have that second in their names."""

CLAIMANT = NamedLocks(0x0E11_61B2)
"""By the name in ``claimed_by`` of a queue: held while the process of that name lives."""
NEW_EMPLOYER = NamedLocks(0x46494E454F53)
"""By the id of an employer that FINEOS does not know: held while a loader works on it."""
