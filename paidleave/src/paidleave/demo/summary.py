"""Summary of a nightly run: the outcome of every DOR line, and the content of the database and of FINEOS."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import psycopg
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nightferry import NightferryError

_KINDS = {
    "employers": "Employers",
    "employer_quarters": "Quarters (A)",
    "wages_and_contributions": "Wages (B)",
}
UNRECOGNIZED = "Unrecognized"
UNRECOGNIZED_NOTE = "Unrecognized: blank lines, unknown record letters, lines that are not UTF-8"
OUTCOMES = ("created", "updated", "unmodified", "duplicate", "rejected")
_STYLES = {"created": "green", "updated": "green", "rejected": "yellow"}
_MAX_REASONS = 3

Report = dict[str, Any]


class LinesUnaccounted(NightferryError):
    """The outcomes of a file do not add up to its number of lines. This is a defect of the import."""


def print_summary(
    connection: psycopg.Connection[Any], since: datetime, feeds: list[dict[str, Any]], console: Console
) -> None:
    """Print the summary of the nightly run that started at ``since``. ``feeds`` are the files that FINEOS imported.

    Raises:
        LinesUnaccounted: The outcomes of a file do not add up to its number of lines.
    """
    reports = _read_reports(connection, since)
    if lines := count_lines(list(reports.get("DOR", {}).values())):
        console.print(_build_lines_table(lines))
    else:
        console.print("No new files from DOR.")
    console.print()
    console.print(_build_rows_table(connection, reports, feeds))


def count_lines(reports: list[Report]) -> dict[str, tuple[int, ...]]:
    """Count the lines and their outcomes by kind of line. The result is empty without files.

    Raises:
        LinesUnaccounted: The outcomes do not add up to the number of lines.
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
                raise LinesUnaccounted(f"{title}: the file has {lines:,} lines, but {sum(counts):,} outcomes.")
            found[title] = _add(found.get(title), (lines, *counts))
        unknown += report.get("rejected_unknown_lines_count", 0)
    if unknown:
        found[UNRECOGNIZED] = (unknown, 0, 0, 0, 0, unknown)
    return found


def _add(before: tuple[int, ...] | None, counts: tuple[int, ...]) -> tuple[int, ...]:
    return counts if before is None else tuple(map(sum, zip(before, counts, strict=True)))


def create_outcomes_table(title: str, notes: list[str]) -> Table:
    """Create an empty table of outcomes in the demo's style, with the notes below it."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        caption="\n".join(notes) or None,
        caption_justify="left",
        caption_style="dim",
        header_style="dim",
        box=box.SIMPLE,
        show_edge=False,
        pad_edge=False,
    )


def _build_lines_table(lines: dict[str, tuple[int, ...]]) -> Table:
    table = create_outcomes_table("Outcome of every DOR line", [UNRECOGNIZED_NOTE] if UNRECOGNIZED in lines else [])
    table.show_footer, table.footer_style = True, "bold"
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


def _read_reports(connection: psycopg.Connection[Any], since: datetime) -> dict[str, dict[int, Report]]:
    """Return the reports of the jobs of this nightly run by source and import log.

    Reports of failed jobs are included only for loaders, because the other jobs change nothing if they fail.
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


def _build_rows_table(
    connection: psycopg.Connection[Any], reports: dict[str, dict[int, Report]], feeds: list[dict[str, Any]]
) -> Table:
    """Build the table of the rows in the database, at FINEOS and in the queues."""
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
        table.add_row("Rejected", _format_reasons(reasons))
        table.add_row("", "See dor_rejected_line for each line, and dor/rejected for the encrypted raw lines.")
    loads = reports.get("Employer load", {}).values()
    loaded = sum(report.get("loaded_employers_count", 0) for report in loads)
    table.add_row("FINEOS", f"{loaded:,} employers loaded")
    rows = sum(feed["records"] for feed in feeds)
    rejected = sum(1 for feed in feeds if feed.get("reason"))
    table.add_row("", f"{rows:,} employees accepted from {len(feeds):,} eligibility files, {rejected:,} rejected")
    table.add_row("Still queued", f"{counts[3]:,} employers, {counts[4]:,} employees")
    return table


def _format_reasons(reasons: list[tuple[str, int]]) -> str:
    text = ", ".join(f"{reason} {count:,}" for reason, count in reasons[:_MAX_REASONS])
    others = sum(count for _, count in reasons[_MAX_REASONS:])
    return text + (f", {len(reasons) - _MAX_REASONS} other reasons {others:,}" if others else "")
