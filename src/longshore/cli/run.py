"""``longshore run``: run one task, follow it, exit with its code."""

from __future__ import annotations

from typing import Annotated

import typer

from longshore.cli.options import Env, author, backend

NOT_STARTED = 125


def run(
    task: Annotated[str, typer.Argument(help="A declared task; longshore tasks lists them.")],
    command: Annotated[
        list[str] | None, typer.Argument(help="Instead of the task's own command; put -- before it.", metavar="COMMAND")
    ] = None,
    env: Env = "local",
    variables: Annotated[
        list[str] | None, typer.Option("-e", help="Set a variable, K=V; may be given several times.", metavar="K=V")
    ] = None,
    cpu: Annotated[int | None, typer.Option(help="CPU units instead of the task's (1024 = one vCPU).")] = None,
    memory: Annotated[int | None, typer.Option(help="Memory in MiB instead of the task's.")] = None,
    detach: Annotated[bool, typer.Option(help="Do not follow: print the run's id and leave.")] = False,
    raw: Annotated[bool, typer.Option(help="Lines as the task wrote them, also on a terminal.")] = False,
) -> None:
    """Run one task and follow it. The exit code is the task's own; 125 if it never started."""
    from rich.console import Console

    from longshore.backend import RunRequest
    from longshore.cli.follow import follow_run
    from longshore.errors import LongshoreError
    from longshore.fargate import Size
    from longshore.project import Project

    project = Project.find()
    place = backend(project, env)
    settings = {}
    for item in variables or []:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise LongshoreError(f"-e {item}: write a variable as NAME=VALUE.")
        settings[name] = value
    if task in project.catalog.tasks and (cpu or memory):
        declared = project.catalog.tasks[task].size
        if problem := Size(cpu or declared.cpu, memory or declared.memory).problem():
            raise LongshoreError(problem)
    id = place.run_task(RunRequest(task, command or None, settings, cpu, memory, author()))
    if detach:
        place.detach()
        typer.echo(id)
        return
    ended = follow_run(place, id, Console(), env=env, raw=raw)
    if ended.exit_code is None:
        typer.echo(f"longshore: {task} did not run to an end. {ended.reason}", err=True)
        raise typer.Exit(NOT_STARTED)
    raise typer.Exit(ended.exit_code)
