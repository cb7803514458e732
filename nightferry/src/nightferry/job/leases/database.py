"""Leases in the table ``nightferry_lease`` of the job's own database, timed by the database's clock."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

from nightferry.contract import LEASE_TABLE
from nightferry.job.leases.state import LeaseSnapshot, LeaseState

if TYPE_CHECKING:
    from psycopg import Connection


class DatabaseLeases:
    """A store of leases in a database; each operation opens a connection, so that none is idle while the job runs."""

    def __init__(self, connect: Callable[[], Connection[Any]]) -> None:
        self._connect = connect

    def read(self, name: str) -> LeaseSnapshot:
        """Return the lease ``name``."""
        with closing(self._connect()) as connection:
            row = connection.execute(
                "SELECT clock.now, holder, acquired_at, renewed_at, expires_at"
                f" FROM (SELECT clock_timestamp() AS now) clock LEFT JOIN {LEASE_TABLE} ON name = %s",
                (name,),
            ).fetchone()
        assert row is not None  # the subquery of the clock always yields one row
        now, holder, acquired_at, renewed_at, expires_at = row
        if holder is None:
            return LeaseSnapshot(None, now, None)
        owner, runs, successor = LeaseState.parse_holder(holder)
        return LeaseSnapshot(LeaseState(owner, runs, successor, acquired_at, renewed_at, expires_at), now, holder)

    def replace(self, name: str, found: LeaseSnapshot, new: LeaseState | None) -> bool:
        """Replace the lease with ``new``; return False if it has changed since ``found`` was read."""
        with closing(self._connect()) as connection, connection.transaction():
            if found.state is None:
                if new is None:
                    return True
                changed = connection.execute(
                    f"INSERT INTO {LEASE_TABLE} (name, holder, acquired_at, renewed_at, expires_at)"
                    " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                    (name, new.holder, new.acquired_at, new.renewed_at, new.expires_at),
                )
            elif new is None:
                changed = connection.execute(
                    f"DELETE FROM {LEASE_TABLE} WHERE name = %s AND holder = %s AND renewed_at = %s",
                    (name, found.token, found.state.renewed_at),
                )
            else:
                changed = connection.execute(
                    f"UPDATE {LEASE_TABLE} SET holder = %s, acquired_at = %s, renewed_at = %s, expires_at = %s"
                    " WHERE name = %s AND holder = %s AND renewed_at = %s",
                    (
                        *(new.holder, new.acquired_at, new.renewed_at, new.expires_at),
                        *(name, found.token, found.state.renewed_at),
                    ),
                )
            return changed.rowcount == 1
