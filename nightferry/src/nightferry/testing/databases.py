"""Databases that live as long as a test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg import sql

from nightferry.local.services.postgres import Postgres

_numbers = itertools.count(1)
_MOST_DELETED_ROWS = 2000  # with more dead rows than this, a new copy is faster than the old database

# The changes that a statement can make besides rows: each catalog's number of rows and last transaction. Temporary
# schemas remain when a session ends, and autovacuum changes rows in place.
_SCHEMA: LiteralString = " UNION ALL ".join(
    f"SELECT '{catalog}', count(*), max(xmin::text::bigint) FROM {catalog} {condition}"
    for catalog, condition in {
        **dict.fromkeys(
            ("pg_attribute", "pg_attrdef", "pg_class", "pg_constraint", "pg_default_acl", "pg_description", "pg_index"),
            "",
        ),
        **dict.fromkeys(("pg_extension", "pg_policy", "pg_proc", "pg_rewrite", "pg_trigger", "pg_type"), ""),
        "pg_namespace": "WHERE nspname !~ '^pg_(toast_)?temp_'",
        "pg_db_role_setting": "",
    }.items()
)
_TABLES = """
SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1
"""
_SEQUENCES = """
SELECT format('%I.%I', schemaname, sequencename), coalesce(last_value, start_value), last_value IS NOT NULL
FROM pg_sequences
"""
_PRIVILEGES = "SELECT datacl::text FROM pg_database WHERE datname = current_database()"
_END_SESSIONS = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


@contextmanager
def new_database(server: Postgres, template: str = "template0") -> Iterator[str]:
    """Create a database as a copy of ``template``; drop it at the end."""
    name = _create(server, template)
    try:
        yield server.conninfo(name)
    finally:
        _drop(server, name)


class DatabasePool:
    """Copies of a template for one test after another.

    A copy whose schema, settings and initial rows a test did not change is emptied and lent again, which takes a tenth
    of the time of a new copy. Any other copy is dropped.
    """

    def __init__(self, server: Postgres, template: str) -> None:
        self._server = server
        self._template = template
        self._free: list[str] = []
        with psycopg.connect(server.conninfo(template), autocommit=True) as connection:
            self._tables = [name for (name,) in connection.execute(_TABLES)]
            self._original = _read_state(connection, self._tables)
        self._filled = {table for table, (count, _) in self._original.rows.items() if count}

    @contextmanager
    def lend(self) -> Iterator[str]:
        """Return the connection string of a copy that has the template's rows only."""
        name = self._free.pop() if self._free else _create(self._server, self._template)
        try:
            yield self._server.conninfo(name)
        finally:
            if self._restore(name):
                self._free.append(name)
            else:
                _drop(self._server, name)

    def _restore(self, name: str) -> bool:
        """Delete the rows that a test added; return False if that is not enough."""
        try:
            with psycopg.connect(self._server.conninfo(name), autocommit=True) as connection:
                connection.execute(_END_SESSIONS)
                connection.execute("SET session_replication_role = replica")  # no foreign keys and no triggers
                state = _read_state(connection, self._tables)
                changed = {table for table, rows in state.rows.items() if rows != self._original.rows[table]}
                if state.schema != self._original.schema or changed & self._filled:
                    return False
                deleted = sum(connection.execute(b"DELETE FROM " + table.encode()).rowcount for table in changed)
                for sequence, value in state.sequences.items():
                    if value != (original := self._original.sequences[sequence]):
                        connection.execute("SELECT setval(%s::regclass, %s, %s)", (sequence, *original))
                return deleted <= _MOST_DELETED_ROWS
        except psycopg.Error:
            return False


class _State(NamedTuple):
    """A database's schema and privileges, the number and hash of each table's rows, and the sequences' values."""

    schema: list[tuple[Any, ...]]
    rows: dict[str, tuple[int, Any]]
    sequences: dict[str, tuple[int, bool]]


def _read_state(connection: psycopg.Connection[Any], tables: list[str]) -> _State:
    rows = " UNION ALL ".join(
        f"SELECT '{table}', count(*), sum(hashtextextended(t::text, 0)) FROM {table} AS t" for table in tables
    )
    return _State(
        connection.execute(_SCHEMA).fetchall() + connection.execute(_PRIVILEGES).fetchall(),
        {name: (count, digest) for name, count, digest in connection.execute(rows.encode())} if tables else {},
        {name: (value, called) for name, value, called in connection.execute(_SEQUENCES)},
    )


def _create(server: Postgres, template: str) -> str:
    name = f"test_{next(_numbers)}"
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8'")
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
    return name


def _drop(server: Postgres, name: str) -> None:
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
