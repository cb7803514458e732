"""Upgrades and downgrades of new databases and of the API's database."""

from __future__ import annotations

import logging
import threading
import time
from functools import partial
from uuid import UUID

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import make_conninfo

from nightferry.local.services.postgres import Postgres
from paidleave.db import locks, migrate, schema
from tests.db.apidatabase import API_REVISION, EMPLOYEE, EMPLOYER, add_employer, add_wage, make_api_database

pytestmark = pytest.mark.sampled(8)


def make_connector(database: str) -> migrate.Connect:
    return partial(psycopg.connect, database)


def tables(database: str) -> set[str]:
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()").fetchall()
    return {name for (name,) in rows}


def test_upgrade_of_an_empty_database_creates_all_tables(empty_database: str) -> None:
    migrated = migrate.upgrade(make_connector(empty_database))
    assert migrated.revisions == migrate.list_revisions()
    assert tables(empty_database) == {*schema.metadata.tables, migrate.VERSION_TABLE}


def test_second_upgrade_changes_nothing(database: str) -> None:
    migrated = migrate.upgrade(make_connector(database))
    assert migrated.revisions == ()
    assert (migrated.lookups.added, migrated.lookups.updated) == (0, 0)


def test_down_reverts_one_revision_and_up_applies_it_again(database: str) -> None:
    newest = migrate.list_revisions()[-1]
    assert migrate.downgrade(make_connector(database)).revisions == (newest,)
    assert migrate.upgrade(make_connector(database)).revisions == (newest,)


def test_up_down_up(empty_database: str) -> None:
    migrate.upgrade(make_connector(empty_database))
    down = migrate.downgrade(make_connector(empty_database), target="base")
    assert down.revisions == migrate.list_revisions()[::-1]
    assert tables(empty_database) == {migrate.VERSION_TABLE}
    assert migrate.downgrade(make_connector(empty_database)).revisions == ()
    assert migrate.upgrade(make_connector(empty_database)).revisions == migrate.list_revisions()


def test_every_revision_can_be_reverted_alone(empty_database: str) -> None:
    for revision in migrate.list_revisions():
        assert migrate.upgrade(make_connector(empty_database), target=revision).revisions == (revision,)
        assert migrate.downgrade(make_connector(empty_database)).revisions == (revision,)
        assert migrate.upgrade(make_connector(empty_database), target=revision).revisions == (revision,)


def test_downgrade_never_drops_data(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("INSERT INTO employer (employer_id, employer_fein) VALUES (%s, '100000001')", [EMPLOYER])
    with pytest.raises(migrate.MigrationFailed, match="cannot drop the table employer because it contains data"):
        migrate.downgrade(make_connector(database), target="base")
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM employer").fetchone() == (1,)


def test_upgrade_retains_tables_data_and_version_of_the_api(empty_database: str) -> None:
    make_api_database(empty_database)
    with psycopg.connect(empty_database) as connection:
        connection.execute("DROP TABLE organization_unit, employee_occupation")  # as in an older version of the API
    migrated = migrate.upgrade(make_connector(empty_database))
    assert migrated.revisions == migrate.list_revisions()
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(API_REVISION,)]
        assert connection.execute("SELECT employer_id, employer_name FROM employer").fetchall() == [(EMPLOYER, "Kept")]
        assert connection.execute("SELECT employee_id, attempts FROM employee LEFT JOIN employee_push_to_fineos_queue"
                                  " USING (employee_id)").fetchall() == [(EMPLOYEE, None)]  # fmt: skip

    migrate.downgrade(make_connector(empty_database), target="base")
    assert {"employer", "employee", "claim", "alembic_version", "lk_country"} <= tables(empty_database)
    assert "organization_unit" not in tables(empty_database)
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(API_REVISION,)]
        columns = connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'employer_push_to_fineos_queue'"
        ).fetchall()
        assert ("process_id",) in columns
        assert ("attempts",) not in columns


def test_duplicate_wages_become_history_of_the_newest(empty_database: str, caplog: pytest.LogCaptureFixture) -> None:
    make_api_database(empty_database)
    with psycopg.connect(empty_database) as connection:
        for number in (1, 2):
            connection.execute("INSERT INTO import_log (source) VALUES (%s)", [str(number)])
        oldest = add_wage(connection, 1, wages=10, updated_at="2026-01-01", import_log_id=1)
        newest = add_wage(connection, 2, wages=20, updated_at="2026-01-03")
        add_wage(connection, 3, wages=30, updated_at="2026-01-02", import_log_id=2)
        alone = add_wage(connection, 4, wages=40, updated_at="2026-01-01", period="2026-06-30")
        connection.execute(
            "INSERT INTO wages_and_contributions_history (wages_and_contributions_history_id, wage_and_contribution_id,"
            " is_independent_contractor, is_opted_in, employee_ytd_wages, employee_qtr_wages,"
            " employee_med_contribution, employer_med_contribution, employee_fam_contribution,"
            " employer_fam_contribution) SELECT %s, wage_and_contribution_id, true, true,"
            " 5, 1, 2, 3, 4, 5 FROM wages_and_contributions WHERE wage_and_contribution_id = %s",
            [UUID(int=9), oldest],
        )
    with caplog.at_level(logging.INFO):
        migrate.upgrade(make_connector(empty_database))
    assert "wage key: 2 duplicate wages moved to history, 1 history rows reassigned" in caplog.messages
    with psycopg.connect(empty_database) as connection:
        kept = connection.execute(
            "SELECT wage_and_contribution_id, employee_ytd_wages FROM wages_and_contributions ORDER BY 2"
        ).fetchall()
        assert kept == [(newest, 20), (alone, 40)]
        history = connection.execute(
            "SELECT wage_and_contribution_id, employee_ytd_wages, import_log_id, is_opted_in, employer_fam_contribution"
            " FROM wages_and_contributions_history ORDER BY 2"
        ).fetchall()
        assert history == [(newest, 5, None, True, 5), (newest, 10, 1, False, 5), (newest, 30, 2, False, 5)]
        with pytest.raises(errors.UniqueViolation):
            add_wage(connection, 5, wages=50, updated_at="2026-01-01")


def test_duplicate_feins_are_retained_and_new_ones_rejected(
    empty_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    make_api_database(empty_database)
    with psycopg.connect(empty_database) as connection:
        surplus = add_employer(connection, 1, "100000002", changed="2026-01-01")
        add_employer(connection, 2, "100000002", changed="2026-01-02")
        surplus_without_change = add_employer(connection, 3, "100000002", changed=None, fineos_id=5)
        add_employer(connection, 4, "100000003", changed=None)
    with caplog.at_level(logging.WARNING):
        migrate.upgrade(make_connector(empty_database))
    (message,) = [message for message in caplog.messages if "FEIN" in message]
    assert "2 employers have the FEIN of an employer that DOR changed later" in message
    assert f"{surplus}, {surplus_without_change}" in message
    assert "10000000" not in message.replace(str(surplus), "").replace(str(surplus_without_change), "")
    for fein in ("100000001", "100000002", "100000003"):
        with psycopg.connect(empty_database) as connection, pytest.raises(errors.UniqueViolation):
            add_employer(connection, 9, fein, changed=None)
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT count(*) FROM employer").fetchone() == (5,)


def test_too_many_duplicate_feins_prevent_the_index(empty_database: str, caplog: pytest.LogCaptureFixture) -> None:
    make_api_database(empty_database)
    with psycopg.connect(empty_database) as connection:
        connection.execute(
            "INSERT INTO employer (employer_id, employer_fein) SELECT gen_random_uuid(), '100000002'"
            " FROM generate_series(1, 1002)"
        )
    with caplog.at_level(logging.WARNING):
        migrate.upgrade(make_connector(empty_database))
    assert "no unique index of FEINs created: 1001 employers are duplicates, too many to exclude" in caplog.messages
    with psycopg.connect(empty_database) as connection:
        add_employer(connection, 9, "100000002", changed=None)


def test_keys_with_a_unique_index_of_the_api_get_no_second_one(empty_database: str) -> None:
    make_api_database(empty_database)
    with psycopg.connect(empty_database) as connection:
        connection.execute("CREATE UNIQUE INDEX theirs ON employer (employer_fein)")
        connection.execute(
            "ALTER TABLE wages_and_contributions"
            " ADD CONSTRAINT their_key UNIQUE (filing_period, employer_id, employee_id)"
        )
    migrate.upgrade(make_connector(empty_database))
    with psycopg.connect(empty_database) as connection:
        created = connection.execute("SELECT indexname FROM pg_indexes WHERE indexname LIKE 'uq%'").fetchall()
    assert created == []


def test_concurrent_migrations_run_one_at_a_time(empty_database: str) -> None:
    done: list[tuple[str, ...]] = []
    with psycopg.connect(empty_database) as other:
        locks.MIGRATION.acquire(other)
        threads = [
            threading.Thread(target=lambda: done.append(migrate.upgrade(make_connector(empty_database)).revisions))
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        _wait_for(other, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted", 3)
        assert done == []
    for thread in threads:
        thread.join()
    assert sorted(done) == [(), (), migrate.list_revisions()]


def _wait_for(connection: psycopg.Connection, query: str, expected: int) -> None:
    end = time.monotonic() + 60
    while connection.execute(query).fetchone() != (expected,):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_database_owner_without_other_privileges_can_migrate(empty_database: str) -> None:
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS plain_owner")
        connection.execute("CREATE ROLE plain_owner LOGIN")
        connection.execute(f"ALTER DATABASE {connection.info.dbname} OWNER TO plain_owner")
    assert migrate.upgrade(make_connector(make_conninfo(empty_database, user="plain_owner"))).revisions


def test_missing_privileges_are_reported(empty_database: str) -> None:
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS reader")
        connection.execute("CREATE ROLE reader LOGIN")
    try:
        with pytest.raises(migrate.MigrationFailed, match="permission denied for schema public"):
            migrate.upgrade(make_connector(make_conninfo(empty_database, user="reader")))
    finally:
        with psycopg.connect(empty_database, autocommit=True) as connection:
            connection.execute("DROP ROLE reader")


def test_configured_schema_is_created_and_used(empty_database: str) -> None:
    other_schema = make_conninfo(empty_database, options="-c search_path=paid_leave")
    migrate.upgrade(make_connector(other_schema))
    assert tables(other_schema) == {*schema.metadata.tables, migrate.VERSION_TABLE}
    assert tables(empty_database) == set()


@pytest.fixture
def trigram_operators(postgres_server: Postgres) -> str:
    """Return a connection option for a stub of the extension ``pg_trgm`` that works for empty tables."""
    # The server's user must be able to read the files, and cannot read pytest's own directories.
    folder = postgres_server.data / "extensions" / "extension"
    folder.mkdir(parents=True, exist_ok=True)
    folder.parent.chmod(0o755)
    folder.chmod(0o755)
    control = folder / "pg_trgm.control"
    control.write_text("default_version = '1.0'\nrelocatable = true\nsuperuser = true\n")
    script = folder / "pg_trgm--1.0.sql"
    # The functions are never called because the table is empty.
    script.write_text("""
        CREATE FUNCTION value(text, internal, internal) RETURNS internal LANGUAGE internal AS 'gin_extract_tsvector';
        CREATE FUNCTION query(text, internal, int2, internal, internal, internal, internal) RETURNS internal
            LANGUAGE internal AS 'gin_extract_tsquery';
        CREATE FUNCTION consistent(internal, int2, text, int4, internal, internal, internal, internal) RETURNS bool
            LANGUAGE internal AS 'gin_tsquery_consistent';
        CREATE OPERATOR CLASS gin_trgm_ops FOR TYPE text USING gin AS
            OPERATOR 1 =,
            FUNCTION 1 bttextcmp(text, text),
            FUNCTION 2 value(text, internal, internal),
            FUNCTION 3 query(text, internal, int2, internal, internal, internal, internal),
            FUNCTION 4 consistent(internal, int2, text, int4, internal, internal, internal, internal),
            STORAGE text;
    """)
    for file in (control, script):
        file.chmod(0o644)
    return f"-c extension_control_path={folder.parent}"


def test_trigram_indexes_are_created_if_the_extension_is_available(empty_database: str, trigram_operators: str) -> None:
    with psycopg.connect(empty_database, options=trigram_operators) as connection:
        version = connection.info.server_version
    assert version >= 180000
    migrate.upgrade(make_connector(make_conninfo(empty_database, options=trigram_operators)))
    with psycopg.connect(empty_database) as connection:
        created = connection.execute("SELECT indexname FROM pg_indexes WHERE indexdef LIKE '%gin_trgm_ops%'").fetchall()
    assert {name for (name,) in created} == {index.name for index in schema.TRIGRAM_INDEXES}
    migrate.downgrade(make_connector(empty_database), target="base")
