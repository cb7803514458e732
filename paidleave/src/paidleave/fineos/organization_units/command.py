"""``fineos-import-la-units``: takes over the organisation units that FINEOS has of each employer.

::

    employers that FINEOS knows, some hundred at a time → ReadEmployer, many at once
        → units that can be used → COPY into staging → one statement a step (sql/) → commit

An employer's units are taken over as a whole or not at all. Units that FINEOS does not have any more stay, and are
counted: occupations and leave administrators refer to them. Everything can be done again at any time.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg

from nightferry.job import JobFailed, Run, background_task, get_logger
from paidleave.db import locks
from paidleave.db.connection import make_connector
from paidleave.db.import_log import import_log
from paidleave.db.statements import Statements
from paidleave.fineos.client.client import FineosClient
from paidleave.fineos.client.errors import FineosAuthenticationFailed, FineosError, FineosUnavailable
from paidleave.fineos.client.messages import Organisation, OrganisationUnit
from paidleave.fineos.employers.source import NO_EMPLOYER
from paidleave.fineos.settings import LaUnitsSettings

SOURCE = "FINEOS Organization Units"
AT_ONCE = 500
"""Employers of one transaction."""

_ID = re.compile("[A-Z]{2}:[0-9]{5}:[0-9]{10}", re.ASCII)
_UNKNOWN = "UnknownAtFineos"

_SQL = Statements("paidleave.fineos.organization_units")
log = get_logger(__name__)


@background_task("fineos-import-la-units", LaUnitsSettings)
def main(settings: LaUnitsSettings, run: Run) -> None:
    """Import the organisation units of all employers that FINEOS knows."""
    connect = make_connector(settings)
    with import_log(connect, source=SOURCE, import_type="", run=run) as entry, connect() as connection:
        counts = ImportCounts()
        try:
            _import(settings, run, connection, counts)
        finally:
            entry.report |= counts.report()
            log.info("organisation units imported", extra=counts.report())
        failed, asked = counts.failed, counts.employers
        if failed > settings.la_units_failed_share_limit * asked:
            raise JobFailed(
                f"The units of {failed} of {asked} employers could not be imported, which is more than the allowed "
                f"share of {settings.la_units_failed_share_limit:.0%} (LA_UNITS_FAILED_SHARE_LIMIT). The import log "
                "counts the kinds of errors; the lines above name the employers by their ids."
            )


@dataclass(frozen=True, slots=True)
class KnownEmployer:
    """An employer that FINEOS knows by ``number``."""

    employer_id: UUID
    fein: str = field(repr=False)
    number: int


Units = tuple[OrganisationUnit, ...]


@dataclass
class ImportCounts:
    """Counts of what a run did."""

    employers: int = 0
    units: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def failed(self) -> int:
        """Employers whose units could not be imported. One that FINEOS does not know has none."""
        return sum(self.errors.values()) - self.errors[_UNKNOWN]

    def report(self) -> dict[str, Any]:
        """As the import log has it."""
        kinds = ("created", "renamed", "identified", "unmodified", "vanished")
        return {
            "total_employers_count": self.employers,
            "errored_employers_count": self.failed,
            "unknown_employers_count": self.errors[_UNKNOWN],
            **{f"{kind}_units_count": self.units[kind] for kind in kinds},
            "errors": {kind: count for kind, count in self.errors.items() if kind != _UNKNOWN},
        }


def _import(settings: LaUnitsSettings, run: Run, connection: psycopg.Connection[Any], counts: ImportCounts) -> None:
    connection.autocommit = True
    _SQL.run(connection, "10_create_staging")
    (total,) = _SQL.run(connection, "11_count_employers").fetchone() or (0,)
    with asyncio.Runner() as runner, run.progress("organisation units", total, "employers") as progress:
        fineos = FineosClient(settings, settings.la_units_concurrency)
        try:
            runner.run(fineos.authenticate())
            for employers in _batches(connection):
                answers = runner.run(_ask(fineos, employers))
                taken: dict[UUID, Units] = {}
                for employer, answer in zip(employers, answers, strict=True):
                    if isinstance(answer, str):
                        _count_error(counts, employer.employer_id, answer)
                    else:
                        taken[employer.employer_id] = answer
                counts.employers += len(employers)
                _store(connection, taken, counts)
                progress.advance(len(employers))
        except FineosAuthenticationFailed:
            raise JobFailed("FINEOS does not let us in. Check the settings FINEOS_CLIENT_OAUTH2_… .") from None
        except FineosError as error:  # it is away
            raise JobFailed(f"{error}. What was imported so far stays; start it again when FINEOS works.") from None
        finally:
            runner.run(fineos.__aexit__(None, None, None))


def _batches(connection: psycopg.Connection[Any]) -> Iterator[list[KnownEmployer]]:
    after = NO_EMPLOYER
    while rows := _SQL.run(connection, "12_next_employers", after=after, limit=AT_ONCE).fetchall():
        yield [KnownEmployer(*row) for row in rows]
        after = rows[-1][0]


# ── asking ────────────────────────────────────────────────────────────────────────────────────────────────────


async def _ask(fineos: FineosClient, employers: Sequence[KnownEmployer]) -> Sequence[Units | str]:
    """For each employer its units, or the kind of error. Raises FineosUnavailable when it is that for all of them."""
    answers = await asyncio.gather(*(_units(fineos, employer) for employer in employers))
    errors = [answer for answer in answers if isinstance(answer, FineosUnavailable)]
    if len(errors) == len(employers):
        raise errors[-1]  # FINEOS is away: asking for every other employer, too, would only take hours
    return [answer.code if isinstance(answer, FineosUnavailable) else answer for answer in answers]


async def _units(fineos: FineosClient, employer: KnownEmployer) -> Units | str | FineosUnavailable:
    try:
        found = await fineos.read_employer(employer.fein)
    except FineosAuthenticationFailed:
        raise
    except FineosUnavailable as error:
        return error
    except FineosError as error:
        return error.code
    return usable(found, employer.number)


def usable(found: Sequence[Organisation], number: int) -> Units | str:
    """The units of the organisation with that number, each once; or why they cannot be used."""
    if not found:
        return _UNKNOWN
    same = [organisation for organisation in found if organisation.customer_number == number]
    if len(same) != 1:
        return "OtherEmployerAtFineos"
    units = {(unit.oid, unit.name): unit for unit in same[0].units}
    if not all(_ID.fullmatch(oid) and name for oid, name in units):
        return "UnusableUnit"
    if len({oid for oid, _ in units}) < len(units) or len({name for _, name in units}) < len(units):
        return "AmbiguousUnits"
    return tuple(units.values())


# ── storing ───────────────────────────────────────────────────────────────────────────────────────────────────


def _store(connection: psycopg.Connection[Any], taken: dict[UUID, Units], counts: ImportCounts) -> None:
    """Store the units of these employers; of any that the database refuses, only that employer's are not stored."""
    try:
        with connection.transaction():
            units, refused = _apply(connection, taken)
    except psycopg.errors.IntegrityError:  # a unit or an employer that came or went this very moment
        if len(taken) == 1:
            _count_error(counts, next(iter(taken)), "RefusedByDatabase")
            return
        ids = list(taken)
        for half in (ids[: len(ids) // 2], ids[len(ids) // 2 :]):
            _store(connection, {id: taken[id] for id in half}, counts)
        return
    counts.units.update(units)
    for employer_id in refused:
        _count_error(counts, employer_id, "UnitOfAnotherEmployer")


def _apply(connection: psycopg.Connection[Any], taken: dict[UUID, Units]) -> tuple[dict[str, int], list[UUID]]:
    locks.ORGANIZATION_UNITS.acquire_in_transaction(connection)
    with connection.cursor() as cursor:
        with cursor.copy("COPY answered_employer FROM STDIN") as copy:
            for employer_id in taken:
                copy.write_row((employer_id,))
        with cursor.copy("COPY staged_unit (employer_id, fineos_id, name) FROM STDIN") as copy:
            for employer_id, units in taken.items():
                for unit in units:
                    copy.write_row((employer_id, unit.oid, unit.name))
    refused = [row[0] for row in _SQL.run(connection, "20_refuse_foreign_units")]
    identified = 0
    _SQL.run(connection, "30_classify")
    while _SQL.run(connection, "40_free_ids").rowcount + (found := _SQL.run(connection, "41_identify").rowcount):
        identified += found
        _SQL.run(connection, "30_classify")  # a unit that gave its id away may now hold a name wanted
    for step in ("42_park_names", "43_rename", "44_create"):
        _SQL.run(connection, step)
    counts = dict(_SQL.run(connection, "50_count").fetchall())
    return counts | {"identified": identified, "unmodified": counts.get("unmodified", 0) - identified}, refused


def _count_error(counts: ImportCounts, employer_id: UUID, error: str) -> None:
    counts.errors[error] += 1
    if error == _UNKNOWN:
        log.warning("FINEOS does not know an employer that it gave a number", extra={"employer_id": str(employer_id)})
    else:
        log.error("organisation units not imported", extra={"employer_id": str(employer_id), "error": error})
