"""The console script ``paidleave-demo``: what must be there before a night can begin, and mistakes in words."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets as random
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import psycopg
import typer
from pydantic import SecretStr
from rich.console import Console

from nightferry.errors import EngineBusy, NightferryError
from nightferry.testing import LocalProject
from paidleave.demo.commands import nightferry, shown
from paidleave.demo.night import CLIENT_SECRET, KEY, PASSPHRASE, DemoStopped, Night
from paidleave.dor import encryption

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def main() -> None:
    """The console script. What goes wrong is a sentence that says what to do, never a traceback."""
    try:
        app()
    except DemoStopped as stopped:
        _say(str(stopped))
        raise SystemExit(130) from None  # as a shell gives for Ctrl-C
    except BrokenPipeError:  # the reader of our output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None
    except (NightferryError, OSError, psycopg.Error) as error:
        _say(f"demo: {_explained(error)}")
        raise SystemExit(1) from None


@app.command()
def demo(
    employers: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="How many employers DOR knows; each has 14 employees on average.")
    ] = 500,
    bad_share: Annotated[
        float,
        typer.Option(min=0, max=1, help="Bad lines per good line, of every kind. Beyond 0.05 the import refuses them."),
    ] = 0.02,
) -> None:
    """Run a night of the DOR → FINEOS ETL on generated, encrypted files, with the embedded engine.

    Call it again for the next day, or to go on with a night that was interrupted.
    """
    project = LocalProject.find()
    console = Console()
    console.print("[bold]Nightferry[/] · a night of the DOR → FINEOS ETL on this machine\n")
    if shutil.which("gpg") is None:
        raise encryption.GpgMissing
    try:
        with _alone(project), project:
            _prepare_secrets(project, console)
            with console.status("Starting PostgreSQL and the FINEOS simulator …"):
                project.start_services()
            console.print("[green]✓[/] PostgreSQL and a FINEOS simulator run")
            Night(project, console).run(employers, bad_share)
    except KeyboardInterrupt:
        raise DemoStopped("Interrupted. Nothing is lost: make demo again goes on from here.") from None


@contextmanager
def _alone(project: LocalProject) -> Iterator[None]:
    """Keep a second demo out, and stay out of what another engine works on: its services end with it."""
    state = project.state
    busy = EngineBusy(
        f"Another make demo, or another nightferry command, works in {shown(state)}. Wait until it has ended, then "
        f"call make demo again. To watch it: {nightferry()} status."
    )
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (state / "demo.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise busy from None
        if project.is_busy:
            raise busy
        yield


def _prepare_secrets(project: LocalProject, console: Console) -> None:
    """Make the secrets that only this machine knows, once: DOR's key pair, the password of the simulator's client."""
    if project.secret(CLIENT_SECRET) is None:
        project.write_secret(CLIENT_SECRET, random.token_urlsafe(32))
    if project.secret(KEY) is None or project.secret(PASSPHRASE) is None:
        with console.status("Making a key pair for DOR's files …"):
            passphrase = SecretStr(random.token_urlsafe(32))
            pair = encryption.generate_key("DOR demo", passphrase)
        project.write_secret(PASSPHRASE, passphrase.get_secret_value())
        project.write_secret(KEY, pair.private.get_secret_value())
    folder = shown(project.state / "secrets")
    console.print(
        f"[green]✓[/] Secrets in {folder}: DOR's private key, the FINEOS client's password",
        highlight=False,
        soft_wrap=not console.is_terminal,
    )


def _explained(error: Exception) -> str:
    full = isinstance(error, psycopg.errors.DiskFull) or (isinstance(error, OSError) and error.errno == errno.ENOSPC)
    if full:
        return "the disk is full. Make room on it; make demo again then goes on from here."
    if isinstance(error, psycopg.Error):
        return f"PostgreSQL: {error}".rstrip() + "\nmake demo again starts it anew and goes on."
    return str(error)


def _say(text: str) -> None:
    console = Console(stderr=True)
    console.print(text, highlight=False, markup=False, soft_wrap=not console.is_terminal)
