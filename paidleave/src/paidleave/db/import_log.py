"""Records in the table ``import_log``: in progress, then success or error with a report.

A record belongs to one run of a job, or to one file that the run imports. It is written on its own connection, so that
it does not depend on the job's transactions. This connection holds a lock while the record is in progress. If the lock
of such a record is free, its process has died, and the next record of the same source and type closes it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import Connection

from nightferry import Run, describe_error, redact_value
from paidleave.db import locks

_log = logging.getLogger(__name__)


class ImportLogEntry:
    """One record. ``report`` holds counts and no personal data."""

    def __init__(self, connect: Callable[[], Connection[Any]], connection: Connection[Any], entry_id: int) -> None:
        self.id = entry_id
        self.report: dict[str, Any] = {}
        self._connect = connect
        self._connection = connection

    def save(self) -> None:
        """Write the current report; the record remains in progress."""
        self._write(
            'UPDATE import_log SET report = %s, updated_at = now() WHERE import_log_id = %s AND "end" IS NULL',
            self._report_json(),
        )

    def close(self, status: str, end: datetime) -> None:
        """Write the report, the final status and the end time."""
        self._write(
            'UPDATE import_log SET report = %s, status = %s, "end" = %s, updated_at = now() WHERE import_log_id = %s',
            self._report_json(),
            status,
            end,
        )

    def disconnect(self) -> None:
        """Close the connection, which releases the lock."""
        self._connection.close()

    def _report_json(self) -> str:
        return json.dumps(redact_value(self.report), ensure_ascii=False)

    def _write(self, statement: str, *values: Any) -> None:
        try:
            self._connection.execute(statement, (*values, self.id))
        except psycopg.OperationalError:  # The connection may have been closed during a job of several hours.
            self._connection.close()
            self._connection = self._connect()
            self._connection.autocommit = True
            self._connection.execute(statement, (*values, self.id))


@contextmanager
def import_log(
    connect: Callable[[], Connection[Any]], *, source: str, import_type: str, run: Run
) -> Iterator[ImportLogEntry]:
    """Record the block with this ``source`` and ``import_type``.

    The record is committed immediately with the status "in progress". At the end, the status is "success", or "error"
    with the field ``message`` in the report, and the event ``EtlReport`` is sent. An exception of the block is raised
    again.
    """
    start = datetime.now(UTC)
    connection = connect()
    entry: ImportLogEntry | None = None
    try:
        connection.autocommit = True
        _close_abandoned(connection, source, import_type)
        row = connection.execute(
            "INSERT INTO import_log (source, import_type, status, report, start)"
            " VALUES (%s, %s, 'in progress', '{}', %s) RETURNING import_log_id, pg_advisory_lock(%s, import_log_id)",
            (source, import_type, start, locks.IMPORT_LOG.number),
        ).fetchone()
        assert row is not None
        entry = ImportLogEntry(connect, connection, row[0])
        status = "success"
        try:
            yield entry
        except BaseException as error:
            status = "error"
            entry.report["message"] = describe_error(error, short=True)
            raise
        finally:
            end = datetime.now(UTC)
            with _prefer_block_error(status):
                entry.close(status, end)
            event = {
                "job.id": entry.id,
                "job.data_source": source,
                "job.job_type": import_type,
                "job.status": status,
                "job.start": start.isoformat(),
                "job.end": end.isoformat(),
                "task.durationMillis": round((end - start).total_seconds() * 1000),
            }
            run.send_events("EtlReport", [event | entry.report])
    finally:
        connection.close()
        if entry is not None:
            entry.disconnect()


@contextmanager
def _prefer_block_error(status: str) -> Iterator[None]:
    """Log an error of the block if the job has already failed; otherwise raise it as the error of the job."""
    try:
        yield
    except Exception as error:
        if status == "success":
            raise
        _log.warning("cannot close the import log record: %s", describe_error(error))


def _close_abandoned(connection: Connection[Any], source: str, import_type: str) -> None:
    """Close the records in progress whose process has died."""
    found = connection.execute(
        "SELECT import_log_id, report FROM import_log"
        " WHERE status = 'in progress' AND source = %s AND import_type = %s",
        (source, import_type),
    ).fetchall()
    for entry_id, report in found:
        lock = locks.IMPORT_LOG.lock(entry_id)
        if lock.try_acquire(connection):
            text = json.dumps(_parse_report(report) | {"message": "The process was killed before it wrote a report."})
            connection.execute(
                "UPDATE import_log SET status = 'error', report = %s, \"end\" = now(), updated_at = now()"
                " WHERE import_log_id = %s AND status = 'in progress'",
                (text, entry_id),
            )
            lock.release(connection)
            _log.warning("closed the import log record of a killed process", extra={"import_log_id": entry_id})


def _parse_report(text: str | None) -> dict[str, Any]:
    with suppress(ValueError):
        found = json.loads(text or "{}")
        if isinstance(found, dict):
            return found
    return {}
