"""Leases in the table ``nightferry_lease`` of the job's own database, by the database's clock."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

from nightferry.contract import LEASE_TABLE
from nightferry.job.leases.state import Found, LeaseState

if TYPE_CHECKING:
    from psycopg import Connection


class DatabaseLeases:
    """``connect`` opens a connection; each operation uses a new one, so that none idles for the job's duration."""

    def __init__(self, connect: Callable[[], Connection[Any]]) -> None:
        self._connect = connect

    def read(self, name: str) -> Found:
        """The lease of that name."""
        with closing(self._connect()) as connection:
            row = connection.execute(
                "SELECT clock.now, holder, acquired_at, renewed_at, expires_at"
                f" FROM (SELECT clock_timestamp() AS now) clock LEFT JOIN {LEASE_TABLE} ON name = %s",
                (name,),
            ).fetchone()
        assert row is not None  # the clock is always there
        now, holder, acquired_at, renewed_at, expires_at = row
        if holder is None:
            return Found(None, now, None)
        owner, runs, successor = LeaseState.parse_holder(holder)
        return Found(LeaseState(owner, runs, successor, acquired_at, renewed_at, expires_at), now, holder)

    def replace(self, name: str, found: Found, new: LeaseState | None) -> bool:
        """Write ``new`` in place of what was found; False if that has changed."""
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
