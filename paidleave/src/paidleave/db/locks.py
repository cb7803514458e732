"""All advisory locks of the database, in one module to keep their keys distinct.

PostgreSQL releases a lock when the connection that holds it closes, including when its process is killed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg


@dataclass(frozen=True)
class Lock:
    """A lock: the SQL expressions of its key and their values."""

    key: LiteralString
    values: tuple[int | str, ...]

    def acquire(self, connection: psycopg.Connection[Any], on_wait: Callable[[], object] | None = None) -> None:
        """Wait for the lock and hold it until ``connection`` closes; call ``on_wait`` first if the lock is taken."""
        if on_wait is not None:
            if self.try_acquire(connection):
                return
            on_wait()
        self._call(connection, "pg_advisory_lock")

    def try_acquire(self, connection: psycopg.Connection[Any]) -> bool:
        """Acquire the lock until ``connection`` closes; return False if the lock is taken."""
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
    """Locks identified by a 31-bit number, such as an id."""

    number: int

    def lock(self, number: int) -> Lock:
        """Return the lock of ``number``."""
        return Lock("%s::integer, %s::integer", (self.number, number))


@dataclass(frozen=True)
class NamedLocks:
    """Locks identified by a string, such as a UUID; ``seed`` separates them from other named locks."""

    seed: int

    def lock(self, name: str) -> Lock:
        """Return the lock of ``name``."""
        return Lock("hashtextextended(%s, %s)", (name, self.seed))


def _make_lock(number: int) -> Lock:
    return Lock("%s", (number,))


MIGRATION = _make_lock(5_064_212_379_226_001_230)
"""Held during a migration of this database."""
ORGANIZATION_UNITS = _make_lock(5_064_212_379_226_001_231)
"""Held while organization units are written, because two writers of the same names would deadlock."""
USERS = _make_lock(5_064_212_379_226_001_232)
"""Held while database users or their privileges are changed, because concurrent changes fail in PostgreSQL."""
DOR_RUN = _make_lock(int.from_bytes(b"dor-run\0"))
"""Held by a run that imports DOR files."""
DOR_FILE = _make_lock(int.from_bytes(b"dor-file"))
"""Held by the transaction that imports a DOR file."""
ELIGIBILITY_CLAIMS = _make_lock(0x0E11_61B1)
"""Held while an export claims employees, so that only one export at a time claims them."""

IMPORT_LOG = NumberedLocks(0x4C4F4E47)
"""Identified by the id of an import log record; held while the record is in progress."""
ELIGIBILITY_SECOND = NumberedLocks(0x0E11_61B3)
"""Identified by Unix time; held by the export whose file names contain that second."""

CLAIMANT = NamedLocks(0x0E11_61B2)
"""Identified by the name in ``claimed_by`` of a queue; held while the process of that name is alive."""
NEW_EMPLOYER = NamedLocks(0x46494E454F53)
"""Identified by the id of an employer that is new to FINEOS; held while a loader processes it."""
