"""Employee updates: the set-based import compared with the row-by-row reference on generated files."""

from __future__ import annotations

import random
import tempfile
from datetime import date
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nightferry.testing.tiers import examples
from tests.fineos.employee_updates import employee_updates_reference as reference
from tests.fineos.employee_updates import employee_updates_world as updates_world
from tests.fineos.employee_updates.employee_updates_reference import World

pytestmark = pytest.mark.sampled(8)

KNOWN = [updates_world.employee_id(number) for number in range(3)]
IDS = [str(identifier) for identifier in KNOWN] + [str(updates_world.employee_id(number)) for number in range(10, 14)]
GOOD_DATES = ["", "2020-02-29 00:00:00", "1990-01-31", "1753-01-01 00:00:00"]
BAD_DATES = ["2021-02-29 00:00:00", "1752-12-31 00:00:00", "31/01/1990", "2020-01-01 00:00"]
GOOD_NUMBERS = ["", "0", "0.00", "37.5", "40"]
BAD_NUMBERS = ["-1", "many", "1e3", "123456", "1.", "４"]


def mostly(good: list[str], bad: list[str]) -> list[str]:
    """Return values with a small share of bad ones, because a row has many values and one bad value rejects it."""
    return good * (len(bad) * 40 // len(good) + 1) + bad


VALUES = {
    "EMPLOYEEIDENTIFIER": mostly([*IDS, IDS[0].upper()], ["", "not-an-id", "{" + IDS[0][1:-1] + "}"]),
    "EMPLOYEETITLE": ["", "Mr", "Dr", "Lord", "Unknown"],
    "EMPLOYEEDATEOFBIRTH": mostly(GOOD_DATES, BAD_DATES),
    "EMPLOYEEDATEOFHIRE": mostly([*GOOD_DATES, "2020-01-01 00:00:00", "2020-01-01"], BAD_DATES),
    "EMPLOYEEENDDATE": mostly(GOOD_DATES, BAD_DATES),
    "EMPLOYEEGENDER": ["", "Female", "Male", "Not Provided", "Other"],
    "EMPLOYEEMARITALSTATUS": ["", "Single", "Married", "Unknown", "Complicated"],
    "TELEPHONEINTCODE": ["", "1", "+1", "44", "39", "001", "x"],
    "TELEPHONEAREACODE": ["", "617", "200", "20", "06", "161"],
    "TELEPHONENUMBER": ["", "5550123", "1550123", "555-0123", "79460958", "12345678", "911", "5550123 x5"],
    "CELLINTCODE": ["", "1"],
    "CELLAREACODE": ["", "617"],
    "CELLNUMBER": ["", "5550199", "5550198"],
    "EMPLOYEEEMAIL": ["", "ada@example.com", "byron@example.com"],
    "EMPLOYEECLASSIFICATION": ["", "Engineer", "Wizard"],
    "EMPLOYEEJOBTITLE": ["", "Clerk", "DEFAULT", "Köchin, 1. \"Haus\"\n2. Zeile"],
    "EMPLOYMENTSTATUS": ["", "Active", "Terminated"],
    "MANAGERIDENTIFIER": ["", "M1", "M2"],
    "QUALIFIERDESCRIPTION": ["", "Q", "R"],
    "EMPLOYEEWORKSITEID": ["", " W1 ", "W2"],
    "EMPLOYEEHOURSWORKEDPERWEEK": mostly(GOOD_NUMBERS, BAD_NUMBERS),
    "EMPLOYEEDAYSWORKEDPERWEEK": mostly(GOOD_NUMBERS, BAD_NUMBERS),
    "EMPLOYEEORGUNITNAME": ["", "Unit A", "Unit B"],
    "ORG_CUSTOMERNO": ["1", "1", "2", "01", "9", "", "x1", "99999999999"],
    "EMPLOYEENATIONALID": [
        *("", "100000000", "100000001", "200000010", "200-00-0011", "200000012"),
        *("12345", "123-45-6789", "999999999"),
    ],
    "EMPLOYEEFIRSTNAME": ["", "Ada", "Zoë"],
    "EMPLOYEELASTNAME": ["", "Byron", "Lovelace"],
    "CUSTOMERNO": ["", "501", "502"],
}  # fmt: skip
ROWS = st.lists(st.fixed_dictionaries({name: st.sampled_from(values) for name, values in VALUES.items()}), max_size=12)


def build_small_world() -> World:
    world = World(employers={1, 2}, loose_tax_identifiers={"200000012"})
    for number, identifier in enumerate(KNOWN):
        world.people[identifier] = dict.fromkeys(updates_world.PERSON) | {
            "ssn": f"10000000{number}", "first_name": "Known", "last_name": "Person",
        }  # fmt: skip
    world.people[KNOWN[1]] |= {
        "phone_number": "+16175550123",
        "marital_status_id": 2,
        "date_of_birth": date(1980, 5, 1),
    }
    return world


def number_lines(text: bytes, rows: list[dict[str, str]]) -> list[tuple[int, dict[str, str]]]:
    """Return the rows with the physical line of their start. Values can contain line breaks."""
    line, found = 2, []
    for row in rows:
        found.append((line, row))
        line += 1 + sum(value.count("\n") for value in row.values())
    assert line == text.count(b"\n") + 1
    return found


@given(st.lists(ROWS, min_size=1, max_size=3))
@settings(max_examples=examples(10), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_daily_files_have_the_same_result_as_the_reference(database: str, files: list[list[dict[str, str]]]) -> None:
    check(database, files)


@pytest.mark.parametrize("seed", range(6))
def test_long_daily_files_have_the_same_result_as_the_reference(database: str, seed: int) -> None:
    """Test long files with many rows about few people, because Hypothesis prefers short files."""
    rng = random.Random(seed)
    days = [[{name: rng.choice(VALUES[name]) for name in VALUES} for _ in range(2 ** (seed + 2))] for _ in range(4)]
    check(database, days)


def check(database: str, files: list[list[dict[str, str]]]) -> None:
    """Import one file per day and compare the tables, the report and the rejected rows with those of the reference."""
    with psycopg.connect(database) as connection:
        connection.execute(
            "TRUNCATE employee, employer, tax_identifier, organization_unit, employee_occupation, import_log,"
            " fineos_rejected_row, processed_object CASCADE"
        )
    expected = build_small_world()
    updates_world.store(database, expected)
    rejected = []
    with tempfile.TemporaryDirectory() as directory:
        for day, rows in enumerate(files):
            file = updates_world.write(
                Path(directory), rows, f"2026-11-{day + 1:02}-20-30-00-EmployeeDataLoad_feed.csv"
            )
            counts, rejected_today = reference.import_rows(expected, number_lines(file.read_bytes(), rows))
            rejected += rejected_today
            updates_world.run_import(database, Path(directory))

            report = updates_world.reports(database)[-1]
            assert {name: report[name] for name in counts} == dict(counts)
            accounted = sum(
                report[f"{outcome}_employees_count"]
                for outcome in ("created", "updated", "unmodified", "duplicate", "errored")
            )
            assert accounted == report["total_employees_received_count"] == len(rows)
            assert updates_world.load(database) == expected
    assert updates_world.read_rejects(database) == rejected
