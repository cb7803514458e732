"""The import of one received file, from its discovery to its move.

::

    found ─┬─ opened ── staged ─┬─ applied ── committed ─┬─ moved
           └─ older: refused    └─ known: imported before ┘

found      its row in ``import_log`` is in progress, written on a separate connection
older      the time in its name is earlier than that of an imported file of its kind, so it would overwrite newer
           values; it remains in place
opened     its transaction has begun and its staging tables exist; rejected lines use another transaction, which is
           committed even if the file fails
staged     it was read to its end: accepted lines are in the staging tables, rejected lines in ``dor_rejected_line``
applied    the SQL steps of its kind have written the staged rows
committed  its data is committed together with its kind and the digest of its plain text, which identify the content
           under any name
known      this content was imported before, and none of its lines is missing; see :meth:`FileImport._must_repeat`
moved      it is in ``processed``; after a crash before this, the next run moves the file and does not import it again.
           Only the version that was read is moved; one that has replaced it remains for the next run
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import psycopg

from nightferry import JobFailed, NightferryError, ReasonCount, describe_error, get_logger
from paidleave.db.import_log import import_log
from paidleave.dor.importing import history, received
from paidleave.dor.importing.failures import wrap_errors
from paidleave.dor.importing.file_kind import FileKind, Rules
from paidleave.dor.importing.received import ReceivedFile
from paidleave.dor.importing.rejects import Rejects
from paidleave.dor.importing.report import LineCounts
from paidleave.dor.importing.staging import Staging
from paidleave.dor.importing.transaction import ImportContext, open_transaction
from paidleave.file_limits import RejectLimits, SizeLimit, count_most, limit_size

log = get_logger(__name__)


class OlderFile(JobFailed):
    """The file is older than an imported file of its kind, and was not imported.

    Import it with ``REIMPORT`` to keep the newer values, or with ``ALLOW_OLDER_FILES`` to overwrite them, or move it
    out of the folder.
    """


class FileImport:
    """The import of ``file``, which is of ``kind``; :meth:`run` performs all steps."""

    def __init__(self, file: ReceivedFile, kind: FileKind, context: ImportContext) -> None:
        self._file = file
        self._kind = kind
        self._context = context
        self._settings = context.settings
        self._lines = LineCounts(kind)
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
        self._version = ""
        self._processed_uri = ""
        self._import_log_id: int | None = None

    def run(self) -> None:
        """Import the file and move it to ``processed``; only move it if its content was imported before.

        If the import fails, the report contains the counts of read and rejected lines. In every case the run reports
        the outcome of each line.
        """
        try:
            report = self._run()
        except Exception as error:
            self._report_failure(error)
            raise
        self._report_outcomes(report)

    def _run(self) -> dict[str, Any]:
        """Import and move the file, and return the report."""
        file, kind, settings = self._file, self._kind, self._settings
        log.info("importing a file", extra={"file": file.name})
        with import_log(
            self._context.connect, source=kind.source, import_type=kind.import_type, run=self._context.run
        ) as entry:
            self._import_log_id = entry.id
            entry.report |= {field: file.name if is_file_type else "" for field, is_file_type in kind.report.items()}
            entry.report |= self._context.key_report
            with wrap_errors(self._consequence):
                self._file = received.await_complete(file, 0 if settings.decryption else settings.quiet_seconds)
            if kind.in_order and not self._is_forced:
                entry.report |= self._check_order()
            with wrap_errors(self._consequence):
                try:
                    entry.report |= self._import(entry.id)
                except BaseException:
                    entry.report |= self._lines.build_report()
                    if self._rejects and self._rejects.dropped:
                        entry.report["rejected_lines_not_stored_count"] = self._rejects.dropped
                    raise
            if not settings.retain_received_files:
                with wrap_errors(f"{file.name} was imported, but cannot be moved; the next run will only move it"):
                    received.move_to_processed(file, self._processed_uri, self._version)
        log.info("file imported", extra={"file": file.name} | entry.report)
        return entry.report

    def _report_outcomes(self, report: Mapping[str, Any]) -> None:
        lines = self._lines
        if report.get("already_imported_count"):
            self._report({"already_imported": lines.lines}, note=str(report["message"]))
        else:
            note = "imported again" if report.get("reimported_files_count") else str(report.get("note", ""))
            self._report(lines.count_outcomes(report), reasons=lines.reasons, note=note)

    def _report_failure(self, error: Exception) -> None:
        lines = self._lines
        counts = {"rejected": lines.rejected, "not_imported": lines.lines - lines.rejected}
        note = str(error) if isinstance(error, NightferryError) else describe_error(error, short=True)
        self._report(counts, reasons=lines.reasons, failed=True, note=note)

    def _report(
        self, counts: Mapping[str, int], *, note: str, reasons: Sequence[ReasonCount] = (), failed: bool = False
    ) -> None:
        self._context.run.report(
            self._kind.name,
            self._file.name,
            counts,
            total=self._lines.lines,
            reasons=reasons,
            failed=failed,
            note=note,
            limit=self._settings.rejected_share_limit,
            reference=self._import_log_id,
        )

    def _check_order(self) -> dict[str, str]:
        """Raise OlderFile if a newer file was imported and this content was not; return a note for the report."""
        file = self._file
        if file.time is None:
            log.warning("the name of %s contains no valid time, so its order is not checked", file.name)
            return {"note": "the name contains no valid time, so the order was not checked"}
        newest = history.find_newest(self._context.control, file.layout.name)
        if newest is None or newest.time is None or newest.time <= file.time:
            return {}
        with wrap_errors(self._consequence):
            digest = received.compute_plain_digest(file, self._size_limit, self._settings.decryption)
        if history.find_last_import(self._context.control, file.layout.name, digest) is None:
            raise OlderFile(
                f"{self._consequence}: it is older than {newest.name}, which was {newest}. Start the job with "
                f"REIMPORT={file.name} to import it without changing the values of newer files, or with "
                "ALLOW_OLDER_FILES=true to overwrite them; otherwise move it out of the folder."
            )
        return {}

    @property
    def _size_limit(self) -> SizeLimit:
        decryption = self._settings.decryption
        ratio = decryption.expansion_limit if decryption else None
        return limit_size(self._settings.file_size_limit_mb, self._file.size, ratio)

    @property
    def _consequence(self) -> str:
        return f"{self._file.name} was not imported and remains in place"

    @property
    def _is_forced(self) -> bool:
        return self._settings.reimport == self._file.name

    def _import(self, import_log_id: int) -> dict[str, int | str]:
        """Import the file in one transaction and return the counts for the report."""
        rules = self._kind.rules(self._context.control, self._file)
        key = self._settings.decryption.key if self._settings.decryption else None
        self._rejects = Rejects(self._context.connect, self._file, import_log_id, key)
        with (
            self._rejects as rejects,
            self._context.connect() as connection,
            open_transaction(connection, import_log_id, rules) as steps,
        ):
            self._stage(connection, rules, rejects)
            earlier = history.find_last_import(connection, self._file.layout.name, self._digest)
            if earlier and not self._must_repeat(earlier):
                return self._skip(connection, rejects, earlier)
            self._check_rejects(most_lines=self._lines.lines)
            if earlier or self._is_forced:
                steps.set_repeat(kind=self._file.layout.name, digest=self._digest, file_time=self._file.time)
            rejects.keep()
            counts = self._lines.build_report() | rules.apply(steps, self._lines.staged)
            if earlier:
                steps.run("repeats/92_supersede_lines")
                counts["reimported_files_count"] = 1
            self._record_import(connection, import_log_id)
        return dict(counts)

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
            self._digest, self._version = plain.hexdigest(), plain.version

    def _must_repeat(self, earlier: history.Import) -> bool:
        """Return True if content that was imported before is imported again.

        The operator requests it, or the content was received again after lines were rejected that may be accepted now.
        A file that a crash or RETAIN_RECEIVED_FILES left in place was not received again.
        """
        if self._is_forced:
            return True
        is_same_object = earlier.name == self._file.name and earlier.object_version == self._file.arrival
        return self._kind.retries_rejects and earlier.has_open_rejects and not is_same_object

    def _skip(
        self, connection: psycopg.Connection[Any], rejects: Rejects, earlier: history.Import
    ) -> dict[str, int | str]:
        """Roll back the staged rows of content that was imported before, so that the file is only moved."""
        rejects.discard()
        self._processed_uri = received.find_processed_uri(connection, self._file, self._digest)
        connection.rollback()
        log.info("the file was already %s", str(earlier), extra={"file": self._file.name})
        return {"already_imported_count": 1, "message": f"already {earlier}"}

    def _count_most_lines(self) -> int:
        """Return the maximum number of lines of the file, judged by its size or its limit if it is encrypted."""
        size = self._size_limit.size if self._settings.decryption else self._file.size
        return count_most(self._lines.lines, self._lines.size, size, self._file.layout.shortest_line_bytes)

    def _check_rejects(self, most_lines: int) -> None:
        self._reject_limits.check(self._lines.lines, self._lines.rejected, self._lines.blank, most_lines)

    def _record_import(self, connection: psycopg.Connection[Any], import_log_id: int) -> None:
        """Record the import of this content in the same transaction, and determine where the file is moved."""
        history.record_import(
            connection,
            self._file,
            self._digest,
            import_log_id=import_log_id,
            run_id=self._context.run.id,
            lines=self._lines.lines,
        )
        self._processed_uri = received.find_processed_uri(connection, self._file, self._digest)
