"""A complete ETL run in its own state directory, started with the command line like a user does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
from pydantic import SecretStr

from nightferry.local.services.data_folders import find_folder
from nightferry.local.services.postgres import Postgres
from nightferry.testing import LocalProject, forked
from paidleave.dor import encryption

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
WORKFLOW = "dor-fineos-etl"
KEY = "dor-import/gpg_decryption_key"
PASSPHRASE = "dor-import/gpg_decryption_key_passphrase"
CLIENT_SECRET = "fineos-oauth2-client-secret"
SECOND_DAY = "20260106200000"
"""The time in the names of DOR's files of the second day."""


@dataclass(frozen=True)
class World:
    """A state directory with its database."""

    state: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables of a user of this state directory."""
        return {**os.environ, "NIGHTFERRY_STATE": str(self.state), "PATH": f"{PROGRAMS}:{os.environ['PATH']}"}

    @property
    def postgres(self) -> Postgres:
        return Postgres(find_folder("database", self.state))

    def nightferry(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command and wait for its exit."""
        return forked.run(
            [str(PROGRAMS / "nightferry"), *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=check,
            timeout=240,
        )

    def start(self) -> subprocess.Popen[bytes]:
        """Start the workflow without waiting."""
        return forked.Popen(
            [str(PROGRAMS / "nightferry"), "start", WORKFLOW],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def secret(self, name: str) -> str:
        return (self.state / "secrets" / name.replace("/", "__")).read_text()

    def generate_second_day(self, employers: int, **settings: object) -> None:
        """Generate DOR's encrypted files of the second day, with further ``settings`` of the job."""
        settings |= {
            "COUNT": employers,
            "TIMESTAMP": SECOND_DAY,
            "BAD_SHARE": 0.02,
            "GPG_PUBLIC_KEY": encryption.export_public_key(SecretStr(self.secret(KEY))),
        }
        self.nightferry("run", "dor-generate", *(part for k, v in settings.items() for part in ("-e", f"{k}={v}")))

    @contextmanager
    def project(self) -> Iterator[LocalProject]:
        """Yield the project with this state directory."""
        os.environ["NIGHTFERRY_STATE"] = str(self.state)
        try:
            with LocalProject.find(ROOT) as project:
                yield project
        finally:
            del os.environ["NIGHTFERRY_STATE"]

    @contextmanager
    def services(self) -> Iterator[LocalProject]:
        """Yield the project with running services, to read their data."""
        with self.project() as project:
            project.start_services()
            yield project

    def vendor(self, services: LocalProject, method: str, action: str) -> Any:
        url = f"{services.address('fineos-simulator', 'url')}/_simulator/{action}"
        response = httpx.request(method, url, auth=("paid-leave-api-local", self.secret(CLIENT_SECRET)), timeout=60)
        response.raise_for_status()
        return response.json()

    def stop(self) -> None:
        """Stop the database, which may still run after the engine was killed."""
        self.postgres.stop()

    def remove(self) -> None:
        """Stop the database and delete both directories."""
        self.stop()
        shutil.rmtree(self.postgres.directory, ignore_errors=True)
        shutil.rmtree(self.state, ignore_errors=True)

    def keep(self, folder: Path) -> None:
        """Move this world to ``folder``, from which ``restore`` creates copies; services must not be running."""
        folder.mkdir()
        _copy(self.state, self.postgres.directory, folder / "state", folder / "database")
        self.remove()

    @classmethod
    def restore(cls, folder: Path, state: Path) -> World:
        """Return a copy of the world stored in ``folder``."""
        return cls._copy_world(folder / "state", folder / "database", state)

    def copy(self, state: Path) -> World:
        """Return a copy of this world in ``state``; services must not be running."""
        return self._copy_world(self.state, self.postgres.directory, state)

    @classmethod
    def _copy_world(cls, source: Path, database: Path, state: Path) -> World:
        copy = cls(state)
        _copy(source, database / "data", state, copy.postgres.data)
        return copy

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return the business data, with business keys instead of generated ids and without processing times."""
        with self.services() as services:
            self.vendor(services, "POST", "feeds")
            with psycopg.connect(self.postgres.conninfo("pfml")) as connection:
                content = {name: connection.execute(query.encode()).fetchall() for name, query in CONTENT.items()}
            parties = self.vendor(services, "GET", "parties")
        content["vendor"] = sorted(_vendor_content(parties), key=repr)
        return content


def _copy(state: Path, database: Path, to_state: Path, to_database: Path) -> None:
    """Copy both directories of a world without its id, its locks and the ports of its services."""
    shutil.copytree(state, to_state, ignore=shutil.ignore_patterns("id", "*.lock", "*.port"), dirs_exist_ok=True)
    copy_with_owner(database, to_database)


def copy_with_owner(folder: Path, to: Path) -> None:
    """Copy a folder of PostgreSQL, which starts only as the owner of its data."""
    subprocess.run(["cp", "-a", str(folder), str(to)], check=True)


def _vendor_content(parties: list[dict[str, Any]]) -> Iterator[tuple[Any, ...]]:
    """Yield the vendor's data of each employer, without the number of updates."""
    for party in parties:
        agreement = party["agreement"] or {}
        plans = (agreement.get("managed"), agreement.get("plans"), agreement.get("start"), agreement.get("end"))
        yield (party["fein"], party["name"], party["dba"], *plans)


CONTENT = {
    "employers": """
        SELECT employer_fein, account_key, employer_name, employer_dba, family_exemption, medical_exemption,
               exemption_commence_date, exemption_cease_date, dor_updated_date, fineos_employer_id IS NOT NULL,
               address_line_one, city, geo_state_id, geo_state_text, zip_code, country_id
        FROM employer LEFT JOIN link_employer_address USING (employer_id) LEFT JOIN address USING (address_id)
        ORDER BY 1, 2""",
    "employees": """
        SELECT tax_identifier, first_name, last_name, date_of_birth, gender_id, phone_number, email_address
        FROM employee JOIN tax_identifier USING (tax_identifier_id) ORDER BY 1""",
    "wages": """
        SELECT employer_fein, tax_identifier, filing_period, account_key_w, is_independent_contractor, is_opted_in,
               employee_ytd_wages, employee_qtr_wages, employee_med_contribution, employer_med_contribution,
               employee_fam_contribution, employer_fam_contribution
        FROM (SELECT *, account_key AS account_key_w FROM wages_and_contributions) w
        JOIN (SELECT employer_id, employer_fein FROM employer) e USING (employer_id)
        JOIN employee USING (employee_id) JOIN tax_identifier USING (tax_identifier_id) ORDER BY 1, 2, 3""",
    "history": """
        SELECT employer_fein, tax_identifier, filing_period, h.employee_qtr_wages, h.employee_ytd_wages
        FROM wages_and_contributions_history h JOIN wages_and_contributions w USING (wage_and_contribution_id)
        JOIN employer USING (employer_id) JOIN employee USING (employee_id)
        JOIN tax_identifier USING (tax_identifier_id)
        ORDER BY 1, 2, 3, 4, 5""",
    "quarters": """
        SELECT employer_fein, filing_period, employer_total_pfml_contribution, pfm_account_id, dor_received_date,
               q.dor_updated_date
        FROM employer_quarterly_contribution q JOIN employer USING (employer_id) ORDER BY 1, 2""",
    "occupations": """
        SELECT employer_fein, tax_identifier, job_title, employment_status, hours_worked_per_week
        FROM employee_occupation JOIN employer USING (employer_id) JOIN employee USING (employee_id)
        JOIN tax_identifier USING (tax_identifier_id) ORDER BY 1, 2""",
    "employer queue": "SELECT count(*) FROM employer_push_to_fineos_queue",
    "employee queue": "SELECT count(*) FROM employee_push_to_fineos_queue",
    "imported files": "SELECT name, kind, line_count FROM dor_imported_file ORDER BY 1",
    "rejected lines": """
        SELECT file_name, line_number, record_kind, field, reason FROM dor_rejected_line ORDER BY 1, 2, 3, 4, 5""",
}  # fmt: skip
