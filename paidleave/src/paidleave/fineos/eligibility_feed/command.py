"""``fineos-eligibility-feed-export``: employees' data for FINEOS, one file per employer.

::

    full      all employers               ─┐
    list      the employers given          ├→ pairs → one ordered pass (COPY) → parts → threads → files
    updates   claim the queue's employees ─┘          in one snapshot                              └→ settle the queue

The pass is a single statement whose rows come ready for the file; memory doesn't grow with the number of employers
nor with an employer's size. Files are written side by side and become visible whole. Updates mode makes a pass for
each batch of files and settles the queue after it. An employer whose file cannot be written is counted, and its rows
stay queued; the run ends with exit code 1 when too many failed, or all.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any
from uuid import UUID, uuid4

import psycopg

from nightferry import storage
from nightferry.job import JobFailed, Progress, Run, background_task
from paidleave.db.claims import Claims
from paidleave.db.connection import connect, make_connector
from paidleave.db.import_log import import_log
from paidleave.db.statements import Statements
from paidleave.fineos.eligibility_feed.delivery import Delivered, Delivery, WriteFile
from paidleave.fineos.eligibility_feed.employer_numbers import Unnumbered, look_up
from paidleave.fineos.eligibility_feed.feed_format import bundle, file_name, folder
from paidleave.fineos.eligibility_feed.queue import EmployeeQueue
from paidleave.fineos.eligibility_feed.report import Report
from paidleave.fineos.eligibility_feed.rows import parts
from paidleave.fineos.eligibility_feed.stamp import Stamp, reserve
from paidleave.fineos.settings import EligibilityFeedSettings

_SQL = Statements("paidleave.fineos.eligibility_feed")

THREADS = 8
BATCH_FILES = 1000
"""Files of updates mode between two looks at the queue; a crash repeats at most so many."""


@background_task("fineos-eligibility-feed-export", EligibilityFeedSettings)
def main(settings: EligibilityFeedSettings, run: Run) -> None:
    """Export the eligibility feed in the mode that ``ELIGIBILITY_FEED_MODE`` says."""
    mode = settings.eligibility_feed_mode
    with import_log(make_connector(settings), source="Eligibility export", import_type=mode, run=run) as entry:
        report = Report(entry.report)
        with connect(settings, autocommit=True) as connection:
            Export(connection, settings, run, report, writer(settings)).start()
        report.judge(settings.eligibility_feed_failed_share_limit)


@dataclass(frozen=True)
class Export:
    """One run: ``connection`` is in autocommit mode, ``write`` writes a file as a whole."""

    connection: psycopg.Connection
    settings: EligibilityFeedSettings
    run: Run
    report: Report
    write: WriteFile

    def start(self) -> None:
        """Export in the mode that the settings say."""
        _MODES[self.settings.eligibility_feed_mode](self)

    def full(self) -> None:
        """A file for every employer that FINEOS knows, with all its employees, spread over the bundles."""
        self._selected(None, "pairs_full", self.settings.bundle_count)

    def listed(self) -> None:
        """A file for each of the listed employers, with all its employees. An unknown id writes nothing at all."""
        ids = self.settings.employer_ids
        if unknown := _SQL.run(self.connection, "unknown_employers", employer_ids=ids).fetchall():
            raise JobFailed(
                f"ELIGIBILITY_FEED_LIST_OF_EMPLOYER_IDS names {len(unknown)} of {len(ids)} ids that are no employers: "
                f"{', '.join(str(row[0]) for row in unknown[:10])}. Nothing was written; correct the list."
            )
        self._selected(ids, "pairs_list", bundles=1)

    def updates(self) -> None:
        """Files with the employees in the queue, each settled in the queue once it is written."""
        settings, report = self.settings, self.report
        lease = timedelta(seconds=settings.eligibility_feed_lease_seconds)
        mine = Claims("employee_push_to_fineos_queue", f"{self.run.id}/{uuid4().hex[:8]}", lease)
        queue = EmployeeQueue(self.connection, mine)
        try:
            waiting = queue.take(settings.eligibility_feed_export_employee_limit)
            report.add(
                employees_pending_count=waiting.pending,
                employees_held_by_other_export_count=waiting.held_by_other_export,
                employees_without_name_count=waiting.without_name,
                employees_without_employer_count=waiting.without_employer,
            )
            unnumbered = self._pages("plan_unknown_employers", {})
            for failure in look_up(self.connection, settings, unnumbered):
                queue.failed(failure)
                report.add(employers_error_count=1)
            planned = queue.plan()
            unknown = planned.employers - planned.files - report["employers_error_count"]
            report.add(
                employers_total_count=planned.employers,
                employers_skipped_count=unknown,
                employers_unknown_to_fineos_count=unknown,
            )
            self._batches(queue, planned.files)
        finally:
            queue.release()

    def _selected(self, employer_ids: list[UUID] | None, pairs: str, bundles: int) -> None:
        """One pass over the pairs of the statement ``pairs``: full and list mode."""
        report, selected = self.report, {"employer_ids": employer_ids}
        failures = look_up(self.connection, self.settings, self._pages("employers_without_number", selected))
        errors = sum(1 for _ in failures)
        stamp = reserve(self.connection, self.run.stop_requested.wait)
        with _snapshot(self.connection):
            _SQL.run(self.connection, pairs, **(selected if employer_ids else {}))
            employers, known, unknown = _row(self.connection, "count_employers", selected)
            (nameless,) = _row(self.connection, "count_nameless", selected)
            with self.run.progress("eligibility files", known, "employers") as progress:
                self._pass(
                    stamp, lambda index: bundle(index, known, bundles), lambda file: self._counted(file, progress)
                )
        written = report["employers_success_count"] + report["employers_error_count"]
        report.add(
            employers_total_count=employers,
            employers_error_count=errors,
            employers_skipped_count=employers - written - errors,
            employers_unknown_to_fineos_count=unknown - errors,
            employees_without_name_count=nameless,
        )

    def _batches(self, queue: EmployeeQueue, files: int) -> None:
        """Passes over the planned files 1 to ``files`` until all are written, or as many as the limit allows."""
        limit = self.settings.eligibility_feed_export_file_number_limit or files
        renewed, next_file = time.monotonic(), 1
        with self.run.progress("eligibility files", min(limit, files), "employers") as progress:
            while next_file <= files and (left := limit - self.report["employers_success_count"]) > 0:
                last = min(files, next_file + min(BATCH_FILES, left) - 1)
                stamp = reserve(self.connection, self.run.stop_requested.wait)
                with _snapshot(self.connection):
                    queue.open_batch(next_file, last)
                    delivered: list[Delivered] = []
                    self._pass(stamp, lambda _: 1, delivered.append)
                queue.settle(delivered)
                for file in delivered:
                    self._counted(file, progress)
                next_file = last + 1
                if time.monotonic() - renewed > self.settings.eligibility_feed_lease_seconds / 3:
                    queue.renew()
                    renewed = time.monotonic()

    def _pass(self, stamp: Stamp, bundle_of: Callable[[int], int], done: Callable[[Delivered], object]) -> None:
        """Write a file for each employer of ``eligibility_feed_pair`` and call ``done`` with what became of it.

        ``bundle_of`` tells the bundle of the employer with that index in the order of the pass, from 0.
        """
        output, index = self.settings.output_directory_path, -1
        on_disk = not output.startswith("s3://")
        folder_uri = cache(lambda number: storage.join(output, *folder(number)))
        with (
            Delivery(self.write, THREADS, done, at_once=on_disk) as delivery,
            self.connection.cursor() as cursor,
            cursor.copy(_SQL.text("rows")) as copy,
        ):
            stamp.wait(self.run.stop_requested.wait)
            for part in parts(copy):
                index += part.first
                name = file_name(stamp.second, part.fineos_employer_id)
                delivery.put(part, f"{folder_uri(bundle_of(index))}/{name}")
        if on_disk:
            os.sync()  # once for all files, before the queue forgets what they hold

    def _counted(self, file: Delivered, progress: Progress) -> None:
        self.report.delivered(file)
        progress.advance(1)

    def _pages(self, name: str, parameters: dict[str, Any]) -> Iterator[Unnumbered]:
        """The employers that the statement ``name`` finds after the last one found, page by page."""
        last: UUID | None = None
        while rows := _SQL.run(self.connection, name, **parameters, after=last).fetchall():
            yield from (Unnumbered(*row) for row in rows)
            last = rows[-1][0]


_MODES = {"full": Export.full, "updates": Export.updates, "list": Export.listed}


@contextmanager
def _snapshot(connection: psycopg.Connection) -> Iterator[None]:
    """A transaction that sees the database as it is at its beginning, whatever others commit meanwhile."""
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    try:
        with connection.transaction():
            _SQL.run(connection, "pass_settings")
            yield
    finally:
        if not connection.closed:
            connection.isolation_level = None


def _row(connection: psycopg.Connection, name: str, parameters: dict[str, Any]) -> tuple[int, ...]:
    row: tuple[int, ...] | None = _SQL.run(connection, name, **parameters).fetchone()
    assert row is not None  # an aggregate has one row
    return row


def writer(settings: EligibilityFeedSettings) -> WriteFile:
    """Writes a file through the storage, at s3:// locations in the vendor's role where one is set."""
    place = storage.session(
        role_arn=settings.fineos_aws_iam_role_arn, external_id=settings.fineos_aws_iam_role_external_id
    )

    def write(uri: str, chunks: Iterable[bytes]) -> None:
        with place.open_write(uri, durable=False) as file:
            file.writelines(chunks)

    return write
