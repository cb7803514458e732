"""The files that arrive after a night: each starts its job by landing in its folder.

::

    exempt employers' file ─► dor-import-exempt
    agency's CSV           ─► dor-create-pending-filing-submission ─► the submission for DOR
    DOR's response         ─► dor-pending-filing-response-import (which needs the CSV)

Nobody starts these jobs here: the object triggers of the catalogue do, as on AWS.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from rich import box
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table

from nightferry.backend import TaskRun
from nightferry.errors import NightferryError
from nightferry.testing import LocalProject, time_taken
from paidleave.demo.account import NO_KIND, NO_KIND_NOTE, OUTCOMES, lines_of
from paidleave.demo.commands import nightferry

_PATIENCE_MINUTES = 2  # from a file's arrival to the start of its job

_KNOWN = "known: the same content came before, and is not imported again"


@dataclass(frozen=True)
class _Arrival:
    """A file that arrives: ``files`` is what ``dor-generate`` calls it; ``source`` and ``type`` name its import log."""

    files: str
    title: str
    trigger: str
    task: str
    source: str
    type: str


_ARRIVALS = (
    _Arrival("exempt", "Exempt employers", "exempt-employers", "dor-import-exempt", "DOR_EXEMPT", "Exempt Employers"),
    _Arrival(
        "returning",
        "Returning (CSV)",
        "returning-to-state-plan",
        "dor-create-pending-filing-submission",
        "DOR Pending Filing Submission",
        "",
    ),
    _Arrival(
        "response",
        "DOR's response",
        "pending-filing-response",
        "dor-pending-filing-response-import",
        "DOR",
        "Pending Filing Response",
    ),
)


class ArrivalFailed(NightferryError):
    """The job of a file that arrived did not start, or left no report. Mend the cause and call ``make demo`` again."""


def receive(
    project: LocalProject,
    generate: Callable[[str], None],
    check: Callable[[TaskRun], None],
    connection: psycopg.Connection[Any],
    console: Console,
) -> None:
    """Have each file arrive, wait for the job that it starts, and tell what became of its lines.

    ``project`` runs object triggers while it waits; ``generate`` writes the file of a kind; ``check`` raises
    unless a run has succeeded. It may be called again for the same day: what was imported is known then.
    Raises ArrivalFailed and LinesUnaccounted.
    """
    console.print("\nThree files arrive; each starts its job:")
    reports, before = [], _counts(connection)
    for arrival in _ARRIVALS:
        since = datetime.now(UTC)
        generate(arrival.files)
        run = _wait(project, arrival, since, console)
        check(run)
        console.print(
            f"[green]✓[/] {arrival.task}: started by trigger {arrival.trigger}, succeeded after {time_taken(run)}",
            highlight=False,
            soft_wrap=True,
        )
        reports.append((arrival.title, _report(connection, arrival, since)))
    console.print()
    console.print(_table(reports))
    console.print()
    console.print(_places(before, _counts(connection)))


def _wait(project: LocalProject, arrival: _Arrival, since: datetime, console: Console) -> TaskRun:
    """Return the run that the file's trigger started, when it has stopped."""

    def started() -> TaskRun | None:
        for run in project.backend.runs(task=arrival.task, limit=5):
            if run.started_by == f"trigger:{arrival.trigger}" and run.created_at >= since:
                return run
        if datetime.now(UTC) - since > timedelta(minutes=_PATIENCE_MINUTES):
            raise ArrivalFailed(
                f"{arrival.task} was not started within {_PATIENCE_MINUTES} min of the arrival of its file. "
                f"Is the trigger enabled? {nightferry()} triggers"
            )
        return None

    with Live(Spinner("dots", f"{arrival.task} …", style="green"), console=console, transient=True):
        return project.wait(started)


def _report(connection: psycopg.Connection[Any], arrival: _Arrival, since: datetime) -> dict[str, Any]:
    row = connection.execute(
        "SELECT report FROM import_log WHERE source = %s AND import_type = %s AND start >= %s AND status = 'success'"
        " ORDER BY import_log_id DESC LIMIT 1",
        [arrival.source, arrival.type, since - timedelta(seconds=1)],
    ).fetchone()
    if row is None:
        raise ArrivalFailed(f"{arrival.task} ended well, but import_log has no report of it since its file arrived.")
    report: dict[str, Any] = json.loads(row[0])
    return report


def _table(reports: list[tuple[str, dict[str, Any]]]) -> Table:
    """What became of every line of the files, file by file. Raises LinesUnaccounted."""
    files = [(title, lines_of([report])) for title, report in reports]
    notes = [NO_KIND_NOTE] if any(NO_KIND in lines for _, lines in files) else []
    notes += [] if all(lines for _, lines in files) else [_KNOWN]
    table = Table(
        title="What became of every line that arrived",
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=box.SIMPLE,
        show_edge=False,
        pad_edge=False,
        caption="\n".join(notes) or None,
        caption_justify="left",
        caption_style="dim",
    )
    table.add_column("", no_wrap=True)
    for heading in ("lines", *OUTCOMES):
        table.add_column(heading, justify="right")
    for title, lines in files:
        table.add_row(f"[bold]{title}[/]")
        for kind, counts in lines.items():
            table.add_row(f"  {kind}", *(f"{count:,}" for count in counts))
        if not lines:
            table.add_row("  known", style="dim")
    return table


def _counts(connection: psycopg.Connection[Any]) -> tuple[int, ...]:
    """Employers, those exempt from everything, quarters, employees, wages, and employers that FINEOS is to be told."""
    row = connection.execute(
        "SELECT count(*), count(*) FILTER (WHERE family_exemption AND medical_exemption),"
        " (SELECT count(*) FROM employer_quarterly_contribution), (SELECT count(*) FROM employee),"
        " (SELECT count(*) FROM wages_and_contributions), (SELECT count(*) FROM employer_push_to_fineos_queue)"
        " FROM employer"
    ).fetchone()
    assert row is not None
    return tuple(row)


def _places(before: tuple[int, ...], after: tuple[int, ...]) -> Table:
    """What is where after the arrivals, and what they have changed."""
    employers, exempt, quarters, employees, wages, queued = (
        f"{now:,} ({now - then:+,})" if now != then else f"{now:,}" for then, now in zip(before, after, strict=True)
    )
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_row("Database", f"{employers} employers, {exempt} of them exempt from everything")
    table.add_row("", f"{quarters} quarters of employers, {employees} employees, {wages} wage records")
    table.add_row("Queued", f"{queued} employers, for the next night to tell FINEOS")
    table.add_row("Files", "the submission for DOR in dor/send; what was imported in dor/processed, dfml/processed")
    return table
