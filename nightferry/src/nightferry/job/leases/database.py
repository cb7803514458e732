"""Leases in the table ``nightferry_lease`` of the job's own database, timed by the database's clock.

The first lease creates the table. If the job's user may not create tables, the message of the error contains the
statement, for the owner of the schema or a migration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from nightferry.contract import LEASE_TABLE
from nightferry.job.database_errors import get_database_message
from nightferry.job.leases.state import LeaseError, LeaseSnapshot, LeaseState

if TYPE_CHECKING:
    from psycopg import Connection, Error


TABLE = (
    f"CREATE TABLE IF NOT EXISTS {LEASE_TABLE} (name text PRIMARY KEY, holder text NOT NULL, acquired_at timestamptz"
    " NOT NULL, renewed_at timestamptz NOT NULL, expires_at timestamptz NOT NULL)"
)
"""The statement that creates the table of leases."""


@runtime_checkable
class HasDatabase(Protocol):
    """The settings of a job with a PostgreSQL database, in which the runtime stores the lease of the task."""

    def connect(self) -> Connection[Any]:
        """Return a new psycopg connection as the job's user. The runtime closes it, and opens one for each operation.

        It may raise the driver's errors, or a NightferryError with a message for operators.
        """
        ...


class DatabaseLeases:
    """A store of leases in a database; each operation opens a connection, so that none is idle while the job runs."""

    def __init__(self, connect: Callable[[], Connection[Any]]) -> None:
        self._connect = connect

    def read(self, name: str) -> LeaseSnapshot:
        """Return the lease ``name``.

        Raises:
            LeaseError: The database reported an error, which the message explains.
        """
        import psycopg  # The driver is an extra, and a job with a database has it.

        with self._open(name) as connection:
            try:
                row = _select(connection, name)
            except psycopg.errors.UndefinedTable:
                connection.rollback()
                _create_table(connection)
                row = _select(connection, name)
        assert row is not None  # the subquery of the clock always yields one row
        now, holder, acquired_at, renewed_at, expires_at = row
        if holder is None:
            return LeaseSnapshot(None, now, None)
        owner, runs, successor = LeaseState.parse_holder(holder)
        return LeaseSnapshot(LeaseState(owner, runs, successor, acquired_at, renewed_at, expires_at), now, holder)

    def replace(self, name: str, found: LeaseSnapshot, new: LeaseState | None) -> bool:
        """Replace the lease with ``new``; return False if it has changed since ``found`` was read.

        Raises:
            LeaseError: The database reported an error, which the message explains.
        """
        with self._open(name) as connection, connection.transaction():
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

    @contextmanager
    def _open(self, name: str) -> Iterator[Connection[Any]]:
        """Connect, and convert errors of the database to LeaseError."""
        import psycopg  # The driver is an extra, and a job with a database has it.

        with closing(self._connect()) as connection:
            place = f"database {connection.info.dbname} on {connection.info.host}"
            try:
                yield connection
            except psycopg.Error as error:
                raise LeaseError(
                    f"Cannot take or renew the lease {name} in {place}: {_describe(error)}. {_suggest_fix(error)}"
                ) from None


def _select(connection: Connection[Any], name: str) -> tuple[Any, ...] | None:
    return connection.execute(
        "SELECT clock.now, holder, acquired_at, renewed_at, expires_at"
        f" FROM (SELECT clock_timestamp() AS now) clock LEFT JOIN {LEASE_TABLE} ON name = %s",
        (name,),
    ).fetchone()


def _create_table(connection: Connection[Any]) -> None:
    """Create the table if the user may; otherwise the next statement fails because the table does not exist."""
    import psycopg

    try:
        connection.execute(TABLE)
        connection.commit()
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidSchemaName):
        connection.rollback()
    except (psycopg.errors.UniqueViolation, psycopg.errors.DuplicateObject, psycopg.errors.DuplicateTable):
        connection.rollback()  # another run creates it at the same time


def _describe(error: Error) -> str:
    """Return the server's message, or the kind of the error if the message may quote a value."""
    return get_database_message(error) or f"{type(error).__name__}, SQLSTATE {error.sqlstate}"


def _suggest_fix(error: Error) -> str:
    match error.sqlstate:
        case "42P01" | "3F000":  # undefined_table, invalid_schema_name
            return (
                "Check the name of the database and its schema. If they are right, run the migrations, or create the "
                f"table as the owner of the schema: {TABLE}"
            )
        case "42501":  # insufficient_privilege
            return f"Grant the job's user SELECT, INSERT, UPDATE and DELETE on {LEASE_TABLE}."
        case "25006":  # read_only_sql_transaction
            return "After a failover, the old server is read-only: check the host, and start the job again."
    return "Start the job again."
