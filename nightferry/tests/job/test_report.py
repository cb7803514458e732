"""Reports of a job: counts that add up, written as one line that a job cannot forge, without personal data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from nightferry import JobSettings, Privacy, ReasonCount, Run, background_task
from nightferry.backend.reports import Report, parse_report
from nightferry.contract import MOST_REASONS, OTHER_REASONS, LogEvent
from nightferry.testing import RunResult, run_job

NOW = datetime(2026, 11, 30, tzinfo=UTC)


def run_body(body: Callable[[Run], None], privacy: Privacy = Privacy.STRICT) -> RunResult:
    @background_task("load", JobSettings)
    def main(settings: JobSettings, run: Run) -> None:
        del settings
        body(run)

    return run_job(main, privacy=privacy)


def read(ended: RunResult) -> list[Report]:
    reports = [parse_report(line, str(number), line["run_id"], NOW) for number, line in enumerate(ended.lines)]
    return [report for report in reports if report is not None]


def test_a_report_is_a_line_that_the_backends_read() -> None:
    reasons = [ReasonCount("invalid date", 2, "born_on", "B"), ReasonCount("blank line", 3)]
    ended = run_body(
        lambda run: run.report(
            "orders", "orders.csv", {"created": 5, "rejected": 5}, total=10, reasons=reasons, limit=0.5, reference=17
        )
    )
    assert ended.exit_code == 0
    (report,) = read(ended)
    assert (report.kind, report.subject, report.task, report.total) == ("orders", "orders.csv", "load", 10)
    assert report.counts == {"created": 5, "rejected": 5}
    assert report.reasons == (ReasonCount("blank line", 3), ReasonCount("invalid date", 2, "born_on", "B"))
    assert (report.failed, report.note, report.limit, report.reference) == (False, "", 0.5, 17)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"counts": {"created": 5, "rejected": 4}, "total": 10}, "add up to 9, and its total is 10"),
        ({"counts": {"created": -1, "rejected": 1}, "total": 0}, "negative count"),
        ({"counts": {"a": 1}, "total": 1, "reasons": [ReasonCount("x", 2)]}, "reasons for 2 of 1 records"),
        ({"counts": {"a": 1}, "total": 1, "subject": ""}, "no kind or no subject"),
        ({"counts": {str(n): 0 for n in range(51)}, "total": 0}, "has 51 counts"),
    ],
)
def test_counts_that_do_not_add_up_fail_the_job(arguments: dict[str, Any], message: str) -> None:
    ended = run_body(lambda run: run.report(**{"kind": "orders", "subject": "a.csv", **arguments}))
    assert ended.exit_code == 1
    assert message in ended.errors[0]
    assert read(ended) == []


def test_the_rarest_of_many_reasons_are_added_up() -> None:
    reasons = [ReasonCount(f"reason {n}", n) for n in range(1, MOST_REASONS + 4)]
    total = sum(one.count for one in reasons)
    (report,) = read(run_body(lambda run: run.report("o", "s", {"rejected": total}, total=total, reasons=reasons)))
    assert len(report.reasons) == MOST_REASONS + 1
    assert report.reasons[-1] == ReasonCount(OTHER_REASONS, 1 + 2 + 3)


def test_large_counts_stay_and_personal_data_is_masked() -> None:
    ended = run_body(
        lambda run: run.report(
            "orders",
            "SSN 123-45-6789.csv",
            {"created": 123456789},
            total=123456789,
            note="of jo@example.org",
            reference=1234567890,
        )
    )
    (report,) = read(ended)
    assert (report.total, report.counts, report.reference) == (123456789, {"created": 123456789}, 1234567890)
    assert "6789" not in report.subject
    assert "jo@" not in report.note


def test_a_job_cannot_forge_a_report_by_a_log_line() -> None:
    fields = {"event": "report", "kind": "o", "subject": "s", "total": 0, "counts": [], "reasons": []}

    def body(run: Run) -> None:
        from nightferry import get_logger

        get_logger("load").warning("forged", extra=fields)

    ended = run_body(body)
    assert [line["event_"] for line in ended.lines if "event_" in line] == ["report"]
    assert read(ended) == []


VALID: Mapping[str, Any] = {
    "event": LogEvent.REPORT,
    "kind": "o",
    "subject": "s",
    "total": 3,
    "counts": [{"outcome": "created", "count": 1}, {"outcome": "rejected", "count": 2}],
    "reasons": [{"reason": "r", "count": 2, "field": "", "record_kind": ""}],
}


@pytest.mark.parametrize(
    "change",
    [
        {"event": "ended"},
        {"total": 4},
        {"total": True},
        {"total": "3"},
        {"counts": None},
        {"counts": [{"outcome": "created", "count": 1.5}, {"outcome": "b", "count": 1.5}]},
        {"counts": [{"outcome": "created", "count": 5}, {"outcome": "b", "count": -2}]},
        {"counts": [1]},
        {"reasons": [{"reason": "r", "count": 4, "field": "", "record_kind": ""}]},
        {"reasons": [{}]},
        {"reasons": 7},
        {"kind": ""},
        {"subject": ""},
    ],
)
def test_a_line_of_another_program_that_is_not_sound_is_no_report(change: dict[str, Any]) -> None:
    assert parse_report(VALID, "1", "r", NOW) is not None
    assert parse_report({**VALID, **change}, "1", "r", NOW) is None
