"""The list of processed files and other subjects: what was reported about each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from markupsafe import Markup
from starlette.responses import Response

from nightferry.backend.reports import Report, ReportFilter
from nightferry.contract import ReasonCount
from nightferry.dashboard.csv_file import respond_csv
from nightferry.dashboard.listing import describe_list
from nightferry.dashboard.svg.outcome_bar import draw_outcome_bar
from nightferry.dashboard.view import View
from nightferry.presentation.reports import Account, describe_report, find_usual_share

_PER_PAGE = 50
_PER_DOWNLOAD = 1000
_EARLIER = 30


@dataclass(frozen=True)
class FileRow:
    """A report in the list."""

    report: Report
    account: Account

    @property
    def bar(self) -> Markup:
        """Return the outcomes as a picture."""
        return draw_outcome_bar(self.account)


def read_filter(view: View) -> ReportFilter:
    """Return the filter that the query of a page describes. An unknown kind has no reports."""
    return ReportFilter(
        kind=view.text("kind") or None,
        subject=view.query.get("subject", [""])[-1] or None,  # a name may begin or end with a blank
        run=view.text("run") or None,
        since=view.time("since"),
        until=view.time("until"),
        text=view.search(),
    )


def show(view: View) -> Response:
    """Show the reports of the filter, newest first."""
    page = view.backend.reports(read_filter(view), before=view.cursor(), limit=_PER_PAGE)
    rows = describe_rows(view, page)
    return view.page(
        "files.html",
        title="Files",
        json=describe_list("files", page, rows=[to_json(row) for row in rows]),
        live=view.cursor() is None,
        rows=rows,
        next=page.next,
        kinds=view.catalog.reports,
    )


def download(view: View) -> Response:
    """Return the reports of the filter as CSV."""
    page = view.backend.reports(read_filter(view), before=view.cursor(), limit=_PER_DOWNLOAD)
    rows = describe_rows(view, page)
    outcomes = list(dict.fromkeys(segment.outcome for row in rows for segment in row.account.segments))
    header = ["time", "kind", "file", "status", "records", *outcomes, "rejected share", "limit", "note", "task", "run"]
    parts = [
        [
            [
                row.report.time, row.report.kind, row.report.subject, row.account.word, row.report.total,
                *(row.report.counts.get(outcome, 0) for outcome in outcomes),
                row.account.share, row.account.limit, row.report.note, row.report.task, row.report.run,
            ]
            for row in rows
        ]
    ]  # fmt: skip
    return respond_csv(view, "files.csv", header, lambda: parts.pop() if parts else [])


def show_report(view: View, report: Report) -> Report:
    """Return a report whose texts may be shown, also in a picture."""
    return replace(
        report,
        task=str(view.shown(report.task)),
        kind=str(view.shown(report.kind)),
        subject=str(view.shown(report.subject)),
        note=str(view.shown(report.note)),
        counts={str(view.shown(outcome)): count for outcome, count in report.counts.items()},
        reasons=tuple(
            ReasonCount(
                str(view.shown(one.reason)), one.count, str(view.shown(one.field)), str(view.shown(one.record_kind))
            )
            for one in report.reasons
        ),
    )


def describe_rows(view: View, reports: Iterable[Report]) -> list[FileRow]:
    """Return the rows of reports, with the usual share of rejected records of each kind."""
    reports = [show_report(view, report) for report in reports]
    usual = {kind: find_usual(view, ReportFilter(kind=kind)) for kind in {report.kind for report in reports}}
    kinds = view.catalog.reports
    return [FileRow(report, describe_report(report, kinds.get(report.kind), usual[report.kind])) for report in reports]


def find_usual(view: View, earlier: ReportFilter) -> float | None:
    """Return the usual share of rejected records among the last reports of a filter with a kind."""
    kind = view.catalog.reports.get(earlier.kind or "")
    return find_usual_share(view.backend.reports(earlier, limit=_EARLIER), kind) if kind else None


def to_json(row: FileRow) -> dict[str, object]:
    """Return a row as JSON."""
    report, account = row.report, row.account
    return {
        "id": report.id,
        "time": report.time,
        "kind": report.kind,
        "file": report.subject,
        "status": account.word,
        "failed": report.failed,
        "note": report.note,
        "total": report.total,
        "counts": [{"outcome": one.outcome, "count": one.number} for one in account.segments],
        "rejected_count": account.rejected,
        "rejected_share": account.share,
        "limit": account.limit,
        "usual_share": account.usual,
        "task": report.task,
        "run": report.run,
    }
