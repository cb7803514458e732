"""Bulk checks of foreign keys lock and count the referenced rows and fail if one is missing."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import make_conninfo

from paidleave.db.foreign_keys import ReferencedRowDeleted, check_in_bulk
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
