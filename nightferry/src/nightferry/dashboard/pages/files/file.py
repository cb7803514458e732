"""The account of one file: its outcomes, why records were rejected, the list of them, and a message for its sender."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from starlette.responses import Response

from nightferry.backend.reports import RecordsUnreachable, RejectedRecord, Report, ReportFilter
from nightferry.catalog.reports import ReportKind
from nightferry.dashboard.csv_file import Row, respond_csv
from nightferry.dashboard.pages.files.files import FileRow, describe_rows, find_usual, show_report, to_json
from nightferry.dashboard.svg.outcome_bar import draw_outcome_bar
from nightferry.dashboard.svg.reason_trend import draw_reason_trend
from nightferry.dashboard.view import View
from nightferry.errors import UnknownName
from nightferry.presentation.reports import count_by_day, describe_report, group_reasons, write_request

_REPORT_ID = re.compile("[0-9a-f]{32}")
_LINES_PER_PAGE = 100
_LINES_AT_ONCE = 5_000
_TREND_DAYS = 30
_TREND_REPORTS = 300
_SAME_FILE = 10
_LAST_LINE = 2**62


@dataclass(frozen=True)
class Lines:
    """A page of the rejected records of a file.

    ``before`` is the number of records on earlier pages, and ``after`` the line number after which the next one begins.
    ``problem`` is the reason why they cannot be read here, and ``command`` writes them.
    """

    records: list[RejectedRecord]
    before: int = 0
    after: int | None = None
    problem: str = ""
    command: str = ""

    @property
    def known(self) -> int:
        """Return the number of records up to the end of this page."""
        return self.before + len(self.records)


def show(view: View) -> Response:
    """Show the report with the ID of the address, or go to the newest one of the file with this name."""
    found = find_report(view)
    report = show_report(view, found)
    if report.id != view.path["name"] and not view.as_json:
        return view.redirect(view.link(f"/files/{report.id}"))
    kind = view.catalog.reports.get(report.kind)
    usual = find_usual(view, ReportFilter(kind=report.kind, until=report.time))
    account = describe_report(report, kind, usual)
    groups = group_reasons(report, kind)
    lines = _read_lines(view, report) if account.rejected else Lines([])
    trend = count_by_day(_find_recent(view, report), kind, view.zone)
    same = view.backend.reports(ReportFilter(subject=found.subject), limit=_SAME_FILE + 1)
    others = describe_rows(view, [one for one in same if one.id != report.id][:_SAME_FILE])
    return view.page(
        "file.html",
        title=report.subject,
        json={
            **to_json(FileRow(report, account)),
            "reasons": [vars(one) for one in report.reasons],
            "rejected": [vars(record) for record in lines.records],
            "rejected_after": lines.after,
            "problem": lines.problem,
            "command": lines.command,
        },
        report=report,
        account=account,
        bar=draw_outcome_bar(account),
        groups=groups,
        unexplained=account.rejected - sum(group.count for group in groups),
        request=write_request(report, kind, account) if account.rejected else "",
        sender=kind.sender if kind else "the sender",
        lines=lines,
        trend=trend,
        trend_picture=draw_reason_trend(trend),
        trend_days=_TREND_DAYS,
        others=others,
        raw_command=_format_raw_command(kind, found, account.rejected),
    )


def download(view: View) -> Response:
    """Return the rejected records of a report as CSV, for the sender of the file."""
    report = view.backend.report(view.path["id"])
    kind = view.catalog.reports.get(report.kind)
    after: int | None = 0

    def read() -> list[Row]:
        nonlocal after
        if after is None:
            return []
        records = view.backend.rejected_records(report, after=after, limit=_LINES_AT_ONCE)
        after = records[-1].line_number if len(records) == _LINES_AT_ONCE else None
        return [_make_row(record, kind) for record in records]

    return respond_csv(
        view, f"rejected-{report.id[:16]}.csv", ("line", "record", "field", "reason", "correction"), read
    )


def _make_row(record: RejectedRecord, kind: ReportKind | None) -> Row:
    reason = kind.find_reason(record.reason) if kind else None
    request = reason.request if reason else ""
    return (record.line_number, record.record_kind, record.field, record.reason, request)


def find_report(view: View) -> Report:
    """Return the report of the address: by its ID, or the newest one of a file. Names are only compared.

    Raises:
        UnknownName: Neither exists.
    """
    name = view.path["name"]
    if _REPORT_ID.fullmatch(name):
        try:
            return view.backend.report(name)
        except UnknownName:
            pass  # it may be the name of a file
    found = view.backend.reports(ReportFilter(subject=name), limit=1)
    if not found:
        raise UnknownName("file", name, [one.subject for one in view.backend.reports(limit=5)])
    return found[0]


def _read_lines(view: View, report: Report) -> Lines:
    after = view.number("after", 0, _LAST_LINE) if view.text("after") else 0
    before = view.number("shown", 0, _LAST_LINE) if after else 0
    try:
        found = view.backend.rejected_records(report, after=after, limit=_LINES_PER_PAGE + 1)
    except RecordsUnreachable as error:
        return Lines([], problem=error.problem, command=error.command)
    records = found[:_LINES_PER_PAGE]
    return Lines(records, before, records[-1].line_number if len(found) > _LINES_PER_PAGE else None)


def _find_recent(view: View, report: Report) -> list[Report]:
    """Return the reports of the same kind of the days before a report, and the report itself."""
    wanted = ReportFilter(
        kind=report.kind,
        since=report.time - timedelta(days=_TREND_DAYS),
        until=report.time + timedelta(microseconds=1),
    )
    return [show_report(view, one) for one in view.backend.reports(wanted, limit=_TREND_REPORTS)]


def _format_raw_command(kind: ReportKind | None, report: Report, rejected: int) -> str:
    return kind.format_raw_command(report.subject) if kind and rejected else ""
