"""Generated exempt files, responses and CSVs: good lines are imported and bad lines are rejected."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paidleave.dor.generate import Population, WriteOptions, write_employer_file, write_wage_file
from paidleave.dor.generate.private_plans import write_exempt_file, write_response_file, write_returning_csv
from paidleave.dor.generate.writing import WriteCounts
from tests.dor.imports import (
    DAILY,
    EMPLOYER_FILE,
    EXEMPT,
    RESPONSE,
    SUBMISSION,
    WAGE_FILE,
    DorWorld,
    contents,
    run_in_process,
)

POPULATION = Population(100)
IMPURE = WriteOptions(bad_share=0.04, duplicate_share=0.05)
CSV = "CompaniesReturningToStatePlan.csv"


@pytest.fixture
def world(database: str, tmp_path: Path) -> DorWorld:
    return DorWorld(database, tmp_path / "dor")


def put(
    world: DorWorld, name: str, write: Callable[..., WriteCounts], options: WriteOptions | None = None
) -> WriteCounts:
    stream = io.BytesIO()
    written = write(stream, POPULATION, options)
    assert written.bytes == len(stream.getvalue())
    world.put(name, stream.getvalue())
    return written


def import_all(world: DorWorld, options: WriteOptions) -> tuple[list[WriteCounts], list[dict[str, Any]]]:
    put(world, EMPLOYER_FILE, write_employer_file)
    put(world, WAGE_FILE, write_wage_file)
    assert run_in_process(world, DAILY) == 0
    written = []
    for name, write, job in (
        ("DORDUADFML_20211001000000", write_exempt_file, EXEMPT),
        (CSV, write_returning_csv, SUBMISSION),
        ("DORDUADFML_SUBMISSION_20211001000000", write_response_file, RESPONSE),
    ):
        written.append(put(world, name, write, options))
        assert run_in_process(world, job) == 0
    return written, world.reports()[2:]


def test_every_line_is_counted_and_bad_lines_change_nothing(world: DorWorld) -> None:
    import_all(world, WriteOptions())
    clean = contents(world)
    world.clear()
    written, reports = import_all(world, IMPURE)
    for file, report in zip(written, reports, strict=True):
        assert report["lines_count"] == file.lines
        assert report["rejected_lines_count"] == file.bad_lines
        duplicates = sum(value for name, value in report.items() if name.startswith("duplicate_"))
        assert duplicates == sum(file.duplicates.values())
    impure = contents(world)
    for table in ("tax_identifiers", "employee_queue", "employer_queue", "quarters", "history"):
        assert impure[table] == clean[table], table
    # Generated keys differ.
    assert [row[:1] + row[2:] for row in impure["employers"]] == [row[:1] + row[2:] for row in clean["employers"]]
    assert [row[:3] + row[4:] for row in impure["wages"]] == [row[:3] + row[4:] for row in clean["wages"]]


def test_employers_and_people_match_the_daily_files(world: DorWorld) -> None:
    _, (exempt, _, response) = import_all(world, WriteOptions())
    assert exempt["created_employers_count"] == 10
    assert exempt["unmodified_employers_count"] == 20 * 4 - 10
    assert response["created_employers_count"] == 0
    assert response["updated_employers_count"] == 10
    assert response["employers_missing_in_csv_count"] == 0
    assert response["created_wages_and_contributions_count"] == 0
    assert exempt["updated_employees_count"] == response["updated_employees_count"] == 0


def test_submission_lists_the_returning_employers(world: DorWorld) -> None:
    put(world, CSV, write_returning_csv)
    assert run_in_process(world, SUBMISSION) == 0
    (path,) = (world.dor / "send").iterdir()
    feins = [line[10:19] for line in path.read_bytes().splitlines()]
    assert feins == [f"{100_000_000 + n}".encode() for n in (20, 40, 60, 80, 100, 102, 104, 106, 108, 110)]
