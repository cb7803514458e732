"""Helpers that store a :class:`World` of the reference in a database, read it back, and write FINEOS's files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import dict_row

from nightferry import Run, storage
from nightferry.job.runtime import Runtime
from paidleave.fineos.employee_updates.command import Import, build_limits
from paidleave.fineos.settings import EmployeeUpdatesSettings
from tests.fineos.employee_updates.employee_updates_reference import World

COLUMNS = (
    "EMPLOYEEIDENTIFIER", "EMPLOYEETITLE", "EMPLOYEEDATEOFBIRTH", "EMPLOYEEDATEOFHIRE", "EMPLOYEEENDDATE",
    "EMPLOYEEGENDER", "EMPLOYEEMARITALSTATUS", "TELEPHONEINTCODE", "TELEPHONEAREACODE", "TELEPHONENUMBER",
    "CELLINTCODE", "CELLAREACODE", "CELLNUMBER", "EMPLOYEEEMAIL", "EMPLOYEEID", "EMPLOYEECLASSIFICATION",
    "EMPLOYEEJOBTITLE", "EMPLOYMENTSTATUS", "MANAGERIDENTIFIER", "QUALIFIERDESCRIPTION", "EMPLOYEEWORKSITEID",
    "EMPLOYEEHOURSWORKEDPERWEEK", "EMPLOYEEDAYSWORKEDPERWEEK", "EMPLOYEEORGUNITNAME", "ORG_CUSTOMERNO", "ORG_NAME",
    "EMPLOYEENATIONALID", "EMPLOYEEFIRSTNAME", "EMPLOYEELASTNAME", "CUSTOMERNO",
)  # fmt: skip
PERSON = (
    "title_id", "gender_id", "marital_status_id", "occupation_id", "date_of_birth", "phone_number",
    "cell_phone_number", "email_address", "fineos_customer_number",
)  # fmt: skip
OCCUPATION = (
    "job_title", "employment_status", "manager_id", "worksite_id", "occupation_qualifier", "date_of_hire",
    "date_job_ended", "hours_worked_per_week", "days_worked_per_week",
)  # fmt: skip
NAME = "2026-11-24-20-30-00-EmployeeDataLoad_feed.csv"


def employee_id(number: int) -> UUID:
    return UUID(f"00000000-0000-4000-8000-{number:012x}")


def store(database: str, world: World) -> None:
    """Write the world into a migrated database."""
    with psycopg.connect(database) as connection:
        for number in world.employers:
            connection.execute(
                "INSERT INTO employer (employer_id, employer_fein, fineos_employer_id) VALUES (%s, %s, %s)",
                [uuid4(), f"{number:09d}", number],
            )
        for ssn in world.loose_tax_identifiers:
            connection.execute("INSERT INTO tax_identifier VALUES (%s, %s)", [uuid4(), ssn])
        for identifier, person in world.people.items():
            tax_id = uuid4()
            connection.execute("INSERT INTO tax_identifier VALUES (%s, %s)", [tax_id, person["ssn"]])
            names = ["employee_id", "tax_identifier_id", "first_name", "last_name", *PERSON]
            values = [identifier, tax_id, person["first_name"], person["last_name"], *(person.get(c) for c in PERSON)]
            marks = ", ".join(["%s"] * len(names))
            connection.execute(f"INSERT INTO employee ({', '.join(names)}) VALUES ({marks})", values)


def load(database: str) -> World:
    """Read the world from a database."""
    world = World()
    with psycopg.connect(database, row_factory=dict_row) as connection:
        numbers = "SELECT fineos_employer_id FROM employer WHERE fineos_employer_id IS NOT NULL"
        world.employers = {row["fineos_employer_id"] for row in connection.execute(numbers)}
        for row in connection.execute("SELECT * FROM employee LEFT JOIN tax_identifier USING (tax_identifier_id)"):
            world.people[row["employee_id"]] = {"ssn": row["tax_identifier"]} | {
                column: row[column] for column in ("first_name", "last_name", *PERSON)
            }
        for row in connection.execute(
            "SELECT occupation.*, fineos_employer_id, unit.name AS unit FROM employee_occupation AS occupation"
            " JOIN employer USING (employer_id)"
            " LEFT JOIN organization_unit AS unit USING (organization_unit_id)"
        ):
            key = row["employee_id"], row["fineos_employer_id"]
            world.occupations[key] = {column: row[column] for column in (*OCCUPATION, "unit")}
        units = "SELECT fineos_employer_id, name FROM organization_unit JOIN employer USING (employer_id)"
        world.units = {(row["fineos_employer_id"], row["name"]) for row in connection.execute(units)}
        loose = (
            "SELECT tax_identifier FROM tax_identifier LEFT JOIN employee USING (tax_identifier_id)"
            " WHERE employee_id IS NULL"
        )
        world.loose_tax_identifiers = {row["tax_identifier"] for row in connection.execute(loose)}
    return world


def format_file(rows: Iterable[Mapping[str, str]], columns: Sequence[str] = COLUMNS) -> bytes:
    """Format a file as FINEOS does."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(columns)
    writer.writerows([row.get(column, "") for column in columns] for row in rows)
    return out.getvalue().encode()


def write(folder: Path, rows: Iterable[Mapping[str, str]], name: str = NAME) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_bytes(format_file(rows))
    return file


def run_import(database: str, folder: Path, limit: float = 1.0, **settings: int) -> None:
    """Import the files of the folder in this process. ``limit`` is that of the share of rejected rows."""
    run = Run(Runtime.read("fineos-import-employee-updates", {}))
    variables: dict[str, Any] = {"environment": "local", "fineos_folder_path": str(folder), **settings}
    limits = build_limits(EmployeeUpdatesSettings(employee_updates_errored_share_limit=limit, **variables))
    Import(partial(psycopg.connect, database), storage.session(), run, limits, 0).import_folder(str(folder))


def reports(database: str) -> list[dict[str, Any]]:
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT status, report FROM import_log ORDER BY import_log_id").fetchall()
    return [json.loads(report) | {"status": status} for status, report in rows]


def read_rejects(database: str) -> list[tuple[int, str | None, str]]:
    with psycopg.connect(database) as connection:
        return connection.execute(
            "SELECT line_number, field, reason FROM fineos_rejected_row ORDER BY fineos_rejected_row_id"
        ).fetchall()
