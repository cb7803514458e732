"""Claims of processes on the rows of a FINEOS queue.

A claim consists of a process name in ``claimed_by`` and a lease expiry time in ``lease_expires_at``. The process holds
the advisory lock of its name, which PostgreSQL releases when the connection closes. A row is free if it has no claim,
if its lease has expired (the process hangs), or if the lock is not held (the process died). A crash therefore loses no
rows.

Each queue has its own statement that claims rows. It finds the live processes in the view ``live_claimant``::

    lease_expires_at > now() AND hashtextextended(claimed_by, %(claimants)s) IN (SELECT lock_key FROM live_claimant)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import psycopg
from psycopg import sql

from paidleave.db import locks

CLAIMANTS = locks.CLAIMANT.seed
"""The value of ``claimants`` in statements that use ``live_claimant``."""

# A process commits a claim after it acquires its lock, and a statement reads the locks after it takes its snapshot.
# The statement therefore finds the lock of every claim that it sees, unless the process has died.
_VIEW = """
    CREATE OR REPLACE TEMPORARY VIEW live_claimant AS
    SELECT (classid::bigint << 32) | objid::bigint AS lock_key
    FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@dataclass(frozen=True)
class Claims:
    """The claims of one process, by its unique ``name``, on rows of ``queue``."""

    queue: Literal["employer_push_to_fineos_queue", "employee_push_to_fineos_queue"]
    name: str
    lease: timedelta

    def announce(self, connection: psycopg.Connection[Any]) -> None:
        """Mark the process as alive until ``connection`` closes; call this before the first claim."""
        locks.CLAIMANT.lock(self.name).acquire(connection)
        connection.execute(_VIEW)

    def withdraw(self, connection: psycopg.Connection[Any]) -> None:
        """Release the lock that ``announce`` acquired."""
        locks.CLAIMANT.lock(self.name).release(connection)

    def renew(self, connection: psycopg.Connection[Any]) -> None:
        """Extend the lease of all claimed rows by its full length, from now."""
        self._update(connection, "SET lease_expires_at = now() + %(lease)s, updated_at = now()")

    def release(self, connection: psycopg.Connection[Any]) -> None:
        """Release all rows that are still claimed."""
        self._update(
            connection, "SET claimed_by = NULL, lease_expires_at = NULL, process_id = NULL, updated_at = now()"
        )

    def _update(self, connection: psycopg.Connection[Any], change: str) -> None:
        statement = sql.SQL(f"UPDATE {{}} {change} WHERE claimed_by = %(name)s").format(sql.Identifier(self.queue))
        connection.execute(statement, {"name": self.name, "lease": self.lease})
