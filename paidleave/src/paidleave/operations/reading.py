"""One statement that reads, as a user who may only read, in a transaction that may only read.

Each statement has a connection of its own, so that nothing that one of them sets outlives it. It is the query of a
cursor, sent by the extended protocol: PostgreSQL refuses whatever is no query and whatever is more than one, so that no
text can end the transaction or begin another. Rows come in portions: memory does not grow with the result.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.adapt import Buffer, Loader
from psycopg.postgres import types

from nightferry.job import JobFailed
from paidleave.db.connection import connect
from paidleave.db.driver_errors import describe_error_kind
from paidleave.db.impersonal import IMPERSONAL_COLUMNS
from paidleave.db.statements import Statements
from paidleave.operations import sql_text
from paidleave.operations.settings import ExecuteSqlSettings
from paidleave.operations.sql_text import Statement

Row = tuple[str | None, ...]
PORTION = 2_000  # rows
_CURSOR = "result"
_SQL = Statements("paidleave.operations")
_READING = ("SELECT", "WITH", "VALUES", "TABLE", "(")


class ReaderUnfit(JobFailed):
    """execute-sql works only as a user who may not write, and who reads no more than is asked for."""


class StatementFailed(JobFailed):
    """A statement cannot be carried out. The message says which, where in it, and why; it quotes no value."""


@dataclass(frozen=True)
class Column:
    """A column of a result: its name and PostgreSQL's name of its type."""

    name: str
    type: str


@dataclass(frozen=True)
class Result:
    """A result: its columns and its rows, in portions. Values are PostgreSQL's texts, None for NULL."""

    columns: tuple[Column, ...]
    portions: Iterator[list[Row]]


class _Text(Loader):
    """Keeps PostgreSQL's text of a value, whatever its type."""

    def load(self, data: Buffer) -> str:
        return bytes(data).decode()


@contextmanager
def reading(settings: ExecuteSqlSettings, statement: Statement, number: int) -> Iterator[Result]:
    """The result of a statement. Raises StatementFailed, also while its rows are read."""
    if not statement.text.upper().startswith(_READING):
        raise StatementFailed(
            f"Statement {number} is none that reads: it must begin with SELECT, WITH, VALUES or TABLE. It was not run."
        )
    with closing(connect(settings.reader())) as connection, _told(settings, statement, number):
        connection.read_only = True  # the transaction, from its BEGIN on
        _check_reader(connection, settings)
        connection.execute("SELECT set_config('statement_timeout', %s, true)", [f"{settings.statement_timeout}s"])
        connection.execute("SET LOCAL cursor_tuple_fraction = 1")  # all rows will be read
        with connection.cursor(_CURSOR) as cursor:
            for known in types:
                cursor.adapters.register_loader(known.oid, _Text)
                cursor.adapters.register_loader(known.array_oid, _Text)
            cursor.adapters.register_loader(0, _Text)
            cursor.execute(statement.text.encode())
            columns = tuple(Column(column.name, _type(column)) for column in cursor.description or ())
            yield Result(columns, _portions(cursor))


def _portions(cursor: psycopg.ServerCursor[Any]) -> Iterator[list[Row]]:
    while rows := cursor.fetchmany(PORTION):
        yield rows


def _type(column: psycopg.Column) -> str:
    known = types.get(column.type_code)
    return known.name if known is not None and column.type_code != known.array_oid else "text"


def _check_reader(connection: psycopg.Connection[Any], settings: ExecuteSqlSettings) -> None:
    impersonal = [f"{table}.{column}" for table, columns in IMPERSONAL_COLUMNS.items() for column in columns]
    found = _SQL.run(connection, "reader_may_too_much", impersonal=impersonal).fetchone()
    assert found is not None
    may_write, reads_personal_data = found
    user = connection.info.user
    if may_write:
        raise ReaderUnfit(f"Database user {user} may write, and execute-sql only works as one who may not. {_CURE}")
    if reads_personal_data and not settings.allow_personal_data:
        raise ReaderUnfit(
            f"Database user {user} may read personal data, which is only for ALLOW_PERSONAL_DATA with "
            f"DESTINATION=bucket. {_CURE}"
        )


_CURE = "Leave DB_USERNAME and DB_READONLY_USERNAME as they are declared; db-admin-create-db-users makes both users."


@contextmanager
def _told(settings: ExecuteSqlSettings, statement: Statement, number: int) -> Iterator[None]:
    """The server's refusals in words that quote no value."""
    try:
        yield
    except psycopg.Error as error:
        where = _where(statement, error)
        raise StatementFailed(f"Statement {number} failed: {_why(settings, statement, error)}{where}") from None


def _why(settings: ExecuteSqlSettings, statement: Statement, error: psycopg.Error) -> str:
    match error:
        case psycopg.errors.QueryCanceled():
            return f"it took longer than STATEMENT_TIMEOUT, {settings.statement_timeout} s."
        case psycopg.errors.InsufficientPrivilege() if not settings.allow_personal_data:
            return (
                f"{_message(statement, error)}. It uses a column or table that may hold personal data. Use others "
                "(docs/operations.md lists them), or write into the bucket with ALLOW_PERSONAL_DATA=true."
            )
        case psycopg.errors.ReadOnlySqlTransaction():
            return f"{_message(statement, error)}; execute-sql only reads."
        case psycopg.OperationalError() if error.sqlstate is None:
            return "the connection to the database was lost. Start it again."
    return f"{_message(statement, error)}."


def _message(statement: Statement, error: psycopg.Error) -> str:
    """What is wrong, by the kind of the error; in the server's words where those quote the statement only.

    Messages of class 42 (syntax, names, rights) speak of the statement; others quote the data. Even of those, what
    stands in quotes is kept only if it is a name or a sign of the statement, not a literal.
    """
    words = error.diag.message_primary
    if not (error.sqlstate or "").startswith("42") or words is None:
        return describe_error_kind(error)
    known = sql_text.without_literals(statement.text)
    return re.sub(r'"([^"]*)"', lambda quoted: quoted[0] if quoted[1] and quoted[1] in known else '"…"', words)


def _where(statement: Statement, error: psycopg.Error) -> str:
    position = error.diag.statement_position
    if position is None:
        return ""
    offset = int(position) - 1 - len(f'DECLARE "{_CURSOR}" CURSOR FOR ')
    return f"\nAt {sql_text.place(statement.whole, statement.start + max(0, offset))}"
