"""``fineos-eligibility-feed-export``: export employees' data to FINEOS, one file per employer.

::

    full      all employers               ─┐
    list      the listed employers         ├→ pairs → one ordered pass (COPY) → parts → threads → files
    updates   claim the queue's employees ─┘          in one snapshot                              └→ update the queue

The pass is a single statement that returns rows in the format of the file. Memory usage depends neither on the number
of employers nor on their size. Files are written concurrently and become visible only when complete. Updates mode
makes one pass per batch of files and then updates the queue. An employer whose file cannot be written is counted, and
its rows remain queued. The job exits with code 1 if all employers or too many of them failed.
"""

from __future__ import annotations

import gc
import os
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any
from uuid import UUID, uuid4

import psycopg

from nightferry import JobFailed, Progress, Run, background_task, describe_error, storage
from paidleave.db.claims import Claims
from paidleave.db.connection import connect, make_connector
from paidleave.db.driver_errors import explain_database_errors
from paidleave.db.import_log import import_log
from paidleave.db.statements import Statements
from paidleave.fineos.eligibility_feed.delivery import DeliveredFile, Delivery, WriteFile
from paidleave.fineos.eligibility_feed.employer_numbers import UnnumberedEmployer, resolve_numbers
from paidleave.fineos.eligibility_feed.feed_format import format_file_name, get_bundle_folder, select_bundle
from paidleave.fineos.eligibility_feed.queue import EmployeeQueue
from paidleave.fineos.eligibility_feed.report import Report
from paidleave.fineos.eligibility_feed.rows import add_empty_files, split_parts
from paidleave.fineos.eligibility_feed.timestamp import FileTimestamp, reserve_second
from paidleave.fineos.settings import EligibilityFeedSettings

_SQL = Statements("paidleave.fineos.eligibility_feed")

WRITER_THREADS = 8
BATCH_FILES = 1000
"""Files per batch of updates mode. After a crash, at most this many files are written again."""


@background_task("fineos-eligibility-feed-export", EligibilityFeedSettings)
@explain_database_errors
def main(settings: EligibilityFeedSettings, run: Run) -> None:
    """Export the eligibility feed in the mode ``ELIGIBILITY_FEED_MODE``."""
    mode = settings.eligibility_feed_mode
    with import_log(make_connector(settings), source="Eligibility export", import_type=mode, run=run) as entry:
        report = Report(entry.report)
        # The requests to S3 create so many objects that the collector would often examine those of all modules again.
        gc.freeze()
        try:
            with connect(settings, autocommit=True) as connection:
                Export(connection, settings, run, report, build_writer(settings)).start()
            report.check_failed_share(settings.eligibility_feed_failed_share_limit)
        except Exception as error:
            _report_outcomes(report, settings, run, error)
            raise
        _report_outcomes(report, settings, run)


def _report_outcomes(
    report: Report, settings: EligibilityFeedSettings, run: Run, failure: Exception | None = None
) -> None:
    counts = report.count_outcomes()
    run.report(
        "fineos-eligibility-feed",
        f"eligibility feed ({settings.eligibility_feed_mode})",
        counts,
        total=sum(counts.values()),
        failed=failure is not None,
        note="" if failure is None else describe_error(failure, short=True),
        limit=settings.eligibility_feed_failed_share_limit,
    )


@dataclass(frozen=True)
class Export:
    """One run of the export. ``connection`` is in autocommit mode, ``write`` writes a complete file."""

    connection: psycopg.Connection
    settings: EligibilityFeedSettings
    run: Run
    report: Report
    write: WriteFile

    def start(self) -> None:
        """Export in the mode of the settings."""
        _MODES[self.settings.eligibility_feed_mode](self)

    def export_full(self) -> None:
        """Write a file for every employer at FINEOS with all its employees, distributed to the bundles.

        An employer without employees gets a file without rows. The distribution counts all employers, those that
        FINEOS does not have at the end.
        """
        self._export_selection(None, "pairs_full", self.settings.bundle_count)

    def export_list(self) -> None:
        """Write a file for each listed employer with all its employees.

        Raises:
            JobFailed: The list contains unknown IDs. No file is written.
        """
        ids = self.settings.employer_ids
        if unknown := _SQL.run(self.connection, "unknown_employers", employer_ids=ids).fetchall():
            raise JobFailed(
                f"{len(unknown)} of {len(ids)} IDs in ELIGIBILITY_FEED_LIST_OF_EMPLOYER_IDS are unknown: "
                f"{', '.join(str(row[0]) for row in unknown[:10])}. No file was written. Correct the list."
            )
        self._export_selection(ids, "pairs_list", bundles=1)

    def export_updates(self) -> None:
        """Write files with the employees in the queue. Remove their rows from the queue after each batch."""
        settings, report = self.settings, self.report
        lease = timedelta(seconds=settings.eligibility_feed_lease_seconds)
        claims = Claims("employee_push_to_fineos_queue", f"{self.run.id}/{uuid4().hex[:8]}", lease)
        queue = EmployeeQueue(self.connection, claims)
        try:
            waiting = queue.claim(settings.eligibility_feed_export_employee_limit)
            report.add(
                employees_pending_count=waiting.pending,
                employees_held_by_other_export_count=waiting.held_by_other_export,
                employees_without_name_count=waiting.without_name,
                employees_without_employer_count=waiting.without_employer,
            )
            unnumbered = self._find_unnumbered("plan_unknown_employers", {})
            for failure in resolve_numbers(self.connection, settings, unnumbered):
                queue.record_failure(failure)
                report.add(employers_error_count=1)
            planned = queue.plan()
            unknown = planned.employers - planned.files - report["employers_error_count"]
            report.add(
                employers_total_count=planned.employers,
                employers_skipped_count=unknown,
                employers_unknown_to_fineos_count=unknown,
            )
            self._export_batches(queue, planned.files)
        finally:
            queue.release()

    def _export_selection(self, employer_ids: list[UUID] | None, pairs: str, bundles: int) -> None:
        """Write the files of full or list mode in one pass over the pairs of the statement ``pairs``."""
        report, selected = self.report, {"employer_ids": employer_ids}
        failures = resolve_numbers(
            self.connection, self.settings, self._find_unnumbered("employers_without_number", selected)
        )
        errors = sum(1 for _ in failures)
        stamp = reserve_second(self.connection, self.run.stop_requested.wait)
        with _open_snapshot(self.connection), ThreadPoolExecutor(1) as background:
            _SQL.run(self.connection, pairs, **(selected if employer_ids else {}))
            (employers,) = _fetch_row(self.connection, "count_employers", selected)
            numbers = array("q", (row[0] for row in _SQL.run(self.connection, "known_employers", **selected)))
            with self.run.progress("eligibility files", len(numbers), "employers") as progress:
                self._write_files(
                    stamp,
                    lambda index: select_bundle(index, employers, bundles),
                    lambda file: self._count_file(file, progress),
                    numbers,
                )
            flushed = background.submit(self._flush_files)  # waits for the disk, and the count for the database
            (without_name,) = _fetch_row(self.connection, "count_without_name", selected)
            flushed.result()
        written = report["employers_success_count"] + report["employers_error_count"]
        report.add(
            employers_total_count=employers,
            employers_error_count=errors,
            employers_skipped_count=employers - written - errors,
            employers_unknown_to_fineos_count=employers - len(numbers) - errors,
            employees_without_name_count=without_name,
        )

    def _export_batches(self, queue: EmployeeQueue, files: int) -> None:
        """Write the planned files 1 to ``files`` in batches, up to the limit."""
        limit = self.settings.eligibility_feed_export_file_number_limit or files
        renewed, next_file = time.monotonic(), 1
        with self.run.progress("eligibility files", min(limit, files), "employers") as progress:
            while next_file <= files and (left := limit - self.report["employers_success_count"]) > 0:
                last = min(files, next_file + min(BATCH_FILES, left) - 1)
                stamp = reserve_second(self.connection, self.run.stop_requested.wait)
                with _open_snapshot(self.connection):
                    queue.open_batch(next_file, last)
                    delivered: list[DeliveredFile] = []
                    self._write_files(stamp, lambda _: 1, delivered.append)
                self._flush_files()
                queue.settle(delivered)
                for file in delivered:
                    self._count_file(file, progress)
                next_file = last + 1
                if time.monotonic() - renewed > self.settings.eligibility_feed_lease_seconds / 3:
                    queue.renew()
                    renewed = time.monotonic()

    def _write_files(
        self,
        stamp: FileTimestamp,
        get_bundle: Callable[[int], int],
        done: Callable[[DeliveredFile], object],
        numbers: Iterable[int] = (),
    ) -> None:
        """Write a file for each employer in ``eligibility_feed_pair`` and call ``done`` with the result.

        ``get_bundle`` returns the bundle of an employer from its index (from 0) in the order of the pass.
        ``numbers`` are the customer numbers of the employers that get a file even if it has no row, in the same order.
        """
        output, index = self.settings.output_directory_path, -1
        get_folder_uri = cache(lambda number: storage.join(output, *get_bundle_folder(number)))
        with (
            Delivery(self.write, WRITER_THREADS, done, write_inline=self._is_on_disk) as delivery,
            self.connection.cursor() as cursor,
            cursor.copy(_SQL.text("rows")) as copy,
        ):
            stamp.wait(self.run.stop_requested.wait)
            for part in add_empty_files(split_parts(copy), numbers):
                index += part.first
                name = format_file_name(stamp.second, part.fineos_employer_id)
                delivery.put(part, f"{get_folder_uri(get_bundle(index))}/{name}")

    @property
    def _is_on_disk(self) -> bool:
        return not self.settings.output_directory_path.startswith("s3://")

    def _flush_files(self) -> None:
        """Wait until all written files are on the disk, before their rows are removed from the queue."""
        if self._is_on_disk:
            os.sync()

    def _count_file(self, file: DeliveredFile, progress: Progress) -> None:
        self.report.count_file(file)
        progress.advance(1)

    def _find_unnumbered(self, name: str, parameters: dict[str, Any]) -> Iterator[UnnumberedEmployer]:
        """Yield the employers that the statement ``name`` returns, page by page."""
        last: UUID | None = None
        while rows := _SQL.run(self.connection, name, **parameters, after=last).fetchall():
            yield from (UnnumberedEmployer(*row) for row in rows)
            last = rows[-1][0]


_MODES = {"full": Export.export_full, "updates": Export.export_updates, "list": Export.export_list}


@contextmanager
def _open_snapshot(connection: psycopg.Connection) -> Iterator[None]:
    """Run the block in a transaction with a snapshot of the database, unaffected by concurrent commits."""
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    try:
        with connection.transaction():
            _SQL.run(connection, "pass_settings")
            yield
    finally:
        if not connection.closed:
            connection.isolation_level = None


def _fetch_row(connection: psycopg.Connection, name: str, parameters: dict[str, Any]) -> tuple[int, ...]:
    row: tuple[int, ...] | None = _SQL.run(connection, name, **parameters).fetchone()
    assert row is not None  # An aggregate always returns one row.
    return row


def build_writer(settings: EligibilityFeedSettings) -> WriteFile:
    """Return a function that writes a file. It assumes the vendor's role, if set, for s3:// locations."""
    session = storage.session(
        role_arn=settings.fineos_aws_iam_role_arn, external_id=settings.fineos_aws_iam_role_external_id
    )

    open_folder = cache(session.open_folder)

    def write(uri: str, chunks: Iterable[bytes]) -> None:
        folder, _, name = uri.rpartition("/")
        open_folder(folder).write(name, chunks)

    return write
