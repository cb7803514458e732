"""``nightferry up``: the engine, until it is told to stop."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from nightferry.cli.run.up_screen import Screen
from nightferry.cli.terminal.options import Env
from nightferry.contract import ExitCode
from nightferry.environments.project import Project
from nightferry.errors import NightferryError
from nightferry.local import up as engine
from nightferry.local.monitoring.journal import journal

DEFAULT_PORT = 8470


def up(
    env: Env = "local",
    port: Annotated[int, typer.Option(help="Port of /health and /metrics; 0 takes any that is free.")] = DEFAULT_PORT,
) -> None:
    """Run services, schedules, triggers, tasks and workflows on this machine, until Ctrl-C.

    The first Ctrl-C (or SIGTERM) lets running tasks end, a second one kills them. Exit code 0 after a stop, 137 if it
    was killed, 2 if it could not begin. On a terminal it shows what runs and what fires next; elsewhere it writes JSON
    lines.
    """
    project = Project.find()
    environment = project.environment(env)
    if environment.backend != "local":
        raise NightferryError(f"Environment '{env}' is on AWS, where EventBridge and Step Functions are the engine.")
    console = Console()
    if console.is_terminal:
        with Screen(console) as screen, journal(project.state, screen.handler):
            killed = engine.run(project, environment, port, screen.show)
    else:
        with journal(project.state):
            killed = engine.run(project, environment, port)
    if killed:
        raise typer.Exit(ExitCode.KILLED)
