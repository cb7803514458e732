"""Employee updates: files, rejected rows, processed files, and crashes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from nightferry import JobFailed
from nightferry.testing import forked
from paidleave.csv_lines import ROW_LIMIT
from paidleave.fineos.employee_updates.update_file import BATCH_ROWS
from tests.fineos.employee_updates import employee_updates_world as updates_world
from tests.fineos.employee_updates.employee_updates_reference import World
from tests.task_process import database_env

pytestmark = pytest.mark.sampled(8)

Row = dict[str, str]
ADA = updates_world.employee_id(1)
SSN = "123456789"


def row(**values: str) -> Row:
    return {"EMPLOYEEIDENTIFIER": str(ADA), "ORG_CUSTOMERNO": "7", "CUSTOMERNO": "501"} | values


@pytest.fixture
def known(database: str) -> str:
    """A database with one employee, Ada, and one employer whose number at FINEOS is 7."""
    person = dict.fromkeys(updates_world.PERSON) | {"ssn": SSN, "first_name": "Ada", "last_name": "Byron"}
    updates_world.store(database, World(employers={7}, people={ADA: person | {"phone_number": "+16175550123"}}))
    return database


def read_ada(database: str) -> dict[str, Any]:
    return updates_world.load(database).people[ADA]


def run_command(database: str, folder: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    return forked.run(
        [sys.executable, "-m", "paidleave.fineos.employee_updates.command"],
        env=environment(database, folder) | changes,
        capture_output=True,
        text=True,
    )


def environment(database: str, folder: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        **database_env(database),
        "FINEOS_FOLDER_PATH": str(folder),
        "QUIET_SECONDS": "0",
    }


def test_the_command_logs_no_personal_data(known: str, tmp_path: Path) -> None:
    updates_world.write(
        tmp_path,
        [
            row(EMPLOYEEEMAIL="ada@example.com", TELEPHONEAREACODE="617", TELEPHONENUMBER="5550199"),
            {"EMPLOYEEIDENTIFIER": str(updates_world.employee_id(2)), "EMPLOYEENATIONALID": "999887777",
             "EMPLOYEEFIRSTNAME": "Grace", "EMPLOYEELASTNAME": "Hopper", "ORG_CUSTOMERNO": "7"},
            {"EMPLOYEEIDENTIFIER": "Grace Hopper"},
        ],
    )  # fmt: skip
    ended = run_command(known, tmp_path, EMPLOYEE_UPDATES_ERRORED_SHARE_LIMIT="0.5")
    assert ended.returncode == 0, ended.stdout
    assert ended.stderr == ""
    for personal in ("ada@example.com", "5550199", "999887777", "Grace", "Hopper", SSN):
        assert personal not in ended.stdout
    (report,) = updates_world.reports(known)
    assert report["status"] == "success"
    assert (report["created_employees_count"], report["updated_employees_count"]) == (1, 1)
    assert report["errors_by_reason"] == {"EMPLOYEEIDENTIFIER: not a UUID": 1}
    assert updates_world.read_rejects(known) == [(4, "EMPLOYEEIDENTIFIER", "not a UUID")]
    with psycopg.connect(known) as connection:
        logged = connection.execute("SELECT source, import_type FROM import_log").fetchall()
        queued = connection.execute("SELECT count(*) FROM employee_push_to_fineos_queue").fetchone()
    assert logged == [("FINEOS Employee Update", "")]
    assert queued == (0,)


def test_an_empty_or_missing_folder_is_not_an_error(known: str, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("another file")
    updates_world.run_import(known, tmp_path)
    updates_world.run_import(known, tmp_path / "missing")
    assert updates_world.reports(known) == []


def test_a_file_is_imported_once_and_not_moved(known: str, tmp_path: Path) -> None:
    file = updates_world.write(tmp_path, [row(EMPLOYEEEMAIL="ada@example.com")])
    for _ in range(2):
        updates_world.run_import(known, tmp_path)
    assert len(updates_world.reports(known)) == 1
    assert file.exists()


def test_a_replaced_file_is_imported_again(known: str, tmp_path: Path) -> None:
    updates_world.write(tmp_path, [row(EMPLOYEEEMAIL="ada@example.com")])
    updates_world.run_import(known, tmp_path)
    updates_world.write(tmp_path, [row(EMPLOYEEEMAIL="ada.byron@example.com")])
    updates_world.run_import(known, tmp_path)
    assert read_ada(known)["email_address"] == "ada.byron@example.com"


def test_older_files_are_imported_first(known: str, tmp_path: Path) -> None:
    for day in (3, 1, 2):
        updates_world.write(
            tmp_path, [row(EMPLOYEEEMAIL=f"{day}@example.com")], f"2026-11-0{day}-20-30-00-EmployeeDataLoad_feed.csv"
        )
    updates_world.run_import(known, tmp_path)
    assert read_ada(known)["email_address"] == "3@example.com"
    assert [report["file"][9] for report in updates_world.reports(known)] == ["1", "2", "3"]


def test_the_first_file_that_fails_ends_the_run_and_is_retried(known: str, tmp_path: Path) -> None:
    bad = tmp_path / "2026-11-01-20-30-00-EmployeeDataLoad_feed.csv"
    bad.write_bytes(updates_world.format_file([row()]) + b'"open')
    updates_world.write(
        tmp_path, [row(EMPLOYEEEMAIL="later@example.com")], "2026-11-02-20-30-00-EmployeeDataLoad_feed.csv"
    )
    with pytest.raises(JobFailed):
        updates_world.run_import(known, tmp_path)
    assert read_ada(known)["email_address"] is None
    updates_world.write(tmp_path, [row(EMPLOYEEEMAIL="earlier@example.com")], bad.name)
    updates_world.run_import(known, tmp_path)
    assert read_ada(known)["email_address"] == "later@example.com"
    assert [report["status"] for report in updates_world.reports(known)] == ["error", "success", "success"]


GOOD = updates_world.format_file([row(EMPLOYEEEMAIL="ada@example.com")])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty. Request a corrected file from FINEOS.$"),
        (GOOD.split(b"\r\n", 1)[1], "line 1: column EMPLOYEEIDENTIFIER is missing in the header"),
        (b"EMPLOYEEIDENTIFIER,CUSTOMERNO,CUSTOMERNO\r\n", "line 1: duplicate column CUSTOMERNO in the header"),
        (GOOD[:-10], "line 2: the file ends within a row"),
        (GOOD[:-5], "line 2: a quote is not closed. Request a corrected file from FINEOS.$"),
        (GOOD + b'"open\r\nand never closed', "line 4: a quote is not closed"),
        (GOOD + b'"a"b,', r"line 3: ',' expected after '\"'"),
        (GOOD + b"x" * (ROW_LIMIT + 1), f"line 3: the row is longer than {ROW_LIMIT} characters"),
        (GOOD + b'"' + b"x" * 200_000 + b'"', "line 3: field larger than field limit"),
    ],
)  # fmt: skip
def test_a_malformed_file_is_not_imported(known: str, tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / updates_world.NAME).write_bytes(content)
    with pytest.raises(JobFailed, match=f"{updates_world.NAME} was not imported: {message}"):
        updates_world.run_import(known, tmp_path)
    assert read_ada(known)["email_address"] is None
    (report,) = updates_world.reports(known)
    assert report["status"] == "error"


def test_a_malformed_file_exits_with_code_1_without_traceback(known: str, tmp_path: Path) -> None:
    (tmp_path / updates_world.NAME).write_bytes(GOOD[:-10])
    ended = run_command(known, tmp_path)
    assert ended.returncode == 1
    assert f"{updates_world.NAME} was not imported" in ended.stdout
    assert "Traceback" not in ended.stdout
    assert "ada@example.com" not in ended.stdout


@pytest.mark.parametrize(
    ("line", "field", "reason"),
    [
        (b'"only","three","values"\r\n', None, "number of columns differs from the header"),
        (b"\r\n", None, "blank line"),
        (GOOD.split(b"\r\n")[1].replace(b"ada@", b"ad\xe4@") + b"\r\n", None, "invalid UTF-8"),
        (GOOD.split(b"\r\n")[1].replace(b"ada@", b"ada\0@") + b"\r\n", None, "null byte"),
        (GOOD.split(b"\r\n")[1].replace(b"0000-", b"000-") + b"\r\n", "EMPLOYEEIDENTIFIER", "not a UUID"),
    ],
)
def test_a_bad_row_is_rejected_and_the_others_are_imported(
    known: str, tmp_path: Path, line: bytes, field: str | None, reason: str
) -> None:
    header, good, _ = GOOD.split(b"\r\n")
    # The file starts with a byte order mark and has no line end after the last row.
    (tmp_path / updates_world.NAME).write_bytes(b"\xef\xbb\xbf" + header + b"\r\n" + line + good)
    updates_world.run_import(known, tmp_path)
    assert read_ada(known)["email_address"] == "ada@example.com"
    assert updates_world.read_rejects(known) == [(2, field, reason)]
    (report,) = updates_world.reports(known)
    assert (report["total_employees_received_count"], report["errored_employees_count"]) == (2, 1)


def test_line_numbers_count_physical_lines(known: str, tmp_path: Path) -> None:
    rows = [
        row(EMPLOYEEJOBTITLE="two\nlines"),
        row(EMPLOYEEJOBTITLE="three\r\nmore\nlines"),
        row(EMPLOYEEDATEOFBIRTH="?"),
    ]
    updates_world.write(tmp_path, rows)
    updates_world.run_import(known, tmp_path)
    assert updates_world.read_rejects(known) == [(7, "EMPLOYEEDATEOFBIRTH", "not a date")]


def test_too_many_rejected_rows_reject_the_file_and_are_stored(known: str, tmp_path: Path) -> None:
    updates_world.write(tmp_path, [row(EMPLOYEEEMAIL="ada@example.com"), row(EMPLOYEEDATEOFBIRTH="?")])
    with pytest.raises(JobFailed, match=r"1 of 2 rows were rejected, more than the allowed share of 20.00%"):
        updates_world.run_import(known, tmp_path, limit=0.2)
    assert read_ada(known)["email_address"] is None
    assert updates_world.read_rejects(known) == [(3, "EMPLOYEEDATEOFBIRTH", "not a date")]
    updates_world.run_import(known, tmp_path, limit=0.5)
    assert read_ada(known)["email_address"] == "ada@example.com"


def test_files_can_lack_columns_and_have_additional_ones(known: str, tmp_path: Path) -> None:
    columns = ("NEWCOLUMN", "EMPLOYEEEMAIL", "EMPLOYEEIDENTIFIER")
    text = updates_world.format_file([row(EMPLOYEEEMAIL="ada@example.com")], columns)
    (tmp_path / updates_world.NAME).write_bytes(text)
    updates_world.run_import(known, tmp_path)
    assert read_ada(known) | {"email_address": None} == read_ada(known) | {
        "email_address": None,
        "phone_number": "+16175550123",
    }
    assert read_ada(known)["email_address"] == "ada@example.com"
    assert updates_world.load(known).occupations == {}


def test_a_missing_telephone_number_retains_the_stored_one(known: str, tmp_path: Path) -> None:
    updates_world.write(tmp_path, [row(TELEPHONEINTCODE="1")])
    updates_world.run_import(known, tmp_path)
    assert read_ada(known)["phone_number"] == "+16175550123"


@pytest.mark.parametrize("possible", [{"TELEPHONEAREACODE": "200"}, {"TELEPHONENUMBER": "1550199"}])
def test_a_possible_number_that_is_not_valid_retains_the_stored_one(
    known: str, tmp_path: Path, possible: dict[str, str]
) -> None:
    number = {"TELEPHONEINTCODE": "1", "TELEPHONEAREACODE": "617", "TELEPHONENUMBER": "5550199"} | possible
    updates_world.write(tmp_path, [row(**number)])
    updates_world.run_import(known, tmp_path)
    assert read_ada(known)["phone_number"] == "+16175550123"
    (report,) = updates_world.reports(known)
    assert report["ignored_values"] == {"TELEPHONENUMBER": 1}


def test_the_feeds_own_defaults_are_no_facts(known: str, tmp_path: Path) -> None:
    facts = {"EMPLOYEEJOBTITLE": "Clerk", "EMPLOYEEDATEOFHIRE": "2015-07-01", "EMPLOYEEDATEOFBIRTH": "1980-02-29"}
    defaults = {
        "EMPLOYEEJOBTITLE": "DEFAULT",
        "EMPLOYEEDATEOFHIRE": "2020-01-01 00:00:00",
        "EMPLOYEEDATEOFBIRTH": "1753-01-01 00:00:00",
        "EMPLOYEEHOURSWORKEDPERWEEK": "0.00",
    }
    for name, rows in (
        ("2020-01-02-00-00-00", [row(**facts), row(**defaults)]),
        ("2020-01-03-00-00-00", [row(**defaults)]),
    ):
        (tmp_path / f"{name}-EmployeeDataLoad_feed.csv").write_bytes(updates_world.format_file(rows))
    updates_world.run_import(known, tmp_path)
    (occupation,) = updates_world.load(known).occupations.values()
    assert (occupation["job_title"], occupation["date_of_hire"]) == ("Clerk", date(2015, 7, 1))
    assert occupation["hours_worked_per_week"] is None
    assert read_ada(known)["date_of_birth"] == date(1980, 2, 29)


def test_unrecognized_values_are_counted(known: str, tmp_path: Path) -> None:
    updates_world.write(tmp_path, [row(EMPLOYEETITLE="Lord", TELEPHONENUMBER="911", EMPLOYEEGENDER="Female")])
    updates_world.run_import(known, tmp_path)
    (report,) = updates_world.reports(known)
    assert report["ignored_values"] == {"EMPLOYEETITLE": 1, "TELEPHONENUMBER": 1}


def test_a_file_larger_than_a_batch_is_imported(known: str, tmp_path: Path) -> None:
    rows = [row(EMPLOYEEEMAIL=f"{number}@example.com") for number in range(BATCH_ROWS + 5)]
    rows[BATCH_ROWS + 1] |= {"EMPLOYEEDATEOFBIRTH": "?"}
    updates_world.write(tmp_path, rows)
    updates_world.run_import(known, tmp_path)
    assert read_ada(known)["email_address"] == f"{BATCH_ROWS + 4}@example.com"
    (report,) = updates_world.reports(known)
    assert report["duplicate_employees_count"] == BATCH_ROWS + 3
    assert updates_world.read_rejects(known) == [(BATCH_ROWS + 3, "EMPLOYEEDATEOFBIRTH", "not a date")]


def test_a_database_error_contains_no_values(known: str, tmp_path: Path) -> None:
    with psycopg.connect(known) as connection:
        connection.execute("ALTER TABLE employee ADD CHECK (email_address <> 'ada@example.com')")
    updates_world.write(tmp_path, [row(EMPLOYEEEMAIL="ada@example.com")])
    with pytest.raises(JobFailed, match="violates check constraint") as failed:
        updates_world.run_import(known, tmp_path)
    assert "ada@" not in str(failed.value)
    assert read_ada(known)["email_address"] is None


def test_a_role_without_special_privileges_can_import(known: str, tmp_path: Path) -> None:
    """PostgreSQL checks the foreign keys row by row for such a role."""
    with psycopg.connect(known, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS plain_importer")
        connection.execute("CREATE ROLE plain_importer LOGIN")
        connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO plain_importer")
        connection.execute("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO plain_importer")
    try:
        updates_world.write(tmp_path, [row(EMPLOYEEORGUNITNAME="Unit", EMPLOYEETITLE="Dr")])
        updates_world.run_import(make_conninfo(known, user="plain_importer"), tmp_path)
        assert read_ada(known)["title_id"] == 6
        assert updates_world.load(known).occupations[ADA, 7]["unit"] == "Unit"
    finally:
        with psycopg.connect(known, autocommit=True) as connection:
            connection.execute("DROP OWNED BY plain_importer")
            connection.execute("DROP ROLE plain_importer")


def build_many_rows() -> list[Row]:
    rng = random.Random(4)
    return [
        row(
            EMPLOYEEIDENTIFIER=str(updates_world.employee_id(number)),
            EMPLOYEENATIONALID=f"{200_000_000 + number}",
            EMPLOYEEFIRSTNAME="New",
            EMPLOYEEEMAIL=f"{rng.random()}@example.com",
            EMPLOYEEORGUNITNAME=f"Unit {rng.randrange(3)}",
        )
        for number in range(100, 1600)
    ]


def test_ids_of_new_occupations_increase_in_the_order_of_their_employees(known: str, tmp_path: Path) -> None:
    """UUIDs of version 7 (RFC 9562) fill the index from its end."""
    started = time.time_ns() // 1_000_000
    updates_world.write(tmp_path, build_many_rows())
    updates_world.run_import(known, tmp_path)
    with psycopg.connect(known) as connection:
        query = "SELECT employee_occupation_id FROM employee_occupation ORDER BY employee_id"
        ids = [found for (found,) in connection.execute(query)]
    assert len(ids) == len(set(ids)) == 1500
    assert ids == sorted(ids)
    assert {(found.version, found.variant) for found in ids} == {(7, "specified in RFC 4122")}
    assert started <= ids[0].int >> 80 <= time.time_ns() // 1_000_000


@contextmanager
def _block_writes(database: str, table: str) -> Iterator[Callable[[], None]]:
    """Block writes to the table. Yield a function that waits until another session waits for a lock."""
    with psycopg.connect(database) as holder, psycopg.connect(database, autocommit=True) as observer:
        holder.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")

        def wait() -> None:
            end = time.monotonic() + 60
            while observer.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() == (0,):
                assert time.monotonic() < end
                time.sleep(0.01)

        yield wait


@pytest.mark.parametrize("table", ["employee", "employee_occupation", "processed_object"])
def test_a_second_run_after_a_crash_imports_the_file(known: str, tmp_path: Path, table: str) -> None:
    rows = build_many_rows()
    updates_world.write(tmp_path, rows)
    untouched = updates_world.load(known)
    with _block_writes(known, table) as wait:
        process = forked.Popen(
            [sys.executable, "-m", "paidleave.fineos.employee_updates.command"],
            env=environment(known, tmp_path),
            stdout=subprocess.DEVNULL,
        )
        wait()
        process.send_signal(signal.SIGKILL)
        process.wait()
    _wait_until_alone(known)
    assert updates_world.load(known) == untouched
    updates_world.run_import(known, tmp_path)
    done = updates_world.load(known)
    assert len(done.people) == len(rows) + 1
    assert len(done.occupations) == len(rows)
    assert [report["status"] for report in updates_world.reports(known)] == ["error", "success"]
    updates_world.run_import(known, tmp_path)
    assert updates_world.load(known) == done


def _wait_until_alone(database: str) -> None:
    """Wait until no other client is connected. The server detects a killed client only at its next message to it."""
    others = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    end = time.monotonic() + 60
    with psycopg.connect(database, autocommit=True) as connection:
        while connection.execute(others).fetchone() != (0,):
            assert time.monotonic() < end
            time.sleep(0.01)


def test_two_concurrent_runs_import_the_file_once(known: str, tmp_path: Path) -> None:
    updates_world.write(tmp_path, build_many_rows())
    with _block_writes(known, "employee") as wait:
        threads = [threading.Thread(target=updates_world.run_import, args=(known, tmp_path)) for _ in range(2)]
        for thread in threads:
            thread.start()
        wait()
    for thread in threads:
        thread.join()
    assert len(updates_world.reports(known)) == 1
