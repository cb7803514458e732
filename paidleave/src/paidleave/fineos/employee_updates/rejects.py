"""Permanent storage of a file's rejected rows, which replaces those of failed attempts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from nightferry.storage import StoredObject
from paidleave.db.connection import Connect
from paidleave.db.free_space import free_space
from paidleave.db.import_log import ImportLogEntry
from paidleave.file_limits import KEPT_REJECTS, LimitExceeded
from paidleave.fineos.employee_updates.update_file import MalformedFile

SOURCE = "FINEOS Employee Update"
TABLE = "fineos_rejected_row"
_ROWS_PER_FETCH = 10_000


@contextmanager
def retain_rejects(
    connect: Connect, connection: psycopg.Connection[Any], file: StoredObject, entry: ImportLogEntry
) -> Iterator[None]:
    """Store the rejected rows of ``connection`` in a separate transaction if the block fails because of the file.

    Of a file that exceeds a limit, only the first rows are stored, and the report has the number of the others.
    """
    try:
        yield
    except (MalformedFile, LimitExceeded) as error:
        most = KEPT_REJECTS if isinstance(error, LimitExceeded) else None
        (found,) = connection.execute("SELECT count(*) FROM rejected").fetchone() or (0,)
        if most is not None and found > most:
            entry.report["rejected_rows_not_stored_count"] = found - most
        with connect() as other:
            replaced = store_rejects(connection, other, file, entry.id, most)
            other.commit()
            connection.rollback()  # An open transaction would retain the deleted rows.
            free_space(other, TABLE, replaced)
        raise


def store_rejects(
    source: psycopg.Connection[Any],
    target: psycopg.Connection[Any],
    file: StoredObject,
    import_log_id: int,
    most: int | None = None,
) -> int:
    """Store the first ``most`` rejected rows in the transaction of ``target``.

    Return the number of rows of failed attempts that they replace. The rows of an imported file have the time of its
    transaction, which is also the time of its row in ``processed_object``.
    """
    replaced = target.execute(
        """
        DELETE FROM fineos_rejected_row AS rejected
        WHERE file_name = %s AND import_log_id <> %s AND NOT EXISTS (
            SELECT FROM processed_object
            WHERE source = %s AND uri = %s AND processed_at = rejected.created_at
        )
        """,
        [file.name, import_log_id, SOURCE, file.uri],
    ).rowcount
    with source.cursor(name="rejected_rows", withhold=False) as found, target.cursor() as cursor:
        found.itersize = _ROWS_PER_FETCH
        found.execute("SELECT line_number, field, reason FROM rejected ORDER BY line_number LIMIT %s", [most])
        while rows := found.fetchmany(_ROWS_PER_FETCH):
            statement = "COPY fineos_rejected_row (import_log_id, file_name, line_number, field, reason) FROM STDIN"
            with cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row((import_log_id, file.name, *row))
    return replaced
