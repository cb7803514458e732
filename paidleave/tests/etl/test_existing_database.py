"""Every job on the API's database, made from recorded facts, with the rows of the old system."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from nightferry.local.services.postgres import Postgres
from paidleave.db import migrate
from tests.db.apidatabase import EXTENSIONS
from tests.db.test_api_schema import FACTS, found
from tests.debian import debian_server
from tests.etl.existing import FEINS, OWNER, SSNS, ExistingSystem, existing_database
from tests.fineos.conftest import run_simulator
from tests.hostile import HOSTILE, TIME_LIMITS, alter

Facts = dict[str, dict[str, list[tuple[Any, ...]]]]


@dataclass(frozen=True)
class FinishedSystem:
    """A system after all jobs: the API's tables before them, and the business data after them."""

    system: ExistingSystem
    tables: Facts
    contents: dict[str, list[tuple[Any, ...]]]


@contextmanager
def open_system(server: Postgres, name: str, folder: Path) -> Iterator[ExistingSystem]:
    with run_simulator(folder / "simulator") as vendor, existing_database(server.conninfo(), name) as database:
        with psycopg.connect(server.conninfo(), autocommit=True) as connection:
            # As in the server's parameter group, which execute-sql requires if its owner is not a superuser.
            connection.execute(sql.SQL("ALTER DATABASE {} SET temp_file_limit = '4GB'").format(sql.Identifier(name)))
        yield ExistingSystem(database, folder, vendor)


@pytest.fixture(scope="module")
def finished(postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FinishedSystem]:
    """Run all jobs with the server's own defaults."""
    with open_system(postgres_server, "finished", tmp_path_factory.mktemp("finished")) as system:
        yield finish(system)


def finish(system: ExistingSystem) -> FinishedSystem:
    with psycopg.connect(system.database) as connection:
        tables = read_tables(connection)
        require_change_times(connection)
    system.run_all_jobs()
    return FinishedSystem(system, tables, system.contents())


def read_tables(connection: psycopg.Connection) -> Facts:
    return {table: found(connection, table) for table in FACTS}


ONE_BY_ONE = [{name: value} for name, value in HOSTILE.items() if name != "session_replication_role"]
ALL_AT_ONCE = {name: value for setting in ONE_BY_ONE for name, value in setting.items()}


@pytest.mark.parametrize(
    ("owner", "settings"),
    [
        pytest.param("DATABASE", ALL_AT_ONCE, id="all-database", marks=pytest.mark.long),
        pytest.param("ROLE", ALL_AT_ONCE, id="all-role", marks=pytest.mark.long),
        *(pytest.param("DATABASE", one, id=next(iter(one)), marks=pytest.mark.long) for one in ONE_BY_ONE),
    ],
)
def test_defaults_of_database_and_owner_change_no_result(
    finished: FinishedSystem, postgres_server: Postgres, tmp_path: Path, owner: str, settings: dict[str, str]
) -> None:
    # Roles belong to the whole server, so that the owner's settings must be reset before others log in.
    with (
        open_system(postgres_server, "hostile", tmp_path) as system,
        psycopg.connect(postgres_server.conninfo(), autocommit=True) as connection,
    ):
        name = "hostile" if owner == "DATABASE" else OWNER
        alter(connection, owner, name, settings)
        try:
            system.run_all_jobs(hold_up=bool(settings.keys() & TIME_LIMITS))
        finally:
            connection.execute(f"ALTER {owner} {name} RESET ALL".encode())
        assert system.contents() == finished.contents


def require_change_times(connection: psycopg.Connection) -> None:
    """Refuse updates that leave ``updated_at`` as it was. In the old system, each change set it."""
    connection.execute("""
        CREATE FUNCTION require_change_time() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.updated_at <> now() THEN RAISE 'updated_at of % did not change', TG_TABLE_NAME; END IF;
            RETURN NEW;
        END $$
    """)
    for table, facts in FACTS.items():
        if "updated_at" in {column["name"] for column in facts["columns"]}:
            connection.execute(
                (
                    f"CREATE TRIGGER change_time BEFORE UPDATE ON {table}"
                    " FOR EACH ROW EXECUTE FUNCTION require_change_time()"
                ).encode()
            )


def test_every_job_runs_on_the_database_of_the_api(finished: FinishedSystem) -> None:
    check_results(finished)


@pytest.mark.long
def test_every_job_runs_on_debian_s_server_with_its_extensions(tmp_path: Path) -> None:
    with debian_server() as server, open_system(server, "debian", tmp_path) as system:
        assert system.query("SELECT FROM pg_extension WHERE extname = ANY (%s)", list(EXTENSIONS)) == [(), ()]
        with psycopg.connect(server.conninfo(), autocommit=True) as connection:
            alter(connection, "DATABASE", "debian", ALL_AT_ONCE)
            system.run(migrate.up)  # This server may lack some of the settings.
            connection.execute("ALTER DATABASE debian RESET ALL")
        for _ in migrate.list_revisions():
            system.run(migrate.down)
        check_results(finish(system))


def check_results(finished: FinishedSystem) -> None:
    existing = finished.system
    assert existing.query("SELECT status FROM import_log WHERE status <> 'success'") == [("error",)]
    assert existing.query(
        "SELECT status, \"end\" IS NOT NULL, position('killed' IN report) > 0 FROM import_log WHERE import_log_id = 2"
    ) == [("error", True, True)]
    names = dict(existing.query("SELECT employer_fein, employer_name FROM employer WHERE dor_updated_date IS NOT NULL"))
    assert not [name for name in names.values() if "_" in name]
    # The second employer of a FEIN is left alone, with its data.
    assert existing.query(
        "SELECT employer_fein, account_key, employer_name FROM employer WHERE starts_with(account_key, 'old')"
    ) == [(FEINS[2], "old key 6", "Old_Name_&_Sons")]
    stored = existing.query(
        "SELECT first_name, gender_id, ctr_vendor_customer_code FROM employee JOIN tax_identifier"
        " USING (tax_identifier_id) WHERE tax_identifier = ANY (%s)",
        SSNS[1:5],
    )
    assert len(stored) == 4
    assert not [row for row in stored if "_" in row[0] or row[1:] != (1, "VC1")]
    # Of duplicate wages, one remains, and the other is its history.
    keys = "SELECT employee_id, employer_id, filing_period FROM wages_and_contributions"
    assert existing.query(f"{keys} GROUP BY 1, 2, 3 HAVING count(*) > 1") == []
    assert existing.query(
        "SELECT employee_ytd_wages FROM wages_and_contributions_history WHERE import_log_id = 1 ORDER BY 1"
    ) == [(0,), (1,), (2,)]
    assert existing.query(
        "SELECT unit.name FROM link_user_leave_administrator_org_unit JOIN organization_unit AS unit"
        " USING (organization_unit_id)"
    ) == [("Sales",)]
    # Rows that dead processes had claimed, rows of deleted employers and people, and a row with an employer but without
    # wages there have left the queues.
    for queue in ("employer_push_to_fineos_queue", "employee_push_to_fineos_queue"):
        assert existing.query(f"SELECT * FROM {queue}") == []
    assert existing.check() == {
        "duplicate-feins": 1,
        "employers-unknown-to-fineos": 1,  # the second employer of the FEIN
        "wages-without-contribution": 4,  # of exempt employers
    }

    with psycopg.connect(existing.database) as connection:
        connection.execute(f"DROP TABLE {migrate.VERSION_TABLE}".encode())
    existing.run(migrate.up, adopt=True)
    # The reverted revisions leave the API's tables as they were.
    for _ in migrate.list_revisions():
        existing.run(migrate.down)
    with psycopg.connect(existing.database) as connection:
        assert read_tables(connection) == finished.tables
