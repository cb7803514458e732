"""Bulk checks of foreign keys lock and count the referenced rows and fail if one is missing."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import make_conninfo

import paidleave
from paidleave.db import schema
from paidleave.db.foreign_keys import WRITTEN_TABLES, ReferencedRowDeleted, check_in_bulk
from tests.db.apidatabase import EMPLOYEE, EMPLOYER, add_employer, make_api_database

STAGED = "CREATE TEMPORARY TABLE staged (employer_id uuid)"


@pytest.fixture
def api_database(empty_database: str) -> str:
    make_api_database(empty_database)
    return empty_database


def test_locked_rows_cannot_be_deleted_before_commit(api_database: str) -> None:
    with psycopg.connect(api_database) as connection, psycopg.connect(api_database, autocommit=True) as other:
        connection.execute(STAGED)
        connection.execute("INSERT INTO staged VALUES (%s), (%s), (NULL)", [EMPLOYER, EMPLOYER])
        with check_in_bulk(connection) as keys:
            assert keys.in_bulk
            keys.lock_references("employer.employer_id", "staged")
            keys.lock_references("employee.employee_id", "(SELECT %(id)s::uuid AS employee_id) AS one", id=EMPLOYEE)
            other.execute("SET lock_timeout = '50ms'")
            for statement in ("DELETE FROM employer", "DELETE FROM employee"):
                with pytest.raises(errors.LockNotAvailable):
                    other.execute(statement)
        connection.commit()
        other.execute("DELETE FROM employer")


def test_missing_row_raises_an_error(api_database: str) -> None:
    with psycopg.connect(api_database) as connection:
        connection.execute(STAGED)
        connection.execute("INSERT INTO staged VALUES (%s), (%s)", [EMPLOYER, EMPLOYEE])
        with (
            pytest.raises(ReferencedRowDeleted, match="a referenced row of employer was deleted during the job"),
            check_in_bulk(connection) as keys,
        ):
            keys.lock_references("employer.employer_id", "staged WHERE employer_id IS NOT NULL")


AUDIT = """
    CREATE TABLE audit (employer_id uuid);
    CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO audit VALUES (NEW.employer_id); RETURN NEW; END $$;
    CREATE TRIGGER audited AFTER INSERT ON employer FOR EACH ROW EXECUTE FUNCTION audit();
"""


@pytest.mark.parametrize(
    ("change", "in_bulk"),
    [
        (AUDIT, False),
        (AUDIT + "ALTER TABLE employer ENABLE REPLICA TRIGGER audited", False),  # would fire only in replica mode
        (AUDIT + "ALTER TABLE employer ENABLE ALWAYS TRIGGER audited", True),
        (AUDIT + "ALTER TABLE employer DISABLE TRIGGER audited", True),
        ("CREATE RULE audited AS ON INSERT TO employer DO ALSO NOTHING", False),
        ("ALTER TABLE tax_identifier ADD UNIQUE (tax_identifier_id) DEFERRABLE INITIALLY DEFERRED", False),
        ("ALTER TABLE employer ADD parent uuid REFERENCES employer", False),
        ("ALTER TABLE employer_push_to_fineos_queue ADD FOREIGN KEY (employer_id) REFERENCES employer", True),
        ("ALTER TABLE claim ADD parent uuid REFERENCES claim", True),  # no job writes this table
        ("CREATE VIEW employer_names AS SELECT employer_name FROM employer", True),
        ("", True),
    ],
)
def test_replica_mode_is_used_only_if_the_database_has_no_checks_of_its_own(
    api_database: str, change: str, in_bulk: bool
) -> None:
    with psycopg.connect(api_database) as connection:
        connection.execute(change.encode())
        with check_in_bulk(connection) as keys:
            assert keys.in_bulk is in_bulk
            add_employer(connection, 7, "100000007", changed=None)
        if change == AUDIT:
            assert connection.execute("SELECT count(*) FROM audit").fetchone() == (1,)


def test_the_written_tables_are_those_in_the_statements() -> None:
    root = Path(paidleave.__file__).parent
    statements = [
        file.read_text()
        for folder in (root / "dor" / "sql", root / "fineos" / "employee_updates" / "sql")
        for file in folder.rglob("*.sql")
    ]
    written = set(re.findall(r"^(?:INSERT INTO|UPDATE|DELETE FROM) (\w+)", "\n".join(statements), re.MULTILINE))
    assert written & schema.metadata.tables.keys() == set(WRITTEN_TABLES)


def test_checks_are_enabled_after_the_block(api_database: str) -> None:
    with psycopg.connect(api_database) as connection:
        with check_in_bulk(connection):
            connection.execute("INSERT INTO claim VALUES (gen_random_uuid(), gen_random_uuid())")
        with pytest.raises(errors.ForeignKeyViolation):
            connection.execute("INSERT INTO claim VALUES (gen_random_uuid(), gen_random_uuid())")


def test_role_without_privilege_uses_row_by_row_checks(api_database: str) -> None:
    with psycopg.connect(api_database, autocommit=True) as connection:
        add_employer(connection, 5, "100000005", changed=None)
        connection.execute("DROP ROLE IF EXISTS row_by_row")
        connection.execute("CREATE ROLE row_by_row LOGIN")
        connection.execute("GRANT INSERT ON claim TO row_by_row")
        try:
            with psycopg.connect(make_conninfo(api_database, user="row_by_row")) as plain:
                with check_in_bulk(plain) as keys:
                    assert not keys.in_bulk
                    keys.lock_references("employer.employer_id", "no_such_table")
                    plain.execute("INSERT INTO claim VALUES (gen_random_uuid(), %s)", [EMPLOYER])
                with pytest.raises(errors.ForeignKeyViolation):
                    plain.execute("INSERT INTO claim VALUES (gen_random_uuid(), gen_random_uuid())")
        finally:
            connection.execute("DROP OWNED BY row_by_row")
            connection.execute("DROP ROLE row_by_row")
