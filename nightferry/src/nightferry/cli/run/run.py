"""``nightferry run``: run one task, follow it, exit with its code."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from nightferry.backend.interface import RunRequest
from nightferry.cli.terminal.completion import task_names
from nightferry.cli.terminal.options import Env, author, backend, print_json
from nightferry.cli.terminal.running import follow_to_the_end
from nightferry.cli.terminal.running import variables as parsed
from nightferry.environments.project import Project


def run(
    task: Annotated[
        str, typer.Argument(help="A declared task; nightferry tasks lists them.", autocompletion=task_names)
    ],
    command: Annotated[
        list[str] | None, typer.Argument(help="Instead of the task's own command; put -- before it.", metavar="COMMAND")
    ] = None,
    env: Env = "local",
    variables: Annotated[
        list[str] | None, typer.Option("-e", help="Set a variable, K=V; may be given several times.", metavar="K=V")
    ] = None,
    cpu: Annotated[int | None, typer.Option(help="CPU units instead of the task's (1024 = one vCPU).")] = None,
    memory: Annotated[int | None, typer.Option(help="Memory in MiB instead of the task's.")] = None,
    dry_run: Annotated[bool, typer.Option(help="Check everything and print what would be asked for.")] = False,
    detach: Annotated[bool, typer.Option(help="Do not follow: print the run's id and leave.")] = False,
    raw: Annotated[bool, typer.Option(help="Lines as the task wrote them, also on a terminal.")] = False,
) -> None:
    """Run one task and follow it. The exit code is the task's own; 125 if it never started."""
    project = Project.find()
    place = backend(project, env)
    settings = parsed(variables)
    request = RunRequest(task, command or None, settings, cpu, memory, author())
    if dry_run:
        print_json(place.request(request))
        return
    id = place.run_task(request)
    if detach:
        place.detach()
        typer.echo(id)
        return
    raise typer.Exit(follow_to_the_end(place, id, env, Console(), raw=raw))
