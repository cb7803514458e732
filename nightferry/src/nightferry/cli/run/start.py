"""``nightferry start``: start a workflow's execution and follow it."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console

from nightferry.backend.interface import WorkflowExecution
from nightferry.cli.terminal.follow import follow_execution
from nightferry.cli.terminal.lines import duration
from nightferry.cli.terminal.options import Env, at, backend
from nightferry.environments.project import Project
from nightferry.errors import NightferryError


def start(
    workflow: Annotated[str, typer.Argument(help="A declared workflow; nightferry workflows lists them.")],
    env: Env = "local",
    input: Annotated[str, typer.Option("--input", help="The execution's input.", metavar="JSON")] = "{}",
    detach: Annotated[bool, typer.Option(help="Do not follow: print the execution's id and leave.")] = False,
) -> None:
    """Start a workflow and follow it. Exit code 0 if it succeeded, else 1.

    An execution that was interrupted (a killed engine, a machine switched off) goes on where it was.
    """
    try:
        value = json.loads(input)
    except ValueError as error:
        raise NightferryError(f"--input is not JSON: {error}.") from None
    project = Project.find()
    place = backend(project, env)
    before = {execution.id for execution in place.executions(workflow=workflow)}
    id = place.start_workflow(workflow, value)
    console = Console()
    if id in before:
        unused = " It has its own input; the one given here is not used." if value != {} else ""
        console.print(f"Execution {id} is open already; going on with it.{unused}", highlight=False, soft_wrap=True)
    if detach:
        place.detach()
        typer.echo(id)
        return
    ended = follow_execution(place, id, console, env=env)
    tell_end(ended, console, env)


def tell_end(ended: WorkflowExecution, console: Console, env: str) -> None:
    """Say how an execution has ended. Exits with 1 unless it succeeded."""
    id, workflow = ended.id, ended.workflow
    took = duration(((ended.stopped_at or ended.started_at) - ended.started_at).total_seconds())
    if ended.status == "SUCCEEDED":
        console.print(f"{workflow} succeeded after {took} (execution {id})", highlight=False)
        return
    console.print(f"{workflow} {ended.status.lower().replace('_', ' ')} after {took} (execution {id})", highlight=False)
    if ended.error:
        console.print(f"Error: {ended.error}", highlight=False, markup=False)
    console.print(
        f"See: nightferry status {id}{at(env)}; nightferry logs {id}{at(env)}", highlight=False, soft_wrap=True
    )
    raise typer.Exit(1)
