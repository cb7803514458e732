"""Reports of jobs: the outcomes of the records of each file or other subject, as ``run.report`` has written it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.reports import RejectedRecords
from nightferry.contract import LogEvent, ReasonCount
from nightferry.errors import NightferryError, UnknownName


@dataclass(frozen=True)
class ReportFilter:
    """The reports that a query is for; None includes all.

    ``since`` is inclusive and ``until`` exclusive. ``text`` is searched in the subject, without regard to case.
    """

    kind: str | None = None
    subject: str | None = None
    run: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""


ALL_REPORTS = ReportFilter()


@dataclass(frozen=True)
class Report:
    """One report of a run; see :meth:`nightferry.Run.report`. The ``counts`` add up to ``total``."""

    id: str
    run: str
    task: str
    kind: str
    subject: str
    time: datetime
    total: int
    counts: Mapping[str, int]
    reasons: tuple[ReasonCount, ...] = ()
    failed: bool = False
    note: str = ""
    limit: float | None = None
    reference: int | None = None


@dataclass(frozen=True)
class RejectedRecord:
    """A rejected record behind a report, without any of its values.

    It is settled if a later run has processed it again, and either accepted or rejected it there.
    """

    line_number: int
    record_kind: str
    field: str
    reason: str
    is_settled: bool = False


class RecordsUnreachable(NightferryError):
    """The rejected records of a report cannot be read from here: ``problem``. The ``command``, if any, writes them."""

    def __init__(self, problem: str, command: str = "") -> None:
        super().__init__(f"{problem} Run: {command}" if command else problem)
        self.problem = problem
        self.command = command


@dataclass(frozen=True)
class FoundRecords:
    """The declaration of the rejected records of a report, with its reference and the command that writes them."""

    declared: RejectedRecords
    reference: int
    command: str


def require_records(catalog: Catalog, environment: str, report: Report) -> FoundRecords:
    """Return how the rejected records of a report are read. Raises RecordsUnreachable."""
    kind = catalog.reports.get(report.kind)
    if kind is None or kind.records is None:
        raise RecordsUnreachable(
            f"The catalog declares no query for the rejected records of '{report.kind}'. Add "
            "records=RejectedRecords(…) to catalog.report."
        )
    if report.reference is None:
        raise RecordsUnreachable(
            f"The run {report.run} reported no reference of its rejected records, so they cannot be found. Pass "
            "reference= to run.report."
        )
    return FoundRecords(kind.records, report.reference, kind.format_records_command(environment, report.reference))


def make_report_id(time: datetime, name: str) -> str:
    """Return the ID of a report, which begins with its time; ``name`` is unique among the reports of that time."""
    return f"{int(time.timestamp() * 1000):011x}{hashlib.sha256(name.encode()).hexdigest()[:21]}"


def parse_report_time(id: str) -> datetime:
    """Return the time, in milliseconds, with which an ID begins. Raises UnknownName."""
    if not re.fullmatch("[0-9a-f]{32}", id):
        raise UnknownName("report", id, [])
    try:
        return datetime.fromtimestamp(int(id[:11], 16) / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        raise UnknownName("report", id, []) from None


def parse_report(fields: Mapping[str, Any], id: str, run: str, time: datetime) -> Report | None:
    """Return the report of a log line's fields, or None for another line or one whose counts do not add up."""
    if fields.get("event") != LogEvent.REPORT:
        return None
    try:
        counts = {str(one["outcome"]): _read_count(one["count"]) for one in fields["counts"]}
        reasons = tuple(
            ReasonCount(str(one["reason"]), _read_count(one["count"]), str(one["field"]), str(one["record_kind"]))
            for one in fields.get("reasons") or ()
        )
        total = _read_count(fields["total"])
        limit = fields.get("limit")
        reference = fields.get("report_reference")
        report = Report(
            id=id,
            run=run,
            task=str(fields.get("task", "")),
            kind=str(fields["kind"]),
            subject=str(fields["subject"]),
            time=time,
            total=total,
            counts=counts,
            reasons=reasons,
            failed=fields.get("failed") is True,
            note=str(fields.get("note") or ""),
            limit=float(limit) if isinstance(limit, int | float) else None,
            reference=reference if isinstance(reference, int) else None,
        )
    except (KeyError, TypeError, ValueError):
        return None  # a program that is not the job runtime wrote the line
    is_sound = report.kind and report.subject and sum(counts.values()) == total
    return report if is_sound and sum(one.count for one in reasons) <= total else None


def matches_report(wanted: ReportFilter, report: Report) -> bool:
    """Return True if a report is one of a filter."""
    return (
        wanted.kind in (None, report.kind)
        and wanted.subject in (None, report.subject)
        and wanted.run in (None, report.run)
        and (wanted.since is None or report.time >= wanted.since)
        and (wanted.until is None or report.time < wanted.until)
        and wanted.text.lower() in report.subject.lower()
    )


def _read_count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("not a count")
    return value
