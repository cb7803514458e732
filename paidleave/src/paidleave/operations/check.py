"""``paidleave-check``: is the database consistent? It counts and changes nothing; no value of a row leaves it.

All checks see one snapshot. A count above its limit is a finding; with any, the exit code is 1.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass

import psycopg
from rich import box
from rich.console import Console
from rich.table import Table

from nightferry.job import JobFailed, Run, background_task
from paidleave.db.connection import connect
from paidleave.db.driver_errors import describe_error, describe_error_kind
from paidleave.db.statements import Statements
from paidleave.operations.checks import CURES
from paidleave.operations.settings import CheckSettings

_SQL = Statements("paidleave.operations")
_log = logging.getLogger(__name__)


class Inconsistent(JobFailed):
    """Checks found more than their limits allow. The table tells which, and what to do."""


class CheckFailed(JobFailed):
    """A check could not be carried out. The message says which and why."""


@dataclass(frozen=True)
class Checked:
    """What came of one check."""

    check: str  # not "name", which the log would hide
    finds: str
    count: int
    limit: int

    @property
    def is_finding(self) -> bool:
        """Whether it is more than allowed."""
        return self.count > self.limit


@background_task("paidleave-check", CheckSettings)
def main(settings: CheckSettings, run: Run) -> None:
    """Check that the database is consistent; exit 1 if it isn't."""
    outcomes = []
    with run.progress("checking", total=len(CURES), unit="checks") as progress:
        for outcome in check(settings):
            outcomes.append(outcome)
            progress.advance()
    findings = [outcome for outcome in outcomes if outcome.is_finding]
    if settings.as_json:
        fields = [asdict(outcome) | {"is_finding": outcome.is_finding} for outcome in outcomes]
        _log.info("checked", extra={"event": "consistency", "checks": fields})
    else:
        _log.info("%d checks\n%s", len(outcomes), _table(outcomes))
    if findings:
        raise Inconsistent(
            f"{len(findings)} of {len(outcomes)} checks found more than they may: "
            + ", ".join(f"{finding.check} {finding.count}" for finding in findings)
            + "."
        )


def check(settings: CheckSettings) -> Iterator[Checked]:
    """Carry out the checks in their order, all in one snapshot. Raises CheckFailed."""
    with closing(connect(settings)) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.execute("SELECT set_config('statement_timeout', %s, true)", [f"{settings.check_timeout}s"])
        for file in _SQL.names("checks"):
            name = file.partition("_")[2].replace("_", "-")
            try:
                found = _SQL.run(connection, file, queue_wait_hours=settings.queue_wait_hours).fetchone()
            except psycopg.Error as error:
                raise CheckFailed(f"Check {name} failed: {_why(settings, error)}.") from None
            assert found is not None
            yield Checked(name, _SQL.summary(file), int(found[0]), settings.limit(name))


def _why(settings: CheckSettings, error: psycopg.Error) -> str:
    match error:
        case psycopg.errors.QueryCanceled():
            return f"it took longer than CHECK_TIMEOUT, {settings.check_timeout} s"
        case psycopg.errors.UndefinedTable() | psycopg.errors.UndefinedColumn():
            return f"{describe_error(error)}; run db-migrate-up first"
        case psycopg.errors.InsufficientPrivilege():
            return f"{describe_error(error)}; db-admin-create-db-users gives the rights"
    return describe_error_kind(error)  # no words: they could quote a value


def _table(outcomes: list[Checked]) -> str:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("check", no_wrap=True)
    table.add_column("found", justify="right", no_wrap=True)
    table.add_column("limit", justify="right", no_wrap=True)
    table.add_column("what it finds, and what to do", max_width=70)
    for outcome in outcomes:
        cure = f"\n→ {CURES[outcome.check]}" if outcome.is_finding else ""
        mark = "✗" if outcome.is_finding else "✓"
        table.add_row(mark, outcome.check, f"{outcome.count:,}", f"{outcome.limit:,}", f"{outcome.finds}{cure}")
    text = io.StringIO()
    Console(file=text, width=140, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines() if line.strip())
