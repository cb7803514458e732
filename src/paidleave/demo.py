"""``make demo``: a night of the DOR → FINEOS ETL on this machine, and an account of every line.

Each call is the next day: the first brings all employers, every later one the changes of a day.
"""

from __future__ import annotations

import asyncio
import json
import secrets as random
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import httpx
import psycopg
import typer
from pydantic import SecretStr
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from longshore.backend import RunRequest
from longshore.cli.follow import follow_execution, work_and_follow
from longshore.cli.lines import duration, pretty
from longshore.environment import Environment
from longshore.errors import LongshoreError
from longshore.local import secrets
from longshore.local.backend import LocalBackend
from longshore.local.services import Services
from longshore.project import Project
from paidleave.dor import gpg

WORKFLOW = "dor-fineos-etl"
KEY, PASSPHRASE = "dor-import/gpg_decryption_key", "dor-import/gpg_decryption_key_passphrase"
CLIENT_SECRET = "fineos-oauth2-client-secret"  # noqa: S105  # the secret's name
FIRST_DAY = datetime(2026, 1, 5, 20, 0, tzinfo=UTC)


class DemoFailed(LongshoreError):
    """A step of the demo failed; what it wrote stands above."""


def main() -> None:
    """The console script ``paidleave-demo``."""
    try:
        typer.run(demo)
    except LongshoreError as error:
        Console(stderr=True).print(f"demo: {error}", highlight=False, markup=False, soft_wrap=True)
        raise SystemExit(1) from None


def demo(
    employers: Annotated[
        int, typer.Option(help="How many employers DOR knows; each has 14 employees on average.")
    ] = 500,
    bad_share: Annotated[float, typer.Option(help="Share of bad lines, of every kind.")] = 0.02,
) -> None:
    """Run a night of the DOR → FINEOS ETL on generated, encrypted files, with the embedded engine."""
    project = Project.find()
    environment = project.environment("local")
    console = Console()
    console.print("[bold]Longshore[/] · a night of the DOR → FINEOS ETL on this machine\n")
    _prepare_secrets(project, console)
    with Services(project.catalog, environment, project.state) as services:
        with console.status("Starting PostgreSQL and the FINEOS simulator …"):
            services.start()
        console.print("[green]✓[/] PostgreSQL and the FINEOS simulator run")
        _Night(project, environment, services, console).run(employers, bad_share)


class _Night:
    def __init__(self, project: Project, environment: Environment, services: Services, console: Console) -> None:
        self._project = project
        self._environment = environment
        self._services = services
        self._console = console
        self._backend = LocalBackend(project, environment, services)

    def run(self, employers: int, bad_share: float) -> None:
        console, backend = self._console, self._backend
        self._task("db-migrate-up", {}, "the database has the newest schema")
        open_one = next((e for e in backend.executions(workflow=WORKFLOW, limit=1) if e.status == "RUNNING"), None)
        if open_one is None:
            day = self._day()
            first = day == 0
            self._task(
                "dor-generate",
                {
                    "COUNT": str(employers),
                    "UPDATE": str(not first).lower(),
                    "TIMESTAMP": f"{FIRST_DAY + timedelta(days=day):%Y%m%d%H%M%S}",
                    "BAD_SHARE": str(bad_share),
                    "DUPLICATE_SHARE": "0.005",
                    "GPG_PUBLIC_KEY": gpg.public_key(SecretStr(secrets.file(self._project.state, KEY).read_text())),
                },
                f"DOR's files of day {day + 1}: {employers:,} employers, {bad_share:.0%} bad lines, encrypted",
            )
        else:
            console.print(f"[yellow]↻[/] going on with {open_one.id}, which was interrupted")
        console.print(f"\n[bold]longshore start {WORKFLOW}[/]")
        ended = follow_execution(backend, backend.start_workflow(WORKFLOW, {}), console)
        if ended.status != "SUCCEEDED":
            raise DemoFailed(
                f"{WORKFLOW} {ended.status.lower()}. See: longshore status {ended.id}; longshore logs {ended.id}"
            )
        took = duration(((ended.stopped_at or ended.started_at) - ended.started_at).total_seconds())
        console.print(f"[green]✓[/] {WORKFLOW} succeeded after {took}\n")
        taken = self._simulator("feeds")
        self._simulator("updates")
        with self._database() as connection:
            reports = _reports(connection, ended.started_at)
            console.print(_lines_table(reports))
            console.print(_totals(connection, reports, taken))
        console.print(
            "\nNext: [bold]longshore status[/], [bold]longshore logs dor-import[/], "
            "[bold]make demo[/] again for the next day.",
            highlight=False,
        )

    def _task(self, task: str, env: dict[str, str], done: str) -> None:
        """Run a task, showing how far it is; its lines only if it fails."""
        id = self._backend.run_task(RunRequest(task, env=env, started_by="demo"))

        def ended() -> bool:
            return self._backend.run(id).status == "STOPPED"

        with Live(console=self._console, transient=True) as live:
            asyncio.run(work_and_follow(self._backend, ended, lambda: live.update(Text(f"… longshore run {task}")), id))
        run = self._backend.run(id)
        if not run.succeeded:
            for line in self._backend.log([id]):
                self._console.print(pretty(line.text, line.time), soft_wrap=True)
            raise DemoFailed(f"{task} failed. {run.reason or ''}")
        self._console.print(f"[green]✓[/] {task}: {done}", highlight=False)

    def _day(self) -> int:
        """How many nights there have been: the next one is the day after."""
        succeeded = [e for e in self._backend.executions(workflow=WORKFLOW, limit=10_000) if e.status == "SUCCEEDED"]
        return len(succeeded)

    def _database(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=self._services.address("database", "host"),
            user=self._services.address("database", "user"),
            dbname=self._services.address("database", "database"),
        )

    def _simulator(self, action: str) -> Any:
        """Have the simulated vendor do what it does at night: take in feed files, export its employees."""
        client = self._environment.settings["fineos.oauth2_client_id"]
        secret = secrets.file(self._project.state, CLIENT_SECRET).read_text()
        url = f"{self._services.address('fineos-simulator', 'url')}/_simulator/{action}"
        answer = httpx.post(url, auth=(client, secret), timeout=600)
        answer.raise_for_status()
        return answer.json()


def _prepare_secrets(project: Project, console: Console) -> None:
    """Make the secrets that only this machine knows, once: DOR's key pair, the password of the simulator's client."""
    state = project.state
    if not secrets.exists(state, CLIENT_SECRET):
        secrets.write(state, CLIENT_SECRET, random.token_urlsafe(32))
    if not (secrets.exists(state, KEY) and secrets.exists(state, PASSPHRASE)):
        with console.status("Generating a key pair for DOR's files …"):
            passphrase = SecretStr(random.token_urlsafe(32))
            pair = gpg.generate_key("DOR demo", passphrase)
        secrets.write(state, PASSPHRASE, passphrase.get_secret_value())
        secrets.write(state, KEY, pair.private.get_secret_value())
    console.print("[green]✓[/] secrets in .longshore/secrets: DOR's private key, the FINEOS client's password")


def _reports(connection: psycopg.Connection[Any], since: datetime) -> dict[str, list[dict[str, Any]]]:
    """The reports of this night's jobs, by source."""
    rows = connection.execute(
        "SELECT source, report FROM import_log WHERE start >= %s AND status = 'success' ORDER BY import_log_id",
        [since - timedelta(seconds=1)],
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for source, report in rows:
        found.setdefault(source, []).append(json.loads(report))
    return found


_KINDS = {
    "employers": "Employers",
    "employer_quarters": "Quarters (A)",
    "wages_and_contributions": "Wages (B)",
}
_OUTCOMES = ("created", "updated", "unmodified", "duplicate", "rejected")


def _lines_table(reports: dict[str, list[dict[str, Any]]]) -> Table:
    """Every line of DOR's files, by what became of it; raises DemoFailed if the sums do not match."""
    table = Table(
        title="What became of every line of DOR's files",
        title_justify="left",
        caption="¹ blank lines, unknown record letters, lines that are not UTF-8",
        caption_justify="left",
        header_style="bold",
    )
    table.add_column("")
    for heading in ("lines", *_OUTCOMES):
        table.add_column(heading, justify="right")
    unknown = 0
    for report in reports.get("DOR", []):
        for kind, title in _KINDS.items():
            lines = report.get(f"{kind}_lines_count")
            if lines is None:
                continue
            counts = [report.get(f"{outcome}_{kind}_count", 0) for outcome in _OUTCOMES]
            if sum(counts) != lines:
                raise DemoFailed(f"{title}: {lines} lines, but {sum(counts)} accounted for.")
            table.add_row(title, *(f"{count:,}" for count in (lines, *counts)))
        unknown += report.get("rejected_unknown_lines_count", 0)
    table.add_row("No kind¹", *(f"{count:,}" for count in (unknown, 0, 0, 0, 0, unknown)))
    return table


def _totals(connection: psycopg.Connection[Any], reports: dict[str, list[dict[str, Any]]], feeds: Any) -> Table:
    """What is where after the night."""
    table = Table.grid(padding=(0, 2))
    reasons = connection.execute(
        "SELECT reason, count(*) FROM dor_rejected_line GROUP BY reason ORDER BY 2 DESC, 1 LIMIT 4"
    ).fetchall()
    counts = connection.execute(
        "SELECT (SELECT count(*) FROM employer), (SELECT count(*) FROM employee),"
        " (SELECT count(*) FROM wages_and_contributions), (SELECT count(*) FROM employer_push_to_fineos_queue),"
        " (SELECT count(*) FROM employee_push_to_fineos_queue), (SELECT count(*) FROM dor_rejected_line)"
    ).fetchone()
    assert counts is not None
    table.add_row("Database", f"{counts[0]:,} employers, {counts[1]:,} employees, {counts[2]:,} wage records")
    table.add_row(
        "Rejected so far", f"{counts[5]:,} lines: " + ", ".join(f"{reason} {n:,}" for reason, n in reasons) + " …"
    )
    table.add_row(
        "", "each with file, line, field and reason in dor_rejected_line; raw lines, encrypted, in dor/rejected"
    )
    loaded = sum(report.get("loaded_employers_count", 0) for report in reports.get("Employer load", []))
    table.add_row("FINEOS", f"{loaded:,} employers loaded by {len(reports.get('Employer load', []))} loaders")
    rows = sum(feed["records"] for feed in feeds)
    refused = sum(1 for feed in feeds if feed.get("reason"))
    table.add_row("", f"{len(feeds):,} eligibility files with {rows:,} employees taken in, {refused:,} refused")
    table.add_row("Still queued", f"{counts[3]:,} employers, {counts[4]:,} employees")
    return table
