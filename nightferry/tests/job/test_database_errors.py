"""The message of a database error is shown if it contains no values of rows, by one rule for all output."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

import nightferry
from nightferry.contract import Privacy
from nightferry.job import describe_error, get_database_message
from nightferry.job.redaction import redactor
from nightferry.job.tracebacks import format_traceback

NAME = "Wolfeschlegel"
SETUP = """
CREATE TABLE t (name text UNIQUE, size integer CHECK (size > 0));
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'bad name %', NEW.name USING ERRCODE = 'unique_violation', HINT = NEW.name;
END $$;
CREATE TABLE audited (name text);
CREATE TRIGGER refuse BEFORE INSERT ON audited FOR EACH ROW EXECUTE FUNCTION refuse();
"""
SHOWN = {
    f"INSERT INTO t VALUES ('{NAME}', 1), ('{NAME}', 1)": 'duplicate key value violates unique constraint "t_name_key"',
    f"INSERT INTO t VALUES ('{NAME}', 0)": 'new row for relation "t" violates check constraint "t_size_check"',
    "SELECT * FROM missing": 'relation "missing" does not exist',
    "SET statement_timeout = 1; SELECT pg_sleep(5)": "canceling statement due to statement timeout",
    "BEGIN READ ONLY; DELETE FROM t": "cannot execute DELETE in a read-only transaction",
}
WITHHELD = [
    f"SELECT '{NAME}'::integer",
    f"SELECT '{NAME}'::date",
    f"SELECT '[{NAME}'::json",
    f"DO $$ BEGIN RAISE EXCEPTION '{NAME}'; END $$",
    f"DO $$ BEGIN RAISE EXCEPTION '{NAME}' USING ERRCODE = 'undefined_table'; END $$",
    f"INSERT INTO audited VALUES ('{NAME}')",
]


@pytest.fixture(autouse=True)
def strict() -> Iterator[None]:
    """Apply the policy that withholds messages; the default shows them."""
    with redactor.isolate():
        redactor.privacy = Privacy.STRICT
        yield


def fail(database: str, statement: str) -> psycopg.Error:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(SETUP)
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(statement)  # type: ignore[call-overload]  # a literal
    return caught.value


@pytest.mark.parametrize("statement", SHOWN)
def test_a_message_about_objects_is_shown(empty_database: str, statement: str) -> None:
    error = fail(empty_database, statement)
    assert get_database_message(error) == SHOWN[statement]
    assert SHOWN[statement] in describe_error(error)
    assert f"SQLSTATE {error.sqlstate}" in describe_error(error)
    assert NAME not in format_traceback(error)


@pytest.mark.parametrize("statement", WITHHELD)
def test_a_message_that_may_quote_a_value_is_withheld(empty_database: str, statement: str) -> None:
    error = fail(empty_database, statement)
    assert NAME in f"{error} {error.diag.message_hint}"
    assert get_database_message(error) is None
    assert NAME not in format_traceback(error)
    assert f"SQLSTATE {error.sqlstate}" in describe_error(error)


def test_the_message_of_a_failed_connection_is_shown() -> None:
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect("host=/nowhere dbname=x connect_timeout=1")
    assert "/nowhere" in (get_database_message(caught.value) or "")
    assert "/nowhere" in describe_error(caught.value)


def test_a_value_that_the_client_library_cannot_convert_is_withheld(empty_database: str) -> None:
    with psycopg.connect(empty_database) as connection, pytest.raises(psycopg.DataError) as caught:
        connection.execute("SELECT '98765-04-03 00:00'::timestamp").fetchone()
    assert "98765" in str(caught.value)
    assert get_database_message(caught.value) is None
    assert "98765" not in describe_error(caught.value)


def test_no_other_module_reads_the_fields_of_an_error() -> None:
    source = Path(nightferry.__file__).parent
    modules = {
        str(path.relative_to(source)) for path in source.rglob("*.py") if re.search(r"\.diag\b", path.read_text())
    }
    assert modules == {"job/database_errors.py", "job/error_facts.py"}
