"""Foreign keys of a bulk change: checked as one set instead of row by row, where the role may.

PostgreSQL checks a foreign key by a query for every inserted row, which takes more time than everything else. A role
that may set ``session_replication_role`` (a superuser; ``rds_superuser`` on Amazon RDS; any role that was granted
SET on it) switches these queries off, and the job locks the rows that it refers to with ``FOR KEY SHARE``, which is
the very lock that the queries take, and counts them. No row can vanish between the check and the commit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from nightferry.job import JobFailed


class ReferenceVanished(JobFailed):
    """A row that the job refers to was deleted while it ran. Nothing was changed; run it again."""


class ForeignKeys:
    """The foreign keys of a transaction; ``in_bulk`` is False where PostgreSQL checks them row by row."""

    def __init__(self, connection: psycopg.Connection[Any], *, in_bulk: bool) -> None:
        self._connection = connection
        self.in_bulk = in_bulk

    def lock_references(self, key: str, rows: LiteralString, **values: object) -> None:
        """Lock the rows that new rows will refer to, as foreign keys would. Raises ReferenceVanished.

        ``key`` is the referenced column, such as ``employer.employer_id``. ``rows`` is what stands after FROM, and has
        a column of that name, such as ``staged_wage`` or ``wage_change WHERE stored_id IS NULL``.
        """
        if not self.in_bulk:
            return
        table, _, column = key.partition(".")
        statement = sql.SQL(
            "WITH referenced AS (SELECT DISTINCT {column} FROM " + rows + "), held AS ("
            "SELECT FROM {table} WHERE {column} IN (SELECT {column} FROM referenced) FOR KEY SHARE"
            ") SELECT (SELECT count({column}) FROM referenced) - (SELECT count(*) FROM held)"
        ).format(column=sql.Identifier(column), table=sql.Identifier(table))
        missing = self._connection.execute(statement, values or None).fetchone()
        if missing is None or missing[0]:
            raise ReferenceVanished(f"a row of {table} that the job refers to was deleted meanwhile. Run it again")


@contextmanager
def check_in_bulk(connection: psycopg.Connection[Any]) -> Iterator[ForeignKeys]:
    """Switch the row-by-row checks off for the block, where the role may. The block is inside one transaction."""
    connection.execute("SELECT")  # begins the transaction, so that SET LOCAL lasts longer than the savepoint
    try:
        with connection.transaction():
            connection.execute("SET LOCAL session_replication_role = replica")
    except psycopg.errors.InsufficientPrivilege:
        yield ForeignKeys(connection, in_bulk=False)
        return
    yield ForeignKeys(connection, in_bulk=True)
    connection.execute("SET LOCAL session_replication_role = origin")
