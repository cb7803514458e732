"""Generated exempt files, responses and CSVs: what goes in comes out, and every bad line is rejected."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paidleave.dor.generate import Impurities, Population, write_employer_file, write_wage_file
from paidleave.dor.generate.private_plans import write_exempt_file, write_response_file, write_returning_csv
from paidleave.dor.generate.writing import Written
from tests.dor.imports import DAILY, EMPLOYER_FILE, EXEMPT, RESPONSE, SUBMISSION, WAGE_FILE, Place, contents, run_here

POPULATION = Population(100)
IMPURE = Impurities(bad_share=0.04, duplicate_share=0.05)
CSV = "CompaniesReturningToStatePlan.csv"


@pytest.fixture
def place(database: str, tmp_path: Path) -> Place:
    return Place(database, tmp_path / "dor")


def put(place: Place, name: str, write: Callable[..., Written], impurities: Impurities | None = None) -> Written:
    stream = io.BytesIO()
    written = write(stream, POPULATION, impurities)
    assert written.bytes == len(stream.getvalue())
    place.put(name, stream.getvalue())
    return written


def import_all(place: Place, impurities: Impurities) -> tuple[list[Written], list[dict[str, Any]]]:
    put(place, EMPLOYER_FILE, write_employer_file)
    put(place, WAGE_FILE, write_wage_file)
    assert run_here(place, DAILY) == 0
    written = []
    for name, write, job in (
        ("DORDUADFML_20211001000000", write_exempt_file, EXEMPT),
        (CSV, write_returning_csv, SUBMISSION),
        ("DORDUADFML_SUBMISSION_20211001000000", write_response_file, RESPONSE),
    ):
        written.append(put(place, name, write, impurities))
        assert run_here(place, job) == 0
    return written, place.reports()[2:]


def test_every_line_is_accounted_for_and_bad_lines_change_nothing(place: Place) -> None:
    import_all(place, Impurities())
    clean = contents(place)
    place.clear()
    written, reports = import_all(place, IMPURE)
    for file, report in zip(written, reports, strict=True):
        assert report["lines_count"] == file.lines
        assert report["rejected_lines_count"] == file.bad_lines
        duplicates = sum(value for name, value in report.items() if name.startswith("duplicate_"))
        assert duplicates == sum(file.duplicates.values())
    impure = contents(place)
    for table in ("tax_identifiers", "employee_queue", "employer_queue", "quarters", "history"):
        assert impure[table] == clean[table], table
    # Keys that are invented anew differ.
    assert [row[:1] + row[2:] for row in impure["employers"]] == [row[:1] + row[2:] for row in clean["employers"]]
    assert [row[:3] + row[4:] for row in impure["wages"]] == [row[:3] + row[4:] for row in clean["wages"]]


def test_employers_and_people_are_those_of_the_daily_files(place: Place) -> None:
    _, (exempt, _, response) = import_all(place, Impurities())
    assert exempt["created_employers_count"] == 10
    assert exempt["unmodified_employers_count"] == 20 * 4 - 10
    assert response["created_employers_count"] == 0
    assert response["updated_employers_count"] == 10
    assert response["employers_missing_in_csv_count"] == 0
    assert response["created_wages_and_contributions_count"] == 0
    assert exempt["updated_employees_count"] == response["updated_employees_count"] == 0


def test_the_submission_names_those_who_return(place: Place) -> None:
    put(place, CSV, write_returning_csv)
    assert run_here(place, SUBMISSION) == 0
    (path,) = (place.dor / "send").iterdir()
    feins = [line[10:19] for line in path.read_bytes().splitlines()]
    assert feins == [f"{100_000_000 + n}".encode() for n in (20, 40, 60, 80, 100, 102, 104, 106, 108, 110)]
