"""The account of a night: what became of every line of DOR's files, and what is where afterwards."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import psycopg
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nightferry.errors import NightferryError

_KINDS = {
    "employers": "Employers",
    "employer_quarters": "Quarters (A)",
    "wages_and_contributions": "Wages (B)",
}
NO_KIND = "No kind¹"
NO_KIND_NOTE = "¹ blank lines, unknown record letters, lines that are not UTF-8"
OUTCOMES = ("created", "updated", "unmodified", "duplicate", "rejected")
_STYLES = {"created": "green", "updated": "green", "rejected": "yellow"}
_REASONS = 3  # that are shown

Report = dict[str, Any]


class LinesUnaccounted(NightferryError):
    """A file has more or fewer lines than the counts of what became of them add up to: a defect of the import."""


def show(connection: psycopg.Connection[Any], since: datetime, feeds: list[dict[str, Any]], console: Console) -> None:
    """Print the account of the night that began at ``since``, in which FINEOS has taken in ``feeds``.

    Raises :class:`LinesUnaccounted`.
    """
    reports = _reports(connection, since)
    if lines := lines_of(list(reports.get("DOR", {}).values())):
        console.print(_lines_table(lines))
    else:
        console.print("There were no new files from DOR.")
    console.print()
    console.print(_places(connection, reports, feeds))


def lines_of(reports: list[Report]) -> dict[str, tuple[int, ...]]:
    """By title of a kind of lines: how many lines, and how many of them had each outcome; empty without files.

    Raises :class:`LinesUnaccounted` unless each line has exactly one outcome.
    """
    found: dict[str, tuple[int, ...]] = {}
    unknown = 0
    for report in reports:
        for kind, title in _KINDS.items():
            lines = report.get(f"{kind}_lines_count")
            if lines is None:
                continue
            counts = tuple(report.get(f"{outcome}_{kind}_count", 0) for outcome in OUTCOMES)
            if sum(counts) != lines:
                raise LinesUnaccounted(f"{title}: {lines:,} lines, but {sum(counts):,} accounted for.")
            found[title] = _added(found.get(title), (lines, *counts))
        unknown += report.get("rejected_unknown_lines_count", 0)
    if unknown:
        found[NO_KIND] = (unknown, 0, 0, 0, 0, unknown)
    return found


def _added(before: tuple[int, ...] | None, counts: tuple[int, ...]) -> tuple[int, ...]:
    return counts if before is None else tuple(map(sum, zip(before, counts, strict=True)))


def _lines_table(lines: dict[str, tuple[int, ...]]) -> Table:
    table = Table(
        title="What became of every line of DOR's files",
        title_justify="left",
        title_style="bold",
        caption=NO_KIND_NOTE if NO_KIND in lines else None,
        caption_justify="left",
        caption_style="dim",
        header_style="dim",
        box=box.SIMPLE,
        show_edge=False,
        pad_edge=False,
        show_footer=True,
        footer_style="bold",
    )
    total = [sum(counts) for counts in zip(*lines.values(), strict=True)]
    table.add_column("", footer="All")
    for heading, count in zip(("lines", *OUTCOMES), total, strict=True):
        table.add_column(heading, footer=f"{count:,}", justify="right")
    for title, counts in lines.items():
        cells = [Text(f"{counts[0]:,}")]
        for outcome, count in zip(OUTCOMES, counts[1:], strict=True):
            cells.append(Text(f"{count:,}", style=_STYLES.get(outcome, "") if count else "dim"))
        table.add_row(title, *cells)
    return table


def _reports(connection: psycopg.Connection[Any], since: datetime) -> dict[str, dict[int, Report]]:
    """The reports of this night's jobs, by source and import log.

    Of failed jobs only loaders have done something: the others do all or nothing.
    """
    rows = connection.execute(
        "SELECT source, import_log_id, report FROM import_log WHERE start >= %s"
        " AND (status = 'success' OR source = 'Employer load' AND status = 'error') ORDER BY 2",
        [since - timedelta(seconds=1)],
    )
    found: dict[str, dict[int, Report]] = {}
    for source, id, report in rows:
        found.setdefault(source, {})[id] = json.loads(report)
    return found


def _places(
    connection: psycopg.Connection[Any], reports: dict[str, dict[int, Report]], feeds: list[dict[str, Any]]
) -> Table:
    """What is where after the night."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    reasons = connection.execute(
        "SELECT split_part(reason, ' (', 1), count(*) FROM dor_rejected_line WHERE import_log_id = ANY(%s)"
        " GROUP BY 1 ORDER BY 2 DESC, 1",
        [list(reports.get("DOR", {}))],
    ).fetchall()
    counts = connection.execute(
        "SELECT (SELECT count(*) FROM employer), (SELECT count(*) FROM employee),"
        " (SELECT count(*) FROM wages_and_contributions), (SELECT count(*) FROM employer_push_to_fineos_queue),"
        " (SELECT count(*) FROM employee_push_to_fineos_queue)"
    ).fetchone()
    assert counts is not None
    table.add_row("Database", f"{counts[0]:,} employers, {counts[1]:,} employees, {counts[2]:,} wage records")
    if reasons:
        table.add_row("Rejected", _in_words(reasons))
        table.add_row("", "Each stands in dor_rejected_line; the raw lines, encrypted, in dor/rejected.")
    loads = reports.get("Employer load", {}).values()
    loaded = sum(report.get("loaded_employers_count", 0) for report in loads)
    table.add_row("FINEOS", f"{loaded:,} employers loaded")
    rows = sum(feed["records"] for feed in feeds)
    refused = sum(1 for feed in feeds if feed.get("reason"))
    table.add_row("", f"{rows:,} employees taken in from {len(feeds):,} eligibility files, {refused:,} refused")
    table.add_row("Still queued", f"{counts[3]:,} employers, {counts[4]:,} employees")
    return table


def _in_words(reasons: list[tuple[str, int]]) -> str:
    text = ", ".join(f"{reason} {count:,}" for reason, count in reasons[:_REASONS])
    others = sum(count for _, count in reasons[_REASONS:])
    return text + (f", {len(reasons) - _REASONS} other reasons {others:,}" if others else "")
