"""``execute-sql`` under attack: other users, unnoticed rights, functions with effects, limits, formulas in CSV."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import psycopg
import pytest

from nightferry import BadSettings, JobFailed
from nightferry.job import command_line
from paidleave.db import locks
from paidleave.db.users import IMPERSONAL
from paidleave.operations import exports, query
from paidleave.operations.create_db_users import _set_attributes, create_users
from paidleave.operations.execute_sql import TooManyStatements, _read_statements
from paidleave.operations.query import Column, QueryResult, Row, StatementFailed, run_query
from paidleave.operations.query_guards import (
    HARMLESS,
    DatabaseUserCanReadPersonalData,
    DatabaseUserCanWrite,
    RightsUnknown,
    TemporaryFilesUnlimited,
)
from paidleave.operations.settings import ExecuteSqlSettings
from paidleave.operations.sql_text import split
from tests.task_process import database_env, run

LOCK = locks.DOR_RUN.values[0]


def fetch(database: str, text: str, **changes: Any) -> list[Row]:
    """Run statements in this process and return the rows of the last one."""
    env = database_env(database)
    settings = ExecuteSqlSettings(environment="local", db_host=env["DB_HOST"], db_name=env["DB_NAME"], sql=text)
    settings = settings.model_copy(update=changes)
    rows: list[Row] = []
    for number, statement in enumerate(split(text), start=1):
        with run_query(settings, statement, number) as result:
            rows = [row for batch in result.batches for row in batch]
    return rows


def execute_as_owner(database: str, *statements: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


EFFECTS = (
    f"SELECT pg_advisory_lock({LOCK})",
    f"SELECT pg_try_advisory_lock_shared({LOCK})",
    f"SELECT pg_catalog.pg_advisory_xact_lock({LOCK})",
    f'SELECT "pg_advisory_lock" ({LOCK})',
    f'SELECT pg_catalog . "pg_advisory_lock"({LOCK})',
    f"SELECT PG_Advisory_Lock({LOCK})",
    f"SELECT pg_advisory_lock/* ( */({LOCK})",
    f"SELECT pg_advisory_lock -- (\n\n({LOCK})",
    f"SELECT pg_advisory_lock\u000b\u000c\n({LOCK})",
    f'SELECT U&"pg\\005fadvisory_lock"({LOCK})',
    f"SELECT u&\"pg!005fadvisory_lock\" UESCAPE '!' ({LOCK})",
    "SELECT count(pg_advisory_lock(n)) FROM generate_series(1, 100000) AS n",
    f"SELECT * FROM employer, LATERAL pg_advisory_lock({LOCK}) AS locked",
    f"SELECT * FROM ROWS FROM (pg_try_advisory_lock({LOCK}), generate_series(1, 2)) AS rows",
    f"SELECT query_to_xml('SELECT pg_advisory_lock({LOCK})', true, false, '')",
    f"SELECT query_to_xml('SELECT pg_' || 'advisory_lock({LOCK})', true, false, '')",
    f"SELECT ts_stat('SELECT pg_' || 'advisory_lock({LOCK})::text::tsvector')",
    f"SELECT ts_rewrite('a'::tsquery, 'SELECT pg_' || 'advisory_lock({LOCK})::text::tsquery, NULL::tsquery')",
    "SELECT cursor_to_xml('result', 1, true, false, '')",
    "SELECT set_config('statement_timeout', '0', false), n FROM generate_series(1, 10000) AS n",
    "SELECT set_config('lock_timeout', '0', true)",
    "SELECT set_config('work_mem', '100GB', false)",
    "WITH x AS MATERIALIZED (SELECT set_config('statement_timeout', '0', false)) SELECT * FROM x",
    "VALUES (set_config('statement_timeout', '0', false))",
    "SELECT 1 WHERE set_config('temp_file_limit', '-1', false) = ''",
    "SELECT pg_sleep(3600)",
    "SELECT pg_sleep_for('1 hour')",
    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
    "SELECT pg_notify('channel', 'text')",
    "SELECT pg_export_snapshot()",
    "SELECT pg_logical_emit_message(false, 'a', 'b')",
    "SELECT lo_get(1)",
    "SELECT lo_import('/etc/passwd')",
    "SELECT pg_stat_reset()",
    "SELECT pg_ls_dir('.')",
    "SELECT * FROM dblink('dbname=pfml', 'SELECT 1') AS t (a int)",
    "SELECT volatile_helper()",
    "SELECT stable_helper('SELECT 1')",
    "SELECT definer_helper(1)",
    'SELECT public."odd helper"()',
    "SELECT lk_gender.row_helper FROM lk_gender",
    'SELECT (g)."row_helper" FROM lk_gender AS g',
)
HELPERS = (
    "CREATE FUNCTION volatile_helper() RETURNS void LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0); END'",
    "CREATE FUNCTION stable_helper(text) RETURNS void LANGUAGE plpgsql STABLE AS 'BEGIN EXECUTE $1; END'",
    "CREATE FUNCTION definer_helper(int) RETURNS text LANGUAGE sql IMMUTABLE SECURITY DEFINER AS 'SELECT user::text'",
    "CREATE FUNCTION \"odd helper\"() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1'",
    "CREATE FUNCTION row_helper(lk_gender) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1'",
    # The server of the tests has no dblink. A function with its name stands for it.
    "CREATE FUNCTION dblink(text, text) RETURNS SETOF record LANGUAGE sql VOLATILE AS 'SELECT 1'",
)


def test_functions_with_effects_are_refused(users: str) -> None:
    """Attack as the user who reads everything, so that only the function is a reason to refuse the statement."""
    execute_as_owner(users, *HELPERS)
    accepted = []
    for attack in EFFECTS:
        try:
            fetch(users, attack, allow_personal_data=True, statement_timeout=2)
            accepted.append(attack)
        except StatementFailed as error:
            if not str(error).endswith("It was not run."):
                accepted.append(f"{attack}: {error}")
    assert accepted == []


@pytest.mark.parametrize(
    "text",
    [
        "SET statement_timeout = 0",
        "SHOW statement_timeout",
        "BEGIN",
        "DO $$ BEGIN PERFORM pg_advisory_lock(1); END $$",
        "COPY (SELECT pg_advisory_lock(1)) TO STDOUT",
        "EXPLAIN ANALYZE SELECT pg_advisory_lock(1)",
        "CALL procedure()",
        "EXECUTE prepared",
        "DECLARE x CURSOR WITH HOLD FOR SELECT 1",
        "LISTEN channel",
        "LOCK TABLE employee",
        "/* SELECT */ SET statement_timeout = 0",
    ],
)
def test_only_queries_are_run(text: str) -> None:
    settings = ExecuteSqlSettings(environment="local", sql=text)
    with pytest.raises(StatementFailed, match="is not read-only"), run_query(settings, split(text)[0], 1):
        pass


def test_usual_functions_and_names_are_accepted(users: str) -> None:
    rows = fetch(
        users,
        "SELECT count(*), coalesce(max(gender_id), 0), lower('A'), now() IS NULL, age('2020-01-01', '2019-01-01'),"
        " string_agg(gender_description, ',' ORDER BY 1), to_char(date '2020-01-01', 'YYYY'), 'pg_sleep, lo_get',"
        " row_number() OVER (), random() < 2, pg_total_relation_size('employee') > 0, extract(year FROM now()) > 0,"
        " trim(both ' ' from ' a '), current_setting('statement_timeout'), '{}'::jsonb ->> 'a', 'a' LIKE 'b',"
        " nextval FROM lk_gender TABLESAMPLE bernoulli (100) CROSS JOIN (SELECT 1 AS nextval) AS t (nextval)"
        " GROUP BY nextval",
    )
    assert len(rows) == 1
    assert "5min" in rows[0]


def test_postgresql_calls_functions_with_effects_only_by_name(users: str) -> None:
    """Check the facts that the refusal of names relies on, and that the exceptions exist on some version."""
    with psycopg.connect(users) as connection:
        hidden = connection.execute(
            "SELECT oprname::text FROM pg_operator JOIN pg_proc AS f ON f.oid = oprcode WHERE provolatile = 'v'"
            " UNION ALL SELECT castfunc::text FROM pg_cast JOIN pg_proc AS f ON f.oid = castfunc"
            " WHERE provolatile = 'v'"
            " UNION ALL SELECT typname::text FROM pg_type JOIN pg_proc AS f ON f.oid IN (typinput, typoutput)"
            " WHERE provolatile = 'v'"
        ).fetchall()
        found = connection.execute("SELECT DISTINCT proname FROM pg_proc WHERE proname = ANY (%s)", [list(HARMLESS)])
        assert hidden == []
        assert {name for (name,) in found} <= set(HARMLESS)


OTHER_SCHEMA = (
    "CREATE SCHEMA other",
    "GRANT USAGE ON SCHEMA other TO PUBLIC",
    "CREATE TABLE other.import_log (status text)",
)


@pytest.mark.parametrize(
    ("statements", "changes", "error"),
    [
        ([], {"db_schema": "nosuch"}, RightsUnknown),
        ([], {"db_schema": "pg_catalog"}, DatabaseUserCanReadPersonalData),
        (["REVOKE USAGE ON SCHEMA public FROM PUBLIC, pfml_impersonal"], {}, RightsUnknown),
        (["CREATE SCHEMA void", "GRANT USAGE ON SCHEMA void TO PUBLIC"], {"db_schema": "void"}, RightsUnknown),
        (["GRANT SELECT (last_name) ON employee TO PUBLIC"], {}, DatabaseUserCanReadPersonalData),
        ([*OTHER_SCHEMA, "GRANT SELECT ON other.import_log TO PUBLIC"], {}, DatabaseUserCanReadPersonalData),
        (
            ["CREATE VIEW people AS SELECT last_name FROM employee", "GRANT SELECT ON people TO pfml_impersonal"],
            {},
            DatabaseUserCanReadPersonalData,
        ),
        (["GRANT SELECT ON pg_statistic TO pfml_impersonal"], {}, DatabaseUserCanReadPersonalData),
        (["GRANT pg_read_all_data TO pfml_impersonal"], {}, DatabaseUserCanWrite),
        (["GRANT pg_read_all_stats TO pfml_impersonal"], {}, DatabaseUserCanWrite),
        (["GRANT pg_signal_backend TO pfml_impersonal"], {}, DatabaseUserCanWrite),
        (["ALTER ROLE pfml_impersonal CREATEROLE"], {}, DatabaseUserCanWrite),
        (["GRANT UPDATE (last_name) ON employee TO pfml_impersonal"], {}, DatabaseUserCanWrite),
        ([*OTHER_SCHEMA, "GRANT INSERT ON other.import_log TO PUBLIC"], {}, DatabaseUserCanWrite),
        (["GRANT USAGE ON import_log_import_log_id_seq TO pfml_impersonal"], {}, DatabaseUserCanWrite),
        (["ALTER ROLE pfml_impersonal RESET temp_file_limit"], {}, TemporaryFilesUnlimited),
    ],
)
def test_rights_beyond_reading_impersonal_columns_are_refused(
    users: str, statements: list[str], changes: dict[str, str], error: type[JobFailed]
) -> None:
    execute_as_owner(users, *statements)
    with pytest.raises(error):
        fetch(users, "SELECT 1", **changes)


@pytest.mark.parametrize("variable", ["DB_USERNAME", "DB_READONLY_USERNAME"])
def test_settings_cannot_change_the_users(variable: str) -> None:
    for user in ("pfml", "pfml_jobs", "pfml_readonly", "pfml_impersonal", "PFML_READONLY"):
        allowed = {"DB_USERNAME": "pfml_impersonal", "DB_READONLY_USERNAME": "pfml_readonly"}[variable]
        if user != allowed:
            arguments = ["--environment=local", "--sql=SELECT 1", f"--{variable.lower().replace('_', '-')}={user}"]
            with pytest.raises(BadSettings, match=f"runs only as {allowed}"):
                command_line.load_settings("execute-sql", ExecuteSqlSettings, arguments)


def test_rights_without_effect_in_a_read_only_transaction_are_accepted(users: str) -> None:
    """Before PostgreSQL 15, every user may create tables in public, and only the owner of the schema can revoke it."""
    execute_as_owner(users, "GRANT CREATE ON SCHEMA public TO PUBLIC", "CREATE TABLE of_owner (a int)")
    assert fetch(users, "SELECT 1") == [("1",)]


def test_the_time_limit_applies_to_all_rows_together(users: str) -> None:
    """Each row takes time, but no batch of rows takes longer than the limit."""
    slow = (
        "SELECT (SELECT sum(m) FROM generate_series(1, 4000) AS m WHERE m <> n) FROM generate_series(1, 1000000) AS n"
    )
    with pytest.raises(StatementFailed, match="took longer than 1 s"):
        fetch(users, slow, statement_timeout=1)


def test_temporary_files_are_limited(users: str) -> None:
    execute_as_owner(users, "ALTER ROLE pfml_impersonal SET temp_file_limit = '1MB'")
    with pytest.raises(StatementFailed, match="temporary files exceed"):
        fetch(users, "SELECT n FROM generate_series(1, 300000) AS n ORDER BY md5(n::text)")
    with psycopg.connect(users) as connection:
        create_users(connection, {}, needs_credentials=False)
    assert fetch(users, "SELECT setting FROM pg_settings WHERE name = 'temp_file_limit'") == [(str(4 << 20),)]


def test_an_owner_who_cannot_limit_temporary_files_is_told_how(no_users: str, caplog: pytest.LogCaptureFixture) -> None:
    with psycopg.connect(no_users) as connection:
        connection.execute("CREATE ROLE pfml_manager CREATEROLE CREATEDB")
        connection.execute("SET ROLE pfml_manager")
        _set_attributes(connection, IMPERSONAL, is_new=True)
        connection.rollback()
    assert "Set temp_file_limit for the server (on Amazon RDS in the DB parameter group)" in caplog.text


def test_a_run_has_limits_of_statements_rows_columns_and_characters(users: str) -> None:
    with pytest.raises(TooManyStatements, match="contains 101 statements"):
        _read_statements(ExecuteSqlSettings(environment="local", sql="SELECT 1;" * 101))
    wide = ", ".join(f"repeat('x', 5000) AS \"c{n}\x1b[2J\"" for n in range(110))
    env = {key: value for key, value in database_env(users).items() if key != "DB_USERNAME"}
    result = run("operations.execute_sql", SQL=f"SELECT {wide} FROM generate_series(1, 90)", ROW_LIMIT="80", **env)
    assert result.code == 0, result.text
    assert len(result.text) < 400_000
    assert "\x1b" not in json.dumps(result.text, ensure_ascii=False)
    (message,) = [line["message"] for line in result.lines if line["message"].startswith("result ")]
    assert "rows are shown: the tables of a run have at most 200000 characters" in message
    assert "Only the first 100 of 110 columns are shown." in message


def test_a_file_has_a_limit_and_batches_are_small(users: str, monkeypatch: pytest.MonkeyPatch) -> None:
    megabytes = "SELECT repeat('x', 100000) FROM generate_series(1, 25)"
    with pytest.raises(StatementFailed, match=r"more than 2 MB \(EXPORT_LIMIT_MB\)"):
        fetch(users, megabytes, export_limit_mb=2)
    monkeypatch.setattr(query, "BATCH_BYTES", 150_000)
    env = database_env(users)
    settings = ExecuteSqlSettings(environment="local", db_host=env["DB_HOST"], sql=megabytes, export_limit_mb=3)
    settings = settings.model_copy(update={"db_name": env["DB_NAME"]})
    with run_query(settings, split(megabytes)[0], 1) as result:
        assert [len(batch) for batch in result.batches] == [2] * 12 + [1]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=1+1", "'=1+1"),
        ('=HYPERLINK("x")', '\'=HYPERLINK("x")'),
        ("+1 555 0100", "'+1 555 0100"),
        ("-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\tx", "'\tx"),
        ("\r=1", "'\r=1"),
        ("\nx", "'\nx"),
        ("  =1", "'  =1"),
        ("\u00a0=1", "'\u00a0=1"),
        ("\uff1d1", "'\uff1d1"),
        ("'=1", "''=1"),
        ("''=1", "'''=1"),
        ("-infinity", "'-infinity"),
        ("-", "'-"),
        ("-5", "-5"),
        ("+5.25", "+5.25"),
        ("-1e-5", "-1e-5"),
        ("-1e", "'-1e"),
        ("-\u0661", "'-\u0661"),  # a digit, but not ASCII
        ("'quoted'", "'quoted'"),
        ("O'Brien", "O'Brien"),
        ("Smith-Jones", "Smith-Jones"),
        ("a=1", "a=1"),
        ("a;=1", "a;=1"),
        ("", ""),
        ("1,5", "1,5"),
    ],
)
def test_text_in_csv_is_not_a_formula(value: str, written: str) -> None:
    (header, row) = _write_csv(Column(value, "text"), value)
    assert (header, row) == ([written], [written])
    restored = row[0][1:] if exports._FORMULA.match(row[0].removeprefix("'")) and row[0][0] == "'" else row[0]
    assert restored == value


@pytest.mark.parametrize("value", ["-5", "-0.5", "-1e-30", "-Infinity", "NaN"])
def test_numbers_in_csv_remain_numbers(value: str) -> None:
    for type_name in ("int4", "numeric", "float8"):
        assert _write_csv(Column("n", type_name), value) == [["n"], [value]]


def test_separators_of_other_languages_are_quoted() -> None:
    stream = io.BytesIO()
    list(exports.write_csv(QueryResult((Column("n", "text"),), iter([[("a;b",), ("a\tb",), (None,), ("",)]])), stream))
    assert stream.getvalue() == b'n\n"a;b"\n"a\tb"\n\n""\n'


def _write_csv(column: Column, value: str) -> list[list[str]]:
    stream = io.BytesIO()
    list(exports.write_csv(QueryResult((column,), iter([[(value,)]])), stream))
    return list(csv.reader(io.StringIO(stream.getvalue().decode(), newline="")))
