"""Files that did not come, that no job reads, or that wait: what is found, and what the jobs log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from nightferry.job.redaction import Redactor
from paidleave.dor.files.formats import DOR_LAYOUTS, RETURNING_CSV
from paidleave.dor.importing.arrivals import find_missing_days, find_overdue_kinds, find_waiting_files
from paidleave.dor.importing.unread import find_reason, find_unread_files
from paidleave.dor.settings import DailyFilesSettings, Expected
from paidleave.job_settings import PaidLeaveSettings
from tests.dor.imports import EMPLOYER_FILE, WAGE_FILE, DorWorld, run_in_process
from tests.dor.lines import employer_line

TIME = "20261128120000"
DAILY = Expected(26, frozenset(range(7)))
NOW = datetime(2026, 11, 30, 11, 0, tzinfo=UTC)  # a Monday, 06:00 in New York

READ = [f"DORDFML_{TIME}", "DORDFMLEMP_1", f"DORDUADFML_{TIME}", "DORDUADFML_SUBMISSION_20212216", "DORDFML_99999999"]
UNREAD = {
    f"DORDFML_{TIME}.pgp": "another ending '.pgp'; expected DORDFML_<time>",
    f"DORDFML_{TIME}.txt.gpg": "another ending '.txt.gpg'; expected DORDFML_<time>",
    f"DORDFMLEMP_{TIME}.GPG": "another ending '.GPG'; expected DORDFMLEMP_<time>",
    f"dordfmlemp_{TIME}": "wrong case; expected DORDFMLEMP_<time>",
    f"dorduadfml_submission_{TIME}": "wrong case; expected DORDUADFML_SUBMISSION_<time>",
    f"Dordfml_{TIME}.TXT": "another ending '.TXT', wrong case; expected DORDFML_<time>",
    f"DORDFML_{TIME}.part": "unfinished upload '.part'; expected DORDFML_<time>",
    f"DORDFML_{TIME}.PGP.part": "unfinished upload '.part', a time that does not consist of digits only; "
    "expected DORDFML_<time>",
    f"DORDFML_{TIME}~": "unfinished upload '~'; expected DORDFML_<time>",
    f" DORDFML_{TIME}": "white space; expected DORDFML_<time>",
    f"DORDFML_{TIME}\n": "white space; expected DORDFML_<time>",
    "DORDFML_2026-11-28": "a time that does not consist of digits only; expected DORDFML_<time>",
    f"DORDFML_{TIME} (1)": "white space, a time that does not consist of digits only; expected DORDFML_<time>",
    "DORDFML_": "no time; expected DORDFML_<time>",
    "DORDFML_٢٠٢٦": "a time that does not consist of digits only; expected DORDFML_<time>",
    f"DORDFML{TIME}": "another spelling; expected DORDFML_<time>",
    f"DORDMFL_{TIME}": "another spelling; expected DORDFML_<time>",
    f"old/DORDFML_{TIME}": "in a folder below the folder that the job reads",
    "CompaniesReturningToStatePlan.csv": "in the wrong folder: employers returning",
    "readme.md": "unknown kind of file; expected DORDFMLEMP_<time> or DORDFML_<time> or DORDUADFML_SUBMISSION_<time> "
    "or DORDUADFML_<time>",
}
CSV_UNREAD = {
    "CompaniesReturningToStatePlan.csv.part": "unfinished upload '.part'",
    "companiesreturningtostateplan.csv": "wrong case",
    "CompaniesReturningToStatePlan.xlsx": "another ending '.xlsx'",
    "Companies Returning To State Plan.csv": "white space",
    "CompanyReturningToStatePlan.csv": "another spelling",
    f"DORDFML_{TIME}": "in the wrong folder: wage file",
    "list.csv": "unknown kind of file",
}


def test_each_unread_name_has_its_reason() -> None:
    assert {name: find_reason(name, DOR_LAYOUTS) for name in READ} == dict.fromkeys(READ, "")
    assert {name: find_reason(name, DOR_LAYOUTS) for name in UNREAD} == UNREAD
    assert find_reason("CompaniesReturningToStatePlan 11-29.csv", [RETURNING_CSV]) == ""
    reasons = {name: find_reason(name, [RETURNING_CSV]).partition(";")[0] for name in CSV_UNREAD}
    assert reasons == CSV_UNREAD


def test_names_and_reasons_survive_redaction(tmp_path: Path) -> None:
    redactor = Redactor()
    redactor.show_names(PaidLeaveSettings.shown_names)
    for name in UNREAD:
        if name.isprintable() and "/" not in name and name != f"DORDFML{TIME}" and name != f"DORDMFL_{TIME}":
            text = f"a file in the folder is not read by any job: {name} ({UNREAD[name]})"
            assert redactor.redact_text(text) == text


def test_files_links_and_folders_are_found(tmp_path: Path) -> None:
    for name in (READ[0], f"{READ[0]}.pgp", "below/DORDFML_1"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / READ[2]).symlink_to("/etc/hostname")
    (tmp_path / READ[1]).symlink_to("/nowhere")
    found = {file.name: file.reason for file in find_unread_files(str(tmp_path), DOR_LAYOUTS)}
    assert found == {
        f"{READ[0]}.pgp": UNREAD[f"{READ[0]}.pgp"],
        "below/DORDFML_1": "in a folder below the folder that the job reads",
        READ[1]: "a link",
        READ[2]: "a link",
    }
    assert find_unread_files(str(tmp_path / "missing"), DOR_LAYOUTS) == []


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def record(connection: psycopg.Connection[tuple[object, ...]], name: str, kind: str, imported_at: datetime) -> None:
    connection.execute(
        "INSERT INTO dor_imported_file (digest, name, kind, import_log_id, imported_at) VALUES (%s, %s, %s, 0, %s)",
        [name, name, kind, imported_at],
    )


def test_overdue_kinds(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    assert find_overdue_kinds(connection, DAILY, NOW) == []  # a new database
    connection.execute("INSERT INTO import_log (start) VALUES (%s)", [NOW - timedelta(hours=27)])
    never = ["employer file: never", "wage file: never"]
    assert find_overdue_kinds(connection, DAILY, NOW) == never
    for hours in (50, 20):  # the old system
        connection.execute("INSERT INTO import_log (start) VALUES (%s)", [NOW - timedelta(days=900)])
        connection.execute(
            'INSERT INTO import_log (source, import_type, status, start, "end") VALUES'
            " ('DOR', 'Initial', 'success', %(time)s, %(time)s)",
            {"time": NOW - timedelta(hours=hours)},
        )
        assert find_overdue_kinds(connection, DAILY, NOW) == (never if hours == 50 else [])
    record(connection, "DORDFMLEMP_1", "employer file", NOW - timedelta(hours=25))
    record(connection, "DORDFML_1", "wage file", NOW - timedelta(hours=27))
    late = "wage file: the last was imported at 2026-11-29 08:00 UTC"
    assert find_overdue_kinds(connection, DAILY, NOW) == [late]
    assert find_overdue_kinds(connection, Expected(0, DAILY.weekdays), NOW) == []
    record(connection, "DORDFML_2", "wage file", NOW - timedelta(hours=33))
    record(connection, "DORDFML_3", "wage file", NOW - timedelta(hours=10))
    assert find_overdue_kinds(connection, DAILY, NOW) == []


def test_days_on_which_no_files_come_do_not_count(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    weekdays = Expected(26, frozenset(range(5)))
    friday_evening = datetime(2026, 11, 28, 1, 30, tzinfo=UTC)  # 20:30 in New York
    for kind in ("employer file", "wage file"):
        record(connection, kind, kind, friday_evening)
    assert find_overdue_kinds(connection, weekdays, NOW) == []
    assert len(find_overdue_kinds(connection, weekdays, NOW + timedelta(hours=24))) == 2
    assert len(find_overdue_kinds(connection, DAILY, NOW)) == 2


def test_missing_days(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    for day in ("01", "18", "19", "21", "22", "23", "24", "25", "26"):
        record(connection, f"DORDFMLEMP_202611{day}120000", "employer file", NOW - timedelta(days=3))
    record(connection, "DORDFMLEMP_20290101000000", "employer file", NOW)  # the future
    record(connection, "DORDFMLEMP_20261399", "employer file", NOW)
    record(connection, "DORDFML_20261126120000", "wage file", NOW)
    assert find_missing_days(connection, DAILY, NOW) == [
        f"employer file of 2026-11-{day}" for day in (12, 13, 14, 15, 16, 17, 20)
    ]
    assert find_missing_days(connection, Expected(26, frozenset(range(4))), NOW) == [
        f"employer file of 2026-11-{day}"
        for day in (12, 16, 17)  # no Friday to Sunday
    ]
    assert find_missing_days(connection, Expected(0, DAILY.weekdays), NOW) == []


def test_waiting_files(connection: psycopg.Connection[tuple[object, ...]], tmp_path: Path) -> None:
    for name in (*READ[:3], f"{READ[0]}.pgp"):
        (tmp_path / name).touch()
    later = datetime.now(UTC) + timedelta(hours=1)
    record(connection, READ[2], "exempt employers", later)
    record(connection, READ[0], "wage file", NOW - timedelta(days=900))  # an earlier file with this name
    assert find_waiting_files(connection, str(tmp_path), DOR_LAYOUTS, later) == [READ[1], READ[0]]
    assert find_waiting_files(connection, str(tmp_path), DOR_LAYOUTS, later - timedelta(hours=2)) == []


def test_weekdays_of_the_setting() -> None:
    def parse(days: str) -> frozenset[int]:
        return DailyFilesSettings(environment="local", daily_file_days=days).expected_files.weekdays

    assert parse("MON-SUN") == frozenset(range(7))
    assert parse("mon - fri") == frozenset(range(5))
    assert parse("SAT-MON,WED") == frozenset({5, 6, 0, 2})
    with pytest.raises(ValueError, match="names such as MON-FRI"):
        parse("MONDAY")


def test_the_import_reports_what_it_does_not_read(
    database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = DorWorld(database, tmp_path / "dor")
    world.put(f"{WAGE_FILE}.pgp", b"")
    for number in range(25):
        world.put(f"z{number:02}.txt", b"")
    world.execute("INSERT INTO import_log (start) VALUES (now() - interval '27 hours')")
    assert run_in_process(world) == 0
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings[0] == (
        f"a file in the folder is not read by any job: {WAGE_FILE}.pgp (another ending '.pgp'; expected DORDFML_<time>)"
    )
    assert warnings[20:] == [
        "6 other files in the folder are not read by any job",
        "no daily file was imported for more than 26 hours: employer file: never",
        "no daily file was imported for more than 26 hours: wage file: never",
    ]
    caplog.clear()
    world.put(EMPLOYER_FILE, employer_line())
    world.put("DORDFMLEMP_20200521120622", employer_line("100000002", "44100000002"))
    assert run_in_process(world, DAILY_FILE_HOURS="26") == 0
    assert "no daily file was imported for a day: employer file of 2020-05-20" in caplog.text
    assert "hours: wage file: never" in caplog.text
    caplog.clear()
    assert run_in_process(world, DAILY_FILE_HOURS="0") == 0
    assert "no daily file" not in caplog.text
