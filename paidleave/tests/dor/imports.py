"""Helpers that run the DOR imports on a database and a folder, and read their results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from nightferry import BackgroundTask, NightferryError, Run
from nightferry.job.runtime import Runtime
from nightferry.testing import forked
from paidleave.dor import exempt, importer, pending_filing, submission
from tests.task_process import database_env

EMPLOYER_FILE = "DORDFMLEMP_20200519120622"
WAGE_FILE = "DORDFML_20200519120622"

# A table precedes the tables that it references.
_TABLES = (
    *("wages_and_contributions_history", "wages_and_contributions", "employer_quarterly_contribution"),
    *("link_employer_address", "address", "employer", "employee", "tax_identifier"),
    *("employer_push_to_fineos_queue", "employee_push_to_fineos_queue"),
    *("dor_imported_file", "dor_rejected_line", "processed_object", "import_log"),
)


@dataclass(frozen=True)
class DorWorld:
    """A database and the folder ``dor`` of the agency's bucket."""

    conninfo: str
    dor: Path

    @property
    def received(self) -> Path:
        return self.dor / "received"

    def environment(self, **settings: str) -> dict[str, str]:
        return {
            **database_env(self.conninfo),
            "FOLDER_PATH": str(self.received),
            "CSV_FOLDER_PATH": str(self.csvs),
            "INPUT_FOLDER_PATH": str(self.csvs.parent),
            "OUTPUT_FOLDER_PATH": str(self.dor),
            "QUIET_SECONDS": "0",
            **settings,
        }

    @property
    def csvs(self) -> Path:
        """The folder for the CSVs of agency staff."""
        return self.dor.parent / "dfml" / "received"

    def put(self, name: str, content: bytes) -> Path:
        folder = self.csvs if name.endswith(".csv") else self.received
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.write_bytes(content)
        return path

    def query(self, query: str, *values: object) -> list[Any]:
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            return connection.execute(query.encode(), values).fetchall()

    def execute(self, statement: str, *values: object) -> None:
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            connection.execute(statement.encode(), values)

    def clear(self) -> None:
        """Delete all rows; for few rows, this is faster than TRUNCATE, which creates new files."""
        with psycopg.connect(self.conninfo) as connection:
            for table in _TABLES:
                connection.execute(f"DELETE FROM {table}".encode())

    def reports(self) -> list[dict[str, Any]]:
        return [
            json.loads(text) | {"status": status}
            for status, text in self.query(
                "SELECT status, report FROM import_log WHERE starts_with(source, 'DOR') ORDER BY import_log_id"
            )
        ]


DAILY = importer.main
EXEMPT = exempt.main
SUBMISSION = submission.main
RESPONSE = pending_filing.main


def run_in_process(world: DorWorld, job: BackgroundTask[Any] = DAILY, **settings: str) -> int:
    """Run the job's body in this process and return the exit code 0 or 1."""
    values = {name.lower(): value for name, value in world.environment(**settings).items()}
    try:
        job.body(job.settings.model_validate(values), Run(Runtime.read(job.name)))
    except NightferryError:
        return 1
    return 0


def start(
    world: DorWorld, job: BackgroundTask[Any] = DAILY, *, file_size_limit: int | None = None, **settings: str
) -> subprocess.Popen[str]:
    """Start the job as a process with no inherited environment variable except PATH.

    ``file_size_limit`` is the size in bytes at which writes to a file fail, as on a full disk.
    """
    limit = f"import resource as r; r.setrlimit(r.RLIMIT_FSIZE, ({file_size_limit},) * 2); " if file_size_limit else ""
    return forked.Popen(
        [sys.executable, "-c", limit + f"from {job.body.__module__} import main; main()"],
        env={"PATH": os.environ["PATH"], **world.environment(**settings)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def contents(world: DorWorld) -> dict[str, Any]:
    """Return the business data of the tables as in ``reference.Database``, without UUIDs and times of writing."""
    written_by = (
        "(SELECT name FROM dor_imported_file AS file"
        " WHERE file.import_log_id = {}.latest_import_log_id AND starts_with(name, 'DOR'))"
    )
    state_code = "(SELECT geo_state_description FROM lk_geo_state AS s WHERE s.geo_state_id = a.geo_state_id)"
    country_code = "(SELECT country_description FROM lk_country AS c WHERE c.country_id = a.country_id)"
    amounts = (
        "{0}.is_independent_contractor, {0}.is_opted_in, {0}.employee_ytd_wages, {0}.employee_qtr_wages, "
        "{0}.employee_med_contribution, {0}.employer_med_contribution, "
        "{0}.employee_fam_contribution, {0}.employer_fam_contribution"
    )
    wages = """
        FROM wages_and_contributions AS w JOIN employer AS e USING (employer_id)
        JOIN employee AS p USING (employee_id) JOIN tax_identifier AS t USING (tax_identifier_id)
    """
    return {
        "employers": sorted(
            world.query(
                f"""
                SELECT e.employer_fein, e.account_key, e.employer_name, e.employer_dba, e.family_exemption,
                       e.medical_exemption, e.exemption_commence_date, e.exemption_cease_date, e.dor_updated_date,
                       a.address_id IS NOT NULL, a.address_line_one, a.city, a.zip_code, {state_code},
                       a.geo_state_text, {country_code}, {written_by.format("e")}
                FROM employer AS e LEFT JOIN link_employer_address USING (employer_id)
                LEFT JOIN address AS a USING (address_id)
                """
            ),
            key=repr,
        ),
        "tax_identifiers": sorted(world.query("SELECT tax_identifier FROM tax_identifier")),
        "employees": sorted(
            world.query(
                f"""
                SELECT t.tax_identifier, p.first_name, p.last_name, {written_by.format("p")}
                FROM employee AS p JOIN tax_identifier AS t USING (tax_identifier_id)
                """
            ),
            key=repr,
        ),
        "quarters": sorted(
            world.query(
                f"""
                SELECT e.employer_fein, q.filing_period, q.employer_total_pfml_contribution, q.pfm_account_id,
                       q.dor_received_date, q.dor_updated_date, {written_by.format("q")}
                FROM employer_quarterly_contribution AS q JOIN employer AS e USING (employer_id)
                """
            ),
            key=repr,
        ),
        "wages": sorted(
            world.query(
                f"""
                SELECT t.tax_identifier, e.employer_fein, w.filing_period, w.account_key, {amounts.format("w")},
                       {written_by.format("w")} {wages}
                """
            ),
            key=repr,
        ),
        "history": Counter(
            world.query(
                f"""
                SELECT t.tax_identifier, e.employer_fein, w.filing_period, {amounts.format("h")},
                       (SELECT name FROM dor_imported_file AS file WHERE file.import_log_id = h.import_log_id)
                {wages} JOIN wages_and_contributions_history AS h USING (wage_and_contribution_id)
                """
            )
        ),
        "employer_queue": Counter(
            world.query(
                """
                SELECT e.employer_fein, q.action, q.family_exemption, q.medical_exemption,
                       q.exemption_commence_date, q.exemption_cease_date
                FROM employer_push_to_fineos_queue AS q LEFT JOIN employer AS e USING (employer_id)
                """
            )
        ),
        "employee_queue": Counter(
            world.query(
                """
                SELECT t.tax_identifier, e.employer_fein, q.action
                FROM employee_push_to_fineos_queue AS q LEFT JOIN employer AS e USING (employer_id)
                LEFT JOIN employee AS p USING (employee_id) LEFT JOIN tax_identifier AS t USING (tax_identifier_id)
                """
            )
        ),
        "rejects": sorted(
            world.query("SELECT file_name, line_number, record_kind, field, reason FROM dor_rejected_line"), key=repr
        ),
        "open_rejects": Counter(
            world.query("SELECT file_name, line_number FROM dor_rejected_line WHERE superseded_by IS NULL")
        ),
    }
