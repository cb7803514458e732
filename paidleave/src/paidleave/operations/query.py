"""Runs one read-only statement, as a user who cannot write, in a read-only transaction.

Each statement has its own connection, so that no setting outlives its statement. The statement is sent as the query of
a cursor over the extended protocol, where PostgreSQL accepts exactly one query. No text can therefore end the
transaction or begin another.

All rows are the result of one FETCH, so that the server's time limit, which begins with a command and cannot be changed
during it, applies to all of them. They are received one at a time, so that memory does not grow with the result.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.adapt import Buffer, Loader
from psycopg.postgres import types

from nightferry import JobFailed, get_database_message
from paidleave.db.connection import connect
from paidleave.db.driver_errors import describe_error_kind
from paidleave.operations import sql_text
from paidleave.operations.query_guards import FunctionRefused, check_functions, check_rights
from paidleave.operations.settings import ExecuteSqlSettings
from paidleave.operations.sql_text import Statement

Row = tuple[str | None, ...]
BATCH_ROWS = 2_000
BATCH_BYTES = 8 << 20  # 8 MiB
_CURSOR = "result"
_READ_KEYWORDS = ("SELECT", "WITH", "VALUES", "TABLE", "(")


class StatementFailed(JobFailed):
    """A statement could not run. The message has its number, the place and the cause, and quotes no values of rows."""


@dataclass(frozen=True)
class Column:
    """A column of a result: its name and the name of its PostgreSQL type."""

    name: str
    type: str


@dataclass(frozen=True)
class QueryResult:
    """The columns of a result and its rows in batches. Values are PostgreSQL's text, None for NULL."""

    columns: tuple[Column, ...]
    batches: Iterator[list[Row]]


class _TextLoader(Loader):
    """Returns a value of any type as PostgreSQL's text."""

    def load(self, data: Buffer) -> str:
        return bytes(data).decode()


@contextmanager
def run_query(
    settings: ExecuteSqlSettings, statement: Statement, number: int, *, max_rows: int | None = None
) -> Iterator[QueryResult]:
    """Run a statement and provide its result, with at most ``max_rows`` rows if given.

    Raises StatementFailed, also while the rows are fetched, and the errors of :mod:`.query_guards`.
    """
    if not statement.text.upper().startswith(_READ_KEYWORDS):
        raise StatementFailed(
            f"Statement {number} is not read-only: it must start with SELECT, WITH, VALUES or TABLE. It was not run."
        )
    with (
        closing(connect(settings.select_user_settings())) as connection,
        _translate_errors(settings, statement, number),
    ):
        connection.read_only = True  # makes the transaction read-only from its BEGIN
        connection.execute("SELECT set_config('statement_timeout', %s, true)", [f"{settings.statement_timeout}s"])
        check_rights(connection, schema=settings.db_schema, allow_personal_data=settings.allow_personal_data)
        check_functions(connection, statement.text)
        connection.execute("SET LOCAL cursor_tuple_fraction = 1")  # plan for fetching all rows
        with connection.cursor(_CURSOR) as declared:
            declared.execute(statement.text.encode())
            columns = tuple(Column(column.name, _get_type_name(column)) for column in declared.description or ())
            with closing(_fetch_batches(connection, max_rows, settings.export_limit_mb, number)) as batches:
                yield QueryResult(columns, batches)


def _fetch_batches(
    connection: psycopg.Connection[Any], max_rows: int | None, limit_mb: int, number: int
) -> Generator[list[Row]]:
    rows: list[Row] = []
    size = total = 0
    with connection.cursor() as cursor:
        for known in types:
            cursor.adapters.register_loader(known.oid, _TextLoader)
            cursor.adapters.register_loader(known.array_oid, _TextLoader)
        cursor.adapters.register_loader(0, _TextLoader)
        count = sql.SQL("ALL") if max_rows is None else sql.Literal(max_rows)
        with closing(_stream(cursor, count)) as stream:
            for row in stream:
                rows.append(row)
                size += sum(len(value) + 1 for value in row if value is not None)
                if size + total > limit_mb << 20:
                    raise StatementFailed(
                        f"Statement {number} returns more than {limit_mb} MB (EXPORT_LIMIT_MB). No file of it was "
                        "written. Return fewer rows or columns, or raise the limit."
                    )
                if len(rows) >= BATCH_ROWS or size >= BATCH_BYTES:
                    yield rows
                    rows, size, total = [], 0, total + size
    if rows:
        yield rows


def _stream(cursor: psycopg.Cursor[Any], count: sql.Composable) -> Generator[Row]:
    yield from cursor.stream(sql.SQL("FETCH FORWARD {} FROM {}").format(count, sql.Identifier(_CURSOR)))


def _get_type_name(column: psycopg.Column) -> str:
    known = types.get(column.type_code)
    return known.name if known is not None and column.type_code != known.array_oid else "text"


@contextmanager
def _translate_errors(settings: ExecuteSqlSettings, statement: Statement, number: int) -> Iterator[None]:
    """Raise StatementFailed for the server's errors, with a message that quotes no values of rows."""
    try:
        yield
    except FunctionRefused as refused:
        raise StatementFailed(f"Statement {number} {refused}. It was not run.") from None
    except psycopg.Error as error:
        position = _format_position(statement, error)
        raise StatementFailed(f"Statement {number} failed: {_explain(settings, statement, error)}{position}") from None


def _explain(settings: ExecuteSqlSettings, statement: Statement, error: psycopg.Error) -> str:
    match error:
        case psycopg.errors.QueryCanceled():
            return f"it took longer than {settings.statement_timeout} s (STATEMENT_TIMEOUT)."
        case psycopg.errors.ConfigurationLimitExceeded():
            return (
                "its temporary files exceed the limit of the database user (temp_file_limit). Sort or group fewer rows."
            )
        case psycopg.errors.InsufficientPrivilege() if not settings.allow_personal_data:
            return (
                f"{_redact_message(statement, error)}. It uses a column or table that may contain personal data. "
                "Use others (paidleave/docs/operations.md lists them), or write to the bucket with "
                "ALLOW_PERSONAL_DATA=true."
            )
        case psycopg.errors.ReadOnlySqlTransaction():
            return f"{_redact_message(statement, error)}; execute-sql only reads."
        case psycopg.OperationalError() if error.sqlstate is None:
            return "the connection to the database was lost. Start the task again."
    return f"{_redact_message(statement, error)}."


def _redact_message(statement: Statement, error: psycopg.Error) -> str:
    """Return the server's message if it can quote only the statement, otherwise the kind of the error.

    The literals of a statement may be personal data too. A quoted part of a message is retained only if it occurs in
    the statement outside of literals.
    """
    words = get_database_message(error)
    if words is None:
        return describe_error_kind(error)
    known = sql_text.mask_literals(statement.text)
    return re.sub(r'"([^"]*)"', lambda quoted: quoted[0] if quoted[1] and quoted[1] in known else '"…"', words)


def _format_position(statement: Statement, error: psycopg.Error) -> str:
    position = error.diag.statement_position
    if position is None:
        return ""
    offset = int(position) - 1 - len(f'DECLARE "{_CURSOR}" CURSOR FOR ')
    return f"\nAt {sql_text.format_position(statement.source, statement.start + max(0, offset))}"
