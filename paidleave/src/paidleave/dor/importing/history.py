"""The imports of files in the table ``dor_imported_file``, which decide whether and how a file is imported.

A file is identified by its kind and the digest of its content. It has one row for each import, and one for each replay
of its rejected lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg.rows import class_row

from paidleave.dor.importing.received import ReceivedFile


@dataclass(frozen=True)
class Import:
    """An import of a file.

    ``time`` is that in its name. ``has_open_rejects`` is True if lines that it rejected are still missing.
    """

    import_log_id: int
    name: str
    digest: str
    imported_at: datetime
    time: datetime | None
    run_id: str | None
    object_version: str | None
    has_open_rejects: bool

    def __str__(self) -> str:
        run = f"run {self.run_id}" if self.run_id else f"the run with import_log_id {self.import_log_id}"
        return f"imported on {self.imported_at.date()} by {run}"


_IMPORTS: LiteralString = """
    SELECT file.import_log_id, name, digest, imported_at, file_time AS time, run_id, object_version, EXISTS (
        SELECT FROM dor_rejected_line AS line
        WHERE line.import_log_id = file.import_log_id AND line.superseded_by IS NULL
    ) AS has_open_rejects
    FROM dor_imported_file AS file
    WHERE replayed_import_log_id IS NULL AND
"""


def find_last_import(connection: psycopg.Connection[Any], kind: str, digest: str) -> Import | None:
    """Return the last import of the content, or None if it was not imported."""
    found = _select(connection, "kind = %s AND digest = %s ORDER BY import_log_id DESC LIMIT 1", kind, digest)
    return found[0] if found else None


def find_newest(connection: psycopg.Connection[Any], kind: str) -> Import | None:
    """Return the import of the file of ``kind`` with the latest time in its name, or None if no name has a time."""
    found = _select(connection, "kind = %s AND file_time IS NOT NULL ORDER BY file_time DESC LIMIT 1", kind)
    return found[0] if found else None


def list_imports(connection: psycopg.Connection[Any], kind: str, name: str) -> list[Import]:
    """Return the imports of files with this name, in their order, which is that of their numbers."""
    return _select(connection, "(kind, name) = (%s, %s) ORDER BY import_log_id", kind, name)


def _select(connection: psycopg.Connection[Any], condition: LiteralString, *values: str) -> list[Import]:
    with connection.cursor(row_factory=class_row(Import)) as cursor:
        return cursor.execute(_IMPORTS + condition, values).fetchall()


def record_import(
    connection: psycopg.Connection[Any],
    file: ReceivedFile,
    digest: str,
    *,
    import_log_id: int,
    run_id: str,
    lines: int,
    replayed: int | None = None,
) -> None:
    """Record an import of ``file``, or of lines that the import ``replayed`` rejected, in its own transaction."""
    connection.execute(
        "INSERT INTO dor_imported_file (kind, digest, import_log_id, name, line_count, file_time, run_id,"
        " object_version, replayed_import_log_id) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            *(file.layout.name, digest, import_log_id, file.name, lines, file.time, run_id),
            *(None if replayed else file.arrival, replayed),
        ],
    )
