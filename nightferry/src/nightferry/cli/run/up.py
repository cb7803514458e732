"""``nightferry up``: run the engine until Ctrl-C."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from nightferry.cli.run.up_pages import create_app
from nightferry.cli.run.up_screen import Screen
from nightferry.cli.terminal.options import Env
from nightferry.cli.terminal.output import Terminal
from nightferry.contract import ExitCode
from nightferry.environments.project import Project
from nightferry.errors import NightferryError
from nightferry.local import up as engine
from nightferry.local.monitoring.engine_log import write_engine_log
from nightferry.local.monitoring.status_server import DEFAULT_PORT


def up(
    env: Env = "local",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the dashboard, /health and /metrics; 0 selects a free port.")
    ] = DEFAULT_PORT,
) -> None:
    """Run services, schedules, triggers, tasks and workflows on this machine until Ctrl-C.

    After the first Ctrl-C (or SIGTERM), running tasks can finish; the second one kills them. The exit code is 0 after a
    stop, 137 after a kill, and 2 if the engine cannot start. On a terminal, the engine displays running tasks, next
    fires and the address of its dashboard; otherwise it writes JSON lines.
    """
    project = Project.find()
    environment = project.environment(env)
    if environment.backend != "local":
        raise NightferryError(
            f"Environment '{env}' is on AWS, where EventBridge and Step Functions replace the engine. Use an "
            'environment with backend = "local".'
        )
    console, privacy = Terminal(), project.catalog.privacy
    if console.is_terminal:
        with (
            Screen(console) as screen,
            write_engine_log(project.state, screen.handler, privacy=privacy),
        ):
            pages = partial(create_app, announce=screen.show_login)
            killed = engine.run(project, environment, port, pages, screen.show)
    else:
        with write_engine_log(project.state, privacy=privacy):
            # A login code is not for a log. nightferry dashboard prints one.
            killed = engine.run(project, environment, port, partial(create_app, announce=lambda _: None))
    if killed:
        raise typer.Exit(ExitCode.KILLED)
