"""The export in full and list mode: exact bytes, comparison with the reference, bundles, failures, exit codes."""

from __future__ import annotations

import csv
import json
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightferry import JobFailed
from nightferry.testing.tiers import LONG
from paidleave.fineos.eligibility_feed import feed_format
from tests.fineos.eligibility_feed import feed_reference as reference
from tests.fineos.eligibility_feed.feed_world import World, contents, files, number

pytestmark = pytest.mark.sampled(8)

GOLDEN = Path(__file__).with_name("golden")


@pytest.fixture
def world(database: str) -> Iterator[World]:
    with closing(World(database)) as world:
        yield world


def create_golden_rows(world: World) -> None:
    """Create the employers and people of the golden files with fixed IDs, so that the files are reproducible."""
    acme = world.employer(1234, employer_id=UUID(int=1))
    other = world.employer(77, employer_id=UUID(int=2))
    unit = world.unit(acme, 'Shipping, "Night"')
    full = world.employee(
        acme,
        other,
        ssn="912345678",
        employee_id=UUID(int=11),
        first_name="Zoë",
        middle_name="von",
        last_name='O\'Hara, "Jr"',
        email_address="zoe@example.org",
        phone_number="+16175550123",
        cell_phone_number="+442071838750",
        date_of_birth=date(1980, 2, 29),
        date_of_death=date(2021, 12, 31),
        title_id=6,
        gender_id=3,
        marital_status_id=2,
    )
    world.occupation(
        full,
        acme,
        organization_unit_id=unit,
        job_title="Clerk\nfirst class",
        employment_status="Terminated",
        manager_id="m-1",
        worksite_id="w-1",
        occupation_qualifier="q",
        date_of_hire=date(2015, 7, 1),
        date_job_ended=date(2021, 11, 30),
        hours_worked_per_week=Decimal("37.505"),
        days_worked_per_week=Decimal("4.515"),
    )
    world.employee(acme, ssn="123456789", employee_id=UUID(int=12), first_name="Bo", last_name="Li")


def test_the_files_are_identical_to_the_golden_files(world: World, tmp_path: Path) -> None:
    create_golden_rows(world)
    report = world.export(tmp_path)
    found = contents(tmp_path)
    if os.environ.get("WRITE_GOLDEN"):
        GOLDEN.mkdir(parents=True, exist_ok=True)
        for employer, content in found.items():
            (GOLDEN / f"{employer}.csv").write_bytes(content)
    assert found == {employer: (GOLDEN / f"{employer}.csv").read_bytes() for employer in (77, 1234)}
    assert report == {
        "employers_total_count": 2,
        "employers_success_count": 2,
        "employers_skipped_count": 0,
        "employers_error_count": 0,
        "employers_unknown_to_fineos_count": 0,
        "employees_without_name_count": 0,
        "employee_and_employer_pairs_total_count": 3,
    }


texts = st.none() | st.text(st.sampled_from('ab,"\r\n \\\t;é𝒳\u2028\x01'), max_size=6)
names = st.text(st.sampled_from("ab ,\"\r\n'Ünï\\."), max_size=5)
dates = st.none() | st.dates(date(1, 1, 1), date(9999, 12, 31))
hours = (
    st.none()
    | st.decimals(-2000, 2000, places=4)
    | st.sampled_from(
        [Decimal(text) for text in ("NaN", "0", "0.00", "0.004", "-0.005", "999.994", "-999.9949", "999.995")]
    )
)
phones = st.none() | st.sampled_from(
    ["", "+16175550123", "+10175551212", "+1617555", "+442071838750", "+390612345678", "6175550123", "+1", 'a,"b\n']
)


@st.composite
def people(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "person": {
            "first_name": draw(names),
            "last_name": draw(names),
            "middle_name": draw(texts),
            "email_address": draw(texts),
            "phone_number": draw(phones),
            "cell_phone_number": draw(phones),
            "date_of_birth": draw(dates),
            "date_of_death": draw(dates),
            "title_id": draw(st.none() | st.integers(1, 8)),
            "gender_id": draw(st.none() | st.integers(1, 5)),
            "marital_status_id": draw(st.none() | st.integers(1, 4)),
        },
        "ssn": draw(st.sampled_from(["1", "9"])),
        "employers": draw(st.sets(st.integers(0, 1))),
        "occupation": draw(
            st.none()
            | st.fixed_dictionaries(
                {
                    "job_title": texts,
                    "employment_status": texts,
                    "manager_id": texts,
                    "worksite_id": texts,
                    "occupation_qualifier": texts,
                    "date_of_hire": dates,
                    "date_job_ended": dates,
                    "hours_worked_per_week": hours,
                    "days_worked_per_week": hours,
                }
            )
        ),
        "unit": draw(texts),
    }


SENT_HOURS_AND_DAYS = {
    None: ("0.00", ""),
    "0": ("0.00", ""),
    "0.00": ("0.00", ""),
    "0.004": ("0.00", ""),
    "0.005": ("0.00", ""),  # half-even
    "0.006": ("0.01", "0.01"),
    "4.5": ("4.50", "4.50"),
    "2.345": ("2.34", "2.34"),
    "999.99": ("999.99", "999.99"),
    "999.994": ("999.99", "999.99"),
    "999.99499999": ("999.99", "999.99"),
    "999.995": ("0.00", ""),
    "-999.994": ("-999.99", "-999.99"),
    "1000": ("0.00", ""),
    "NaN": ("0.00", ""),
}
"""The hours and days that are sent for a stored number. At FINEOS, 0 days are unknown, and the type of both is
decimal(5,2)."""


def test_hours_and_days_follow_the_vendors_rules(world: World, tmp_path: Path) -> None:
    employer, stored = world.employer(1), {}
    for text in SENT_HOURS_AND_DAYS:
        value = None if text is None else Decimal(text)
        employee = world.employee(employer)
        world.occupation(employee, employer, hours_worked_per_week=value, days_worked_per_week=value)
        stored[str(employee)] = text
    world.export(tmp_path)
    rows = csv.DictReader(contents(tmp_path)[1].decode().split("@DATABLOCK\n")[1].splitlines())
    sent = {
        stored[row["employeeIdentifier"]]: (row["employeeHoursWorkedPerWeek"], row["employeeDaysWorkedPerWeek"])
        for row in rows
    }
    assert sent == SENT_HOURS_AND_DAYS


@settings(max_examples=150 if LONG else 4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(people(), max_size=20))
def test_every_file_is_identical_to_the_reference(
    world: World, tmp_path: Path, everybody: list[dict[str, Any]]
) -> None:
    world.clear()
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    employers = [world.employer(number) for number in (30, 200)]
    for index, person in enumerate(everybody):
        ids = [employers[n] for n in sorted(person["employers"])]
        employee = world.employee(*ids, ssn=f"{person['ssn']}{index:08}", **person["person"])
        if person["occupation"] is not None:
            unit = world.unit(employers[0], f"{index} {person['unit']}") if person["unit"] else None
            world.occupation(employee, employers[0], organization_unit_id=unit, **person["occupation"])
    expected = {}
    for employer, at_fineos in zip(employers, (30, 200), strict=True):
        if (content := reference.build_file(world.db, employer)) is not None:
            expected[at_fineos] = content
    world.export(tmp_path / "out")
    assert contents(tmp_path / "out") == expected


def test_full_mode_distributes_the_employers_to_the_bundles(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_format, "FIRST_BUNDLE_EMPLOYERS", 3)
    for n in range(1, 9):
        world.employee(world.employer(n))
    world.export(tmp_path, BUNDLE_COUNT=3)
    folders = {path.name: sorted(number(file) for file in (path / "upload").iterdir()) for path in tmp_path.iterdir()}
    assert folders == {
        "absence-eligibility": [1, 2, 3],
        "absence-eligibility2": [4, 5, 6],
        "absence-eligibility3": [7, 8],
    }


def test_employees_that_cannot_be_sent_are_counted(world: World, tmp_path: Path) -> None:
    known = world.employer(1)
    world.employer()
    world.employee(known)
    world.employee(known, first_name=" ")
    world.employee(known, last_name="")
    report = world.export(tmp_path)
    assert list(contents(tmp_path)) == [1]
    assert b"NUMBER_OF_RECORDS:1\n" in contents(tmp_path)[1]
    assert report["employees_without_name_count"] == 2
    assert (report["employers_total_count"], report["employers_error_count"]) == (2, 1)  # FINEOS is unreachable.


@pytest.mark.parametrize("mode", ["full", "list"])
def test_an_employer_without_employees_gets_a_file_without_rows(world: World, tmp_path: Path, mode: str) -> None:
    employers = {number: world.employer(number) for number in (1, 2, 3, 4)}
    world.employee(employers[2], employers[3])
    world.employee(employers[4], first_name=" ")
    report = world.export(tmp_path, mode, ELIGIBILITY_FEED_LIST_OF_EMPLOYER_IDS=",".join(map(str, employers.values())))
    header = "NUMBER_OF_RECORDS:0\n@DATABLOCK\n" + ",".join(reference.HEADER) + "\r\n"
    found = contents(tmp_path)
    assert found == {number: reference.build_file(world.db, id) for number, id in employers.items()}
    assert [found[number].decode() for number in (1, 4)] == [f"EMPLOYER_ID:{n}\n{header}" for n in (1, 4)]
    assert (report["employers_success_count"], report["employers_skipped_count"]) == (4, 0)


def test_the_bundles_count_all_employers(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, simulator: Any
) -> None:
    """Seven employers are distributed as 1, 3 and 3. The four with a file alone would be distributed as 1, 2 and 1."""
    monkeypatch.setattr(feed_format, "FIRST_BUNDLE_EMPLOYERS", 1)
    for has_employees, at_fineos in ((False, 1), (True, 2), (False, 3), (True, 4)):
        employer = world.employer(at_fineos)
        if has_employees:
            world.employee(employer)
    for _ in range(3):
        world.employer()
    client = {name.upper(): value for name, value in simulator.client_settings().items()}
    report = world.export(tmp_path / "out", BUNDLE_COUNT=3, **client)
    folders: dict[str, list[int]] = {path.parts[-3]: [] for path in files(tmp_path / "out")}
    for path in files(tmp_path / "out"):
        folders[path.parts[-3]].append(number(path))
    assert folders == {"absence-eligibility": [1], "absence-eligibility2": [2, 3, 4]}
    assert (report["employers_total_count"], report["employers_skipped_count"]) == (7, 3)
    assert report["employers_unknown_to_fineos_count"] == 3


def test_list_mode_writes_the_listed_employers_only(world: World, tmp_path: Path) -> None:
    wanted, other = world.employer(5), world.employer(6)
    world.employee(wanted, other)
    queued = world.queue(world.employee(wanted))
    ids = f" {wanted} , {str(wanted).upper()},"
    report = world.export(tmp_path, "list", ELIGIBILITY_FEED_LIST_OF_EMPLOYER_IDS=ids, BUNDLE_COUNT=9)
    assert contents(tmp_path) == {5: reference.build_file(world.db, wanted)}
    assert report["employers_total_count"] == 1
    assert world.queued() == {queued}


def test_list_mode_with_an_unknown_id_writes_nothing(world: World, tmp_path: Path) -> None:
    known, unknown = world.employer(5), uuid4()
    world.employee(known)
    with pytest.raises(JobFailed, match=f"1 of 2 IDs .* {unknown}"):
        world.export(tmp_path, "list", ELIGIBILITY_FEED_LIST_OF_EMPLOYER_IDS=f"{known},{unknown}")
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (None, "must contain at least one employer ID"),
        (" , ", "must contain at least one employer ID"),
        ("12345", "'12345', which is not a UUID"),
    ],
)
def test_an_invalid_list_is_an_invalid_setting(world: World, tmp_path: Path, ids: str | None, message: str) -> None:
    variables = {} if ids is None else {"ELIGIBILITY_FEED_LIST_OF_EMPLOYER_IDS": ids}
    code, text = world.run(tmp_path, "list", **variables)
    assert (code, files(tmp_path)) == (2, [])
    assert message in text
    assert "Traceback" not in text


def test_a_role_without_external_id_is_an_invalid_setting(world: World, tmp_path: Path) -> None:
    code, text = world.run(tmp_path, FINEOS_AWS_IAM_ROLE_ARN="arn:aws:iam::123456789012:role/feed")
    assert code == 2
    assert "FINEOS_AWS_IAM_ROLE_EXTERNAL_ID" in text


def test_exports_within_a_second_write_separate_files(world: World, tmp_path: Path) -> None:
    world.employee(world.employer(5))
    for _ in range(3):
        world.export(tmp_path)
    names = [path.name for path in files(tmp_path)]
    assert len(set(names)) == 3


def test_a_failed_employer_does_not_block_the_others(world: World, tmp_path: Path) -> None:
    for n in range(1, 31):
        world.employee(world.employer(n))
    blocked = tmp_path / "absence-eligibility" / "upload"
    blocked.mkdir(parents=True)

    def write(uri: str, chunks: Any) -> None:
        if uri.endswith("_7.csv"):
            raise OSError(5, "Input/output error")
        Path(uri).write_bytes(b"".join(chunks))

    report = world.export(tmp_path, write=write)
    assert sorted(contents(tmp_path)) == [n for n in range(1, 31) if n != 7]
    assert (report["employers_success_count"], report["employers_error_count"]) == (29, 1)


def test_an_unwritable_output_ends_the_export_with_exit_code_1(world: World, tmp_path: Path) -> None:
    for n in range(1, 31):
        world.employee(world.employer(n))
    (tmp_path / "file").write_text("not a folder")
    code, text = world.run(tmp_path / "file" / "out")
    assert code == 1
    assert "20 files in a row could not be written" in text
    assert "Check that OUTPUT_DIRECTORY_PATH" in text
    assert "Traceback" not in text
    status, report = world.import_log()
    assert status == "error"
    assert "OutputFailed" in report["message"]


def test_a_full_disk_leaves_no_partial_file(world: World, tmp_path: Path) -> None:
    """Simulate the full disk with RLIMIT_FSIZE, which interrupts the write of the large file."""
    small, large = world.employer(1), world.employer(2)
    world.employee(small)
    for _ in range(300):
        world.employee(large)
    limit = 20_000
    assert len(reference.build_file(world.db, large) or b"") > limit
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        report = world.export(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(contents(tmp_path)) == [1]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == files(tmp_path)
    assert report["employers_error_count"] == 1


def test_memory_does_not_grow_with_an_employers_size(world: World, tmp_path: Path) -> None:
    employer, peaks = world.employer(1), []
    for size, folder in ((1_000, "small"), (100_000, "large")):
        world.employees(employer, size)
        process = world.process(tmp_path / folder)
        assert process.stdout is not None
        process.stdout.read()
        process.stdout.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        peaks.append(usage.ru_maxrss / 1024)
    (large,) = files(tmp_path / "large")
    assert large.read_bytes().count(b"\r\n") == 1 + 101_000
    assert large.stat().st_size > 12_000_000
    assert peaks[1] - peaks[0] < 8  # MB


def test_a_change_during_the_pass_is_not_exported(world: World, tmp_path: Path) -> None:
    """The count in the header and the rows belong to one snapshot."""
    employer = world.employer(1)
    for _ in range(3):
        world.employee(employer)
    late = world.employer(2)
    world.employee(late)
    changed = []

    def write(uri: str, chunks: Any) -> None:
        world.employee(employer)
        world.employee(late)
        changed.append(uri)
        path = Path(uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(chunks))

    before = {1: reference.build_file(world.db, employer), 2: reference.build_file(world.db, late)}
    world.export(tmp_path, write=write)
    assert len(changed) == 2
    assert contents(tmp_path) == before


def test_an_export_reports_counts_and_logs_no_personal_data(world: World, tmp_path: Path) -> None:
    create_golden_rows(world)
    code, text = world.run(tmp_path)
    assert code == 0, text
    assert sorted(contents(tmp_path)) == [77, 1234]
    assert all(isinstance(json.loads(line), dict) for line in text.splitlines())
    for secret in ("912345678", "123456789", "Zoë", "O'Hara", "zoe@example.org", "5550123"):
        assert secret not in text
    status, report = world.import_log()
    assert status == "success"
    assert report["employee_and_employer_pairs_total_count"] == 3


def test_the_export_fails_if_all_employers_failed(world: World, tmp_path: Path) -> None:
    world.employee(world.employer(1))
    (tmp_path / "file").write_text("not a folder")
    code, text = world.run(tmp_path / "file" / "out", ELIGIBILITY_FEED_FAILED_SHARE_LIMIT="1")
    assert code == 1
    assert "1 of 1 employers failed" in text
