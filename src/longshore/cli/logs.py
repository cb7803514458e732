"""``longshore logs``: the lines of a task, a run or an execution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from longshore.cli.options import Env, backend

if TYPE_CHECKING:
    from longshore.backend import LogLine
    from longshore.local.backend import LocalBackend
    from longshore.project import Project

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def logs(
    id: Annotated[
        str, typer.Argument(help="A task (its last run), a workflow (its last execution), a run or an execution.")
    ],
    env: Env = "local",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until it has stopped.")] = False,
    level: Annotated[str, typer.Option(help="The least level to show.", metavar="LEVEL")] = "DEBUG",
    grep: Annotated[str | None, typer.Option(help="Only lines that contain this text.", metavar="TEXT")] = None,
    raw: Annotated[bool, typer.Option(help="Lines as the tasks wrote them, also on a terminal.")] = False,
) -> None:
    """Show the lines that tasks wrote: pretty on a terminal, as they were written in a pipe."""
    import time

    from rich.console import Console

    from longshore.cli.lines import is_progress, parsed, pretty, unchanged
    from longshore.errors import LongshoreError
    from longshore.project import Project

    if level.upper() not in _LEVELS:
        raise LongshoreError(f"There is no level '{level}'. There are: {', '.join(_LEVELS)}.")
    least = _LEVELS.index(level.upper())
    project = Project.find()
    place = backend(project, env)
    console = Console()
    plain = raw or not console.is_terminal
    position = 0

    def show(line: LogLine, tasks: dict[str, str]) -> None:
        fields = parsed(line.text)
        known = str((fields or {}).get("level", "INFO"))
        if known in _LEVELS and _LEVELS.index(known) < least:
            return
        if grep is not None and grep not in line.text:
            return
        if plain:
            unchanged(console, line.text)
        elif not is_progress(fields):
            several = tasks[line.run] if len(tasks) > 1 else ""
            console.print(pretty(line.text, line.time, task=several), soft_wrap=True)

    while True:
        tasks, is_open = _runs_of(project, place, id)
        for line in place.log(list(tasks), position):
            position = line.position
            show(line, tasks)
        if not follow or not is_open:
            return
        time.sleep(0.2)


def _runs_of(project: Project, place: LocalBackend, id: str) -> tuple[dict[str, str], bool]:
    """The runs that are meant, with their tasks, and whether more lines may come."""
    from longshore.errors import LongshoreError, UnknownName

    if id in project.catalog.tasks:
        runs = place.runs(task=id, limit=1)
        if not runs:
            raise LongshoreError(f"Task '{id}' has not run here yet. Try: longshore run {id}")
        return {run.id: run.task for run in runs}, runs[0].status != "STOPPED"
    if id in project.catalog.workflows:
        executions = place.executions(workflow=id, limit=1)
        if not executions:
            raise LongshoreError(f"Workflow '{id}' has not run here yet. Try: longshore start {id}")
        id = executions[0].id
    try:
        execution = place.execution(id)
    except UnknownName:
        run = place.run(id)
        return {run.id: run.task}, run.status != "STOPPED"
    runs = place.runs(execution=execution.id, limit=1000)
    return {run.id: run.task for run in runs}, execution.status == "RUNNING" and not execution.interrupted
