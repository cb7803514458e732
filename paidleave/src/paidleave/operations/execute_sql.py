"""``execute-sql``: run read-only SQL, and log the results as tables or write them to the bucket.

The statements are split and run one at a time (:mod:`paidleave.operations.query`). A file appears under its name only
when it is complete. The first statement that fails ends the run with exit code 1; files written before it remain.

Personal data never reaches a terminal or a log, because the statements run as a user who cannot read it: the database
refuses any expression with a column that may contain such data. With ``ALLOW_PERSONAL_DATA`` the statements run as a
user who reads everything, and results go only to the bucket. Settings cannot change the two users.

A run has at most 100 statements. Its tables have at most 200,000 characters, and a file has at most EXPORT_LIMIT_MB.
"""

from __future__ import annotations

import io
import logging
from datetime import UTC, datetime
from secrets import token_hex

from rich.box import Box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nightferry import JobFailed, Run, background_task, storage
from paidleave.operations import sql_text
from paidleave.operations.exports import WRITERS
from paidleave.operations.query import QueryResult, run_query
from paidleave.operations.settings import ExecuteSqlSettings

# With a line on both sides of a cell, redaction does not take the numbers of different cells for one number.
_LINES = Box("\n".join(["    ", "│ ││", "├─┼┤", "│ ││", "    ", "    ", "│ ││", "    "]))
_CELL_WIDTH = 60  # characters
_COLUMN_LIMIT = 100
_OUTPUT_LIMIT = 200_000  # characters of all tables of a run
_SQL_LIMIT_BYTES = 1 << 20
_STATEMENT_LIMIT = 100
_log = logging.getLogger(__name__)


class NoStatement(JobFailed):
    """SQL, or the object in SQL_FILE, contains no statement or cannot be parsed."""


class TooManyStatements(JobFailed):
    """SQL, or the object in SQL_FILE, contains more statements than a run may have."""


@background_task("execute-sql", ExecuteSqlSettings)
def main(settings: ExecuteSqlSettings, run: Run) -> None:
    """Run read-only SQL; show the results as tables, or write them to the bucket."""
    stem = _build_stem(settings, datetime.now(UTC))
    statements = _read_statements(settings)
    is_shown = settings.destination == "terminal"
    space = _OUTPUT_LIMIT
    for number, statement in enumerate(statements, start=1):
        with run_query(settings, statement, number, max_rows=settings.row_limit + 1 if is_shown else None) as result:
            if is_shown:
                space -= _show(result, number, settings.row_limit, space)
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
    if len(statements) > _STATEMENT_LIMIT:
        raise TooManyStatements(
            f"{source} contains {len(statements)} statements; the limit of a run is {_STATEMENT_LIMIT}. Nothing was "
            "run. Split them into several runs."
        )
    return statements


def _read_text(settings: ExecuteSqlSettings) -> str:
    if not settings.sql_file:
        return settings.sql  # limited by the size of a process's environment
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


def _show(result: QueryResult, number: int, row_limit: int, space: int) -> int:
    """Log the result as a table of at most ``space`` characters, and return the number of its characters."""
    shown = min(len(result.columns), _COLUMN_LIMIT)
    header = [_format_cell(column.name) for column in result.columns[:shown]]
    widths = [len(cell) for cell in header]
    rows: list[list[Text]] = []
    notices = []
    for row in (row for batch in result.batches for row in batch):
        if len(rows) == row_limit:
            notices.append(f"Only the first {row_limit} rows are shown (ROW_LIMIT).")
            break
        cells = [_format_cell(value) for value in row[:shown]]
        widths = [max(width, len(cell)) for width, cell in zip(widths, cells, strict=True)]
        if (sum(widths) + 3 * shown + 2) * (len(rows) + 3) > space:
            notices.append(
                f"Only the first {len(rows)} rows are shown: the tables of a run have at most {_OUTPUT_LIMIT} "
                "characters. Write to the bucket with DESTINATION=bucket."
            )
            break
        rows.append(cells)
    if shown < len(result.columns):
        notices.append(f"Only the first {shown} of {len(result.columns)} columns are shown.")
    table = _format_table(header, rows)
    count = f"{len(rows)} {'row' if len(rows) == 1 else 'rows'}"
    _log.info("result %d: %s\n%s", number, count, "\n".join([table, *notices]))
    return len(table)


def _format_table(header: list[Text], rows: list[list[Text]]) -> str:
    table = Table(box=_LINES)
    for cell in header:
        table.add_column(cell)
    for row in rows:
        table.add_row(*row)
    text = io.StringIO()
    Console(file=text, width=10_000, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines() if line.strip())


def _format_cell(value: str | None) -> Text:
    if value is None:
        return Text("NULL")
    start = value[: _CELL_WIDTH + 1]
    plain = "".join(character if character.isprintable() else "·" for character in start)
    return Text(plain if len(plain) <= _CELL_WIDTH else f"{plain[: _CELL_WIDTH - 1]}…")
