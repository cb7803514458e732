"""The documents for analysts: an import rejects the example of each reason for this reason, and the queries work."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from paidleave.catalog import catalog
from paidleave.db.users import IMPERSONAL
from tests.dor.imports import DAILY, EMPLOYER_FILE, EXEMPT, SUBMISSION, WAGE_FILE, DorWorld, run_in_process
from tests.dor.lines import csv_row, employer_line, quarter_line, response_a, response_b, returning_csv, wage_line
from tests.operations.conftest import as_user, no_users, users  # noqa: F401  # fixtures

PAGE = Path(__file__).parents[3] / "docs" / "explain-a-file.md"
EXEMPT_FILE = "DORDUADFML_20200519120622"
CSV = "CompaniesReturningToStatePlan.csv"
ALL_LINES = {"REJECTED_SHARE_LIMIT": "1", "REJECT_IMPLAUSIBLE_SSNS": "true"}


@pytest.fixture
def world(users: str, tmp_path: Path) -> DorWorld:  # noqa: F811
    (tmp_path / "dor" / "send").mkdir(parents=True)
    return DorWorld(users, tmp_path / "dor")


def list_employers() -> Iterator[tuple[str, bytes]]:
    yield "", employer_line()
    yield "not a US state", employer_line("100000002", state="ZZ")
    yield "invalid date and time", employer_line("100000003", updated="20200101250000")
    yield "more than a day after the time of the file", employer_line("100000004", updated="20300101120000")


def list_wages() -> Iterator[tuple[str, bytes]]:
    yield "", quarter_line()
    yield "missing", quarter_line(period="20191231", pfm_account="")
    yield "not 9 digits", wage_line("25000000X")
    yield "placeholder number", wage_line("9" * 9)
    yield "implausible SSN", wage_line("666010001")
    yield "invalid UTF-8", wage_line(first="Zoe").replace(b"Zoe", b"Zo\xeb")
    yield "NUL character", wage_line(first="Zo\0")
    yield "blank line", b""
    name = "Zoë".encode().ljust(255)
    yield "invalid line length 660 (expected 661)", wage_line(first="").replace(b" " * 255, name, 1)
    yield "line is longer than 65536 bytes", wage_line(first="Zoe") * 100
    yield "byte order mark", b"\xef\xbb\xbf" + wage_line()
    yield "unknown record letter", b"C" + wage_line()[1:]
    yield "invalid date", wage_line(period="20190231")
    yield "invalid amount", wage_line(quarter="1,000.00")
    yield "unknown account key", wage_line(account_key="44100000003")


def list_exempt() -> Iterator[tuple[str, bytes]]:
    yield "not 9 digits", response_a("10000000X")
    yield "no usable employer line before it", response_b()


def list_returning() -> Iterator[tuple[str, str]]:
    yield "not a date M/D/YYYY", csv_row("100000001", effective="2021-01-31")
    yield "not a date M/D/YYYY", csv_row("100000002", effective="13/1/2021")
    yield "number of cells differs from the first line", csv_row("100000003", name="Boats, Inc.")
    yield "missing", csv_row("100000004", quarter="")
    yield "not 9 digits", csv_row("12-3456789")
    yield "placeholder number", csv_row("9" * 9)
    yield "", csv_row("100000005")


def test_each_example_is_rejected_for_its_reason(world: DorWorld) -> None:
    employers, wages, exempt, returning = map(list, (list_employers(), list_wages(), list_exempt(), list_returning()))
    world.put(EMPLOYER_FILE, b"\n".join(line for _, line in employers))
    world.put(WAGE_FILE, b"\n".join(line for _, line in wages))
    assert run_in_process(world, DAILY, **ALL_LINES) == 0
    world.put(EXEMPT_FILE, b"\n".join(line for _, line in exempt))
    assert run_in_process(world, EXEMPT, **ALL_LINES) == 0
    world.put(CSV, returning_csv(*(row for _, row in returning)))
    assert run_in_process(world, SUBMISSION, **ALL_LINES) == 0
    files = ((EMPLOYER_FILE, 1, employers), (WAGE_FILE, 1, wages), (EXEMPT_FILE, 1, exempt), (CSV, 2, returning))
    found = Counter(world.query("SELECT file_name, line_number, reason FROM dor_rejected_line"))
    assert found == Counter(
        (name, number, reason)
        for name, first, lines in files
        for number, (reason, _) in enumerate(lines, first)
        if reason
    )
    for kind in ("dor-wage-file", "returning-employers-csv"):
        declared = catalog.reports[kind]
        covered = {reason for _, _, lines in files for text, _ in lines if (reason := declared.find_reason(text))}
        assert covered == set(declared.reasons), "each reason has an example"
    queries = re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(queries) >= 5
    with psycopg.connect(as_user(world.conninfo, IMPERSONAL.name), autocommit=True) as connection:
        for query in queries:
            rows = connection.execute(query.replace("DORDFML_20260105200000", WAGE_FILE).encode()).fetchall()
            assert rows, f"the query finds nothing: {query}"


def test_each_reason_describes_its_example() -> None:
    reasons = [reason for kind in catalog.reports.values() for reason in kind.reasons]
    assert reasons
    for reason in reasons:
        assert reason.example.endswith("."), f"reason '{reason.text}' has no example"
        assert not any(len(word) >= 9 and word.strip(".,").isdecimal() for word in reason.example.split())
