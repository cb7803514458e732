"""A database of the API before any migration of this package: its tables, data and ``alembic_version``."""

from __future__ import annotations

from functools import partial
from uuid import UUID

import psycopg

from paidleave.db import migrate

API_REVISION = "fe91b2c87d10"
EMPLOYER = UUID("11111111-1111-4111-8111-111111111111")
EMPLOYEE = UUID("22222222-2222-4222-8222-222222222222")


def make_api_database(database: str) -> None:
    """Create the API's tables and data in an empty database."""
    migrate.upgrade(partial(psycopg.connect, database), target="0001")
    with psycopg.connect(database) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (table,) in tables:
            connection.execute(f"COMMENT ON TABLE {table} IS NULL")
        connection.execute(f"DROP TABLE {migrate.VERSION_TABLE}")
        connection.execute("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
        connection.execute("INSERT INTO alembic_version VALUES (%s)", [API_REVISION])
        connection.execute("CREATE TABLE claim (claim_id uuid PRIMARY KEY, employer_id uuid REFERENCES employer)")
        connection.execute(
            "INSERT INTO employer (employer_id, employer_fein, employer_name) VALUES (%s, '100000001', 'Kept')",
            [EMPLOYER],
        )
        connection.execute(
            "INSERT INTO employee (employee_id, first_name, last_name) VALUES (%s, 'Ada', 'Kept')", [EMPLOYEE]
        )


def add_wage(
    connection: psycopg.Connection,
    number: int,
    *,
    wages: int,
    updated_at: str,
    period: str = "2026-03-31",
    import_log_id: int | None = None,
) -> UUID:
    """Insert a wage row of the only employee and employer; return its id, which is derived from ``number``."""
    wage_id = UUID(int=number)
    connection.execute(
        "INSERT INTO wages_and_contributions (wage_and_contribution_id, account_key, filing_period, employee_id,"
        " employer_id, is_independent_contractor, is_opted_in, employee_ytd_wages, employee_qtr_wages,"
        " employee_med_contribution, employer_med_contribution, employee_fam_contribution,"
        " employer_fam_contribution, latest_import_log_id, updated_at)"
        " VALUES (%s, '1', %s, %s, %s, false, false, %s, 1, 2, 3, 4, 5, %s, %s)",
        [wage_id, period, EMPLOYEE, EMPLOYER, wages, import_log_id, updated_at],
    )
    return wage_id


def add_employer(
    connection: psycopg.Connection, number: int, fein: str, *, changed: str | None, fineos_id: int | None = None
) -> UUID:
    """Insert an employer and return its id, which is derived from ``number``."""
    employer_id = UUID(int=number)
    connection.execute(
        "INSERT INTO employer (employer_id, employer_fein, dor_updated_date, fineos_employer_id)"
        " VALUES (%s, %s, %s, %s)",
        [employer_id, fein, changed, fineos_id],
    )
    return employer_id
