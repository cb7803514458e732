"""One nightly run: the database schema, the files of the day, the workflow, and the actions of FINEOS."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
from pydantic import SecretStr
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner

from nightferry import NightferryError
from nightferry.backend import ExecutionFilter, TaskRun, WorkflowExecution
from nightferry.testing import LocalProject, time_taken
from paidleave.demo import arrivals, summary
from paidleave.demo.commands import find_nightferry_command
from paidleave.dor import encryption
from paidleave.dor.files.formats import RESPONSE_FILE, WAGE_FILE

WORKFLOW = "dor-fineos-etl"
KEY, PASSPHRASE = "dor-import/gpg_decryption_key", "dor-import/gpg_decryption_key_passphrase"
CLIENT_SECRET = "fineos-oauth2-client-secret"  # noqa: S105  # the secret's name
FIRST_DAY = datetime(2026, 1, 5, 20, 0, tzinfo=UTC)
_DUPLICATE_SHARE = 0.005


class DemoFailed(NightferryError):
    """A step of the demo failed. Its output is printed above. Correct the cause and run ``make demo`` again."""


class DemoStopped(NightferryError):
    """The user stopped the demo with Ctrl-C. ``make demo`` resumes it."""


class NightlyRun:
    """A nightly run with the services of ``project``, which must be running."""

    def __init__(self, project: LocalProject, console: Console) -> None:
        self._project = project
        self._console = console

    def run(self, employers: int, bad_share: float) -> None:
        """Resume the interrupted run, or start the next one.

        Raises:
            DemoFailed: A step failed.
            DemoStopped: The user stopped the demo.
        """
        last = next(iter(self._project.backend.executions(ExecutionFilter(workflow=WORKFLOW), limit=1)), None)
        if last is not None and last.status == "SUCCEEDED" and not self._has_received(day := self._count_days()):
            self._console.print(f"\nThe workflow of day {day} succeeded. Resuming the interrupted arrival of files.")
            self._receive(day, employers, bad_share)
            self._print_next_steps()
            return
        interrupted = last if last is not None and last.interrupted else None
        if interrupted is None:
            self._prepare(employers, bad_share)
            self._console.print(f"\n[bold]{WORKFLOW}[/], the same state machine as on AWS:")
        else:
            self._console.print(f"\n[bold]{WORKFLOW}[/] was interrupted. Resuming execution {interrupted.id}:")
        ended = self._project.run_workflow(WORKFLOW, {}, self._console)
        self._check_execution(ended)
        self._console.print(f"[green]✓[/] {WORKFLOW} succeeded after {time_taken(ended)}\n", highlight=False)
        feeds = self._call_simulator("feeds")
        self._call_simulator("updates")
        with self._connect() as connection:
            summary.print_summary(connection, ended.started_at, feeds, self._console)
        if (day := self._count_days()) > 1:
            self._receive(day, employers, bad_share)
        self._print_next_steps()

    def _receive(self, day: int, employers: int, bad_share: float) -> None:
        """Generate the files of a day that start jobs when they arrive."""
        with self._connect() as connection:
            arrivals.receive(
                self._project,
                lambda kind: self._generate(day, employers, bad_share, f"the {kind} file of day {day}", FILES=kind),
                self._check_run,
                connection,
                self._console,
            )

    def _has_received(self, day: int) -> bool:
        """Return True if the last file of a day was imported. The first day has no files."""
        name = RESPONSE_FILE.format_file_name(_format_timestamp(day))
        return day < 2 or (self._project.state / "buckets" / "agency-transfer" / "dor" / "processed" / name).exists()

    def _print_next_steps(self) -> None:
        command = find_nightferry_command()
        self._console.print(
            f"\nSimulate the next day: [bold]make demo[/]. Inspect the results: [bold]{command}[/] status, logs\n"
            f"Open the dashboard on them: [bold]{command} dashboard --open[/]",
            highlight=False,
            soft_wrap=not self._console.is_terminal,
        )

    def _prepare(self, employers: int, bad_share: float) -> None:
        self._run_task("db-migrate-up", {}, "database schema is up to date")
        self._run_task("db-admin-create-db-users", {}, "database users are set up, with a separate user for jobs")
        day = self._count_days() + 1
        content = f"{employers:,} employers and their employees" if day == 1 else "the changes of a day"
        description = f"files of day {day}: {content}, {bad_share:.1%} bad lines, encrypted"
        self._generate(day, employers, bad_share, description, UPDATE=str(day > 1).lower(), DAY=str(max(day - 1, 1)))

    def _generate(self, day: int, employers: int, bad_share: float, description: str, **more: str) -> None:
        """Write the files of a day and print ``description``."""
        self._run_task(
            "dor-generate",
            {
                "COUNT": str(employers),
                "TIMESTAMP": _format_timestamp(day),
                "BAD_SHARE": str(bad_share),
                "DUPLICATE_SHARE": str(_DUPLICATE_SHARE),
                "GPG_PUBLIC_KEY": encryption.export_public_key(SecretStr(self._project.secret(KEY) or "")),
                **more,
            },
            description,
        )

    def _run_task(self, task: str, env: dict[str, str], result: str) -> None:
        """Run a task with a spinner on a terminal and print ``result``. Print its log only if it fails."""
        with Live(Spinner("dots", f"{task} …", style="green"), console=self._console, transient=True):
            run = self._project.run_task(task, env, started_by="demo")
        self._check_run(run)
        self._console.print(f"[green]✓[/] {task}: {result}", highlight=False, soft_wrap=True)

    def _check_run(self, run: TaskRun) -> None:
        """Raise DemoStopped or DemoFailed unless the run succeeded."""
        if run.exit_code == _SIGTERM_EXIT_CODE or (run.exit_code is None and run.reason == _CTRL_C_REASON):
            raise DemoStopped(f"Stopped during {run.task}. No data was lost. Resume with: make demo")
        if not run.succeeded:
            self._project.print_log(run, self._console)
            raise DemoFailed(f"{run.task} failed{f': {run.reason}' if run.reason else ''}. Its log is printed above.")

    def _check_execution(self, ended: WorkflowExecution) -> None:
        match ended.status:
            case "SUCCEEDED":
                return
            case "ABORTED":
                raise DemoStopped(
                    f"{WORKFLOW} was stopped. No data was lost: the changes that its tasks committed remain. Resume "
                    "with: make demo"
                )
            case status:
                outcome = status.lower().replace("_", " ")
                error = f" ({ended.error})" if ended.error else ""
                raise DemoFailed(
                    f"{WORKFLOW} {outcome}{error}. To see the cause, run: {find_nightferry_command()} logs {ended.id}"
                )

    def _count_days(self) -> int:
        """Count the days whose files were imported."""
        with self._connect() as connection:
            row = connection.execute(
                "SELECT count(*) FROM dor_imported_file WHERE kind = %s", [WAGE_FILE.name]
            ).fetchone()
        assert row is not None
        return int(row[0])

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=self._project.address("database", "host"),
            user=self._project.address("database", "user"),
            dbname=self._project.address("database", "database"),
        )

    def _call_simulator(self, action: str) -> Any:
        """Start an action of the simulator: import feed files (``feeds``) or export employees (``updates``)."""
        client = self._project.settings["fineos.oauth2_client_id"]
        secret = self._project.secret(CLIENT_SECRET) or ""
        url = f"{self._project.address('fineos-simulator', 'url')}/_simulator/{action}"
        try:
            response = httpx.post(url, auth=(client, secret), timeout=600)
            response.raise_for_status()
        except httpx.HTTPError as error:
            raise DemoFailed(
                f"The FINEOS simulator did not respond ({type(error).__name__}). See its log: "
                f"{self._project.state / 'services' / 'fineos-simulator.log'}"
            ) from None
        return response.json()


def _format_timestamp(day: int) -> str:
    """Return the timestamp at the end of the names of a day's files."""
    return f"{FIRST_DAY + timedelta(days=day - 1):%Y%m%d%H%M%S}"


_SIGTERM_EXIT_CODE = 143
_CTRL_C_REASON = "Stopped from the terminal."
