"""One night: the database's schema, the day's files, the workflow, and what FINEOS does on its side."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
from pydantic import SecretStr
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner

from nightferry.backend import TaskRun, WorkflowExecution
from nightferry.errors import NightferryError
from nightferry.testing import LocalProject, time_taken
from paidleave.demo import account, arrivals
from paidleave.demo.commands import nightferry
from paidleave.dor import encryption
from paidleave.dor.files.formats import RESPONSE_FILE, WAGE_FILE

WORKFLOW = "dor-fineos-etl"
KEY, PASSPHRASE = "dor-import/gpg_decryption_key", "dor-import/gpg_decryption_key_passphrase"
CLIENT_SECRET = "fineos-oauth2-client-secret"  # noqa: S105  # the secret's name
FIRST_DAY = datetime(2026, 1, 5, 20, 0, tzinfo=UTC)
_DUPLICATE_SHARE = 0.005


class DemoFailed(NightferryError):
    """A step of the demo failed; what it wrote stands above. Mend its cause and call ``make demo`` again."""


class DemoStopped(NightferryError):
    """Somebody stopped the demo by Ctrl-C. ``make demo`` goes on."""


class Night:
    """A night on the services of ``project``, which run already."""

    def __init__(self, project: LocalProject, console: Console) -> None:
        self._project = project
        self._console = console

    def run(self, employers: int, bad_share: float) -> None:
        """Go on with the night that was interrupted, or have the next one; raises DemoFailed or DemoStopped."""
        last = next(iter(self._project.backend.executions(workflow=WORKFLOW, limit=1)), None)
        if last is not None and last.status == "SUCCEEDED" and not self._arrived(day := self._nights()):
            self._console.print(f"\nThe night of day {day} is over, and its arrivals were interrupted: they come now.")
            self._receive(day, employers, bad_share)
            self._say_what_next()
            return
        interrupted = last if last is not None and last.interrupted else None
        if interrupted is None:
            self._prepare(employers, bad_share)
            self._console.print(f"\n[bold]{WORKFLOW}[/], the state machine that AWS would run:")
        else:
            self._console.print(f"\n[bold]{WORKFLOW}[/] was interrupted and goes on where it was ({interrupted.id}):")
        ended = self._project.run_workflow(WORKFLOW, {}, self._console)
        self._check(ended)
        self._console.print(f"[green]✓[/] {WORKFLOW} succeeded after {time_taken(ended)}\n", highlight=False)
        taken = self._simulator("feeds")
        self._simulator("updates")
        with self._database() as connection:
            account.show(connection, ended.started_at, taken, self._console)
        if (day := self._nights()) > 1:
            self._receive(day, employers, bad_share)
        self._say_what_next()

    def _receive(self, day: int, employers: int, bad_share: float) -> None:
        """Have the files of a day arrive that start their jobs."""
        with self._database() as connection:
            arrivals.receive(
                self._project,
                lambda kind: self._generate(day, employers, bad_share, f"the {kind} file of day {day}", FILES=kind),
                self._check_run,
                connection,
                self._console,
            )

    def _arrived(self, day: int) -> bool:
        """Whether the last of a day's files has been imported; the first day has none."""
        name = RESPONSE_FILE.file_name(_timestamp(day))
        return day < 2 or (self._project.state / "buckets" / "agency-transfer" / "dor" / "processed" / name).exists()

    def _say_what_next(self) -> None:
        self._console.print(
            f"\n[bold]make demo[/] again is the next day. Look around: [bold]{nightferry()}[/] "
            "status, logs, tasks, workflows",
            highlight=False,
            soft_wrap=not self._console.is_terminal,
        )

    def _prepare(self, employers: int, bad_share: float) -> None:
        self._task("db-migrate-up", {}, "the database has the latest schema")
        self._task("db-admin-create-db-users", {}, "the database has its users; jobs work as one of their own")
        night = self._nights() + 1
        content = f"{employers:,} employers and their employees" if night == 1 else "the changes of a day"
        what = f"files of day {night}: {content}, {bad_share:.1%} bad lines, encrypted"
        self._generate(night, employers, bad_share, what, UPDATE=str(night > 1).lower(), DAY=str(max(night - 1, 1)))

    def _generate(self, day: int, employers: int, bad_share: float, what: str, **more: str) -> None:
        """Write the files of a day, which say that they are ``what``."""
        self._task(
            "dor-generate",
            {
                "COUNT": str(employers),
                "TIMESTAMP": _timestamp(day),
                "BAD_SHARE": str(bad_share),
                "DUPLICATE_SHARE": str(_DUPLICATE_SHARE),
                "GPG_PUBLIC_KEY": encryption.export_public_key(SecretStr(self._project.secret(KEY) or "")),
                **more,
            },
            what,
        )

    def _task(self, task: str, env: dict[str, str], done: str) -> None:
        """Run a task, with a spinner on a terminal; its lines are shown only if it fails."""
        with Live(Spinner("dots", f"{task} …", style="green"), console=self._console, transient=True):
            run = self._project.run_task(task, env, started_by="demo")
        self._check_run(run)
        self._console.print(f"[green]✓[/] {task}: {done}", highlight=False, soft_wrap=True)

    def _check_run(self, run: TaskRun) -> None:
        """Raise unless a run has succeeded."""
        if run.exit_code == _TERMINATED or (run.exit_code is None and run.reason == _BY_CTRL_C):
            raise DemoStopped(f"Stopped during {run.task}. Nothing is lost: make demo again goes on.")
        if not run.succeeded:
            self._project.print_log(run, self._console)
            raise DemoFailed(f"{run.task} failed{f': {run.reason}' if run.reason else ''}. Its log stands above.")

    def _check(self, ended: WorkflowExecution) -> None:
        match ended.status:
            case "SUCCEEDED":
                return
            case "ABORTED":
                raise DemoStopped(
                    f"{WORKFLOW} was stopped. Nothing is lost: what its tasks have committed stays, and make demo "
                    "again goes on with the rest."
                )
            case status:
                how = status.lower().replace("_", " ")
                raise DemoFailed(
                    f"{WORKFLOW} {how}{f' ({ended.error})' if ended.error else ''}. Why: {nightferry()} logs {ended.id}"
                )

    def _nights(self) -> int:
        """How many days' files have been imported."""
        with self._database() as connection:
            row = connection.execute(
                "SELECT count(*) FROM dor_imported_file WHERE kind = %s", [WAGE_FILE.name]
            ).fetchone()
        assert row is not None
        return int(row[0])

    def _database(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=self._project.address("database", "host"),
            user=self._project.address("database", "user"),
            dbname=self._project.address("database", "database"),
        )

    def _simulator(self, action: str) -> Any:
        """Have the simulated vendor do what it does at night: take in feed files, export its employees."""
        client = self._project.settings["fineos.oauth2_client_id"]
        secret = self._project.secret(CLIENT_SECRET) or ""
        url = f"{self._project.address('fineos-simulator', 'url')}/_simulator/{action}"
        try:
            answer = httpx.post(url, auth=(client, secret), timeout=600)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise DemoFailed(
                f"The FINEOS simulator did not answer ({type(error).__name__}). Its log: "
                f"{self._project.state / 'services' / 'fineos-simulator.log'}"
            ) from None
        return answer.json()


def _timestamp(day: int) -> str:
    """What the names of a day's files end in."""
    return f"{FIRST_DAY + timedelta(days=day - 1):%Y%m%d%H%M%S}"


_TERMINATED = 143  # the exit code of a task that was asked to stop
_BY_CTRL_C = "Stopped from the terminal."
