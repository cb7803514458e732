"""``fineos-import-la-units``: import the organization units that leave administrators manage, and link them.

::

    newest list of administrators → COPY into staging → batch of their employers → concurrent ReadEmployer calls
        → valid units → COPY into staging → one SQL statement per step (sql/) → links of administrators → commit

Only employers with an enabled administrator in FINEOS's list are queried. The units of an employer are imported
completely or not at all. Units that FINEOS no longer has are counted and remain, because occupations refer to them. The
links of each known administrator in the list are then those of the list. The import is idempotent.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg

from nightferry import JobFailed, Progress, Run, background_task, get_logger, storage
from paidleave.db import locks
from paidleave.db.connection import make_connector
from paidleave.db.driver_errors import explain_database_errors
from paidleave.db.import_log import import_log
from paidleave.db.statements import Statements
from paidleave.file_limits import BoundedStream, LimitExceeded, limit_size
from paidleave.fineos.client.client import FineosClient
from paidleave.fineos.client.errors import FineosAuthenticationFailed, FineosError, FineosUnavailable
from paidleave.fineos.client.messages import Organization, OrganizationUnit
from paidleave.fineos.employers.source import NO_EMPLOYER
from paidleave.fineos.extract_names import select_files
from paidleave.fineos.organization_units.administrator_file import SUFFIX, AdministratorRows, MalformedFile
from paidleave.fineos.settings import LaUnitsSettings
from paidleave.text_stream import TextStream, UnusableText

SOURCE = "FINEOS Organization Unit Update"
BATCH_EMPLOYERS = 500
"""Employers per transaction."""

_UNKNOWN_AT_FINEOS = "UnknownAtFineos"

_SQL = Statements("paidleave.fineos.organization_units")
log = get_logger(__name__)


@background_task("fineos-import-la-units", LaUnitsSettings)
@explain_database_errors
def main(settings: LaUnitsSettings, run: Run) -> None:
    """Import the organization units of the employers in the newest list of leave administrators."""
    connect = make_connector(settings)
    with import_log(connect, source=SOURCE, import_type="", run=run) as entry, connect() as connection:
        counts = ImportCounts()
        try:
            connection.autocommit = True
            if _stage_newest_list(settings, connection, counts):
                _import(settings, run, connection, counts)
        finally:
            entry.report |= counts.build_report()
            log.info("organization units imported", extra=counts.build_report())
        failed, total = counts.failed, counts.employers
        if failed > settings.la_units_failed_share_limit * total:
            raise JobFailed(
                f"Import of the units of {failed} of {total} employers failed, more than the allowed share of "
                f"{settings.la_units_failed_share_limit:.0%} (LA_UNITS_FAILED_SHARE_LIMIT). See the import log for "
                "counts by error, and the log lines above for the employers' IDs."
            )


@dataclass(frozen=True, slots=True)
class KnownEmployer:
    """An employer. ``number`` is its customer number at FINEOS, if it is known."""

    employer_id: UUID
    fein: str = field(repr=False)
    number: int | None


Units = tuple[OrganizationUnit, ...]


@dataclass
class ImportCounts:
    """Counts of the outcomes of a run."""

    file: str = ""
    rows: Counter[str] = field(default_factory=Counter)
    """Counts of the list of administrators: its rows, the skipped ones, and the FEINs that are not imported."""
    links: Counter[str] = field(default_factory=Counter)
    employers: int = 0
    units: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def failed(self) -> int:
        """The number of employers whose units could not be imported, without those that FINEOS does not have."""
        return sum(self.errors.values()) - self.errors[_UNKNOWN_AT_FINEOS]

    def build_report(self) -> dict[str, Any]:
        """Return the counts for the report of the import log."""
        kinds = ("created", "renamed", "identified", "unmodified", "vanished")
        row_kinds = (
            *("total_rows_received", "missing_required_fields", "disabled_leave_admins"),
            *("missing_employer", "duplicate_employer"),
        )
        link_kinds = (
            *("created_leave_admin_org_units", "removed_leave_admin_org_units", "missing_leave_admins"),
            *("duplicate_leave_admins", "employer_org_unit_discrepancy"),
        )
        return {
            "organization_unit_file": self.file,
            **{f"{kind}_count": self.rows[kind] for kind in row_kinds},
            **{f"{kind}_count": self.links[kind] for kind in link_kinds},
            "missing_fineos_org_units_count": self.units["none"],
            "total_employers_count": self.employers,
            "errored_employers_count": self.failed,
            "unknown_employers_count": self.errors[_UNKNOWN_AT_FINEOS],
            **{f"{kind}_units_count": self.units[kind] for kind in kinds},
            "errors": {kind: count for kind, count in self.errors.items() if kind != _UNKNOWN_AT_FINEOS},
        }


def _stage_newest_list(settings: LaUnitsSettings, connection: psycopg.Connection[Any], counts: ImportCounts) -> bool:
    """Copy the newest list of administrators into staging. Return False if there is none."""
    role, external_id = settings.fineos_aws_iam_role_arn, settings.fineos_aws_iam_role_external_id
    vendor = storage.session(role_arn=role, external_id=external_id)
    found = select_files(vendor.list_objects(settings.fineos_folder_path), SUFFIX)
    if not found:
        log.info("no list of leave administrators found", extra={"suffix": SUFFIX})
        return False
    newest = max(found, key=lambda file: file.name)
    log.info("list of leave administrators found", extra={"file": newest.name, "older_files": len(found) - 1})
    counts.file = newest.name
    _SQL.run(connection, "10_create_staging")
    vendor.wait_until_quiet(newest.uri, settings.quiet_seconds)
    with vendor.open_read(newest.uri) as stream, connection.cursor() as cursor:
        text = TextStream(BoundedStream(stream, limit_size(settings.file_size_limit_mb)))
        rows = AdministratorRows(text, settings.blank_line_limit)
        try:
            with cursor.copy("COPY staged_administrator (fein, email, unit_name) FROM STDIN") as copy:
                for assignment in rows.read_assignments():
                    copy.write_row(assignment)
        except MalformedFile as error:
            raise JobFailed(f"{newest.name} was not imported: {error}. Request a corrected file from FINEOS.") from None
        except (LimitExceeded, UnusableText) as error:
            raise JobFailed(f"{newest.name} was not imported and remains in place: {error}") from None
    connection.execute("ANALYZE staged_administrator")
    counts.rows.update(
        total_rows_received=rows.rows, missing_required_fields=rows.incomplete, disabled_leave_admins=rows.disabled
    )
    return True


def _import(settings: LaUnitsSettings, run: Run, connection: psycopg.Connection[Any], counts: ImportCounts) -> None:
    total, missing, ambiguous = _SQL.run(connection, "11_count_employers").fetchone() or (0, 0, 0)
    counts.rows.update(missing_employer=missing, duplicate_employer=ambiguous)
    with run.progress("organization units", total, "employers") as progress:
        try:
            asyncio.run(_import_units(settings, connection, counts, progress))
        except FineosAuthenticationFailed:
            raise JobFailed(f"Authentication at FINEOS failed. {FineosAuthenticationFailed.__doc__}") from None
        except FineosError as error:
            raise JobFailed(f"{error}. Committed units remain. Start the job again when FINEOS is available.") from None


async def _import_units(
    settings: LaUnitsSettings, connection: psycopg.Connection[Any], counts: ImportCounts, progress: Progress
) -> None:
    """Read and store the units, batch by batch. The statements block the event loop, which has no other work then."""
    async with FineosClient(settings, settings.la_units_concurrency) as fineos:
        await fineos.authenticate()
        for employers in _read_batches(connection):
            results = await _read_units(fineos, employers)
            units: dict[UUID, Units] = {}
            for employer, result in zip(employers, results, strict=True):
                if isinstance(result, str):
                    _count_error(counts, employer.employer_id, result)
                else:
                    units[employer.employer_id] = result
            counts.employers += len(employers)
            _store(connection, units, counts)
            progress.advance(len(employers))


def _read_batches(connection: psycopg.Connection[Any]) -> Iterator[list[KnownEmployer]]:
    after = NO_EMPLOYER
    while rows := _SQL.run(connection, "12_next_employers", after=after, limit=BATCH_EMPLOYERS).fetchall():
        yield [KnownEmployer(*row) for row in rows]
        after = rows[-1][0]


# ── reading from FINEOS ───────────────────────────────────────────────────────────────────────────────────────


async def _read_units(fineos: FineosClient, employers: Sequence[KnownEmployer]) -> Sequence[Units | str]:
    """Return for each employer the units or the kind of error.

    Raises:
        FineosUnavailable: FINEOS was unavailable for all employers, so calls for the others would take hours and fail.
    """
    results = await asyncio.gather(*(_read_employer_units(fineos, employer) for employer in employers))
    errors = [result for result in results if isinstance(result, FineosUnavailable)]
    if len(errors) == len(employers):
        raise errors[-1]
    return [result.code if isinstance(result, FineosUnavailable) else result for result in results]


async def _read_employer_units(fineos: FineosClient, employer: KnownEmployer) -> Units | str | FineosUnavailable:
    try:
        found = await fineos.read_employer(employer.fein)
    except FineosAuthenticationFailed:
        raise
    except FineosUnavailable as error:
        return error
    except FineosError as error:
        return error.code
    return select_units(found, employer.number)


def select_units(found: Sequence[Organization], number: int | None) -> Units | str:
    """Return the distinct units of the organization with that number, or the reason why they are not valid.

    Without a number, FINEOS must have exactly one organization.
    """
    if not found:
        return _UNKNOWN_AT_FINEOS
    same = [organization for organization in found if number in (None, organization.customer_number)]
    if len(same) != 1:
        return "OtherEmployerAtFineos"
    units = {(unit.oid, unit.name): unit for unit in same[0].units}
    if not all(name for _, name in units):
        return "UnusableUnit"
    if len({oid for oid, _ in units}) < len(units) or len({name for _, name in units}) < len(units):
        return "AmbiguousUnits"
    return tuple(units.values())


# ── storing ───────────────────────────────────────────────────────────────────────────────────────────────────


def _store(connection: psycopg.Connection[Any], units: dict[UUID, Units], counts: ImportCounts) -> None:
    """Store the units of these employers, except those of employers that violate a constraint."""
    try:
        with connection.transaction():
            stored, rejected = _apply(connection, units)
            links = _rebuild_links(connection)
    except psycopg.errors.IntegrityError:  # Another transaction changed a unit or an employer at the same time.
        if len(units) == 1:
            _count_error(counts, next(iter(units)), "RefusedByDatabase")
            return
        ids = list(units)
        for half in (ids[: len(ids) // 2], ids[len(ids) // 2 :]):
            _store(connection, {id: units[id] for id in half}, counts)
        return
    counts.units.update(stored)
    counts.units["none"] += sum(1 for employer_units in units.values() if not employer_units)
    counts.links.update(links)
    for employer_id in rejected:
        _count_error(counts, employer_id, "UnitOfAnotherEmployer")


def _apply(connection: psycopg.Connection[Any], units: dict[UUID, Units]) -> tuple[dict[str, int], list[UUID]]:
    locks.ORGANIZATION_UNITS.acquire_in_transaction(connection)
    with connection.cursor() as cursor:
        with cursor.copy("COPY staged_employer FROM STDIN") as copy:
            for employer_id in units:
                copy.write_row((employer_id,))
        with cursor.copy("COPY staged_unit (employer_id, fineos_id, name) FROM STDIN") as copy:
            for employer_id, employer_units in units.items():
                for unit in employer_units:
                    copy.write_row((employer_id, unit.oid, unit.name))
    rejected = [row[0] for row in _SQL.run(connection, "20_reject_foreign_units")]
    identified = 0
    _SQL.run(connection, "30_classify")
    while _SQL.run(connection, "40_free_ids").rowcount + (found := _SQL.run(connection, "41_identify").rowcount):
        identified += found
        _SQL.run(connection, "30_classify")  # A unit that lost its ID can now match another unit by name.
    for step in ("42_set_temporary_names", "43_rename", "44_create"):
        _SQL.run(connection, step)
    counts = dict(_SQL.run(connection, "50_count").fetchall())
    return counts | {"identified": identified, "unmodified": counts.get("unmodified", 0) - identified}, rejected


def _rebuild_links(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """Make the links of the known administrators of the staged employers those of the list. Return counts."""
    _SQL.run(connection, "60_find_administrators")
    ambiguous = len(_SQL.run(connection, "61_remove_ambiguous").fetchall())
    _SQL.run(connection, "62_find_links")
    removed = _SQL.run(connection, "63_remove_links").rowcount
    created = _SQL.run(connection, "64_create_links").rowcount
    missing, without_unit = _SQL.run(connection, "65_count_problems").fetchone() or (0, 0)
    return {
        "duplicate_leave_admins": ambiguous,
        "removed_leave_admin_org_units": removed,
        "created_leave_admin_org_units": created,
        "missing_leave_admins": missing,
        "employer_org_unit_discrepancy": without_unit,
    }


def _count_error(counts: ImportCounts, employer_id: UUID, error: str) -> None:
    counts.errors[error] += 1
    if error == _UNKNOWN_AT_FINEOS:
        log.warning("FINEOS has no employer with the stored customer number", extra={"employer_id": str(employer_id)})
    else:
        log.error("organization units not imported", extra={"employer_id": str(employer_id), "error": error})
