"""The report counts every line of the generated files, including duplicates and all kinds of bad lines."""

from __future__ import annotations

import io
import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from paidleave.dor.generate import Population, WriteOptions, write_employer_file, write_wage_file
from tests.dor.imports import EMPLOYER_FILE, WAGE_FILE, DorWorld, run_in_process

pytestmark = pytest.mark.sampled(8)

SUBJECTS = ("employers", "employer_quarters", "wages_and_contributions")


@pytest.fixture
def world(database: str, tmp_path: Path) -> DorWorld:
    return DorWorld(database, tmp_path / "dor")


def put(world: DorWorld, population: Population, options: WriteOptions, day: int = 0) -> tuple[Any, Any]:
    employers, wages = io.BytesIO(), io.BytesIO()
    written = (
        write_employer_file(employers, population, options),
        write_wage_file(wages, population, options),
    )
    world.put(EMPLOYER_FILE[:-1] + str(day), employers.getvalue())
    world.put(WAGE_FILE[:-1] + str(day), wages.getvalue())
    return written


def outcomes(report: dict[str, Any], subject: str) -> int:
    names = ("created", "updated", "unmodified", "duplicate", "rejected")
    return sum(int(report[f"{name}_{subject}_count"]) for name in names)


@pytest.mark.parametrize("crlf", [False, True])
def test_counts_add_up_and_only_bad_lines_are_missing(world: DorWorld, crlf: bool) -> None:
    options = WriteOptions(bad_share=0.02, duplicate_share=0.05, crlf=crlf, last_line_end=False)
    for day, update in enumerate((False, True)):
        written = put(world, Population(100, update=update), options, day)
        assert run_in_process(world) == 0
        for report, file in zip(world.reports()[-2:], written, strict=True):
            assert report["lines_count"] == file.lines
            assert report["rejected_lines_count"] == file.bad_lines
            subjects = [subject for subject in SUBJECTS if f"{subject}_lines_count" in report]
            for subject in subjects:
                assert outcomes(report, subject) == report[f"{subject}_lines_count"]
            known = sum(report[f"{subject}_lines_count"] for subject in subjects)
            assert known + report["rejected_unknown_lines_count"] == report["lines_count"]
            assert sum(report[f"duplicate_{subject}_count"] for subject in subjects) == sum(file.duplicates.values())


def test_second_day_updates_rows_of_the_first(world: DorWorld) -> None:
    put(world, Population(100), WriteOptions(), 0)
    put(world, Population(100, update=True), WriteOptions(), 1)
    assert run_in_process(world) == 0
    first_employers, second_employers, first_wages, second_wages = world.reports()
    assert first_employers["created_employers_count"] == 100
    assert first_employers["employer_file"] == EMPLOYER_FILE[:-1] + "0"
    assert first_wages["employee_file"] == WAGE_FILE[:-1] + "0"
    assert second_employers["created_employers_count"] == 0
    assert 0 < second_employers["updated_employers_count"] < second_employers["unmodified_employers_count"]
    assert second_wages["created_employer_quarters_count"] == 0
    assert second_wages["updated_employer_quarters_count"] == 4 * second_employers["updated_employers_count"]
    assert second_wages["unmodified_employer_quarters_count"] == 4 * second_employers["unmodified_employers_count"]
    assert second_wages["created_employees_count"] == 0
    assert second_wages["updated_employees_count"] > 0
    assert second_wages["updated_wages_and_contributions_count"] > 0
    history = world.query("SELECT count(*) FROM wages_and_contributions_history")[0][0]
    assert history == second_wages["updated_wages_and_contributions_count"]
    queued = world.query("SELECT count(*) FROM employer_push_to_fineos_queue WHERE action = 'UPDATE'")[0][0]
    assert queued == second_employers["updated_employers_count"]


def test_people_of_several_employers_and_new_employers(world: DorWorld) -> None:
    """The generated files exercise the joins of people who work for several employers or change them."""
    put(world, Population(100), WriteOptions(), 0)
    assert run_in_process(world) == 0
    pairs = "SELECT employee_id, employer_id FROM wages_and_contributions GROUP BY 1, 2"
    before = set(world.query(pairs))
    employers = Counter(Counter(employee for employee, _ in before).values())
    assert set(employers) == {1, 2, 3, 4, 5}
    assert 0.22 < 1 - employers[1] / employers.total() < 0.28
    assert world.query("SELECT FROM employee_push_to_fineos_queue WHERE action <> 'INSERT'") == []
    put(world, Population(100, update=True), WriteOptions(), 1)
    assert run_in_process(world) == 0
    new = set(world.query(pairs)) - before
    queue = "SELECT employee_id, employer_id FROM employee_push_to_fineos_queue WHERE action = 'UPDATE_NEW_EMPLOYER'"
    assert sorted(world.query(queue)) == sorted(new) != []


def test_identifiers_increase_with_time(world: DorWorld) -> None:
    put(world, Population(100), WriteOptions())
    assert run_in_process(world) == 0
    for table, key in (("employee", "employee_id"), ("wages_and_contributions", "wage_and_contribution_id")):
        identifiers = [str(row[0]) for row in world.query(f"SELECT {key} FROM {table} ORDER BY ctid")]
        # PostgreSQL puts a row without decimals, which is narrow, into the rest of an earlier page.
        assert sum(one > other for one, other in itertools.pairwise(identifiers)) < len(identifiers) / 1_000
        assert {identifier[14] for identifier in identifiers} == {"7"}
        assert {identifier[19] for identifier in identifiers} <= set("89ab")
