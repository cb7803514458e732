"""The table privileges of each database user.

``db-admin-create-db-users`` grants these privileges. ``db-migrate-up`` renews them at its end, so that users can access
new tables immediately. All privileges are revoked before they are granted, in one transaction, so that a user has no
others afterwards. The privileges of the API's role are never revoked, because the API manages them.

The background tasks may:

- read and change the tables of :mod:`paidleave.db.schema`, and no others
- delete queue entries, leases and their own records, but no employers, people or wages
- create temporary tables and use the sequence of the import log
- disable the row-by-row checks of foreign keys for a bulk check, if the server allows this grant

``SELECT … FOR KEY SHARE`` requires the UPDATE privilege on a column. For lookup tables, this column is the key, which
foreign keys protect.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from paidleave.db import locks, schema
from paidleave.db.impersonal import IMPERSONAL_COLUMNS
from paidleave.db.lookups import LOOKUPS
from paidleave.db.statements import Statements
from paidleave.db.users import APPLICATION_ROLE, IMPERSONAL, JOBS, READ_ONLY, SCANNER, USERS

_LOOKUP_KEYS = {lookup.table: lookup.columns[0] for lookup in LOOKUPS}
_TABLES_WITHOUT_DELETE = frozenset(
    {
        *("employer", "employee", "tax_identifier", "address", "link_employer_address", "organization_unit"),
        *("employee_occupation", "wages_and_contributions", "wages_and_contributions_history"),
        *("employer_quarterly_contribution", "import_log", "dor_imported_file"),
    }
)
# Tables of the API, which an import reads or writes if they exist.
_GRANTS_ON_OTHER_TABLES = {
    "user": "SELECT (user_id, email_address)",
    "link_user_leave_administrator": "SELECT (user_leave_administrator_id, user_id, employer_id)",
    "link_user_leave_administrator_org_unit": "SELECT, INSERT, DELETE",
}
_ALL_ROWS = "SELECT, INSERT, UPDATE, DELETE"
_SQL = Statements("paidleave.db")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Table:
    table: str
    columns: list[str]
    sequences: list[str] | None


@dataclass(frozen=True)
class _Location:
    database: sql.Identifier
    schema: sql.Identifier


def renew(connection: psycopg.Connection[Any]) -> None:
    """Grant the existing users their privileges on the existing tables, in the caller's transaction."""
    locks.USERS.acquire_in_transaction(connection)
    rows = connection.execute(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", [[APPLICATION_ROLE, *(user.name for user in USERS)]]
    )
    existing = {name for (name,) in rows}
    location = _read_location(connection)
    with connection.cursor(row_factory=class_row(_Table)) as cursor:
        tables = _SQL.run(cursor, "owned_tables").fetchall()
    for user in USERS:
        if user.name in existing:
            _execute(connection, _grant_access(user.name, location))
            _execute(connection, _revoke_all(user.name, tables) if user.managed else ())
    for name, rights in (
        (APPLICATION_ROLE, _grant_to_application(tables, location)),
        (JOBS.name, _grant_to_jobs(tables)),
        (READ_ONLY.name, _grant_to_read_only(tables, location)),
        (IMPERSONAL.name, _grant_to_impersonal(tables)),
    ):
        if name in existing:
            _execute(connection, rights)
    if JOBS.name in existing:
        _allow_bulk_checks(connection)
    _revoke_public_create(connection, location)


def _execute(connection: psycopg.Connection[Any], statements: Iterable[sql.Composed]) -> None:
    for statement in statements:
        connection.execute(statement)


def _read_location(connection: psycopg.Connection[Any]) -> _Location:
    found = connection.execute("SELECT current_database(), current_schema()").fetchone()
    assert found is not None
    return _Location(sql.Identifier(found[0]), sql.Identifier(found[1]))


def _grant_access(user: str, location: _Location) -> Iterator[sql.Composed]:
    to = sql.Identifier(user)
    rights = sql.SQL("CONNECT, TEMPORARY" if user == JOBS.name else "CONNECT")
    yield sql.SQL("GRANT {} ON DATABASE {} TO {}").format(rights, location.database, to)
    if user != SCANNER.name:
        yield sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(location.schema, to)


def _revoke_all(user: str, tables: Iterable[_Table]) -> Iterator[sql.Composed]:
    for kind, names in (("TABLE", _list_names(tables)), ("SEQUENCE", _list_sequences(tables))):
        if names:
            yield sql.SQL("REVOKE ALL ON {} {} FROM {}").format(
                sql.SQL(kind), _join_identifiers(names), sql.Identifier(user)
            )


def _grant_to_application(tables: list[_Table], location: _Location) -> Iterator[sql.Composed]:
    to = sql.Identifier(APPLICATION_ROLE)
    if tables:
        yield sql.SQL("GRANT {} ON TABLE {} TO {}").format(
            sql.SQL(_ALL_ROWS), _join_identifiers(_list_names(tables)), to
        )
    if sequences := _list_sequences(tables):
        yield sql.SQL("GRANT USAGE, SELECT ON SEQUENCE {} TO {}").format(_join_identifiers(sequences), to)
    yield sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(location.schema, to)
    yield _grant_by_default(f"GRANT {_ALL_ROWS} ON TABLES", location, to)
    yield _grant_by_default("GRANT USAGE, SELECT ON SEQUENCES", location, to)


def _grant_to_jobs(tables: list[_Table]) -> Iterator[sql.Composed]:
    to = sql.Identifier(JOBS.name)
    known = [table for table in tables if table.table in schema.metadata.tables]
    for table in known:
        name = sql.Identifier(table.table)
        if key := _LOOKUP_KEYS.get(table.table):
            yield sql.SQL("GRANT SELECT, UPDATE ({}) ON {} TO {}").format(sql.Identifier(key), name, to)
        else:
            rights = _ALL_ROWS.removesuffix(", DELETE") if table.table in _TABLES_WITHOUT_DELETE else _ALL_ROWS
            yield sql.SQL("GRANT {} ON {} TO {}").format(sql.SQL(rights), name, to)
    for table in tables:
        if other := _GRANTS_ON_OTHER_TABLES.get(table.table):
            yield sql.SQL("GRANT {} ON {} TO {}").format(sql.SQL(other), sql.Identifier(table.table), to)
    if sequences := _list_sequences(known):
        yield sql.SQL("GRANT USAGE ON SEQUENCE {} TO {}").format(_join_identifiers(sequences), to)


def _grant_to_read_only(tables: list[_Table], location: _Location) -> Iterator[sql.Composed]:
    to = sql.Identifier(READ_ONLY.name)
    if tables:
        yield sql.SQL("GRANT SELECT ON TABLE {} TO {}").format(_join_identifiers(_list_names(tables)), to)
    yield _grant_by_default("GRANT SELECT ON TABLES", location, to)


def _grant_to_impersonal(tables: list[_Table]) -> Iterator[sql.Composed]:
    to = sql.Identifier(IMPERSONAL.name)
    for table in tables:
        shown = [column for column in IMPERSONAL_COLUMNS.get(table.table, ()) if column in table.columns]
        if shown:
            yield sql.SQL("GRANT SELECT ({}) ON {} TO {}").format(
                _join_identifiers(shown), sql.Identifier(table.table), to
            )


def _allow_bulk_checks(connection: psycopg.Connection[Any]) -> None:
    if connection.info.server_version < 150000:  # PostgreSQL 15 introduced privileges on parameters.
        return
    try:
        with connection.transaction():
            connection.execute(
                sql.SQL("GRANT SET ON PARAMETER session_replication_role TO {}").format(sql.Identifier(JOBS.name))
            )
    except psycopg.errors.InsufficientPrivilege:
        _log.warning(
            "%s cannot set session_replication_role because the current user cannot grant it; imports check foreign "
            "keys row by row, which is correct but slower",
            JOBS.name,
        )


def _revoke_public_create(connection: psycopg.Connection[Any], location: _Location) -> None:
    """Revoke the privilege to create tables in the schema, which PostgreSQL before 15 grants to every user."""
    try:
        with connection.transaction():
            connection.execute(sql.SQL("REVOKE CREATE ON SCHEMA {} FROM PUBLIC").format(location.schema))
    except psycopg.errors.InsufficientPrivilege:
        _log.warning(
            "every user may be able to create tables in the schema: only the owner of the schema can revoke this"
        )


def _grant_by_default(grant: str, location: _Location, to: sql.Identifier) -> sql.Composed:
    """Return the grant of privileges on objects that the current user, the owner of the tables, will create."""
    return sql.SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA {} {} TO {}").format(location.schema, sql.SQL(grant), to)


def _list_names(tables: Iterable[_Table]) -> list[str]:
    return [table.table for table in tables]


def _list_sequences(tables: Iterable[_Table]) -> list[str]:
    return [sequence for table in tables for sequence in table.sequences or ()]


def _join_identifiers(names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in names)
