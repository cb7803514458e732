"""``execute-sql``: run read-only SQL, and log the results as tables or write them to the bucket.

The statements are split and run one at a time (:mod:`paidleave.operations.query`). A file appears under its name only
when it is complete. The first statement that fails ends the run with exit code 1; files written before it remain.

Personal data never reaches a terminal or a log, because the statements run as a user who cannot read it: the database
refuses any expression with a column that may contain such data. With ``ALLOW_PERSONAL_DATA`` the statements run as a
user who reads everything, and results go only to the bucket.
"""

from __future__ import annotations

import io
import logging
from datetime import UTC, datetime
from secrets import token_hex

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nightferry import JobFailed, Run, background_task, storage
from paidleave.operations import sql_text
from paidleave.operations.exports import WRITERS
from paidleave.operations.query import QueryResult, Row, run_query
from paidleave.operations.settings import ExecuteSqlSettings

_CELL_WIDTH = 60  # characters
_SQL_LIMIT_BYTES = 1 << 20
_log = logging.getLogger(__name__)


class NoStatement(JobFailed):
    """SQL, or the object in SQL_FILE, contains no statement or cannot be parsed."""


@background_task("execute-sql", ExecuteSqlSettings)
def main(settings: ExecuteSqlSettings, run: Run) -> None:
    """Run read-only SQL; show the results as tables, or write them to the bucket."""
    stem = _build_stem(settings, datetime.now(UTC))
    statements = _read_statements(settings)
    for number, statement in enumerate(statements, start=1):
        with run_query(settings, statement, number) as result:
            if settings.destination == "terminal":
                _show(result, number, settings.row_limit)
            else:
                uri = stem + _format_number(settings, number, len(statements)) + f".{settings.export_format}"
                _export(result, uri, settings.export_format, run)


def _read_statements(settings: ExecuteSqlSettings) -> list[sql_text.Statement]:
    source = settings.sql_file or "SQL"
    try:
        statements = sql_text.split(_read_text(settings))
    except sql_text.IncompleteSql:
        raise NoStatement(f"{source} ends within a string, a comment or a quoted name. Nothing was run.") from None
    except UnicodeDecodeError:
        raise NoStatement(f"{source} is not UTF-8 text. Nothing was run.") from None
    if not statements:
        raise NoStatement(f"{source} contains no statement.")
    return statements


def _read_text(settings: ExecuteSqlSettings) -> str:
    if not settings.sql_file:
        return settings.sql
    with storage.open_read(settings.sql_file) as file:
        data = file.read(_SQL_LIMIT_BYTES + 1)
    if len(data) > _SQL_LIMIT_BYTES:
        raise NoStatement(f"{settings.sql_file} is longer than {_SQL_LIMIT_BYTES} bytes. Nothing was run.")
    return data.decode()


def _build_stem(settings: ExecuteSqlSettings, started: datetime) -> str:
    """Return the prefix of this run's file locations. Without FIXED_NAMES it is unique: no run replaces a file."""
    if settings.destination == "terminal":
        return ""
    unique = f"-{started:%Y-%m-%dt%H-%M-%Sz}-{token_hex(3)}"
    name = settings.export_name if settings.fixed_names else settings.export_name + unique
    return storage.join(settings.export_folder, *([f"{started:%Y-%m-%d}"] if settings.dated else []), name)


def _format_number(settings: ExecuteSqlSettings, number: int, statements: int) -> str:
    if settings.fixed_names:
        return str(number)
    return f"-{number}" if statements > 1 else ""


def _export(result: QueryResult, uri: str, format: str, run: Run) -> None:
    with run.progress("writing rows", unit="rows") as progress, storage.open_write(uri) as stream:
        for written in WRITERS[format](result, stream):
            progress.advance(written)
    _log.info("written: %s", uri, extra={"event": "exported", "uri": uri, "row_count": progress.count})


def _show(result: QueryResult, number: int, limit: int) -> None:
    rows: list[Row] = []
    for batch in result.batches:
        rows += batch
        if len(rows) > limit:
            break
    shown = rows[:limit]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in result.columns:
        table.add_column(Text(column.name))
    for row in shown:
        table.add_row(*(_format_cell(value) for value in row))
    text = io.StringIO()
    Console(file=text, width=10_000, color_system=None).print(table)
    lines = [line.rstrip() for line in text.getvalue().splitlines() if line.strip()]
    more = f"\nOnly the first {limit} rows are shown (ROW_LIMIT)." if len(rows) > limit else ""
    _log.info(
        "result %d: %d %s\n%s%s", number, len(shown), "row" if len(shown) == 1 else "rows", "\n".join(lines), more
    )


def _format_cell(value: str | None) -> Text:
    if value is None:
        return Text("NULL")
    plain = "".join(character if character.isprintable() else "·" for character in value)
    return Text(plain if len(plain) <= _CELL_WIDTH else f"{plain[: _CELL_WIDTH - 1]}…")
