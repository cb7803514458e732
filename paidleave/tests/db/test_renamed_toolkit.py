"""Upgrade and downgrade of a database dump at revision 0009, from the last version under the toolkit's old name."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from nightferry.job.leases.database import DatabaseLeases
from paidleave.db import migrate, schema
from tests.db.test_schema import differences

DUMP = Path(__file__).parent / "data" / "longshore_0009.sql"
OLD_VERSION_TABLE = "longshore_alembic_version"

KEPT = {
    "SELECT employer_name FROM employer": [("Kept",)],
    "SELECT last_name, tax_identifier FROM employee JOIN tax_identifier USING (tax_identifier_id)": [
        ("Kept", "999000001")
    ],
    "SELECT action, attempts FROM employer_push_to_fineos_queue": [("INSERT", 2)],
    "SELECT source, status FROM import_log": [("DOR", "success")],
}


@pytest.fixture
def old_database(empty_database: str) -> str:
    with psycopg.connect(empty_database) as connection:
        connection.execute(DUMP.read_bytes())
    return empty_database


def query(database: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database) as connection:
        return connection.execute(statement).fetchall()  # type: ignore[arg-type]  # a literal


def tables(database: str) -> set[str]:
    return {name for (name,) in query(database, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


def keys(database: str, table: str) -> list[tuple[Any, ...]]:
    return query(database, f"SELECT conname FROM pg_constraint WHERE contype = 'p' AND conrelid = '{table}'::regclass")


def test_a_job_that_ran_before_the_upgrade_has_created_the_lease_table(old_database: str) -> None:
    DatabaseLeases(lambda: psycopg.connect(old_database)).read("dor-import")
    assert "nightferry_lease" in tables(old_database)
    migrate.upgrade(partial(psycopg.connect, old_database))
    assert differences(old_database) == []
    assert query(old_database, "SELECT name, holder FROM nightferry_lease") == [("dor-import", "run-1")]


def test_upgrade_to_the_latest_schema_retains_all_rows(old_database: str) -> None:
    assert OLD_VERSION_TABLE in tables(old_database)
    assert migrate.upgrade(partial(psycopg.connect, old_database)).revisions == migrate.list_revisions()[9:]
    assert tables(old_database) == {*schema.metadata.tables, migrate.VERSION_TABLE}
    assert differences(old_database) == []
    assert keys(old_database, migrate.VERSION_TABLE) == [("nightferry_alembic_version_pkc",)]
    assert keys(old_database, "nightferry_lease") == [("nightferry_lease_pkey",)]
    assert query(old_database, "SELECT name, holder FROM nightferry_lease") == [("dor-import", "run-1")]
    for statement, rows in KEPT.items():
        assert query(old_database, statement) == rows
    assert migrate.upgrade(partial(psycopg.connect, old_database)).revisions == ()


def test_downgrade_retains_all_rows_and_reaches_the_base_without_rows(old_database: str) -> None:
    connect = partial(psycopg.connect, old_database)
    migrate.upgrade(connect)
    assert migrate.downgrade(connect, target="0009").revisions == migrate.list_revisions()[:8:-1]
    assert query(old_database, "SELECT name, holder FROM longshore_lease") == [("dor-import", "run-1")]
    with pytest.raises(migrate.MigrationFailed, match="it contains data"):
        migrate.downgrade(connect, target="base")
    assert query(old_database, f"SELECT version_num FROM {migrate.VERSION_TABLE}") == [("0009",)]
    for statement, rows in KEPT.items():
        assert query(old_database, statement) == rows
    with psycopg.connect(old_database) as connection:
        connection.execute(
            "TRUNCATE import_log, employer, employee, tax_identifier, employer_push_to_fineos_queue CASCADE"
        )
    assert migrate.downgrade(connect, target="base").revisions == migrate.list_revisions()[8::-1]
    assert tables(old_database) == {migrate.VERSION_TABLE}


def test_downgrade_without_previous_upgrade(old_database: str) -> None:
    assert migrate.downgrade(partial(psycopg.connect, old_database)).revisions == ("0009",)
    assert OLD_VERSION_TABLE not in tables(old_database)
