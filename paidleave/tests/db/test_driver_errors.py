"""Descriptions of driver errors contain no values of rows."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

import paidleave
from paidleave.db.driver_errors import describe_error, describe_error_kind, explain_error


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("SELECT 'Wolfeschlegel'::integer", "invalid text representation (SQLSTATE 22P02)"),
        (
            "DO $$ BEGIN RAISE EXCEPTION 'Wolfeschlegel'; END $$",
            "raise exception (SQLSTATE P0001)",
        ),
        (
            "DO $$ BEGIN RAISE EXCEPTION 'Wolfeschlegel' USING ERRCODE = 'unique_violation'; END $$",
            "unique violation (SQLSTATE 23505)",
        ),
        (
            "INSERT INTO t VALUES ('Wolfeschlegel'), ('Wolfeschlegel')",
            'duplicate key value violates unique constraint "t_name_key"',
        ),
        ("SELECT * FROM missing", 'relation "missing" does not exist'),
    ],
)
def test_description_contains_no_row_value(empty_database: str, statement: str, text: str) -> None:
    with psycopg.connect(empty_database) as connection:
        connection.execute("CREATE TABLE t (name text UNIQUE)")
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(statement)  # type: ignore[arg-type]  # a literal
    assert describe_error(caught.value) == text


def test_value_that_the_client_library_cannot_convert_is_not_quoted(empty_database: str) -> None:
    with psycopg.connect(empty_database) as connection, pytest.raises(psycopg.DataError) as caught:
        connection.execute("SELECT '98765-04-03 00:00'::timestamp").fetchone()
    assert "98765" in str(caught.value)
    assert describe_error(caught.value) == "data error"


def test_connection_error_has_the_message_of_the_client_library() -> None:
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect("host=/nowhere dbname=x connect_timeout=1")
    assert "/nowhere" in describe_error(caught.value)
    assert describe_error_kind(caught.value) == "operational error"


def test_a_full_disk_has_its_own_remedy() -> None:
    settings: Any = SimpleNamespace(db_name="pfml", db_host="db", db_schema="public", db_username="jobs")
    assert explain_error(psycopg.errors.DiskFull("could not extend file"), settings) == (
        "database error: disk full (SQLSTATE 53100) (pfml on db, schema public, user jobs). "
        "Free space on the disk of the database. Then start the job again."
    )


def test_no_module_reads_the_message_of_the_server_itself() -> None:
    source = Path(paidleave.__file__).parent
    texts = {str(path.relative_to(source)): path.read_text() for path in source.rglob("*.py")}
    assert [
        name for name, text in texts.items() if re.search(r"message_(primary|detail|hint)|diag\.context", text)
    ] == []
