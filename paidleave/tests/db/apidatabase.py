"""The API's database before any migration of this package, made from recorded facts and never from our own revisions.

``tests/facts/api-schema.json`` has 25 of the 168 tables as PostgreSQL reports them: columns, types, defaults,
constraints, indexes, and the rows of lookup tables. Two more tables reference these or are referenced by them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.types.json import Json

FACTS: dict[str, dict[str, Any]] = json.loads((Path(__file__).parents[1] / "facts" / "api-schema.json").read_text())
EXTENSIONS = ("pgcrypto", "pg_trgm")
"""The extensions of the API's database; the server from PyPI has none of them."""
_TRIGRAM_COLUMNS = ("first_name", "last_name", "middle_name", "other_name", "email_address")
TRIGRAM = {
    f"ix_employee_{column}"
    for column in (*_TRIGRAM_COLUMNS, *(f"fineos_employee_{part}_name" for part in ("first", "middle", "last")))
}
"""The trigram indexes (the reference, database.md, lists them); the recorded facts do not name an index's method."""

API_REVISION = "fe91b2c87d10"
EMPLOYER = UUID("11111111-1111-4111-8111-111111111111")
EMPLOYEE = UUID("22222222-2222-4222-8222-222222222222")


def make_api_database(database: str) -> None:
    """Create the API's tables in an empty database, with an employer and an employee."""
    with psycopg.connect(database) as connection:
        create_api_tables(connection)
        connection.execute(
            "INSERT INTO employer (employer_id, employer_fein, employer_name) VALUES (%s, '100000001', 'Kept')",
            [EMPLOYER],
        )
        connection.execute(
            "INSERT INTO employee (employee_id, first_name, last_name) VALUES (%s, 'Ada', 'Kept')", [EMPLOYEE]
        )


def create_api_tables(connection: psycopg.Connection) -> None:
    """Create the extensions that the server has, the tables with their lookup rows, and the version table."""
    for (extension,) in connection.execute(
        "SELECT name FROM pg_available_extensions WHERE name = ANY (%s)", [list(EXTENSIONS)]
    ).fetchall():
        connection.execute(sql.SQL("CREATE EXTENSION {}").format(sql.Identifier(extension)))
    connection.execute("; ".join(list_statements(with_trigrams=has_trigrams(connection))).encode())
    for table, facts in FACTS.items():
        connection.execute(
            sql.SQL("INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, %s)").format(
                table=sql.Identifier(table)
            ),
            [Json(facts.get("rows", []))],
        )
    connection.execute("INSERT INTO alembic_version VALUES (%s)", [API_REVISION])


def has_trigrams(connection: psycopg.Connection) -> bool:
    """Return True if the extension ``pg_trgm`` exists."""
    return connection.execute("SELECT FROM pg_extension WHERE extname = 'pg_trgm'").rowcount == 1


def list_statements(*, with_trigrams: bool) -> Iterator[str]:
    """Yield the statements that create the recorded tables and what their foreign keys require."""
    for table, facts in FACTS.items():
        columns = []
        for column in facts["columns"]:
            default = column.get("default", "")
            if default.startswith("nextval("):
                yield f"CREATE SEQUENCE {default.split(chr(39))[1]} AS integer"
            columns.append(
                f'"{column["name"]}" {column["type"]}'
                + (f" DEFAULT {default}" if default else "")
                + (" NOT NULL" if column["not_null"] else "")
            )
        yield f"CREATE TABLE {table} ({', '.join(columns)})"
        for column in facts["columns"]:
            if column.get("default", "").startswith("nextval("):
                yield f"ALTER SEQUENCE {column['default'].split(chr(39))[1]} OWNED BY {table}.{column['name']}"
    yield "CREATE TABLE link_ctr_address_pair (fineos_address_id uuid PRIMARY KEY)"
    for last in (False, True):  # a foreign key requires the key that it references
        for table, facts in FACTS.items():
            for constraint in facts["constraints"]:
                if constraint["definition"].startswith("FOREIGN KEY") == last:
                    yield f"ALTER TABLE {table} ADD CONSTRAINT {constraint['name']} {constraint['definition']}"
    for table, facts in FACTS.items():
        of_constraints = {constraint["name"] for constraint in facts["constraints"]}
        for index in facts["indexes"]:
            if index["name"] in of_constraints or (index["name"] in TRIGRAM and not with_trigrams):
                continue
            method = "USING gin" if index["name"] in TRIGRAM else ""
            operators = " gin_trgm_ops" if index["name"] in TRIGRAM else ""
            unique = "UNIQUE" if index["unique"] else ""
            yield f"CREATE {unique} INDEX {index['name']} ON {table} {method} ({index['columns']}{operators})"
    yield "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)"
    yield "CREATE TABLE claim (claim_id uuid PRIMARY KEY, employer_id uuid REFERENCES employer)"


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
