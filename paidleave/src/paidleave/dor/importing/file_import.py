"""The import of one received file, from its discovery to its move.

::

    found ── opened ── staged ─┬─ applied ── committed ─┬─ moved
                               └─ known: imported before ┘

found      its row in ``import_log`` is in progress, written on a separate connection
opened     its transaction has begun and its staging tables exist; rejected lines use another transaction, which is
           committed even if the file fails
staged     it was read to its end: accepted lines are in the staging tables, rejected lines in ``dor_rejected_line``
applied    the SQL steps of its kind have written the staged rows
committed  its data is committed together with the digest of its plain text, which identifies the content under any name
moved      it is in ``processed``; after a crash before this, the next run moves the file and does not import it again
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import polars as pl
import psycopg

from nightferry import storage
from nightferry.job import Run, get_logger
from paidleave.db import locks
from paidleave.db.foreign_keys import check_in_bulk
from paidleave.db.import_log import import_log
from paidleave.dor.importing import received
from paidleave.dor.importing.failures import wrap_errors
from paidleave.dor.importing.file_kind import FileKind, Rules
from paidleave.dor.importing.received import ReceivedFile
from paidleave.dor.importing.rejects import Rejects
from paidleave.dor.importing.report import LineCounts
from paidleave.dor.importing.staging import Staging
from paidleave.dor.importing.steps import Steps
from paidleave.dor.settings import ReceivedFilesSettings
from paidleave.file_limits import RejectLimits, count_most, limit_size

log = get_logger(__name__)

# temp_buffers must be set before the first temporary table is used. The timeouts are disabled because they are for the
# API's short statements; the time limit of the task limits an import.
_SESSION = """
    SET temp_buffers = '256MB';
    SET LOCAL work_mem = '256MB';
    SET LOCAL jit = off;
    SET LOCAL statement_timeout = 0;
    SET LOCAL idle_in_transaction_session_timeout = 0
"""


@dataclass(frozen=True)
class ImportContext:
    """The objects that all files of a run share; the connection ``control`` is in autocommit mode.

    ``key_report`` is the state of the key that decrypts the files, for the report of each file.
    """

    settings: ReceivedFilesSettings
    run: Run
    connect: Callable[[], psycopg.Connection[Any]]
    control: psycopg.Connection[Any]
    key_report: Mapping[str, Any]


class FileImport:
    """The import of ``file``, which is of ``kind``; :meth:`run` performs all steps."""

    def __init__(self, file: ReceivedFile, kind: FileKind, context: ImportContext) -> None:
        self._file = file
        self._kind = kind
        self._context = context
        self._settings = context.settings
        self._lines = LineCounts(kind)
        decryption = self._settings.decryption
        self._size_limit = limit_size(
            self._settings.file_size_limit_mb, file.size, decryption.expansion_limit if decryption else None
        )
        self._reject_limits = RejectLimits(
            share=self._settings.rejected_share_limit,
            rejected=self._settings.rejected_line_limit,
            blank=self._settings.blank_line_limit,
            share_setting="REJECTED_SHARE_LIMIT",
            table="dor_rejected_line",
            fix=kind.fix,
        )
        self._rejects: Rejects | None = None
        self._digest = ""
        self._processed_uri = ""

    def run(self) -> None:
        """Import the file and move it to ``processed``; only move it if its content was imported before.

        If the import fails, the report contains the counts of read and rejected lines.
        """
        file, kind = self._file, self._kind
        log.info("importing a file", extra={"file": file.name})
        with import_log(
            self._context.connect, source=kind.source, import_type=kind.import_type, run=self._context.run
        ) as entry:
            entry.report |= {field: file.name if is_file_type else "" for field, is_file_type in kind.report.items()}
            entry.report |= self._context.key_report
            with wrap_errors(f"{file.name} was not imported and remains in place"):
                try:
                    entry.report |= self._import(entry.id)
                except BaseException:
                    entry.report |= self._lines.build_report()
                    if self._rejects and self._rejects.dropped:
                        entry.report["rejected_lines_not_stored_count"] = self._rejects.dropped
                    raise
            if not self._settings.retain_received_files:
                with wrap_errors(f"{file.name} was imported, but cannot be moved; the next run will only move it"):
                    storage.move(file.uri, self._processed_uri)
        log.info("file imported", extra={"file": file.name} | entry.report)

    def _import(self, import_log_id: int) -> dict[str, int]:
        """Import the file in one transaction and return the counts for the report."""
        rules = self._kind.rules(self._context.control, self._file)
        key = self._settings.decryption.key if self._settings.decryption else None
        self._rejects = Rejects(self._context.connect, self._file, import_log_id, key)
        with (
            self._rejects as rejects,
            self._context.connect() as connection,
            self._open_transaction(connection, import_log_id, rules) as steps,
        ):
            self._stage(connection, rules, rejects)
            if self._was_imported(connection):
                return self._skip(connection, rejects)
            self._check_rejects(most_lines=self._lines.lines)
            rejects.keep()
            counts = self._lines.build_report() | rules.apply(steps, self._lines.staged)
            self._record_import(connection, import_log_id)
        return counts

    @contextmanager
    def _open_transaction(
        self, connection: psycopg.Connection[Any], import_log_id: int, rules: Rules
    ) -> Iterator[Steps]:
        """Begin the transaction, create the staging tables and yield the steps."""
        connection.execute(_SESSION)
        locks.DOR_FILE.acquire_in_transaction(connection)
        with check_in_bulk(connection) as keys:
            keys.lock_references(
                "import_log.import_log_id", "(SELECT %(id)s::integer AS import_log_id) AS log", id=import_log_id
            )
            steps = Steps(connection, import_log_id, keys)
            for table in rules.staging:
                steps.run(table)
            yield steps

    def _stage(self, connection: psycopg.Connection[Any], rules: Rules, rejects: Rejects) -> None:
        """Read the file to its end and store its lines in the staging tables or as rejected lines.

        The limits are checked before the lines of a batch are stored.
        """
        with (
            received.open_plain_text(self._file, self._size_limit, self._settings.decryption) as plain,
            Staging(connection) as staging,
            self._context.run.progress(f"read {self._file.name}", None, "lines") as progress,
        ):
            for batch in self._kind.read(plain):
                screened = rules.screen(batch)
                self._lines.add(batch, screened)
                rejected = pl.concat([batch.rejects, screened.rejects]).sort("line_number")
                rejects.add(rejected, batch.select_originals(rejected))
                self._check_rejects(self._count_most_lines())
                for table, frame in screened.staged.items():
                    staging.copy(table, frame)
                progress.advance(batch.lines)
            self._lines.add_marks(plain)
            self._digest = plain.hexdigest()

    def _was_imported(self, connection: psycopg.Connection[Any]) -> bool:
        found = connection.execute("SELECT FROM dor_imported_file WHERE digest = %s", [self._digest])
        return found.fetchone() is not None

    def _skip(self, connection: psycopg.Connection[Any], rejects: Rejects) -> dict[str, int]:
        """Roll back the staged rows of content that was imported before, so that the file is only moved."""
        rejects.discard()
        self._processed_uri = received.find_processed_uri(connection, self._file, self._digest)
        connection.rollback()
        log.info("the file was imported before", extra={"file": self._file.name})
        return {"already_imported_count": 1}

    def _count_most_lines(self) -> int:
        """Return the maximum number of lines of the file, judged by its size or its limit if it is encrypted."""
        size = self._size_limit.size if self._settings.decryption else self._file.size
        return count_most(self._lines.lines, self._lines.size, size, self._file.layout.shortest_line_bytes)

    def _check_rejects(self, most_lines: int) -> None:
        self._reject_limits.check(self._lines.lines, self._lines.rejected, self._lines.blank, most_lines)

    def _record_import(self, connection: psycopg.Connection[Any], import_log_id: int) -> None:
        """Record the import of this content in the same transaction, and determine where the file is moved."""
        connection.execute(
            "INSERT INTO dor_imported_file (digest, name, kind, import_log_id, line_count) VALUES (%s, %s, %s, %s, %s)",
            [self._digest, self._file.name, self._file.layout.name, import_log_id, self._lines.lines],
        )
        self._processed_uri = received.find_processed_uri(connection, self._file, self._digest)
