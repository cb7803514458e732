"""A small database to export from, and the export in this process or in a separate one."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg import sql

from nightferry import Run
from nightferry.job.runtime import Runtime
from nightferry.testing import forked
from paidleave.fineos.eligibility_feed import command
from paidleave.fineos.eligibility_feed.report import Report
from paidleave.fineos.settings import EligibilityFeedSettings
from tests.task_process import database_env

_COUNTER = itertools.count(1)
CLIENT = {
    "FINEOS_CLIENT_WSCOMPOSER_API_URL": "http://127.0.0.1:9/integration-services/wscomposer/",
    "FINEOS_CLIENT_OAUTH2_URL": "http://127.0.0.1:9/oauth2/token",
    "FINEOS_CLIENT_OAUTH2_CLIENT_ID": "feed",
    "FINEOS_CLIENT_OAUTH2_CLIENT_SECRET": "unused",
    "FINEOS_CLIENT_ATTEMPTS": "1",
}
"""Settings of an unreachable FINEOS, for exports whose employers all have a number."""


class World:
    """Creates rows. Methods that create a row return its ID."""

    def __init__(self, conninfo: str) -> None:
        self.conninfo = conninfo
        self.db = psycopg.connect(conninfo, autocommit=True)

    def close(self) -> None:
        self.db.close()

    def clear(self) -> None:
        """Delete all rows of the tables that this class fills."""
        for table in (
            *("employee_push_to_fineos_queue", "employee_occupation", "organization_unit", "wages_and_contributions"),
            *("employee", "tax_identifier", "employer"),
        ):
            self.db.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))

    def insert(self, table: str, **values: Any) -> None:
        columns = sql.SQL(", ").join(map(sql.Identifier, values))
        marks = sql.SQL(", ").join(sql.Placeholder() * len(values))
        query = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(sql.Identifier(table), columns, marks)
        self.db.execute(query, list(values.values()))

    def employer(self, number: int | None = None, **values: Any) -> UUID:
        employer_id, fein = values.pop("employer_id", uuid4()), f"{next(_COUNTER):09}"
        self.insert(
            "employer", **{"employer_id": employer_id, "employer_fein": fein, "fineos_employer_id": number} | values
        )
        return employer_id

    def employee(self, *employers: UUID, ssn: str | None = None, **values: Any) -> UUID:
        employee_id, tax_id = values.pop("employee_id", uuid4()), uuid4()
        self.insert("tax_identifier", tax_identifier_id=tax_id, tax_identifier=ssn or f"{100_000_000 + next(_COUNTER)}")
        names = {"first_name": "Ada", "last_name": "Byron"}
        self.insert("employee", **{"employee_id": employee_id, "tax_identifier_id": tax_id} | names | values)
        for employer_id in employers:
            self.wage(employee_id, employer_id)
        return employee_id

    def employees(self, employer_id: UUID, count: int) -> None:
        """Create many employees of one employer with set-based statements."""
        with self.db.transaction():
            self.db.execute("SET LOCAL session_replication_role = replica")
            self.db.execute(
                "CREATE TEMP TABLE person ON COMMIT DROP AS"
                " SELECT gen_random_uuid() AS employee_id FROM generate_series(1, %s)",
                [count],
            )
            self.db.execute(
                "INSERT INTO employee (employee_id, first_name, last_name)"
                " SELECT employee_id, 'Ada', 'Byron' FROM person"
            )
            self.db.execute(
                "INSERT INTO wages_and_contributions (wage_and_contribution_id, account_key, filing_period,"
                " employee_id, employer_id, is_independent_contractor, is_opted_in, employee_ytd_wages,"
                " employee_qtr_wages, employee_med_contribution, employer_med_contribution, employee_fam_contribution,"
                " employer_fam_contribution)"
                " SELECT gen_random_uuid(), '1', '2021-03-31', employee_id, %s, false, false, 0, 0, 0, 0, 0, 0"
                " FROM person",
                [employer_id],
            )

    def wage(self, employee_id: UUID, employer_id: UUID, period: date = date(2021, 3, 31)) -> UUID:
        amounts = ("ytd_wages", "qtr_wages", "med_contribution", "fam_contribution")
        wage_id = uuid4()
        self.insert(
            "wages_and_contributions",
            wage_and_contribution_id=wage_id,
            account_key="1",
            filing_period=period,
            employee_id=employee_id,
            employer_id=employer_id,
            is_independent_contractor=False,
            is_opted_in=False,
            **{f"employee_{name}": 0 for name in amounts},
            **{f"employer_{name}": 0 for name in amounts[2:]},
        )
        return wage_id

    def occupation(self, employee_id: UUID, employer_id: UUID, **values: Any) -> UUID:
        occupation_id = uuid4()
        self.insert(
            "employee_occupation",
            **{"employee_occupation_id": occupation_id, "employee_id": employee_id, "employer_id": employer_id},
            **values,
        )
        return occupation_id

    def unit(self, employer_id: UUID, name: str) -> UUID:
        unit_id = uuid4()
        self.insert("organization_unit", organization_unit_id=unit_id, employer_id=employer_id, name=name)
        return unit_id

    def queue(self, employee_id: UUID, employer_id: UUID | None = None, action: str = "UPDATE", **values: Any) -> UUID:
        queue_id = uuid4()
        self.insert(
            "employee_push_to_fineos_queue",
            **{
                "employee_push_to_fineos_queue_id": queue_id,
                "employee_id": employee_id,
                "employer_id": employer_id,
                "action": action if employer_id is None else "UPDATE_NEW_EMPLOYER",
            }
            | values,
        )
        return queue_id

    def queued(self) -> set[UUID]:
        """Return the IDs of the rows in the queue."""
        rows = self.db.execute("SELECT employee_push_to_fineos_queue_id FROM employee_push_to_fineos_queue")
        return {row[0] for row in rows}

    def queue_state(self, queue_id: UUID) -> tuple[Any, ...] | None:
        """Return attempts, claimed_by, lease_expires_at, last_error and process_id of a queue row."""
        return self.db.execute(
            "SELECT attempts, claimed_by, lease_expires_at, last_error, process_id FROM employee_push_to_fineos_queue"
            " WHERE employee_push_to_fineos_queue_id = %s",
            [queue_id],
        ).fetchone()

    def import_log(self, mode: str = "full") -> tuple[str, dict[str, Any]]:
        """Return status and report of the only record of an export."""
        rows = self.db.execute(
            "SELECT status, report FROM import_log WHERE source = 'Eligibility export' AND import_type = %s", [mode]
        ).fetchall()
        ((status, report),) = rows
        return status, json.loads(report)

    def environment(self, output: Path, mode: str, **variables: Any) -> dict[str, str]:
        """Build the environment variables of an export."""
        given = {name: str(value) for name, value in variables.items()}
        return CLIENT | {
            **database_env(self.conninfo),
            "OUTPUT_DIRECTORY_PATH": str(output),
            "ELIGIBILITY_FEED_MODE": mode,
            **given,
        }

    def settings(self, output: Path, mode: str, **variables: Any) -> EligibilityFeedSettings:
        names = {name.lower(): value for name, value in self.environment(output, mode, **variables).items()}
        return EligibilityFeedSettings(**names)  # type: ignore[arg-type]  # pydantic parses the texts

    def export(
        self,
        output: Path,
        mode: str = "full",
        write: Callable[[str, Iterable[bytes]], None] | None = None,
        **variables: Any,
    ) -> dict[str, Any]:
        """Run the export in this process and return its report."""
        settings = self.settings(output, mode, **variables)
        values: dict[str, Any] = {}
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            run = Run(Runtime.read("feed", {"ENVIRONMENT": "local"}))
            writer = write or command.build_writer(settings)
            command.Export(connection, settings, run, Report(values), writer).start()
        return values

    def process(self, output: Path, mode: str = "full", **variables: Any) -> subprocess.Popen[str]:
        """Start the export in a separate process, as the task does."""
        return forked.Popen(
            [sys.executable, "-c", "from paidleave.fineos.eligibility_feed.command import main; main()"],
            env={"PATH": os.environ["PATH"], **self.environment(output, mode, **variables)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, output: Path, mode: str = "full", **variables: Any) -> tuple[int, str]:
        """Run the export in a separate process. Return its exit code and output."""
        process = self.process(output, mode, **variables)
        text, _ = process.communicate(timeout=120)
        return process.returncode, text


def files(output: Path) -> list[Path]:
    """Return the feed files below ``output``, sorted by name. Other files are an error."""
    found = sorted(path for path in output.rglob("*") if path.is_file())
    assert all(path.suffix == ".csv" for path in found), found
    return found


def number(path: Path) -> int:
    """Return the employer's FINEOS number from the name of a file."""
    return int(path.stem.partition("_")[2])


def contents(output: Path) -> dict[int, bytes]:
    """Return each employer's file by its FINEOS number. Two files of one employer are an error."""
    found = {number(path): path.read_bytes() for path in files(output)}
    assert len(found) == len(files(output))
    return found
