"""Files that arrive after a nightly run. The arrival of each file starts a job.

::

    exempt employers' file ─► dor-import-exempt
    agency's CSV           ─► dor-create-pending-filing-submission ─► the submission for DOR
    DOR's response         ─► dor-pending-filing-response-import (which needs the CSV)

As on AWS, the object triggers of the catalog start these jobs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table

from nightferry import NightferryError
from nightferry.backend import RunFilter, TaskRun
from nightferry.testing import LocalProject, time_taken
from paidleave.demo.commands import find_nightferry_command
from paidleave.demo.summary import OUTCOMES, UNRECOGNIZED, UNRECOGNIZED_NOTE, count_lines, create_outcomes_table

_START_TIMEOUT_MINUTES = 2  # from a file's arrival to the start of its job

_KNOWN_NOTE = "known: a file with the same content was already imported"


@dataclass(frozen=True)
class _Arrival:
    """A file that arrives.

    ``files`` is its name in ``dor-generate``, ``source`` and ``type`` identify its import log.
    """

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
    """The job of a file did not start or has no report. Correct the cause and run ``make demo`` again."""


def receive(
    project: LocalProject,
    generate: Callable[[str], None],
    check: Callable[[TaskRun], None],
    connection: psycopg.Connection[Any],
    console: Console,
) -> None:
    """Generate each file, wait for the job that its arrival starts, and print the outcomes of its lines.

    The function can be called again for the same day. Files that were already imported are skipped then.

    Args:
        project: Runs the object triggers while it waits.
        generate: Writes the file of a kind.
        check: Raises an exception if a run failed.
        connection: The database.
        console: The output.

    Raises:
        ArrivalFailed: A job did not start or has no report.
        LinesUnaccounted: The outcomes of a file do not add up to its number of lines.
    """
    console.print("\nThree files arrive. Each starts a job:")
    reports, before = [], _count_rows(connection)
    for arrival in _ARRIVALS:
        since = datetime.now(UTC)
        generate(arrival.files)
        run = _wait_for_run(project, arrival, since, console)
        check(run)
        console.print(
            f"[green]✓[/] {arrival.task}: started by trigger {arrival.trigger}, succeeded after {time_taken(run)}",
            highlight=False,
            soft_wrap=True,
        )
        reports.append((arrival.title, _read_report(connection, arrival, since)))
    console.print()
    console.print(_build_outcomes_table(reports))
    console.print()
    console.print(_build_rows_table(before, _count_rows(connection)))


def _wait_for_run(project: LocalProject, arrival: _Arrival, since: datetime, console: Console) -> TaskRun:
    """Wait until the run that the file's trigger started has stopped, and return it."""

    def find_run() -> TaskRun | None:
        for run in project.backend.runs(RunFilter(task=arrival.task), limit=5):
            if run.started_by == f"trigger:{arrival.trigger}" and run.created_at >= since:
                return run
        if datetime.now(UTC) - since > timedelta(minutes=_START_TIMEOUT_MINUTES):
            raise ArrivalFailed(
                f"{arrival.task} did not start within {_START_TIMEOUT_MINUTES} min after the arrival of its file. "
                f"Check that the trigger is enabled: {find_nightferry_command()} triggers"
            )
        return None

    with Live(Spinner("dots", f"{arrival.task} …", style="green"), console=console, transient=True):
        return project.wait(find_run)


def _read_report(connection: psycopg.Connection[Any], arrival: _Arrival, since: datetime) -> dict[str, Any]:
    row = connection.execute(
        "SELECT report FROM import_log WHERE source = %s AND import_type = %s AND start >= %s AND status = 'success'"
        " ORDER BY import_log_id DESC LIMIT 1",
        [arrival.source, arrival.type, since - timedelta(seconds=1)],
    ).fetchone()
    if row is None:
        raise ArrivalFailed(f"{arrival.task} succeeded, but import_log has no report of it since its file arrived.")
    report: dict[str, Any] = json.loads(row[0])
    return report


def _build_outcomes_table(reports: list[tuple[str, dict[str, Any]]]) -> Table:
    """Build the table of the outcomes by file and kind of line.

    Raises:
        LinesUnaccounted: The outcomes of a file do not add up to its number of lines.
    """
    files = [(title, count_lines([report])) for title, report in reports]
    notes = [UNRECOGNIZED_NOTE] if any(UNRECOGNIZED in lines for _, lines in files) else []
    notes += [] if all(lines for _, lines in files) else [_KNOWN_NOTE]
    table = create_outcomes_table("Outcome of every line in the files", notes)
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


def _count_rows(connection: psycopg.Connection[Any]) -> tuple[int, ...]:
    """Count the employers, fully exempt employers, quarters, employees, wages, and queued employers."""
    row = connection.execute(
        "SELECT count(*), count(*) FILTER (WHERE family_exemption AND medical_exemption),"
        " (SELECT count(*) FROM employer_quarterly_contribution), (SELECT count(*) FROM employee),"
        " (SELECT count(*) FROM wages_and_contributions), (SELECT count(*) FROM employer_push_to_fineos_queue)"
        " FROM employer"
    ).fetchone()
    assert row is not None
    return tuple(row)


def _build_rows_table(before: tuple[int, ...], after: tuple[int, ...]) -> Table:
    """Build the table of the rows in the database and in the queue, with the changes by the files."""
    employers, exempt, quarters, employees, wages, queued = (
        f"{now:,} ({now - then:+,})" if now != then else f"{now:,}" for then, now in zip(before, after, strict=True)
    )
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_row("Database", f"{employers} employers, {exempt} of them fully exempt")
    table.add_row("", f"{quarters} employer quarters, {employees} employees, {wages} wage records")
    table.add_row("Queued", f"{queued} employers for the next load into FINEOS")
    table.add_row("Files", "submission for DOR in dor/send, imported files in dor/processed and dfml/processed")
    return table
