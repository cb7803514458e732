"""Our definitions and revisions agree with the recorded schema of the API's database, name by name."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

import paidleave
from paidleave.db import lookups, migrate, schema
from tests.db.apidatabase import FACTS, TRIGRAM, make_api_database
from tests.db.test_schema import differences

# What the revisions of this package add to tables of the API.
QUEUE_COLUMNS = [
    ("attempts", "integer", True, "0"),
    ("claimed_by", "text", False, None),
    ("last_error", "text", False, None),
    ("lease_expires_at", "timestamp with time zone", False, None),
]
ADDED_COLUMNS = dict.fromkeys(("employer_push_to_fineos_queue", "employee_push_to_fineos_queue"), QUEUE_COLUMNS)
ADDED_INDEXES = {
    "employer": [("uq_employer_employer_fein", True, "employer_fein")],
    "wages_and_contributions": [
        ("uq_wages_and_contributions_employee_employer_period", True, "employee_id,employer_id,filing_period")
    ],
}
# Tables of the API that no job uses; a database without the API lacks them and therefore the keys that reference them.
UNUSED_TABLES = ("link_ctr_address_pair",)

COLUMNS = """
    SELECT attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid)
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY 1
"""
CONSTRAINTS = """
    SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid = %s::regclass AND contype <> 'n' ORDER BY 1
"""
INDEXES = """
    SELECT relname, indisunique, (
        SELECT string_agg(attname, ',' ORDER BY place)
        FROM unnest(indkey::smallint[]) WITH ORDINALITY AS key (number, place)
        JOIN pg_attribute ON attrelid = indrelid AND attnum = number
    )
    FROM pg_index JOIN pg_class ON oid = indexrelid WHERE indrelid = %s::regclass ORDER BY 1
"""


@pytest.fixture
def api_database(empty_database: str) -> str:
    make_api_database(empty_database)
    return empty_database


def recorded(table: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return a table's recorded columns, constraints and indexes."""
    facts = FACTS[table]
    return {
        "columns": sorted(
            (column["name"], column["type"], column["not_null"], column.get("default")) for column in facts["columns"]
        ),
        "constraints": sorted((constraint["name"], constraint["definition"]) for constraint in facts["constraints"]),
        "indexes": sorted((index["name"], index["unique"], index["columns"]) for index in facts["indexes"]),
    }


def found(connection: psycopg.Connection, table: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return a table's columns, constraints and indexes in the database."""
    queries = {"columns": COLUMNS, "constraints": CONSTRAINTS, "indexes": INDEXES}
    return {part: connection.execute(query.encode(), [table]).fetchall() for part, query in queries.items()}


def without_trigrams(parts: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    return parts | {"indexes": [index for index in parts["indexes"] if index[0] not in TRIGRAM]}


@pytest.mark.parametrize("table", FACTS)
def test_tables_of_our_revisions_are_those_of_the_api(database: str, table: str) -> None:
    expected = recorded(table)
    expected["columns"] = sorted(expected["columns"] + ADDED_COLUMNS.get(table, []))
    expected["indexes"] = sorted(expected["indexes"] + ADDED_INDEXES.get(table, []))
    expected["constraints"] = [
        (name, definition)
        for name, definition in expected["constraints"]
        if not any(f"REFERENCES {unused}(" in definition for unused in UNUSED_TABLES)
    ]
    with psycopg.connect(database) as connection:
        assert without_trigrams(found(connection, table)) == without_trigrams(expected)


def test_every_table_that_jobs_use_is_recorded_or_added() -> None:
    added = {"dor_imported_file", "dor_rejected_line", "fineos_rejected_row", "processed_object", "nightferry_lease"}
    assert schema.metadata.tables.keys() == FACTS.keys() | added


def test_lookup_rows_are_those_of_the_api() -> None:
    for lookup in lookups.LOOKUPS:
        if lookup.rows:
            assert [tuple(row[column] for column in lookup.columns) for row in FACTS[lookup.table]["rows"]] == list(
                lookup.rows
            )
        else:
            assert lookup in (lookups.EDUCATION_LEVEL, lookups.PAYMENT_METHOD, lookups.INDUSTRY_CODE)
    assert FACTS[lookups.EDUCATION_LEVEL.table]["rows"] == []


def test_every_update_sets_the_time_of_the_change() -> None:
    with_times = {table.name for table in schema.metadata.tables.values() if "updated_at" in table.columns}
    statements = [
        (table, text)
        for file in Path(paidleave.__file__).parent.rglob("*.*")
        if file.suffix in (".sql", ".py")
        for text in [file.read_text()]
        for table, text in re.findall(r"UPDATE\s+(\w+)((?:\s+AS\s+\w+)?\s+SET\s.*?)(?:WHERE|FROM|\Z)", text, re.DOTALL)
        if table in with_times
    ]
    assert len(statements) > 20
    assert [statement for statement in statements if "updated_at = now()" not in statement[1]] == []


def test_upgrade_of_the_api_database_only_adds(api_database: str) -> None:
    with psycopg.connect(api_database) as connection:
        before = {table: found(connection, table) for table in FACTS}
        assert {table: without_trigrams(parts) for table, parts in before.items()} == {
            table: without_trigrams(recorded(table)) for table in FACTS
        }
    connect = partial(psycopg.connect, api_database)
    upgraded = migrate.upgrade(connect)
    assert upgraded.revisions == migrate.list_revisions()
    assert upgraded.lookups == lookups.NO_CHANGES
    # The API has more tables and a key to one of them, and our comment is only on tables that we created.
    more = ("remove_table", "remove_fk", "add_table_comment")
    assert [change for change in differences(api_database) if change[0] not in more] == []
    with psycopg.connect(api_database) as connection:
        for table in FACTS:
            after = found(connection, table)
            assert after["columns"] == sorted(before[table]["columns"] + ADDED_COLUMNS.get(table, []))
            assert after["constraints"] == before[table]["constraints"]
            assert after["indexes"] == sorted(before[table]["indexes"] + ADDED_INDEXES.get(table, []))
    migrate.downgrade(connect, target="base")
    with psycopg.connect(api_database) as connection:
        assert {table: found(connection, table) for table in FACTS} == before
