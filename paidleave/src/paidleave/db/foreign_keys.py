"""Bulk checks of foreign keys, for roles that have the required permission.

PostgreSQL checks a foreign key with one query per inserted row, which takes longer than the rest of an import. A role
may disable these queries if it can set ``session_replication_role`` (a superuser, ``rds_superuser`` on Amazon RDS, or
a role with the SET privilege on it). The job then locks the referenced rows with ``FOR KEY SHARE``, the lock that the
queries would take, and counts them. No referenced row can be deleted between the check and the commit.

The same setting disables the database's own triggers and rules. If a written table has any, or a foreign key that the
jobs do not check, PostgreSQL checks row by row.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from nightferry import JobFailed, get_logger
from paidleave.db.statements import Statements

WRITTEN_TABLES = (
    *("address", "employee", "employee_occupation", "employee_push_to_fineos_queue", "employer"),
    *("employer_push_to_fineos_queue", "employer_quarterly_contribution", "link_employer_address"),
    *("organization_unit", "tax_identifier", "wages_and_contributions", "wages_and_contributions_history"),
    *("dor_imported_file", "dor_rejected_line", "processed_object"),
)
"""The tables that bulk jobs write."""

# The columns with references that the jobs lock, create themselves, or never write (ctr_address_pair_id). Lookup rows
# are never deleted.
_CHECKED_COLUMNS = (
    *("address_id", "employee_id", "employer_id", "organization_unit_id", "tax_identifier_id"),
    *("wage_and_contribution_id", "latest_import_log_id", "import_log_id", "ctr_address_pair_id"),
)
_SQL = Statements("paidleave.db")
_log = get_logger(__name__)


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
    """Disable the row-by-row checks for the block if the role and the tables allow it.

    The block must be one transaction.
    """
    # This also begins the transaction, so that SET LOCAL outlives the savepoint.
    own = _SQL.run(connection, "checks_of_own", tables=list(WRITTEN_TABLES), checked=list(_CHECKED_COLUMNS)).fetchall()
    if own:
        _log.info("foreign keys are checked row by row, because the database has checks of its own: %s", _list(own))
        yield ForeignKeys(connection, in_bulk=False)
        return
    try:
        with connection.transaction():
            connection.execute("SET LOCAL session_replication_role = replica")
    except psycopg.errors.InsufficientPrivilege:
        yield ForeignKeys(connection, in_bulk=False)
        return
    yield ForeignKeys(connection, in_bulk=True)
    connection.execute("SET LOCAL session_replication_role = origin")


def _list(rows: list[tuple[str]]) -> str:
    return ", ".join(name for (name,) in rows)
