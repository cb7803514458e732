"""Bulk checks of foreign keys, for roles that have the required permission.

PostgreSQL checks a foreign key with one query per inserted row, which takes longer than the rest of an import. A role
may disable these queries if it can set ``session_replication_role`` (a superuser, ``rds_superuser`` on Amazon RDS, or
a role with the SET privilege on it). The job then locks the referenced rows with ``FOR KEY SHARE``, the lock that the
queries would take, and counts them. No referenced row can be deleted between the check and the commit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from nightferry.job import JobFailed


class ReferencedRowDeleted(JobFailed):
    """A referenced row was deleted during the job. Nothing was changed. Run the job again."""


class ForeignKeys:
    """The foreign keys of a transaction; ``in_bulk`` is False if PostgreSQL checks them row by row."""

    def __init__(self, connection: psycopg.Connection[Any], *, in_bulk: bool) -> None:
        self._connection = connection
        self.in_bulk = in_bulk

    def lock_references(self, key: str, rows: LiteralString, **values: object) -> None:
        """Lock the rows that new rows will reference, as the foreign key checks would.

        Args:
            key: The referenced column, such as ``employer.employer_id``.
            rows: The FROM clause of the new rows, such as ``staged_wage`` or ``wage_change WHERE stored_id IS NULL``.
                It must have a column with the name of the referenced column.
            values: The values of the placeholders in ``rows``.

        Raises:
            ReferencedRowDeleted: A referenced row does not exist.
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
            raise ReferencedRowDeleted(f"a referenced row of {table} was deleted during the job. Run the job again")


@contextmanager
def check_in_bulk(connection: psycopg.Connection[Any]) -> Iterator[ForeignKeys]:
    """Disable the row-by-row checks for the block if the role may; the block must be one transaction."""
    connection.execute("SELECT")  # Begin the transaction here so that SET LOCAL outlives the savepoint.
    try:
        with connection.transaction():
            connection.execute("SET LOCAL session_replication_role = replica")
    except psycopg.errors.InsufficientPrivilege:
        yield ForeignKeys(connection, in_bulk=False)
        return
    yield ForeignKeys(connection, in_bulk=True)
    connection.execute("SET LOCAL session_replication_role = origin")
