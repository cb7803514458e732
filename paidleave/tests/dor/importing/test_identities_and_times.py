"""Lines with placeholder or implausible identifiers, and with change times in the future."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from paidleave.dor.files.identities import PLACEHOLDER_FEINS, PLACEHOLDER_SSNS
from paidleave.dor.generate import employers
from paidleave.dor.generate.wages import FIRST_SSN
from tests.dor.imports import DAILY, EMPLOYER_FILE, EXEMPT, RESPONSE, SUBMISSION, WAGE_FILE, DorWorld, run_in_process
from tests.dor.lines import csv_row, employer_line, quarter_line, response_a, response_b, returning_csv, wage_line

NAME = "DORDUADFML_20200519120622"
RESPONSE_NAME = "DORDUADFML_SUBMISSION_20200519120622"
CSV = "CompaniesReturningToStatePlan.csv"
PLACEHOLDERS = ("000000000", "111111111", "999999999")
LIMIT = {"REJECTED_SHARE_LIMIT": "1"}


@pytest.fixture
def world(database: str, tmp_path: Path) -> DorWorld:
    (tmp_path / "dor" / "send").mkdir(parents=True)
    return DorWorld(database, tmp_path / "dor")


def import_lines(world: DorWorld, name: str, lines: list[bytes], job: Any = DAILY, **settings: str) -> dict[str, Any]:
    world.put(name, b"\n".join(lines))
    assert run_in_process(world, job, **(LIMIT | settings)) == 0
    return world.reports()[-1]


def rejects(world: DorWorld) -> list[tuple[int, str, str]]:
    return world.query("SELECT line_number, field, reason FROM dor_rejected_line ORDER BY import_log_id, line_number")


class TestIdentities:
    def test_placeholders_are_rejected_in_all_kinds_of_files(self, world: DorWorld) -> None:
        good = employer_line()
        import_lines(world, EMPLOYER_FILE, [good, *(employer_line(fein, "44100000002") for fein in PLACEHOLDERS)])
        ssns = (*PLACEHOLDERS, "123456789")
        import_lines(world, WAGE_FILE, [wage_line(), *(wage_line(ssn) for ssn in ssns)])
        group = [response_a("100000003"), response_b("250000002"), *(response_b(ssn) for ssn in ssns)]
        import_lines(world, NAME, [*group, *(response_a(fein) for fein in PLACEHOLDERS)], EXEMPT)
        world.put(CSV, returning_csv(csv_row(), *(csv_row(fein) for fein in PLACEHOLDERS)))
        assert run_in_process(world, SUBMISSION, **LIMIT) == 0
        import_lines(world, RESPONSE_NAME, [*group, *(response_a(fein) for fein in PLACEHOLDERS)], RESPONSE)
        expected = [
            *[(number, "fein", "placeholder number") for number in (2, 3, 4)],
            *[(number, "employee_ssn", "placeholder number") for number in (2, 3, 4, 5)],
            *[(number, "id", "placeholder number") for number in (3, 4, 5, 6)],
            *[(number, "employer_id", "placeholder number") for number in (7, 8, 9)],
            *[(number, "fein", "placeholder number") for number in (3, 4, 5)],
            *[(number, "id", "placeholder number") for number in (3, 4, 5, 6)],
            *[(number, "employer_id", "placeholder number") for number in (7, 8, 9)],
        ]
        assert rejects(world) == expected
        assert world.query("SELECT count(*) FROM employer") == [(2,)]
        assert world.query("SELECT tax_identifier FROM tax_identifier ORDER BY 1") == [("250000001",), ("250000002",)]

    @pytest.mark.parametrize("reject", [False, True])
    def test_implausible_ssns_are_counted_or_rejected(self, world: DorWorld, reject: bool) -> None:
        import_lines(world, EMPLOYER_FILE, [employer_line()])
        implausible = ("000123456", "666123456", "123006789", "123450000")
        plausible = ("123456788", "900000001", "999700000", "001010001", "665999999", "667010001")
        lines = [wage_line(ssn) for ssn in (*plausible, *implausible)]
        setting = {"REJECT_IMPLAUSIBLE_SSNS": str(reject)}
        report = import_lines(world, WAGE_FILE, lines, **setting)
        assert report["implausible_ssns_count"] == (0 if reject else 4)
        assert report["created_employees_count"] == (6 if reject else 10)
        assert [reason for *_, reason in rejects(world)] == ["implausible SSN"] * 4 * reject
        lines = [response_a("100000003"), *(response_b(ssn) for ssn in (*plausible, *implausible))]
        report = import_lines(world, NAME, lines, EXEMPT, **setting)
        assert (report["implausible_ssns_count"], report["rejected_lines_count"]) == ((0, 4) if reject else (4, 0))

    def test_numbers_of_both_generators_are_accepted(self) -> None:
        """The numbers of the system before this one are the same: 100000000 + n and 250000000 + n."""
        numbers = pl.int_range(1, 200_000, eager=True)
        assert not set(employers.make_feins(numbers)) & set(PLACEHOLDER_FEINS)
        ssns = (numbers + FIRST_SSN).cast(pl.String)
        assert not set(ssns) & set(PLACEHOLDER_SSNS)


class TestChangeTimes:
    REASON = "more than a day after the time of the file"

    def test_changes_after_the_file_are_rejected(self, world: DorWorld) -> None:
        times = ("20200520120622", "20200520120623", "29990101000000")
        import_lines(
            world,
            EMPLOYER_FILE,
            [employer_line(f"10000000{n}", f"4410000000{n}", updated=time) for n, time in enumerate(times, 1)],
        )
        import_lines(world, WAGE_FILE, [quarter_line(updated=time) for time in times])
        assert rejects(world) == [(number, "updated_date", self.REASON) for number in (2, 3)] * 2

    @pytest.mark.parametrize("digits", ["20200519", "29990101000000"])
    def test_file_without_a_valid_time_has_that_of_its_object(self, world: DorWorld, digits: str) -> None:
        path = world.put(f"DORDFMLEMP_{digits}", b"")
        times = [datetime(2021, 3, 5, 7, tzinfo=UTC) + timedelta(seconds=seconds) for seconds in (0, 1)]
        path.write_bytes(b"\n".join(employer_line(updated=f"{time:%Y%m%d%H%M%S}") for time in times))
        modified = (times[0] - timedelta(days=1)).timestamp()
        os.utime(path, (modified, modified))
        assert run_in_process(world, **LIMIT) == 0
        assert rejects(world) == [(2, "updated_date", self.REASON)]

    def test_stored_time_in_the_future_blocks_no_change(self, world: DorWorld) -> None:
        import_lines(world, EMPLOYER_FILE, [employer_line()])
        import_lines(world, WAGE_FILE, [quarter_line()])
        for table in ("employer", "employer_quarterly_contribution"):
            world.execute(f"UPDATE {table} SET dor_updated_date = '2999-01-01'")
        import_lines(world, "DORDFMLEMP_20200520000000", [employer_line(name="Renamed")])
        import_lines(world, "DORDFML_20200520000000", [quarter_line(total="7.00")])
        assert world.query("SELECT employer_name FROM employer") == [("Renamed",)]
        assert world.query("SELECT employer_total_pfml_contribution::text FROM employer_quarterly_contribution") == [
            ("7.00",)
        ]
