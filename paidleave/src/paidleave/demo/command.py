"""The console script ``paidleave-demo``: prerequisites of a nightly run, and error messages."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets as random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import psycopg
import typer
from pydantic import SecretStr
from rich.console import Console

from nightferry import NightferryError
from nightferry.cli.terminal.entry import run_script
from nightferry.cli.terminal.output import Terminal
from nightferry.errors import EngineBusy
from nightferry.testing import LocalProject
from paidleave.db.driver_errors import describe_error
from paidleave.demo.commands import find_nightferry_command, format_path
from paidleave.demo.nightly_run import CLIENT_SECRET, KEY, PASSPHRASE, DemoStopped, NightlyRun
from paidleave.dor import encryption

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def main() -> None:
    """Run the console script. Print errors as messages without a traceback."""
    run_script("demo", _run)


def _run() -> None:
    try:
        app()
    except DemoStopped as stopped:
        _print_error(str(stopped))
        raise SystemExit(130) from None  # the exit code of a shell for Ctrl-C
    except (NightferryError, OSError, psycopg.Error) as error:
        _print_error(f"demo: {_explain(error)}")
        raise SystemExit(1) from None


@app.command()
def demo(
    employers: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Number of employers. Each has 14 employees on average.")
    ] = 500,
    bad_share: Annotated[
        float,
        typer.Option(min=0, max=1, help="Bad lines per good line. The import rejects files with a share above 0.05."),
    ] = 0.02,
) -> None:
    """Run the nightly DOR → FINEOS ETL on generated, encrypted files with the local engine.

    Run the command again to simulate the next day, or to resume an interrupted run.
    """
    console = Terminal()
    console.print("[bold]Nightferry[/] · nightly DOR → FINEOS ETL on this machine\n")
    if shutil.which("gpg") is None:
        raise encryption.GpgMissing
    project = LocalProject.find()
    try:
        with _lock_state(project), project:
            _prepare_secrets(project, console)
            with console.status("Starting PostgreSQL and the FINEOS simulator …"):
                project.start_services()
            console.print("[green]✓[/] PostgreSQL and the FINEOS simulator are running")
            NightlyRun(project, console).run(employers, bad_share)
    except KeyboardInterrupt:
        raise DemoStopped("Interrupted. No data was lost. Resume with: make demo") from None


@contextmanager
def _lock_state(project: LocalProject) -> Iterator[None]:
    """Lock the state directory against other demos.

    Raises:
        EngineBusy: Another demo or engine uses the directory. Its services would stop when it ends.
    """
    state = project.state
    busy = EngineBusy(
        f"Another make demo or nightferry command is using {format_path(state)}. Wait until it has ended, then run "
        f"make demo again. To monitor it, run: {find_nightferry_command()} status."
    )
    descriptor = os.open(state / "demo.lock", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise busy from None
        if project.is_busy:
            raise busy
        yield


def _prepare_secrets(project: LocalProject, console: Console) -> None:
    """Create the secrets of this machine if they are missing: DOR's key pair and the simulator client's password."""
    if project.secret(CLIENT_SECRET) is None:
        project.write_secret(CLIENT_SECRET, random.token_urlsafe(32))
    if project.secret(KEY) is None or project.secret(PASSPHRASE) is None:
        with console.status("Generating a key pair for DOR's files …"):
            passphrase = SecretStr(random.token_urlsafe(32))
            pair = encryption.generate_key("DOR demo", passphrase)
        project.write_secret(PASSPHRASE, passphrase.get_secret_value())
        project.write_secret(KEY, pair.private.get_secret_value())
    folder = format_path(project.state / "secrets")
    console.print(
        f"[green]✓[/] Secrets in {folder}: DOR's private key, the FINEOS client's password",
        highlight=False,
        soft_wrap=not console.is_terminal,
    )


def _explain(error: Exception) -> str:
    full = isinstance(error, psycopg.errors.DiskFull) or (isinstance(error, OSError) and error.errno == errno.ENOSPC)
    if full:
        return "The disk is full. Free disk space, then resume with: make demo"
    if isinstance(error, psycopg.Error):
        return f"PostgreSQL: {describe_error(error)}\nTo restart PostgreSQL and resume the run: make demo"
    return str(error)


def _print_error(text: str) -> None:
    console = Terminal(stderr=True)
    console.print(text, highlight=False, markup=False, soft_wrap=not console.is_terminal)
