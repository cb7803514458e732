"""The API's database as the old system leaves it, and all jobs on it, as a role that owns the tables.

The database is made from recorded facts (:mod:`tests.db.apidatabase`). Its rows belong to the employers and people of
the generated files, so that each job finds rows of the old system to change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from nightferry import BackgroundTask, Run
from nightferry.job.runtime import Runtime
from paidleave.db import migrate
from paidleave.db.users import APPLICATION_ROLE, IMPERSONAL, JOBS, READ_ONLY, USERS
from paidleave.dor import exempt, importer, pending_filing, submission
from paidleave.dor.generate import employers as generated
from paidleave.dor.generate import main as generate
from paidleave.dor.generate.wages import FIRST_SSN
from paidleave.fineos.eligibility_feed import command as eligibility_feed
from paidleave.fineos.employee_updates import command as employee_updates
from paidleave.fineos.employers import command as employer_load
from paidleave.fineos.organization_units import command as organization_units
from paidleave.operations import check, create_db_users, execute_sql
from tests.db.apidatabase import create_api_tables
from tests.etl.world import CONTENT
from tests.fineos import administrators
from tests.fineos.conftest import RunningSimulator
from tests.hostile import hold_up_imports
from tests.task_process import database_env

OWNER = "api_owner"
"""The owner of the tables, with the attributes of Amazon RDS's master user: no superuser."""
EMPLOYERS = 20
FEINS = generated.make_feins(pl.int_range(EMPLOYERS + 1, eager=True)).to_list()
"""The FEINs in the generated files, by the number of the employer from 1."""
SSNS = [str(FIRST_SSN + number) for number in range(20)]
"""SSNs of people in the generated wage file, by the number of the person from 1."""

EMPLOYER, EMPLOYEE, TAX, WAGE, ADDRESS, QUEUED = range(1, 7)


def make_id(kind: int, number: int) -> UUID:
    return UUID(int=kind << 64 | number)


@contextmanager
def existing_database(server: str, name: str) -> Iterator[str]:
    """Create the database on a server, given by its connection string; yield the connection string of its owner."""
    with psycopg.connect(server, autocommit=True) as connection:
        if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [OWNER]).rowcount:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEROLE CREATEDB").format(sql.Identifier(OWNER)))
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8'").format(
                sql.Identifier(name), sql.Identifier(OWNER)
            )
        )
    owner = make_conninfo(server, dbname=name, user=OWNER)
    try:
        with psycopg.connect(owner) as connection:
            create_api_tables(connection)
            connection.execute(administrators.TABLES.encode())
            leave_rows(connection)
        yield owner
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
            _drop_roles(connection)


def _drop_roles(connection: psycopg.Connection) -> None:
    """Drop the owner and the users that it created, unless another database of the server still uses them."""
    for role in (*(user.name for user in USERS), APPLICATION_ROLE, OWNER):
        with suppress(psycopg.errors.DependentObjectsStillExist):
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


def insert(connection: psycopg.Connection, table: str, **values: object) -> None:
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join(sql.Placeholder() for _ in values),
        ),
        list(values.values()),
    )


def leave_rows(connection: psycopg.Connection) -> None:
    """Fill the tables with rows in the state in which the old system leaves them."""
    old = {"created_at": "2019-01-01", "updated_at": "2019-01-01"}
    times = {"start": "2019-01-01 20:30", **old}
    insert(connection, "import_log", source="DOR", import_type="Initial", status="success", report="{}", **times)
    # Killed, so that it was never closed. The old system wrote "{}" or nothing before the end.
    insert(connection, "import_log", source="DOR", import_type="Initial", status="in progress", **times)
    insert(connection, "import_log_report_queue", import_log_report_queue_id=make_id(9, 1), import_log_id=1, **old)
    _leave_employers(connection, old)
    _leave_people(connection, old)
    for number, (action, employer, process) in enumerate(
        [
            ("INSERT", 1, 1),  # claimed by a process that has died
            ("UPDATE", 2, 3),
            ("UPDATE", 3, None),
            ("DELETE", 4, None),
            ("UPDATE", 99, None),  # deleted since; the queue has no foreign key
        ]
    ):
        insert(
            connection,
            "employer_push_to_fineos_queue",
            employer_push_to_fineos_queue_id=make_id(QUEUED, number),
            employer_id=make_id(EMPLOYER, employer),
            action=action,
            process_id=process,
            modified_at=None if number == 1 else "2019-01-01",
            family_exemption=False,
            medical_exemption=False,
            **old,
        )
    for number, (action, person, new_employer, process) in enumerate(
        [
            ("INSERT", 1, None, 1),
            ("UPDATE", 2, None, None),
            ("UPDATE_NEW_EMPLOYER", 3, 2, None),  # of the demographics job: with an employer, but without wages there
            ("UPDATE", 99, None, None),
        ]
    ):
        insert(
            connection,
            "employee_push_to_fineos_queue",
            employee_push_to_fineos_queue_id=make_id(QUEUED, number),
            employee_id=make_id(EMPLOYEE, person),
            employer_id=new_employer and make_id(EMPLOYER, new_employer),
            action=action,
            process_id=process,
            modified_at="2019-01-01",
            **old,
        )


def _leave_employers(connection: psycopg.Connection, old: dict[str, str]) -> None:
    """Employers 1 to 5; employer 6 is a second row with the FEIN of employer 2."""
    for number in range(1, 7):
        insert(
            connection,
            "employer",
            employer_id=make_id(EMPLOYER, number),
            employer_fein=FEINS[2 if number == 6 else number],
            account_key=None if number == 3 else f"old key {number}",
            employer_name="Old_Name_&_Sons",
            employer_dba=None if number == 1 else "",
            family_exemption=None if number == 5 else False,
            medical_exemption=None if number == 5 else False,
            exemption_commence_date="9999-12-31",
            exemption_cease_date="9999-12-31",
            # Employers from exempt and response files have no change time.
            dor_updated_date=None if number in (3, 6) else "2019-01-01",
            latest_import_log_id=1,
            industry_code_id=number,
            **old,
        )
        if number < 4:  # the others have no address
            insert(
                connection,
                "address",
                address_id=make_id(ADDRESS, number),
                address_type_id=2,
                address_line_one="1 Old St",
                geo_state_id=1,
                country_id=232,
                **old,
            )
            insert(
                connection,
                "link_employer_address",
                employer_id=make_id(EMPLOYER, number),
                address_id=make_id(ADDRESS, number),
                **old,
            )
    insert(
        connection,
        "organization_unit",
        organization_unit_id=make_id(8, 1),
        employer_id=make_id(EMPLOYER, 1),
        name="HR",
        fineos_id="PE:00031:0000000001",
        **old,
    )
    # An administrator of employer 1 who is linked to this unit.
    insert(connection, "user", user_id=make_id(10, 1), email_address="ada@example.com")
    link = {"user_leave_administrator_id": make_id(11, 1)}
    insert(
        connection,
        "link_user_leave_administrator",
        user_id=make_id(10, 1),
        employer_id=make_id(EMPLOYER, 1),
        **link,
    )
    insert(connection, "link_user_leave_administrator_org_unit", organization_unit_id=make_id(8, 1), **link, **old)
    insert(
        connection,
        "employer_quarterly_contribution",
        employer_id=make_id(EMPLOYER, 1),
        filing_period="2019-06-30",
        employer_total_pfml_contribution=1,
        pfm_account_id="old",
        **old,
    )


def _leave_people(connection: psycopg.Connection, old: dict[str, str]) -> None:
    """People 1 to 4 of employer 1, with duplicate wages; person 5 is a tax identifier without an employee."""
    for number in range(1, 6):
        insert(
            connection,
            "tax_identifier",
            tax_identifier_id=make_id(TAX, number),
            tax_identifier=SSNS[number],
            **old,
        )
    for number in range(1, 5):
        insert(
            connection,
            "employee",
            employee_id=make_id(EMPLOYEE, number),
            tax_identifier_id=make_id(TAX, number),
            first_name="Mary_Ann",
            last_name="Müller" if number == 2 else "Old",
            gender_id=1,
            phone_number="+16175550123",
            ctr_vendor_customer_code="VC1",
            latest_import_log_id=1,
            **old,
        )
        insert(
            connection,
            "employee_occupation",
            employee_occupation_id=make_id(9, number),
            employee_id=make_id(EMPLOYEE, number),
            employer_id=make_id(EMPLOYER, 1),
            organization_unit_id=make_id(8, 1),
            hours_worked_per_week=0,
            days_worked_per_week=0,
            **old,
        )
    wages = ("employee_ytd_wages", "employee_qtr_wages")
    contributions = [f"{payer}_{kind}_contribution" for payer in ("employee", "employer") for kind in ("med", "fam")]
    for number, (person, period) in enumerate([(1, "2019-06-30"), (1, "2019-06-30"), (2, "2019-06-30")]):
        insert(
            connection,
            "wages_and_contributions",
            wage_and_contribution_id=make_id(WAGE, number),
            account_key="old key 1",
            filing_period=period,
            employee_id=make_id(EMPLOYEE, person),
            employer_id=make_id(EMPLOYER, 1),
            is_independent_contractor=False,
            is_opted_in=False,
            latest_import_log_id=1,
            **dict.fromkeys((*wages, *contributions), number),
            **old,
        )


@dataclass
class ExistingSystem:
    """The database, given by the connection string of its owner, the agency's folders, and the vendor."""

    database: str
    folder: Path
    simulator: RunningSimulator

    def run(self, task: BackgroundTask[Any], *, user: str = OWNER, **settings: object) -> None:
        """Run the body of a job in this process."""
        agency, client = self.folder / "agency-transfer", self.simulator.client_settings()
        environment = {
            **database_env(self.database, user),
            **{name.upper(): str(value) for name, value in client.items()},
            "FOLDER_PATH": str(agency / "dor/received"),
            "FOLDER": str(agency / "dor/received"),
            "CSV_FOLDER": str(agency / "dfml/received"),
            "CSV_FOLDER_PATH": str(agency / "dfml/received"),
            "INPUT_FOLDER_PATH": str(agency / "dfml"),
            "OUTPUT_FOLDER_PATH": str(agency / "dor"),
            "OUTPUT_DIRECTORY_PATH": str(self.simulator.folder / "import"),
            "FINEOS_FOLDER_PATH": str(self.simulator.folder / "export"),
            "QUIET_SECONDS": "0",
            "COUNT": EMPLOYERS,
            **{name.upper(): value for name, value in settings.items()},
        }
        values = {name: environment[name.upper()] for name in task.settings.model_fields if name.upper() in environment}
        task.body(task.settings.model_validate(values), Run(Runtime.read(task.name, {})))

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database) as connection:
            return connection.execute(statement.encode(), values).fetchall()

    def run_all_jobs(self, *, hold_up: bool = False) -> None:
        """Migrate the database, and run every other job that uses it: the first day as the owner, then as its user.

        With ``hold_up``, the first import has to wait for another one.
        """
        self.run(migrate.up)
        self.run(create_db_users.main)
        self.run(generate, files="daily", non_ascii_every=3, timestamp="20200519120622")
        with hold_up_imports(self.database) if hold_up else nullcontext():
            self.run(importer.main)
        for files, job in (("exempt", exempt), ("returning", submission), ("response", pending_filing)):
            self.run(generate, files=files, timestamp="20200519120622")
            self.run(job.main)
        self._exchange_with_vendor(OWNER)
        self.run(generate, files="daily", non_ascii_every=3, timestamp="20200520120622", update=True)
        self.run(importer.main, user=JOBS.name)
        self._exchange_with_vendor(JOBS.name)
        self.run(execute_sql.main, user=IMPERSONAL.name, sql="SELECT employer_id, created_at FROM employer")

    def _exchange_with_vendor(self, user: str) -> None:
        self.run(employer_load.main, user=user, employer_load_mode="updates")
        self.run(eligibility_feed.main, user=user, eligibility_feed_mode="updates")
        self.simulator.http.post("_simulator/feeds").raise_for_status()
        self.run(employee_updates.main, user=user)
        self._assign_administrator("IT" if user == OWNER else "Sales")
        self.run(organization_units.main, user=user)

    def _assign_administrator(self, unit: str) -> None:
        """Let the administrator of employer 1 manage this unit at FINEOS."""
        employer = "SELECT fineos_employer_id FROM employer WHERE employer_id = %s"
        ((number,),) = self.query(employer, make_id(EMPLOYER, 1))
        units = [("PE:00031:0000000001", "HR"), ("PE:00031:0000000002", "IT"), ("PE:00031:0000000003", "Sales")]
        self.simulator.http.put("_simulator/units", json={"number": number, "units": units}).raise_for_status()
        administrators.write_list(self.simulator.folder / "export", ("1", FEINS[1], "ada@example.com", unit))

    def check(self) -> dict[str, int]:
        """Return the findings of ``paidleave-check``."""
        values = {name.lower(): text for name, text in database_env(self.database, READ_ONLY.name).items()}
        settings = check.main.settings.model_validate(values)
        return {result.check: result.count for result in check.run_checks(settings) if result.count}

    def contents(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return the business data, without generated ids and processing times."""
        found = {name: self.query(query) for name, query in CONTENT.items()}
        found["import log"] = self.query("SELECT source, import_type, status FROM import_log ORDER BY import_log_id")
        return {name: [tuple(map(_mask_key, row)) for row in rows] for name, rows in found.items()}


def _mask_key(value: object) -> object:
    """Mask a generated account key, which contains the employer's id."""
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "…", value) if isinstance(value, str) else value
