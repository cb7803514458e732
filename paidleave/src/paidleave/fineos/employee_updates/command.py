"""``fineos-import-employee-updates``: import employees and their occupations from FINEOS.

::

    folder → files not processed yet, in the order of their names → for each, in one transaction:
        CSV → typed batches → COPY into staging → one SQL statement per step (sql/) → processed_object

FINEOS's files are not moved. The transaction that imports a file therefore also records the version of the object. A
file contains the changes since the previous file, so all files are imported in order, and the first failure ends the
run. The outcome of each row is created, updated, unmodified, duplicate or rejected, and the five counts add up to the
number of rows. The table ``fineos_rejected_row`` contains the place and the reason of each rejected row, even if the
file was not imported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg

from nightferry import JobFailed, NightferryError, ReasonCount, Run, background_task, get_logger, storage
from nightferry import describe_error as describe_failure
from nightferry.storage import Storage, StoredObject
from paidleave.db import locks
from paidleave.db.connection import Connect, make_connector
from paidleave.db.driver_errors import describe_error, explain_database_errors
from paidleave.db.foreign_keys import check_in_bulk
from paidleave.db.free_space import free_space
from paidleave.db.import_log import import_log
from paidleave.db.statements import Statements
from paidleave.file_limits import BoundedStream, LimitExceeded, RejectLimits, count_most, limit_size
from paidleave.fineos.employee_updates import update_file
from paidleave.fineos.employee_updates.rejects import SOURCE, TABLE, retain_rejects, store_rejects
from paidleave.fineos.employee_updates.update_file import STAGED, Lookups
from paidleave.fineos.extract_names import select_files
from paidleave.fineos.settings import EmployeeUpdatesSettings
from paidleave.text_stream import TextStream, UnusableText

SUFFIX = "-EmployeeDataLoad_feed.csv"

_LOOKUPS = {
    "title_id": "SELECT title_description, title_id FROM lk_title",
    "gender_id": "SELECT fineos_gender_description, gender_id FROM lk_gender",
    "marital_status_id": "SELECT marital_status_description, marital_status_id FROM lk_marital_status",
    "occupation_id": "SELECT occupation_description, occupation_id FROM lk_occupation",
}
_CLEARED = 0  # the value in staging for FINEOS's marital status "Unknown"

_SQL = Statements("paidleave.fineos.employee_updates")
log = get_logger(__name__)


# Fails if the tables are missing or cannot be changed, even without a new file.
_REQUIRE_TABLES = "SELECT 'processed_object'::regclass FROM import_log WHERE false FOR UPDATE"


@background_task("fineos-import-employee-updates", EmployeeUpdatesSettings)
@explain_database_errors
def main(settings: EmployeeUpdatesSettings, run: Run) -> None:
    """Import the employee updates of FINEOS that were not imported yet."""
    role = settings.fineos_aws_iam_role_arn
    vendor = storage.session(role_arn=role, external_id=settings.fineos_aws_iam_role_external_id)
    job = Import(make_connector(settings), vendor, run, build_limits(settings), settings.quiet_seconds)
    job.import_folder(settings.fineos_folder_path)


@dataclass(frozen=True)
class Limits:
    """The limits of a file: its size in MB and its rejected rows."""

    megabytes: int
    rejects: RejectLimits


def build_limits(settings: EmployeeUpdatesSettings) -> Limits:
    """Return the limits that the settings declare."""
    rejects = RejectLimits(
        share=settings.employee_updates_errored_share_limit,
        rejected=settings.rejected_line_limit,
        blank=settings.blank_line_limit,
        share_setting="EMPLOYEE_UPDATES_ERRORED_SHARE_LIMIT",
        table=TABLE,
        fix="Request a corrected file from FINEOS",
        unit="rows",
    )
    return Limits(settings.file_size_limit_mb, rejects)


@dataclass
class RowCounts:
    """Counts of the rows read from a file, of its skipped marks and of its ignored values."""

    rows: int = 0
    rejected: int = 0
    blank: int = 0
    size: int = 0
    byte_order_marks: int = 0
    end_marks: int = 0
    ignored: dict[str, int] = field(default_factory=dict)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    """The number of rejected rows by field and reason."""


@dataclass(frozen=True)
class Import:
    """The import of all files of a run."""

    connect: Connect
    vendor: Storage
    run: Run
    limits: Limits
    quiet_seconds: float

    def import_folder(self, folder_uri: str) -> None:
        """Import the files in the folder that were not imported yet."""
        with self.connect() as control:
            control.autocommit = True
            control.execute(_REQUIRE_TABLES)
            locks.ORGANIZATION_UNITS.acquire(control)
            found = select_files(self.vendor.list_objects(folder_uri), SUFFIX)
            new = [file for file in found if not _is_processed(control, file)]
            log.info("employee updates found", extra={"files": len(found), "new_files": len(new)})
            for file in sorted(new, key=lambda file: file.name):
                self.import_file(self._await_complete(file))

    def _await_complete(self, file: StoredObject) -> StoredObject:
        """Wait until a file is complete, and return it with its present version."""
        self.vendor.wait_until_quiet(file.uri, self.quiet_seconds)
        found = self.vendor.describe(file.uri)
        if found is None:
            raise JobFailed(f"{file.name} was not imported: it was removed after it was listed. Start the job again.")
        return replace(file, version=found.version, size=found.size, modified=found.modified)

    def import_file(self, file: StoredObject) -> None:
        """Import one file completely or not at all, and report the outcome of each row."""
        read = RowCounts()
        try:
            report, reference = self._import_rows(file, read)
        except Exception as error:
            counts = {"rejected": read.rejected, "not_imported": read.rows - read.rejected}
            note = str(error) if isinstance(error, NightferryError) else describe_failure(error, short=True)
            self._report(file, read, counts, failed=True, note=note)
            raise
        written = {
            name: report[f"{name}_employees_count"] for name in ("created", "updated", "unmodified", "duplicate")
        }
        self._report(file, read, {**written, "rejected": read.rejected}, reference=reference)

    def _report(
        self,
        file: StoredObject,
        read: RowCounts,
        counts: Mapping[str, int],
        *,
        failed: bool = False,
        note: str = "",
        reference: int | None = None,
    ) -> None:
        self.run.report(
            "fineos-employee-updates",
            file.name,
            counts,
            total=read.rows,
            reasons=[ReasonCount(reason, count, column) for (column, reason), count in read.reasons.items()],
            failed=failed,
            note=note,
            limit=self.limits.rejects.share,
            reference=reference,
        )

    def _import_rows(self, file: StoredObject, read: RowCounts) -> tuple[dict[str, Any], int]:
        """Import one file. Return its report and the ID of its import."""
        with import_log(self.connect, source=SOURCE, import_type="", run=self.run) as entry:
            entry.report["file"] = file.name
            with (
                _explain_errors(file.name),
                self.connect() as connection,
                retain_rejects(self.connect, connection, file, entry),
            ):
                _prepare(connection)
                try:
                    self._stage(connection, file, read)
                finally:
                    entry.report |= {
                        "total_employees_received_count": read.rows,
                        "errored_employees_count": read.rejected,
                        "skipped_byte_order_marks_count": read.byte_order_marks,
                        "skipped_end_of_file_marks_count": read.end_marks,
                    }
                counts = _reject_rows(connection, read)
                entry.report |= counts
                rejected = counts["errored_employees_count"]
                self.limits.rejects.check(read.rows, rejected, read.blank, most_lines=read.rows)
                self.limits.rejects.check_number(rejected + counts["errored_employee_occupation_count"])
                entry.report |= _apply(connection)
                entry.report["ignored_values"] = {name: count for name, count in read.ignored.items() if count}
                connection.execute(
                    "INSERT INTO processed_object (source, uri, version) VALUES (%s, %s, %s)",
                    [SOURCE, file.uri, file.version],
                )
                replaced = store_rejects(connection, connection, file, entry.id)
                connection.commit()
                free_space(connection, TABLE, replaced)
        log.info("employee updates imported", extra=dict(entry.report))
        return entry.report, entry.id

    def _stage(self, connection: psycopg.Connection[Any], file: StoredObject, read: RowCounts) -> None:
        """Load the rows into staging and count them. The limits are checked after each batch."""
        lookups = _read_lookups(connection)
        staging = f"COPY staged_update ({', '.join(STAGED)}) FROM STDIN (FORMAT csv)"
        rejecting = "COPY rejected (line_number, field, reason, is_whole) FROM STDIN"
        with (
            self.vendor.open_read(file.uri, version=file.version) as stream,
            self.run.progress("employee updates", None, "rows") as progress,
        ):
            text = TextStream(BoundedStream(stream, limit_size(self.limits.megabytes)))
            for batch in update_file.read_batches(text, lookups):
                with connection.cursor() as cursor:
                    with cursor.copy(staging) as copy:
                        copy.write(batch.staged.write_csv(include_header=False))
                    with cursor.copy(rejecting) as copy:
                        for row in batch.rejected:
                            copy.write_row((*row, True))
                read.rows += batch.rows
                read.rejected += len(batch.rejected)
                read.reasons.update((column or "", reason) for _, column, reason in batch.rejected)
                read.blank += batch.blank
                read.size += batch.size
                most = count_most(read.rows, read.size, file.size, batch.shortest_row)
                self.limits.rejects.check(read.rows, read.rejected, read.blank, most)
                for name, count in batch.ignored.items():
                    read.ignored[name] = read.ignored.get(name, 0) + count
                progress.advance(batch.rows)
            read.byte_order_marks, read.end_marks = text.byte_order_marks, text.end_marks
        connection.execute("ANALYZE staged_update")


def _is_processed(connection: psycopg.Connection[Any], file: StoredObject) -> bool:
    found = connection.execute(
        "SELECT FROM processed_object WHERE source = %s AND uri = %s AND version = %s", [SOURCE, file.uri, file.version]
    )
    return found.fetchone() is not None


def _prepare(connection: psycopg.Connection[Any]) -> None:
    # Memory for temporary tables. The setting cannot change after the first temporary table was created.
    connection.execute("SET temp_buffers = '128MB'")
    connection.execute("SET LOCAL work_mem = '128MB'")
    connection.execute("SET LOCAL jit = off")
    _SQL.run(connection, "10_create_staging")
    _SQL.run(connection, "11_create_rejects")


def _reject_rows(connection: psycopg.Connection[Any], read: RowCounts) -> dict[str, Any]:
    """Match the rows to employees, reject rows without a match, and count the rejected ones by reason."""
    for step in ("20_identify_people", "21_reject_unmatched_rows", "22_record_rows_without_employer"):
        _SQL.run(connection, step)
    whole, part = 0, 0
    reasons: dict[str, int] = {}
    read.reasons.clear()
    for is_whole, column, reason, count in _SQL.run(connection, "23_count_rejects").fetchall():
        if is_whole:
            read.reasons[column or "", reason] = count
        whole += count if is_whole else 0
        part += 0 if is_whole else count
        reasons[f"{column}: {reason}" if column else reason] = count
    read.rejected = whole
    return {
        "errored_employees_count": whole,
        "errored_employee_occupation_count": part,
        "no_ssn_present_count": reasons.get("EMPLOYEENATIONALID: unknown employee without an SSN", 0),
        "emp_id_discrepancies_count": reasons.get("EMPLOYEENATIONALID: SSN of another employee", 0),
        "errors_by_reason": reasons,
    }


def _apply(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """Apply the staged rows. Return the counts of their outcomes."""
    _SQL.run(connection, "30_merge_people")
    connection.execute("ANALYZE person_update")
    _SQL.run(connection, "31_find_changed_people")
    with check_in_bulk(connection) as keys:
        for lookup in ("title", "gender", "marital_status", "occupation"):
            keys.lock_references(f"lk_{lookup}.{lookup}_id", "person_change")
        _SQL.run(connection, "41_update_people")
    _SQL.run(connection, "42_create_tax_identifiers")
    _SQL.run(connection, "43_create_people")
    _SQL.run(connection, "50_create_organization_units")
    _SQL.run(connection, "51_merge_occupations")
    connection.execute("ANALYZE occupation_update")
    _SQL.run(connection, "52_find_changed_occupations")
    with check_in_bulk(connection) as keys:
        # The stored occupation already references its employee and employer. An update changes only the unit.
        keys.lock_references("employee.employee_id", "occupation_change WHERE stored_id IS NULL")
        keys.lock_references("employer.employer_id", "occupation_change WHERE stored_id IS NULL")
        keys.lock_references("organization_unit.organization_unit_id", "occupation_change")
        _SQL.run(connection, "53_update_occupations")
        _SQL.run(connection, "54_create_occupations")
    cursor = _SQL.run(connection, "60_count_rows")
    names = [column.name for column in cursor.description or ()]
    return dict(zip(names, cursor.fetchone() or (), strict=True))


def _read_lookups(connection: psycopg.Connection[Any]) -> Lookups:
    found = {column: dict(connection.execute(query).fetchall()) for column, query in _LOOKUPS.items()}
    found["marital_status_id"].setdefault("Unknown", _CLEARED)
    return found


@contextmanager
def _explain_errors(name: str) -> Iterator[None]:
    """Convert errors of the file and of the database to JobFailed with the file's name."""
    try:
        yield
    except update_file.MalformedFile as error:
        raise JobFailed(f"{name} was not imported: {error}. Request a corrected file from FINEOS.") from None
    except (LimitExceeded, UnusableText) as error:
        raise JobFailed(f"{name} was not imported and remains in place: {error}") from None
    except psycopg.Error as error:
        raise JobFailed(
            f"{name} was not imported: database error: {describe_error(error)}. Start the job again."
        ) from None


if __name__ == "__main__":
    main()
