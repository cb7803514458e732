"""``execute-sql``: its output and files, the statements it refuses, and attempts to bypass the restrictions."""

from __future__ import annotations

import csv
import json
import re
import threading
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pyarrow.parquet as pq
import pytest

from nightferry import BadSettings
from nightferry.job import command_line
from paidleave.operations.query import BATCH_ROWS, StatementFailed, run_query
from paidleave.operations.settings import ExecuteSqlSettings
from paidleave.operations.sql_text import split
from tests.task_process import TaskResult, database_env, run

pytestmark = pytest.mark.sampled(8)

NAME, SSN, FEIN = "Lovelace", "987654321", "123456780"


@pytest.fixture
def filled(users: str) -> str:
    """Provide a database with one employee, whose data must not be disclosed."""
    with psycopg.connect(users) as connection:
        connection.execute("INSERT INTO tax_identifier VALUES (%s, %s)", [UUID(int=1), SSN])
        connection.execute(
            "INSERT INTO employee (employee_id, tax_identifier_id, first_name, last_name, date_of_birth)"
            " VALUES (%s, %s, 'Ada', %s, '1815-12-10')",
            [UUID(int=2), UUID(int=1), NAME],
        )
        connection.execute(
            "INSERT INTO employer (employer_id, employer_fein, employer_name) VALUES (%s, %s, 'Analytical Engines')",
            [UUID(int=3), FEIN],
        )
    return users


def execute(database: str, sql: str, **environment: str) -> TaskResult:
    variables = database_env(database)
    del variables["DB_USERNAME"]
    return run("operations.execute_sql", **{**variables, "SQL": sql, **environment})


def execute_and_get_error(database: str, sql: str, **changes: Any) -> str:
    """Run statements that fail in this process, which is faster, and return the error message."""
    settings = ExecuteSqlSettings(environment="local", db_host=database_env(database)["DB_HOST"], sql=sql, **changes)
    settings = settings.model_copy(update={"db_name": database_env(database)["DB_NAME"]})
    with pytest.raises(StatementFailed) as raised:
        _run_statements(settings)
    return str(raised.value)


def _run_statements(settings: ExecuteSqlSettings) -> None:
    for number, statement in enumerate(split(settings.sql), start=1):
        with run_query(settings, statement, number) as result:
            for _ in result.batches:
                pass


def list_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


def join_messages(result: TaskResult) -> str:
    return "\n".join(line["message"] for line in result.lines)


def test_a_table_for_each_statement(filled: str) -> None:
    sql = (
        "SELECT count(*), NULL AS nothing FROM employee; SELECT gender_id, gender_description FROM lk_gender ORDER BY 1"
    )
    result = execute(filled, sql, ROW_LIMIT="2")
    assert result.code == 0, result.text
    results = [line["message"] for line in result.lines if line["message"].startswith("result ")]
    assert results == [
        "result 1: 1 row\n│ count │ nothing │\n├───────┼─────────┤\n│ 1     │ NULL    │",
        "result 2: 2 rows\n│ gender_id │ gender_description │\n├───────────┼────────────────────┤\n"
        "│ 1         │ Woman              │\n│ 2         │ Man                │\n"
        "Only the first 2 rows are shown (ROW_LIMIT).",
    ]


def test_numbers_of_different_cells_are_not_masked_as_one_number(filled: str) -> None:
    result = execute(filled, "SELECT 123, 45, 6789 UNION ALL SELECT 20029, 3901, 2; SELECT 123 UNION ALL SELECT 456789")
    assert result.code == 0, result.text
    assert all(f" {number} " in result.text for number in (123, 45, 6789, 20029, 3901, 456789)), result.text
    assert "*" not in result.text


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT last_name FROM employee",
        "SELECT first_name || last_name AS x FROM employee",
        "SELECT ascii(last_name) FROM employee",
        "SELECT last_name = 'Lovelace' FROM employee",
        "SELECT count(*) FROM employee WHERE last_name LIKE 'L%'",
        "SELECT employee_id FROM employee ORDER BY last_name",
        "SELECT * FROM employee",
        "SELECT employee::text FROM employee",
        "SELECT row_to_json(e) FROM employee e",
        "SELECT query_to_xml('SELECT last_name FROM employee', true, false, '')",
        "SELECT table_to_xml('employee', true, false, '')",
        "SELECT most_common_vals FROM pg_stats WHERE tablename = 'employee' AND 1 / length(current_user) > 0 UNION ALL"
        " SELECT last_name::anyarray FROM employee",
        "WITH x AS (SELECT tax_identifier AS count FROM tax_identifier) SELECT count FROM x",
        "SELECT tax_identifier::bigint FROM tax_identifier",
        "SELECT employer_fein FROM employer",
        "TABLE employee",
    ],
)
def test_personal_data_is_refused_in_any_expression(filled: str, sql: str) -> None:
    message = execute_and_get_error(filled, sql)
    for value in (NAME, SSN, FEIN):
        assert value not in message


def test_a_refused_statement_has_a_remedy_and_writes_no_file(filled: str, tmp_path: Path) -> None:
    for destination in ("terminal", "bucket"):
        sql = "SELECT count(*) FROM employee WHERE last_name = 'Lovelace'"
        result = execute(filled, sql, DESTINATION=destination, EXPORT_FOLDER=str(tmp_path))
        assert result.code == 1
        (message,) = result.errors
        assert message.startswith("Statement 1 failed: permission denied for table employee. It uses a column or table")
        assert "ALLOW_PERSONAL_DATA=true" in message
        assert NAME not in result.text
        assert "Traceback" not in result.text
        assert list_files(tmp_path) == []


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM employee",
        "WITH gone AS (DELETE FROM employee RETURNING 1) SELECT * FROM gone",
        "SELECT 1 INTO here",
        "COMMIT",
        "COMMIT; DELETE FROM employee",
        "SET TRANSACTION READ WRITE; DELETE FROM employee",
        "SELECT set_config('transaction_read_only', 'off', false); DELETE FROM employee",
        "SET SESSION AUTHORIZATION postgres",
        "SELECT set_config('role', 'postgres', false)",
        "DO $$ BEGIN COMMIT; DELETE FROM employee; END $$",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "COPY employee TO '/tmp/here'",
        "SELECT * FROM employee FOR UPDATE",
        "SELECT nextval('import_log_import_log_id_seq')",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT query_to_xml('DELETE FROM employee', true, false, '')",
        "EXPLAIN ANALYZE DELETE FROM employee",
        "CREATE TEMPORARY TABLE here (a int)",
        "SELECT 1) TO STDOUT; DELETE FROM employee; --",
    ],
)
def test_statements_that_write_are_refused(filled: str, sql: str) -> None:
    """Run as the user who reads everything, so that only the write is a reason to refuse the statement."""
    execute_and_get_error(filled, sql, allow_personal_data=True, destination="bucket", export_folder="/nowhere")
    with psycopg.connect(filled) as connection:
        assert connection.execute("SELECT count(*) FROM employee").fetchone() == (1,)
        sequence = connection.execute("SELECT last_value, is_called FROM import_log_import_log_id_seq").fetchone()
        assert sequence == (1, False)


def test_an_error_has_a_position_and_no_values(filled: str) -> None:
    result = execute(filled, f"SELECT 1;\nSELECT '{NAME}', employe_id\nFROM employee")
    assert result.code == 1
    (message,) = result.errors
    assert message == (
        'Statement 2 failed: column "employe_id" does not exist.\n'
        "At line 2, column 20:\nSELECT ··········, employe_id\n                   ^"
    )
    assert NAME not in result.text


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (f"SELECT '{NAME}'::int", "Statement 1 failed: invalid text representation (SQLSTATE 22P02).\nAt line 1, "),
        (f"SELECT FROM '{NAME}'", 'Statement 1 failed: syntax error at or near "…".\nAt line 1, column 13:'),
        ("SELECT 1/0", "Statement 1 failed: division by zero (SQLSTATE 22012)."),
        ("UPDATE employee SET last_name = 'x'", "Statement 1 is not read-only: it must start with SELECT"),
        (
            "SELECT count(*) FROM generate_series(1, 1e12::bigint)",
            "Statement 1 failed: it took longer than 1 s (STATEMENT_TIMEOUT).",
        ),
    ],
)  # fmt: skip
def test_failing_statements_have_messages_without_values(filled: str, sql: str, message: str) -> None:
    error = execute_and_get_error(filled, sql, statement_timeout=1)
    assert error.startswith(message)
    assert NAME not in error


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT 'abc", "SQL ends within a string, a comment or a quoted name."),
        (" ; -- no", "SQL contains no statement."),
    ],
)
def test_sql_without_a_complete_statement_is_refused(sql: str, message: str) -> None:
    result = run("operations.execute_sql", SQL=sql)
    assert result.code == 1
    assert result.errors[0].startswith(message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"SQL": ""}, "set either SQL or SQL_FILE"),
        ({"SQL_FILE": "/somewhere.sql"}, "set either SQL or SQL_FILE"),
        ({"DESTINATION": "bucket"}, "EXPORT_FOLDER must be set for DESTINATION=bucket"),
        ({"ALLOW_PERSONAL_DATA": "true"}, "ALLOW_PERSONAL_DATA requires DESTINATION=bucket"),
        ({"EXPORT_FORMAT": "xls"}, "--export-format is invalid"),
        ({"EXPORT_NAME": "../x"}, "--export-name is invalid"),
        ({"STATEMENT_TIMEOUT": "0"}, "--statement-timeout is invalid"),
    ],
)
def test_invalid_settings_are_refused_with_a_message(changes: dict[str, str], message: str) -> None:
    given = {"ENVIRONMENT": "local", "SQL": "SELECT 1"} | changes
    arguments = [f"{command_line.format_option(name.lower())}={value}" for name, value in given.items()]
    with pytest.raises(BadSettings) as raised:
        command_line.load_settings("execute-sql", ExecuteSqlSettings, arguments)
    assert message in str(raised.value)


def test_arguments_with_sql_are_not_logged(filled: str) -> None:
    variables = database_env(filled)
    del variables["DB_USERNAME"]
    result = run("operations.execute_sql", f"--sql=SELECT 1 WHERE '{NAME}' = ''", "--row-limit=5", **variables)
    assert result.code == 0
    assert result.event("started")["arguments"] == ["--sql=[redacted]", "--row-limit=5"]
    assert NAME not in result.text


ALL_TYPES = (
    "SELECT true AS yes, 7 AS small, 9000000000 AS big, 1.50 AS exact, 0.5::float8 AS half, date '9999-12-31' AS day,"
    " timestamptz '2026-01-02 03:04:05+00' AS at, last_name, E'a \"b\"\\nc, d' AS odd, '' AS empty,"
    " NULL::int AS nothing,"
    " '{\"a\": 1.10}'::jsonb AS doc, ARRAY[1, 2] AS list, 'infinity'::date AS ever FROM employee"
)


@pytest.mark.parametrize("format", ["csv", "json", "parquet"])
def test_every_type_of_value_in_every_format(filled: str, tmp_path: Path, format: str) -> None:
    result = execute(
        filled,
        ALL_TYPES,
        ALLOW_PERSONAL_DATA="true",
        DESTINATION="bucket",
        EXPORT_FOLDER=str(tmp_path / "out"),
        EXPORT_FORMAT=format,
        EXPORT_NAME="kinds",
    )
    assert result.code == 0, result.text
    assert NAME not in result.text
    (file,) = list_files(tmp_path)
    assert file.suffix == f".{format}"
    assert re.fullmatch(r"kinds-\d{4}-\d\d-\d\dt\d\d-\d\d-\d\dz-[0-9a-f]{6}\.\w+", file.name)
    assert file.parent.name == file.name[6:16]
    event = result.event("exported")
    assert event["row_count"] == 1
    assert event["uri"].endswith(file.name)
    texts = {
        "exact": "1.50", "day": "9999-12-31", "at": "2026-01-02 03:04:05+00", "last_name": NAME,
        "odd": 'a "b"\nc, d', "empty": "", "list": "{1,2}", "ever": "infinity",
    }  # fmt: skip
    if format == "csv":
        with file.open(newline="") as stream:
            (row,) = csv.DictReader(stream)
        others = {"yes": "t", "small": "7", "big": "9000000000", "half": "0.5", "nothing": "", "doc": '{"a": 1.10}'}
        assert row == texts | others
        assert ',"",,' in file.read_text()  # an empty text, then NULL
    elif format == "json":
        (line,) = file.read_text().splitlines()
        others = {"yes": True, "small": 7, "big": 9000000000, "half": "0.5", "nothing": None, "doc": {"a": 1.1}}
        assert json.loads(line) == texts | others
        assert '{"a": 1.10}' in line
    else:
        (row,) = pq.read_table(file).to_pylist()
        others = {"yes": True, "small": 7, "big": 9000000000, "half": 0.5, "nothing": None, "doc": '{"a": 1.10}'}
        assert row == texts | others


def test_fixed_names_replace_the_files_of_an_earlier_run(filled: str, tmp_path: Path) -> None:
    for value in (1, 2):
        result = execute(
            filled,
            f"SELECT {value} AS a; SELECT 3 AS b",
            DESTINATION="bucket",
            EXPORT_FOLDER=str(tmp_path),
            EXPORT_NAME="report-query",
            DATED="false",
            FIXED_NAMES="true",
        )
        assert result.code == 0, result.text
    assert [file.name for file in list_files(tmp_path)] == ["report-query1.csv", "report-query2.csv"]
    assert (tmp_path / "report-query1.csv").read_text().split() == ["a", "2"]


@pytest.mark.parametrize("format", ["csv", "json", "parquet"])
def test_results_with_many_rows_and_without_rows(filled: str, tmp_path: Path, format: str) -> None:
    count = 2 * BATCH_ROWS + 1
    result = execute(
        filled,
        f"SELECT n, n AS n FROM generate_series(1, {count}) n; SELECT n FROM generate_series(1, 0) n",
        DESTINATION="bucket",
        EXPORT_FOLDER=str(tmp_path),
        EXPORT_FORMAT=format,
        DATED="false",
    )
    assert result.code == 0, result.text
    many, empty = list_files(tmp_path)
    assert many.name.endswith(f"-1.{format}")
    assert empty.name.endswith(f"-2.{format}")
    if format == "parquet":
        assert pq.read_table(many).column("n").to_pylist() == list(range(1, count + 1))
        assert pq.read_table(many).column_names == ["n", "n_2"]
        assert pq.read_table(empty).num_rows == 0
    else:
        header = 1 if format == "csv" else 0
        assert len(many.read_text().splitlines()) == count + header
        assert empty.read_text() == ("n\n" if format == "csv" else "")


def test_a_statement_that_fails_after_some_rows_leaves_no_file(filled: str, tmp_path: Path) -> None:
    sql = f"SELECT 1 / (n - {BATCH_ROWS + 5}) FROM generate_series(1, {3 * BATCH_ROWS}) n"
    result = execute(filled, sql, DESTINATION="bucket", EXPORT_FOLDER=str(tmp_path))
    assert result.code == 1
    assert result.errors == ["Statement 1 failed: division by zero (SQLSTATE 22012)."]
    assert list_files(tmp_path) == []


def test_statements_from_a_file(filled: str, tmp_path: Path) -> None:
    file = tmp_path / "statements.sql"
    file.write_text("-- count\nSELECT count(*) FROM employee;\n")
    variables = {key: value for key, value in database_env(filled).items() if key != "DB_USERNAME"}
    result = run("operations.execute_sql", **variables, SQL_FILE=str(file))
    assert result.code == 0, result.text
    assert "result 1: 1 row" in join_messages(result)
    file.write_bytes(b"SELECT '\xff'")
    assert (
        run("operations.execute_sql", **variables, SQL_FILE=str(file))
        .errors[0]
        .endswith("is not UTF-8 text. Nothing was run.")
    )
    file.unlink()
    missing = run("operations.execute_sql", **variables, SQL_FILE=str(file))
    assert missing.code == 1
    assert missing.errors[0].startswith("Object ")
    assert "not found" in missing.errors[0]


def test_a_lost_connection_is_reported(filled: str) -> None:
    """Terminate the session while its statement is running."""
    results: list[TaskResult] = []
    thread = threading.Thread(
        target=lambda: results.append(execute(filled, "SELECT count(*) FROM generate_series(1, 1e12::bigint)"))
    )
    thread.start()
    with psycopg.connect(filled, autocommit=True) as connection:
        while not connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'FETCH%' AND state = 'active'"
            " AND usename = 'pfml_impersonal'"
        ).fetchone():
            connection.execute("SELECT pg_sleep(0.05)")
    thread.join()
    (result,) = results
    assert result.code == 1
    assert "Traceback" not in result.text
    assert result.errors[0].startswith("Statement 1 failed: ")
