"""``fineos-import-la-units``: import the organization units of each employer from FINEOS.

::

    batch of employers at FINEOS → concurrent ReadEmployer calls
        → valid units → COPY into staging → one SQL statement per step (sql/) → commit

The units of an employer are imported completely or not at all. Units that FINEOS no longer has are counted and remain,
because occupations and leave administrators refer to them. The import is idempotent.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg

from nightferry.job import JobFailed, Run, background_task, get_logger
from paidleave.db import locks
from paidleave.db.connection import make_connector
from paidleave.db.driver_errors import explain_database_errors
from paidleave.db.import_log import import_log
from paidleave.db.statements import Statements
from paidleave.fineos.client.client import FineosClient
from paidleave.fineos.client.errors import FineosAuthenticationFailed, FineosError, FineosUnavailable
from paidleave.fineos.client.messages import Organization, OrganizationUnit
from paidleave.fineos.employers.source import NO_EMPLOYER
from paidleave.fineos.settings import LaUnitsSettings

SOURCE = "FINEOS Organization Units"
BATCH_EMPLOYERS = 500
"""Employers per transaction."""

_UNKNOWN_AT_FINEOS = "UnknownAtFineos"

_SQL = Statements("paidleave.fineos.organization_units")
log = get_logger(__name__)


@background_task("fineos-import-la-units", LaUnitsSettings)
@explain_database_errors
def main(settings: LaUnitsSettings, run: Run) -> None:
    """Import the organization units of all employers at FINEOS."""
    connect = make_connector(settings)
    with import_log(connect, source=SOURCE, import_type="", run=run) as entry, connect() as connection:
        counts = ImportCounts()
        try:
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
    """An employer with the customer number ``number`` at FINEOS."""

    employer_id: UUID
    fein: str = field(repr=False)
    number: int


Units = tuple[OrganizationUnit, ...]


@dataclass
class ImportCounts:
    """Counts of the outcomes of a run."""

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
        return {
            "total_employers_count": self.employers,
            "errored_employers_count": self.failed,
            "unknown_employers_count": self.errors[_UNKNOWN_AT_FINEOS],
            **{f"{kind}_units_count": self.units[kind] for kind in kinds},
            "errors": {kind: count for kind, count in self.errors.items() if kind != _UNKNOWN_AT_FINEOS},
        }


def _import(settings: LaUnitsSettings, run: Run, connection: psycopg.Connection[Any], counts: ImportCounts) -> None:
    connection.autocommit = True
    _SQL.run(connection, "10_create_staging")
    (total,) = _SQL.run(connection, "11_count_employers").fetchone() or (0,)
    with asyncio.Runner() as runner, run.progress("organization units", total, "employers") as progress:
        fineos = FineosClient(settings, settings.la_units_concurrency)
        try:
            runner.run(fineos.authenticate())
            for employers in _read_batches(connection):
                results = runner.run(_read_units(fineos, employers))
                units: dict[UUID, Units] = {}
                for employer, result in zip(employers, results, strict=True):
                    if isinstance(result, str):
                        _count_error(counts, employer.employer_id, result)
                    else:
                        units[employer.employer_id] = result
                counts.employers += len(employers)
                _store(connection, units, counts)
                progress.advance(len(employers))
        except FineosAuthenticationFailed:
            raise JobFailed(f"Authentication at FINEOS failed. {FineosAuthenticationFailed.__doc__}") from None
        except FineosError as error:
            raise JobFailed(f"{error}. Committed units remain. Start the job again when FINEOS is available.") from None
        finally:
            runner.run(fineos.__aexit__(None, None, None))


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


def select_units(found: Sequence[Organization], number: int) -> Units | str:
    """Return the distinct units of the organization with that number, or the reason why they are not valid."""
    if not found:
        return _UNKNOWN_AT_FINEOS
    same = [organization for organization in found if organization.customer_number == number]
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
    except psycopg.errors.IntegrityError:  # Another transaction changed a unit or an employer at the same time.
        if len(units) == 1:
            _count_error(counts, next(iter(units)), "RefusedByDatabase")
            return
        ids = list(units)
        for half in (ids[: len(ids) // 2], ids[len(ids) // 2 :]):
            _store(connection, {id: units[id] for id in half}, counts)
        return
    counts.units.update(stored)
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


def _count_error(counts: ImportCounts, employer_id: UUID, error: str) -> None:
    counts.errors[error] += 1
    if error == _UNKNOWN_AT_FINEOS:
        log.warning("FINEOS has no employer with the stored customer number", extra={"employer_id": str(employer_id)})
    else:
        log.error("organization units not imported", extra={"employer_id": str(employer_id), "error": error})
