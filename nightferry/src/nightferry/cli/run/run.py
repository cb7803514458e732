"""``nightferry run``: run a task, follow it, and exit with its exit code."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from nightferry.backend.interface import RunRequest
from nightferry.cli.terminal.completion import complete_task
from nightferry.cli.terminal.options import Env, current_user, open_backend, print_json
from nightferry.cli.terminal.running import follow_to_end, parse_variables
from nightferry.environments.project import Project


def run(
    task: Annotated[
        str, typer.Argument(help="A declared task; see nightferry tasks.", metavar="TASK", autocompletion=complete_task)
    ],
    command: Annotated[
        list[str] | None,
        typer.Argument(help="Command that replaces the task's own, after --.", metavar="COMMAND"),
    ] = None,
    env: Env = "local",
    variables: Annotated[
        list[str] | None, typer.Option("-e", help="Set a variable. Repeatable.", metavar="NAME=VALUE")
    ] = None,
    cpu: Annotated[int | None, typer.Option(help="CPU units (1024 = 1 vCPU). Default: the task's.")] = None,
    memory: Annotated[int | None, typer.Option(help="Memory in MiB. Default: the task's.")] = None,
    dry_run: Annotated[bool, typer.Option(help="Check and print the request without starting the task.")] = False,
    detach: Annotated[bool, typer.Option(help="Print the run's ID and exit without following it.")] = False,
    raw: Annotated[bool, typer.Option(help="Print log lines unchanged, also on a terminal.")] = False,
) -> None:
    """Run a task and follow it. Exit with the task's exit code, or 125 if it did not start."""
    project = Project.find()
    backend = open_backend(project, env)
    settings = parse_variables(variables)
    request = RunRequest(task, command or None, settings, cpu, memory, current_user())
    if dry_run:
        print_json(backend.request(request))
        return
    id = backend.run_task(request)
    if detach:
        backend.detach()
        typer.echo(id)
        return
    raise typer.Exit(follow_to_end(backend, id, env, Console(), raw=raw))
