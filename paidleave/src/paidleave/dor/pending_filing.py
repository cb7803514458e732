"""``dor-pending-filing-response-import``: take in what DOR answers about employers returning to the state plan.

::

    CSVs of employers returning ─┐
    response ── A and B lines ───┴─► employers with their new exemption, quarters, people, wages ──► processed

All CSVs that wait are read; of a FEIN the last row in the newest of them counts. A CSV that a response has used is
written down with it, in one transaction, and moved away when no response waits any more: a crash at any point leaves
it for the responses that still need it, and the next run moves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
import psycopg

from nightferry import storage
from nightferry.job import JobFailed, Run, background_task, get_logger
from paidleave.db.connection import connect
from paidleave.dor.files import reader
from paidleave.dor.files.formats import RESPONSE_FILE, RETURNING, RETURNING_CSV
from paidleave.dor.files.reader import Batch
from paidleave.dor.files.screening import Screened
from paidleave.dor.importing import received
from paidleave.dor.importing.file_kind import QUARTERS, WAGES, FileKind
from paidleave.dor.importing.pipeline import explained, import_files
from paidleave.dor.importing.received import ReceivedFile
from paidleave.dor.importing.steps import Steps
from paidleave.dor.kinds import response_lines, returning_csv
from paidleave.dor.kinds.response_lines import ResponseLines
from paidleave.dor.settings import PendingFilingResponseSettings

log = get_logger(__name__)

_KEY_PREFIX = "pending_filing_"
_SOURCE = "pending filing response"  # in processed_object


class ResponseFile:
    """The rules of one response, with the CSVs in ``csv_folder``."""

    staging = (*response_lines.STAGING, "pending_filing/12_create_staging_of_returns")

    def __init__(self, csv_folder: str) -> None:
        self._csv_folder = csv_folder
        self._lines = ResponseLines()

    def screen(self, batch: Batch) -> Screened:
        """See :mod:`paidleave.dor.kinds.response_lines`."""
        return self._lines.screen(batch)

    def apply(self, steps: Steps, staged: Mapping[str, int]) -> dict[str, int]:
        """Write what was staged, ``staged`` rows by table; returns the counts for the report."""
        csvs = _stage_csvs(steps, self._csv_folder)
        employers = response_lines.identify_employers(steps)
        steps.analyze("staged_return")
        steps.run("pending_filing/30_state_exemptions")
        assumed = steps.counts("pending_filing/31_count_assumed")
        if any(assumed.values()):
            log.warning("for some employers no effective date is known: 2022-01-01 is taken", extra=assumed)
        response_lines.create_employers(steps, _KEY_PREFIX)
        steps.run("pending_filing/50_queue_updates")
        steps.run("pending_filing/51_update_employers")
        created = steps.run("pending_filing/60_create_quarters")
        for (number,) in list(steps.rows("pending_filing/32_used_csvs")):
            name, digest = csvs[number]
            steps.run("pending_filing/80_remember_csv", name=name, digest=digest, kind=RETURNING_CSV.name)
            steps.run("pending_filing/81_mark_csv_used", source=_SOURCE, name=name, digest=digest)
        return {
            "created_employers_count": employers.new,
            "updated_employers_count": employers.known,
            **assumed,
            "created_employer_quarters_count": created,
            "updated_employer_quarters_count": 0,
            "unmodified_employer_quarters_count": staged[response_lines.QUARTERS_TABLE] - employers.repeated - created,
            "duplicate_employer_quarters_count": employers.repeated,
        } | response_lines.add_wages(steps, staged[response_lines.WAGES_TABLE])


def _stage_csvs(steps: Steps, folder: str) -> list[tuple[str, str]]:
    """Load all CSVs into the table ``staged_return``; returns each one's name and digest, by its number there."""
    files = received.find(folder, [RETURNING_CSV])
    if not files:
        raise JobFailed(
            f"there is no CSV of employers returning to the state plan in {folder}, and without it nobody knows their "
            "new exemptions. Put CompaniesReturningToStatePlan….csv there and start the import again"
        )
    return [(file.name, _stage_csv(steps, file, number)) for number, file in enumerate(files)]


def _stage_csv(steps: Steps, csv: ReceivedFile, number: int) -> str:
    columns = ("line_number", "fein", "family_exemption", "medical_exemption", "effective_date")
    with (
        explained(f"{csv.name} in {csv.folder} cannot be used"),
        storage.open_read(csv.uri) as stored,
        reader.Digest(stored) as digest,
    ):
        for batch in returning_csv.read(digest):
            rows = batch.records[RETURNING.name].select(pl.lit(number).alias("csv_number"), *columns)
            steps.copy("staged_return", rows)
        return digest.hexdigest()


def _move_used_csvs(settings: PendingFilingResponseSettings) -> None:
    """Move the CSVs that responses have used; called when no response waits."""
    with connect(settings, autocommit=True) as connection:
        for csv in received.find(settings.csv_folder_path, [RETURNING_CSV]):
            digest = _digest_of(csv)
            if _is_used(connection, csv, digest):
                target = csv.processed_uri(received.number(connection, csv.name, digest))
                with explained(f"{csv.name} was used, but could not be moved away; the next run will move it"):
                    storage.move(csv.uri, target)
                log.info("CSV moved away", extra={"file": csv.name})


def _digest_of(csv: ReceivedFile) -> str:
    with storage.open_read(csv.uri) as stored, reader.Digest(stored) as digest:
        while digest.read(1024 * 1024):
            pass
        return digest.hexdigest()


def _is_used(connection: psycopg.Connection[Any], csv: ReceivedFile, digest: str) -> bool:
    found = connection.execute(
        "SELECT FROM processed_object WHERE source = %s AND uri = %s AND version = %s", [_SOURCE, csv.name, digest]
    )
    return found.fetchone() is not None


@background_task("dor-pending-filing-response-import", PendingFilingResponseSettings)
def main(settings: PendingFilingResponseSettings, run: Run) -> None:
    """Import every complete response in ``FOLDER_PATH``, then move the CSVs that were used to 'processed'."""
    kind = FileKind(
        RESPONSE_FILE,
        subjects=(QUARTERS, WAGES),
        source="DOR",
        import_type="Pending Filing Response",
        report={"employer_file": True, "employee_file": True},
        rules=lambda _lookups, _file: ResponseFile(settings.csv_folder_path),
    )
    import_files([kind], settings, run)
    if not settings.retain_received_files:
        _move_used_csvs(settings)
