"""``execute-sql``: statements that read; their results into the bucket, or as tables among the log lines.

The statements are split, each runs on its own (:mod:`paidleave.operations.reading`), and a file appears under its name
only when it is whole. The first statement that fails ends the run with exit code 1; files written before it stay.

Personal data never gets onto a terminal or into a log, because the user that the statements run as cannot read it: the
database refuses a column that may hold such data in whatever expression it stands. With ``ALLOW_PERSONAL_DATA`` the
statements run as a user who reads everything, and results go to the bucket only.
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

from nightferry import storage
from nightferry.job import JobFailed, Run, background_task
from paidleave.operations import sql_text
from paidleave.operations.exports import WRITERS
from paidleave.operations.reading import Result, Row, reading
from paidleave.operations.settings import ExecuteSqlSettings

_CELL = 60  # characters
_LONGEST = 1 << 20  # bytes of SQL
_log = logging.getLogger(__name__)


class NoStatement(JobFailed):
    """There is no SQL to run. Give statements as SQL or in the object that SQL_FILE names."""


@background_task("execute-sql", ExecuteSqlSettings)
def main(settings: ExecuteSqlSettings, run: Run) -> None:
    """Run statements that read; show results as tables, or write them into the bucket."""
    stem = _stem(settings, datetime.now(UTC))
    statements = _statements(settings)
    for number, statement in enumerate(statements, start=1):
        with reading(settings, statement, number) as result:
            if settings.destination == "terminal":
                _show(result, number, settings.row_limit)
            else:
                suffix = f"-{number}" if len(statements) > 1 else ""
                _export(result, f"{stem}{suffix}.{settings.export_format}", settings.export_format, run)


def _statements(settings: ExecuteSqlSettings) -> list[sql_text.Statement]:
    source = settings.sql_file or "SQL"
    try:
        statements = sql_text.split(_text(settings))
    except sql_text.NotSql:
        raise NoStatement(f"{source} ends within a string, a comment or a quoted name. Nothing was run.") from None
    except UnicodeDecodeError:
        raise NoStatement(f"{source} is no text in UTF-8. Nothing was run.") from None
    if not statements:
        raise NoStatement(f"{source} holds no statement.")
    return statements


def _text(settings: ExecuteSqlSettings) -> str:
    if not settings.sql_file:
        return settings.sql
    with storage.open_read(settings.sql_file) as file:
        data = file.read(_LONGEST + 1)
    if len(data) > _LONGEST:
        raise NoStatement(f"{settings.sql_file} is longer than {_LONGEST} bytes. Nothing was run.")
    return data.decode()


def _stem(settings: ExecuteSqlSettings, started: datetime) -> str:
    """What the locations of this run's files begin with: no other run has had it, so that nothing is written over."""
    if settings.destination == "terminal":
        return ""
    name = f"{settings.export_name}-{started:%Y-%m-%dt%H-%M-%Sz}-{token_hex(3)}"
    return storage.join(settings.export_folder, *([f"{started:%Y-%m-%d}"] if settings.dated else []), name)


def _export(result: Result, uri: str, format: str, run: Run) -> None:
    with run.progress("writing rows", unit="rows") as progress, storage.open_write(uri) as stream:
        for written in WRITERS[format](result, stream):
            progress.advance(written)
    _log.info("written: %s", uri, extra={"event": "exported", "uri": uri, "row_count": progress.count})


def _show(result: Result, number: int, limit: int) -> None:
    rows: list[Row] = []
    for portion in result.portions:
        rows += portion
        if len(rows) > limit:
            break
    shown = rows[:limit]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in result.columns:
        table.add_column(Text(column.name))
    for row in shown:
        table.add_row(*(_cell(value) for value in row))
    text = io.StringIO()
    Console(file=text, width=10_000, color_system=None).print(table)
    lines = [line.rstrip() for line in text.getvalue().splitlines() if line.strip()]
    more = f"\nThere are more rows: only {limit} are shown (ROW_LIMIT)." if len(rows) > limit else ""
    _log.info(
        "result %d: %d %s\n%s%s", number, len(shown), "row" if len(shown) == 1 else "rows", "\n".join(lines), more
    )


def _cell(value: str | None) -> Text:
    if value is None:
        return Text("NULL")
    plain = "".join(character if character.isprintable() else "·" for character in value)
    return Text(plain if len(plain) <= _CELL else f"{plain[: _CELL - 1]}…")
