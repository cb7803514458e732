"""The rules of DOR's response about employers returning to the state plan, and of the CSVs that it requires.

::

    CSVs of employers returning ─┐
    response ── A and B lines ───┴─► employers with their new exemption, quarters, people, wages

All CSVs in the folder are read. For each FEIN, the last row in the newest CSV applies. The use of a CSV is recorded in
the transaction of the response.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import polars as pl
import psycopg

from nightferry import JobFailed, get_logger
from paidleave.dor.files import reader, returning_csv
from paidleave.dor.files.batch import Batch
from paidleave.dor.files.formats import RESPONSE_FILE, RETURNING, RETURNING_CSV
from paidleave.dor.files.screening import Screened
from paidleave.dor.importing import received
from paidleave.dor.importing.failures import wrap_errors
from paidleave.dor.importing.file_kind import QUARTERS, WAGES, FileKind
from paidleave.dor.importing.received import ReceivedFile
from paidleave.dor.importing.steps import Steps
from paidleave.dor.kinds import response_lines
from paidleave.dor.kinds.response_lines import ResponseLines
from paidleave.file_limits import SizeLimit, limit_size

log = get_logger(__name__)

_KEY_PREFIX = "pending_filing_"
_SOURCE = "pending filing response"  # in processed_object


class ResponseFile:
    """The rules of one response, which uses the CSVs in ``csv_folder``."""

    staging = (*response_lines.STAGING, "pending_filing/13_create_staging_of_returns")

    def __init__(self, csv_folder: str, csv_limit: SizeLimit, quiet_seconds: float, lines: ResponseLines) -> None:
        self._csv_folder = csv_folder
        self._csv_limit = csv_limit
        self._quiet_seconds = quiet_seconds
        self._lines = lines

    def screen(self, batch: Batch) -> Screened:
        """Screen the lines as defined in :mod:`paidleave.dor.kinds.response_lines`."""
        return self._lines.screen(batch)

    def apply(self, steps: Steps, staged: Mapping[str, int]) -> dict[str, int]:
        """Write the staged rows and return the counts for the report; ``staged`` is the number of rows by table."""
        csvs = _stage_csvs(steps, self._csv_folder, self._csv_limit, self._quiet_seconds)
        employers = response_lines.identify_employers(steps)
        steps.analyze("staged_return")
        steps.run("pending_filing/30_set_exemptions")
        assumed = steps.select_counts("pending_filing/31_count_assumed")
        if any(assumed.values()):
            log.warning("effective date unknown for some employers: using 2022-01-01", extra=assumed)
        response_lines.create_employers(steps, _KEY_PREFIX)
        steps.run("pending_filing/43_queue_updates")
        steps.run("pending_filing/44_update_employers")
        created = steps.run("pending_filing/45_create_quarters")
        used = [csvs[number] for (number,) in steps.select_rows("pending_filing/46_select_used_csvs")]
        for name, digest in used:
            steps.run("pending_filing/47_record_csv", csv_name=name, csv_digest=digest, csv_kind=RETURNING_CSV.name)
        for name, digest in used:
            steps.run("pending_filing/48_mark_csv_used", source=_SOURCE, csv_name=name, csv_digest=digest)
        return {
            "created_employers_count": employers.new,
            "updated_employers_count": employers.known - employers.retained,
            "unmodified_employers_count": employers.retained,
            **assumed,
            "created_employer_quarters_count": created,
            "updated_employer_quarters_count": 0,
            "unmodified_employer_quarters_count": staged[response_lines.QUARTERS_TABLE] - employers.repeated - created,
            "duplicate_employer_quarters_count": employers.repeated,
        } | response_lines.add_wages(steps, staged[response_lines.WAGES_TABLE])


def _stage_csvs(steps: Steps, folder: str, limit: SizeLimit, quiet_seconds: float) -> list[tuple[str, str]]:
    """Load all CSVs into the table ``staged_return``; return their names and digests by their number in the table."""
    files = received.find_files(folder, [RETURNING_CSV])
    if not files:
        raise JobFailed(
            f"no CSV of employers returning to the state plan found in {folder}; it is required for their new "
            "exemptions. Put CompaniesReturningToStatePlan….csv there and start the import again"
        )
    return [(file.name, _stage_csv(steps, file, number, limit, quiet_seconds)) for number, file in enumerate(files)]


def _stage_csv(steps: Steps, csv: ReceivedFile, number: int, limit: SizeLimit, quiet_seconds: float) -> str:
    columns = ("line_number", "fein", "family_exemption", "medical_exemption", "effective_date")
    with (
        wrap_errors(f"{csv.name} in {csv.folder} cannot be used"),
        received.open_plain_text(received.await_complete(csv, quiet_seconds), limit) as plain,
    ):
        for batch in returning_csv.read(plain):
            rows = batch.records[RETURNING.name].select(pl.lit(number).alias("csv_number"), *columns)
            steps.copy("staged_return", rows)
        return plain.hexdigest()


def is_used(connection: psycopg.Connection[Any], csv: ReceivedFile, digest: str) -> bool:
    """Return True if a response has used ``csv``, whose content has ``digest``."""
    found = connection.execute(
        "SELECT FROM processed_object WHERE source = %s AND uri = %s AND version = %s", [_SOURCE, csv.name, digest]
    )
    return found.fetchone() is not None


def make_response_kind(
    csv_folder: str, csv_size_limit_mb: int, *, quiet_seconds: float, reject_implausible_ssns: bool = False
) -> FileKind:
    """Return the kind of responses that use the CSVs in ``csv_folder``, each of at most ``csv_size_limit_mb``.

    The CSVs must not have changed for ``quiet_seconds``.
    """
    limit = limit_size(csv_size_limit_mb, setting="CSV_SIZE_LIMIT_MB")
    return FileKind(
        RESPONSE_FILE,
        name="dor-pending-filing-response",
        subjects=(QUARTERS, WAGES),
        source="DOR",
        import_type="Pending Filing Response",
        report={"employer_file": True, "employee_file": True},
        read=partial(reader.read, layout=RESPONSE_FILE),
        rules=lambda _lookups, _file: ResponseFile(
            csv_folder, limit, quiet_seconds, ResponseLines(reject_implausible_ssns=reject_implausible_ssns)
        ),
    )
