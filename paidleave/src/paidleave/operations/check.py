"""``paidleave-check``: check that the database is consistent, and that the files from DOR came and were imported.

It only reads, and reports counts and the names of files but no row values. All checks use the same snapshot. A count
above its limit is a finding, and the exit code is 1 if there are findings.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field

import psycopg
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nightferry import JobFailed, NightferryError, Run, background_task
from paidleave.db.connection import connect
from paidleave.db.driver_errors import describe_error
from paidleave.db.statements import Statements
from paidleave.dor.importing.own_key import WARNING_DAYS
from paidleave.operations.checks import FILE_CHECKS, REMEDIES
from paidleave.operations.file_checks import find_files, limit_details
from paidleave.operations.settings import CheckSettings

_SQL = Statements("paidleave.operations")
_log = logging.getLogger(__name__)


class DatabaseInconsistent(JobFailed):
    """One or more checks exceed their limits. The logged table has the findings and their remedies."""


class CheckFailed(JobFailed):
    """A check could not run. The message has its name and the cause."""


@dataclass(frozen=True)
class CheckResult:
    """The count of one check, and its limit."""

    check: str  # not "name": the redaction of logs would hide the value of that key
    description: str
    count: int
    limit: int
    details: list[str] = field(default_factory=list)  # for example names of files; at most MAX_DETAILS

    @property
    def is_finding(self) -> bool:
        """True if the count is above the limit."""
        return self.count > self.limit


@background_task("paidleave-check", CheckSettings)
def main(settings: CheckSettings, run: Run) -> None:
    """Check the database and the folders for received files; exit with 1 if there are findings."""
    results = []
    with run.progress("checking", total=len(REMEDIES), unit="checks") as progress:
        for result in run_checks(settings):
            results.append(result)
            progress.advance()
    findings = [result for result in results if result.is_finding]
    if settings.as_json:
        fields = [asdict(result) | {"is_finding": result.is_finding} for result in results]
        _log.info("checked", extra={"event": "consistency", "checks": fields})
    else:
        _log.info("%d checks\n%s", len(results), _format_table(results))
    if findings:
        raise DatabaseInconsistent(
            f"{len(findings)} of {len(results)} checks exceed their limits: "
            + ", ".join(f"{finding.check} {finding.count}" for finding in findings)
            + "."
        )


def run_checks(settings: CheckSettings) -> Iterator[CheckResult]:
    """Run the checks in order, in one snapshot, and yield their results. Raises CheckFailed."""
    with closing(connect(settings)) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.execute("SELECT set_config('statement_timeout', %s, true)", [f"{settings.check_timeout}s"])
        for file in _SQL.list_names("checks"):
            name = file.partition("_")[2].replace("_", "-")
            try:
                found = _SQL.run(
                    connection,
                    file,
                    queue_wait_hours=settings.queue_wait_hours,
                    key_warning_days=WARNING_DAYS,
                ).fetchone()
            except psycopg.Error as error:
                raise CheckFailed(f"Check {name} failed: {_explain(settings, error)}.") from None
            assert found is not None
            yield CheckResult(name, _SQL.read_summary(file), int(found[0]), settings.get_limit(name))
        for name, description in FILE_CHECKS.items():
            try:
                details = find_files(name, connection, settings)
            except (psycopg.Error, NightferryError) as error:
                cause = _explain(settings, error) if isinstance(error, psycopg.Error) else str(error).rstrip(".")
                raise CheckFailed(f"Check {name} failed: {cause}.") from None
            yield CheckResult(name, description, len(details), settings.get_limit(name), limit_details(details))


def _explain(settings: CheckSettings, error: psycopg.Error) -> str:
    match error:
        case psycopg.errors.QueryCanceled():
            return f"it took longer than {settings.check_timeout} s (CHECK_TIMEOUT)"
        case psycopg.errors.UndefinedTable() | psycopg.errors.UndefinedColumn():
            return f"{describe_error(error)}; run db-migrate-up first"
        case psycopg.errors.InsufficientPrivilege():
            return f"{describe_error(error)}; run db-admin-create-db-users to grant the privileges"
    return describe_error(error)


def _format_table(results: list[CheckResult]) -> str:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("check", no_wrap=True)
    table.add_column("found", justify="right", no_wrap=True)
    table.add_column("limit", justify="right", no_wrap=True)
    table.add_column("description and remedy", max_width=70)
    for result in results:
        details = "".join(f"\n• {escape(detail)}" for detail in result.details)
        remedy = f"{details}\n→ {REMEDIES[result.check]}" if result.is_finding else ""
        mark = "✗" if result.is_finding else "✓"
        table.add_row(mark, result.check, f"{result.count:,}", f"{result.limit:,}", f"{result.description}{remedy}")
    text = io.StringIO()
    Console(file=text, width=140, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines() if line.strip())
