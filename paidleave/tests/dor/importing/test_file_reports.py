"""The report of each file: every line has one outcome, and the declared query finds the rejected lines."""

from __future__ import annotations

import shlex
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from nightferry import BackgroundTask
from nightferry.backend import Report
from nightferry.backend.reports import parse_report, require_records
from nightferry.local.services.rejected_records import read_records
from nightferry.testing import run_job
from paidleave.catalog import catalog
from paidleave.dor.generate import Population, WriteOptions
from tests.dor.importing.test_importer_report import put
from tests.dor.imports import DAILY, EMPLOYER_FILE, EXEMPT, SUBMISSION, WAGE_FILE, DorWorld
from tests.operations.conftest import no_users, users  # noqa: F401  # fixtures

SECRET_NUMBERS = ("25000", "10000")  # the beginnings of generated SSNs and FEINs


@pytest.fixture
def world(users: str, tmp_path: Path) -> DorWorld:  # noqa: F811
    return DorWorld(users, tmp_path / "dor")


def run_reports(world: DorWorld, job: BackgroundTask[Any] = DAILY, *, code: int = 0, **settings: str) -> list[Report]:
    """Run a job in this process and return its reports, as a backend reads them."""
    ended = run_job(job, world.environment(**settings))
    assert ended.exit_code == code, ended.errors
    now = datetime.now(UTC)
    found = [parse_report(line, str(number), line["run_id"], now) for number, line in enumerate(ended.lines)]
    return [report for report in found if report is not None]


def check(report: Report) -> None:
    """Check that the counts are those of the declared kind and that every rejected line has a declared reason."""
    declared = catalog.reports[report.kind]
    assert set(report.counts) <= set(declared.counts)
    assert sum(report.counts.values()) == report.total
    assert sum(one.count for one in report.reasons) == report.counts.get("rejected", 0)
    assert all(declared.find_reason(one.reason) for one in report.reasons)


def read_all(world: DorWorld, report: Report, limit: int) -> list[Any]:
    """Read the rejected lines with the declared query in pages."""
    options = psycopg.conninfo.conninfo_to_dict(world.conninfo)
    addresses = {
        "host": options["host"],
        "port": options["port"],
        "user": options["user"],
        "database": options["dbname"],
    }
    records: list[Any] = []
    while page := read_records(
        require_records(catalog, "local", report),
        {name: str(value) for name, value in addresses.items()},
        records[-1].line_number if records else 0,
        limit,
    ):
        assert len(page) <= limit
        records += page
    return records


def test_the_report_of_a_file_has_each_line_and_the_query_finds_its_rejected_lines(world: DorWorld) -> None:
    written = put(world, Population(100), WriteOptions(bad_share=0.008, duplicate_share=0.05))
    reports = run_reports(world)
    assert [(report.kind, report.subject) for report in reports] == [
        ("dor-employer-file", EMPLOYER_FILE[:-1] + "0"),
        ("dor-wage-file", WAGE_FILE[:-1] + "0"),
    ]
    for report, file in zip(reports, written, strict=True):
        check(report)
        assert report.total == file.lines
        assert report.limit == 0.05
        assert report.counts["rejected"] == file.bad_lines
        assert report.counts["duplicate"] == sum(file.duplicates.values())
        assert not report.failed
        records = read_all(world, report, 7)
        assert len(records) == report.counts["rejected"]
        assert [one.line_number for one in records] == sorted({one.line_number for one in records})
        assert not any(one.is_settled for one in records)
        declared = catalog.reports[report.kind]
        by_reason = Counter((declared.find_reason(one.reason), one.field, one.record_kind) for one in records)
        assert by_reason == {
            (declared.find_reason(one.reason), one.field, one.record_kind): one.count for one in report.reasons
        }
        assert not any(number in repr(records) for number in SECRET_NUMBERS)
    assert reports[1].counts["rejected"] > 7


def test_a_failed_attempt_and_a_repeated_file_are_reported(world: DorWorld) -> None:
    put(world, Population(100), WriteOptions(bad_share=0.2))
    failed, *others = run_reports(world, code=1)
    assert not others
    check(failed)
    assert failed.failed
    assert "more than the allowed share" in failed.note
    assert failed.counts["rejected"] > 0
    assert len(read_all(world, failed, 100)) == failed.counts["rejected"]
    reports = run_reports(world, REJECTED_SHARE_LIMIT="0.5", RETAIN_RECEIVED_FILES="true")
    assert [report.limit for report in reports] == [0.5, 0.5]
    assert not any(report.failed for report in reports)
    assert read_all(world, failed, 100) == [], "a repeated attempt replaces the lines of the failed one"
    again = run_reports(world, REJECTED_SHARE_LIMIT="0.5")
    assert [report.counts for report in again] == [{"already_imported": report.total} for report in reports]
    assert all("already imported" in report.note for report in again)


def test_a_file_that_is_not_read_is_reported_with_the_cause(world: DorWorld) -> None:
    put(world, Population(1), WriteOptions(), 1)
    run_reports(world)
    put(world, Population(2), WriteOptions(), 0)
    older = [report for report in run_reports(world, code=1) if report.failed]
    assert [(report.subject, report.total, report.counts) for report in older] == [
        (WAGE_FILE[:-1] + "0", 0, {"rejected": 0, "not_imported": 0})
    ]
    assert "is older than" in older[0].note


def test_a_replay_settles_the_lines_of_the_import(world: DorWorld) -> None:
    world.put(WAGE_FILE, b"")
    put(world, Population(2), WriteOptions(), 3)
    (world.received / (EMPLOYER_FILE[:-1] + "3")).rename(world.dor / "late")
    (world.received / WAGE_FILE).unlink()
    (wages,) = run_reports(world, REJECTED_SHARE_LIMIT="1")
    assert wages.counts["rejected"] == wages.total > 0
    (world.dor / "late").rename(world.received / (EMPLOYER_FILE[:-1] + "3"))
    run_reports(world)
    (replay,) = run_reports(world, REPLAY=wages.subject)
    check(replay)
    assert (replay.total, replay.counts["rejected"]) == (wages.total, 0)
    assert replay.note == "replay of rejected lines"
    assert all(one.is_settled for one in read_all(world, wages, 1000))


def test_exempt_files_and_csvs_are_reported(world: DorWorld) -> None:
    world.put("DORDUADFML_20260107200000", b"C\n" * 3 + b"\n")
    (exempt,) = run_reports(world, EXEMPT, REJECTED_SHARE_LIMIT="1")
    assert exempt.kind == "dor-exempt-file"
    assert Counter({one.reason: one.count for one in exempt.reasons}) == {"unknown record letter": 3, "blank line": 1}
    header = "FEIN,'Organization Name','Medical Exemption','Family Exemption','Effective date with State',"
    rows = "123456788,A,Yes,Yes,1/1/2022,3/31/2022\n12,B,Yes,Yes,1/1/2022,3/31/2022\n"
    content = f"{header}'First Requested Quarter'\n{rows}".encode()
    world.put("CompaniesReturningToStatePlan ../ü.csv".replace("/", "-"), content)
    (csv,) = run_reports(world, SUBMISSION, REJECTED_SHARE_LIMIT="1")
    assert (csv.kind, csv.counts) == (
        "returning-employers-csv",
        {"created": 1, "updated": 0, "unmodified": 0, "duplicate": 0, "rejected": 1},
    )
    assert [(one.line_number, one.field, one.reason) for one in read_all(world, csv, 10)] == [
        (3, "fein", "not 9 digits")
    ]


def test_the_database_refuses_a_query_of_personal_data(world: DorWorld) -> None:
    for kind in catalog.reports.values():
        if kind.records is not None:
            assert kind.records.user == "pfml_impersonal"
            with psycopg.connect(world.conninfo, user=kind.records.user) as connection:
                connection.execute(kind.records.query.encode(), {"reference": 1, "after": 0, "limit": 1})
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute("SELECT first_name FROM employee")


def test_the_command_for_other_environments_reads_the_same_lines(world: DorWorld) -> None:
    put(world, Population(10), WriteOptions(bad_share=0.02))
    report = next(one for one in run_reports(world, REJECTED_SHARE_LIMIT="1") if one.counts["rejected"])
    program, verb, task, *options = shlex.split(require_records(catalog, "test", report).command)
    assert [program, verb, task] == ["nightferry", "run", "execute-sql"]
    assert catalog.tasks[task].by_hand == "confirm"
    assert options[:4] == ["--env", "test", "--confirm", "test"]
    values = dict(option.split("=", 1) for option in options if "=" in option)
    assert set(values) <= catalog.tasks[task].overridable
    with psycopg.connect(world.conninfo, user="pfml_impersonal") as connection:
        rows = connection.execute(values["SQL"].encode()).fetchall()
    assert [row[0] for row in rows] == [one.line_number for one in read_all(world, report, 100)]
