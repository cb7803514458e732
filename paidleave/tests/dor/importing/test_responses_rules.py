"""Exempt files and pending-filing responses against the slow reference, on files that hypothesis makes."""

from __future__ import annotations

import re
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nightferry.testing.tiers import LONG
from tests.dor import reference, reference_responses
from tests.dor.imports import DAILY, EXEMPT, RESPONSE, DorWorld, contents, run_here
from tests.dor.lines import csv_row, employer_line, response_a, response_b, returning_csv, wage_line

FEINS = ("100000001", "100000002", "100000003", "200000001")
KNOWN = FEINS[:2]  # to DOR's daily files
SSNS = ("250000001", "250000002", "000000003")
QUARTERS = ("20210630", "20210930")
DAILY_EMPLOYERS = "DORDFMLEMP_1"
DAILY_WAGES = "DORDFML_1"
CSV = "CompaniesReturningToStatePlan_{}.csv"
INVENTED = re.compile("(exempt_employer|pending_filing)_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

a_lines = st.builds(
    response_a,
    st.sampled_from([*FEINS, *FEINS, "12345678X"]),
    st.sampled_from(QUARTERS),
    name=st.sampled_from(["Boats", "", "“Boats”", 'A, "B"']),
    wages=st.sampled_from(["1.00", ""]),
    id_type=st.sampled_from(["FEIN"] * 9 + ["SSN"]),
)
b_lines = st.builds(
    response_b,
    st.sampled_from([*SSNS, *SSNS, *SSNS, "25000000X"]),
    first=st.sampled_from(["ANNA", "AN_NA", "Zoë", ""]),
    last=st.sampled_from(["_X_", "", 'O\'Neil, "Bo"', "a\\b\tc"]),
    wages=st.sampled_from(["0.00", "15", "-3.5", "1.005", "", "99999999999999999.99"]),
    id_type=st.sampled_from(["SSN"] * 19 + [""]),
)
bad_lines = st.sampled_from(
    [
        b"",
        b"   ",
        b"X",
        b"B too short",
        b"A too short",
        response_a(quarter="20210931"),
        response_a() + b" ",
        response_b(wages="12,5"),
        b"C" + response_b()[1:],
    ]
)
contents_of_files = st.builds(
    lambda lines, end, last: end.join(lines) + (end if last else b""),
    st.lists(st.one_of(a_lines, a_lines, *[b_lines] * 4, bad_lines), min_size=1, max_size=16),
    st.sampled_from([b"\n", b"\r\n"]),
    st.booleans(),
).filter(bool)
csv_rows = st.builds(
    csv_row,
    st.sampled_from([*FEINS, "12345678"]),
    name=st.sampled_from(["Boats", '"Boats, Ltd"', '"two\nlines"', "=1+1"]),
    medical=st.sampled_from(["Yes", "No", ""]),
    family=st.sampled_from(["Yes", "No"]),
    effective=st.sampled_from(["1/1/2022", "12/31/2021", "", "31/12/2021"]),
    quarter=st.sampled_from(["9/30/2021", "09/30/2021", "soon"]),
)
csvs = st.lists(st.lists(csv_rows, max_size=5).map(lambda rows: returning_csv(*rows)), min_size=1, max_size=2)


@pytest.fixture
def world(database: str, tmp_path: Path) -> DorWorld:
    return DorWorld(database, tmp_path / "dor")


def comparable(tables: dict[str, Any]) -> dict[str, Any]:
    """Invented account keys are equal, whatever they are."""

    def same(value: Any) -> Any:
        return "invented" if isinstance(value, str) and INVENTED.fullmatch(value) else value

    return {
        name: sorted((tuple(map(same, row)) for row in rows), key=repr) if isinstance(rows, list) else rows
        for name, rows in tables.items()
    }


def begin(world: DorWorld) -> reference.Database:
    """Two employers that DOR's daily files know, one of them without an account key, and one person."""
    expected = reference.Database(frozenset({"MA"}), frozenset({"USA"}))
    employers = b"\n".join([employer_line(KNOWN[0], "44100000001"), employer_line(KNOWN[1], "")])
    wages = wage_line(SSNS[0], "44100000001", QUARTERS[0])
    for name, content in ((DAILY_EMPLOYERS, employers), (DAILY_WAGES, wages)):
        world.put(name, content)
        reference.import_file(expected, name, content, 0)
    assert run_here(world, DAILY) == 0
    return expected


@settings(
    max_examples=150 if LONG else 6,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # to make a failing day smaller takes minutes
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.lists(st.tuples(st.booleans(), contents_of_files), min_size=1, max_size=3), csvs, st.sampled_from([1.0, 0.4]))
def test_the_tables_are_those_of_the_slow_reference(
    world: DorWorld, files: list[tuple[bool, bytes]], csv_contents: list[bytes], limit: float
) -> None:
    world.clear()
    shutil.rmtree(world.csvs, ignore_errors=True)
    expected = begin(world)
    for number, (exempt, content) in enumerate(files):
        name = f"DORDUADFML_{'' if exempt else 'SUBMISSION_'}2021100{number}"
        for csv_number, csv_content in enumerate(csv_contents):
            world.put(CSV.format(csv_number), csv_content)
        told = None if exempt else reference_responses.returning(csv_contents)
        counts = reference_responses.import_file(expected, name, content, limit, told)
        path = world.put(name, content)
        job = EXEMPT if exempt else RESPONSE
        result = run_here(world, job, REJECTED_SHARE_LIMIT=str(limit))
        assert result == (1 if counts is None else 0)
        if counts is None:
            path.unlink()
            continue
        assert not list(world.received.iterdir())
        check_report(world.reports()[-1], counts, exempt=exempt)
    assert comparable(contents(world)) == reference.contents(expected)


def check_report(report: dict[str, Any], counts: Any, *, exempt: bool) -> None:
    """Every line has one outcome, and the outcomes are the reference's."""
    assert report["status"] == "success"
    if "already" in counts:
        assert report["already_imported_count"] == 1
        return
    subjects = {
        "employers" if exempt else "employer_quarters": reference_responses.A_KIND,
        "wages_and_contributions": reference_responses.B_KIND,
    }
    lines = report["rejected_unknown_lines_count"]
    for subject, kind in subjects.items():
        outcomes = {name: report[f"{name}_{subject}_count"] for name in ("created", "updated", "unmodified")}
        outcomes |= {name: report[f"{name}_{subject}_count"] for name in ("duplicate", "rejected")}
        assert outcomes == {name: counts[f"{name} {kind}"] for name in outcomes}, subject
        assert sum(outcomes.values()) == report[f"{subject}_lines_count"]
        lines += sum(outcomes.values())
    assert lines == report["lines_count"]


class TestLinesOfAnEmployerThatCannotBeTold:
    """B lines name no employer: where theirs is in doubt, they are rejected and never booked on another."""

    GOOD = response_a(FEINS[2])

    @pytest.mark.parametrize(
        "between",
        [
            response_a("12345678X"),
            response_a(FEINS[3])[:-1],
            b"A\xff" + response_a(FEINS[3])[2:],
            b"\xff" + response_a(FEINS[3])[1:],
            b"a" + response_a(FEINS[3])[1:],
            b"\xef\xbb\xbf" + response_a(FEINS[3]),
            b"A" * 70_000,
            b"\xff",
        ],
        ids=["bad FEIN", "cut", "not UTF-8", "letter not UTF-8", "small letter", "BOM", "huge", "a byte"],
    )
    @pytest.mark.parametrize("block_bytes", ["same batch", "after 50,000 lines"])
    def test_a_line_that_may_have_been_an_employer_ends_the_one_before(
        self, world: DorWorld, between: bytes, block_bytes: str
    ) -> None:
        filler = [b""] * 50_000 if block_bytes == "after 50,000 lines" else []
        lines = [self.GOOD, response_b(SSNS[0]), between, *filler, response_b(SSNS[1]), response_b(SSNS[2])]
        world.put("DORDUADFML_1", b"\n".join(lines))
        assert run_here(world, EXEMPT, REJECTED_SHARE_LIMIT="1") == 0
        assert [row[0] for row in contents(world)["wages"]] == [SSNS[0]]
        assert world.query("SELECT count(*) FROM dor_rejected_line WHERE reason = %s", NO_EMPLOYER) == [(2,)]

    @pytest.mark.parametrize("between", [b"", b"  ", b"B", response_b("X"), b"B\xff" + response_b()[2:]])
    def test_a_line_that_cannot_have_been_one_does_not(self, world: DorWorld, between: bytes) -> None:
        world.put("DORDUADFML_1", b"\n".join([self.GOOD, between, response_b(SSNS[1])]))
        assert run_here(world, EXEMPT, REJECTED_SHARE_LIMIT="1") == 0
        assert [row[:2] for row in contents(world)["wages"]] == [(SSNS[1], FEINS[2])]

    def test_an_employer_goes_on_over_many_batches(self, world: DorWorld) -> None:
        people = [response_b(f"{250000000 + number}") for number in range(60_000)]
        world.put("DORDUADFML_1", b"\n".join([self.GOOD, *people]))
        assert run_here(world, EXEMPT) == 0
        assert world.query("SELECT count(*), count(DISTINCT employer_id) FROM wages_and_contributions") == [(60_000, 1)]


NO_EMPLOYER = "no usable employer line before it"


class TestWhatComesAfter:
    def test_dor_s_daily_file_replaces_the_invented_key_and_finds_the_wages(self, world: DorWorld) -> None:
        world.put("DORDUADFML_1", b"\n".join([response_a(), response_b()]))
        assert run_here(world, EXEMPT) == 0
        world.put(DAILY_EMPLOYERS, employer_line())
        world.put(DAILY_WAGES, wage_line(period="20210930"))
        assert run_here(world, DAILY) == 0
        assert world.query("SELECT account_key FROM employer") == [("44100000001",)]
        assert world.query("SELECT employee_qtr_wages FROM wages_and_contributions") == [(5000,)]
        assert world.query("SELECT count(*) FROM wages_and_contributions_history") == [(1,)]

    def test_a_file_of_the_day_before_changes_nothing_that_dor_has_stated(self, world: DorWorld) -> None:
        begin(world)
        before = contents(world)
        world.put("DORDUADFML_1", b"\n".join([response_a(KNOWN[0], QUARTERS[0]), response_b(SSNS[0], first="Other")]))
        assert run_here(world, EXEMPT) == 0
        after = contents(world)
        assert {name for name in before if before[name] != after[name]} == set()

    def test_a_return_keeps_what_was_earned_and_tells_fineos(self, world: DorWorld) -> None:
        world.put("DORDUADFML_1", b"\n".join([response_a(), response_b()]))
        assert run_here(world, EXEMPT) == 0
        world.put("DORDUADFML_SUBMISSION_1", b"\n".join([response_a(), response_b(wages="1.00")]))
        world.put(CSV.format(1), returning_csv(csv_row(effective="3/31/2022", medical="Yes")))
        assert run_here(world, RESPONSE) == 0
        queue = world.query(
            "SELECT action, family_exemption, medical_exemption, exemption_cease_date"
            " FROM employer_push_to_fineos_queue ORDER BY action"
        )
        assert queue == [("INSERT", True, True, date(9999, 12, 31)), ("UPDATE", True, True, date(2022, 3, 31))]
        assert world.query("SELECT family_exemption, medical_exemption FROM employer") == [(False, True)]
        assert world.query("SELECT employee_qtr_wages FROM wages_and_contributions") == [(5000,)]
