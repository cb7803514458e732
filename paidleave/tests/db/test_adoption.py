"""A lost version table is found again by comparing the schema, and a failed migration reports the revision."""

from __future__ import annotations

from functools import partial
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from paidleave.db import lookups, migrate
from paidleave.db.adoption import compare_with_revisions
from tests.db.apidatabase import make_api_database
from tests.db.test_renamed_toolkit import DUMP

pytestmark = pytest.mark.sampled(8)

REVISIONS = migrate.list_revisions()


def query(database: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database) as connection:
        return connection.execute(statement.encode()).fetchall()


def execute(database: str, statement: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(statement.encode())


def catalog_of(database: str) -> list[tuple[Any, ...]]:
    """Return everything that adoption must not change."""
    return query(
        database,
        "SELECT relnamespace::regnamespace::text, relname, obj_description(oid, 'pg_class') FROM pg_class"
        " WHERE relnamespace::regnamespace::text !~ '^pg_' AND relname NOT LIKE '%alembic_version%' ORDER BY 1, 2",
    )


CASES = [(revision, of_api) for revision in REVISIONS for of_api in (False, True)]
SAMPLE = [("0008", False), ("0009", True), (REVISIONS[-1], False), (REVISIONS[-1], True)]


@pytest.mark.parametrize(
    ("revision", "of_api"),
    [pytest.param(*case, marks=[] if case in SAMPLE else pytest.mark.long) for case in CASES],
)
def test_the_revision_is_found_without_the_version_table(empty_database: str, revision: str, of_api: bool) -> None:
    connect = partial(psycopg.connect, empty_database)
    if of_api:
        make_api_database(empty_database)
    migrate.upgrade(connect, target=revision)
    execute(empty_database, f"DROP TABLE {migrate.VERSION_TABLE}")
    before = catalog_of(empty_database)
    found = migrate.adopt(connect)
    assert found is not None
    assert catalog_of(empty_database) == before
    # Revisions that change nothing in this database cannot be distinguished; each can be applied again.
    later = [other for other in REVISIONS if min(found, revision) < other <= max(found, revision)]
    assert set(later) <= ({"0002", "0011"} if of_api else {"0002"})
    assert migrate.upgrade(connect).revisions == tuple(other for other in REVISIONS if other > found)
    assert migrate.upgrade(connect).lookups == lookups.NO_CHANGES


def test_the_old_toolkit_s_database_is_adopted_without_its_version_table(empty_database: str) -> None:
    execute(empty_database, DUMP.read_text())
    execute(empty_database, "DROP TABLE longshore_alembic_version")
    connect = partial(psycopg.connect, empty_database)
    assert migrate.adopt(connect) == "0009"
    assert migrate.upgrade(connect).revisions == REVISIONS[9:]


def test_a_schema_of_no_revision_is_listed(database: str) -> None:
    execute(
        database,
        f"DROP TABLE {migrate.VERSION_TABLE};"
        "ALTER TABLE employee_push_to_fineos_queue DROP COLUMN last_error;"
        "ALTER TABLE dor_imported_file ALTER line_count TYPE integer",
    )
    before = catalog_of(database)
    with pytest.raises(migrate.MigrationFailed) as failed:
        migrate.adopt(partial(psycopg.connect, database))
    message = str(failed.value)
    assert "employee_push_to_fineos_queue.last_error text" in message
    assert "dor_imported_file.line_count bigint" in message
    assert "Nothing was changed" in message
    assert catalog_of(database) == before
    assert query(database, f"SELECT to_regclass('{migrate.VERSION_TABLE}')") == [(None,)]


def test_a_database_with_a_revision_is_not_adopted(database: str) -> None:
    assert migrate.adopt(partial(psycopg.connect, database)) is None
    assert query(database, f"SELECT version_num FROM {migrate.VERSION_TABLE}") == [(REVISIONS[-1],)]


def test_a_migration_without_the_version_table_names_the_option(database: str) -> None:
    execute(database, f"DROP TABLE {migrate.VERSION_TABLE}")
    with pytest.raises(migrate.MigrationFailed, match=r"while applying revision 0003: .* run db-migrate-up --adopt"):
        migrate.upgrade(partial(psycopg.connect, database))


@pytest.mark.parametrize(
    ("obstacle", "step", "reached"),
    [
        ("CREATE TABLE processed_object ()", "applying revision 0006", "0005"),
        ("CREATE TABLE lk_race (race_id integer PRIMARY KEY)", "synchronizing the lookup tables", REVISIONS[-1]),
    ],
)
def test_a_failed_migration_reports_the_revision_and_resumes(
    empty_database: str, obstacle: str, step: str, reached: str
) -> None:
    connect = partial(psycopg.connect, empty_database)
    execute(empty_database, obstacle)
    with pytest.raises(migrate.MigrationFailed) as failed:
        migrate.upgrade(connect)
    assert f"The migration stopped while {step}: " in str(failed.value)
    assert f"The database has revision {reached}, and a migration resumes from there." in str(failed.value)
    assert query(empty_database, f"SELECT version_num FROM {migrate.VERSION_TABLE}") == [(reached,)]
    remedy = "ALTER TABLE lk_race ADD race_description text" if "lk_race" in obstacle else "DROP TABLE processed_object"
    execute(empty_database, remedy)
    assert migrate.upgrade(connect).revisions == tuple(other for other in REVISIONS if other > reached)


def test_a_failed_downgrade_reports_the_revision(database: str) -> None:
    execute(database, "INSERT INTO tax_identifier VALUES (gen_random_uuid(), '123456789')")
    with pytest.raises(migrate.MigrationFailed) as failed:
        migrate.downgrade(partial(psycopg.connect, database), target="base")
    cause = "while reverting revision 0001: cannot drop the table tax_identifier because it contains data"
    assert cause in str(failed.value)
    assert f"The database has revision {REVISIONS[-1]}" in str(failed.value)
    assert query(database, f"SELECT version_num FROM {migrate.VERSION_TABLE}") == [(REVISIONS[-1],)]


def test_a_revision_of_a_newer_version_is_named(database: str) -> None:
    execute(database, f"UPDATE {migrate.VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(migrate.MigrationFailed, match=r"has revision 9999, which this version does not have"):
        migrate.upgrade(partial(psycopg.connect, database))


@pytest.mark.parametrize("revision", ["0001", "0002"])
def test_revisions_with_the_same_columns_are_distinguished_by_their_keys(empty_database: str, revision: str) -> None:
    statements = {
        "0001": "CREATE TABLE file (digest text, kind text NOT NULL, CONSTRAINT file_pkey PRIMARY KEY (digest))",
        "0002": "ALTER TABLE file DROP CONSTRAINT file_pkey, ADD CONSTRAINT file_pkey PRIMARY KEY (kind, digest)",
    }
    engine = create_engine(
        "postgresql+psycopg://", creator=partial(psycopg.connect, empty_database), poolclass=NullPool
    )
    for applied in statements:
        if applied <= revision:
            execute(empty_database, statements[applied])
    with engine.connect() as connection:
        found, _ = compare_with_revisions(
            connection, "version", list(statements), lambda step: connection.execute(text(statements[step]))
        )
    assert found == revision
